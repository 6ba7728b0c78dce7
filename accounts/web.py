"""The actor behind a page's request."""

from django.http import HttpRequest

from accounts.actors import actor_for
from accounts.models import User
from audit.actor import Actor


def actor_of(request: HttpRequest) -> Actor:
    """Return the signed-in user as an actor. The caller has made sure that somebody is signed in."""
    cached = getattr(request, "actor", None)
    if isinstance(cached, Actor):
        return cached
    assert isinstance(request.user, User)
    actor = actor_for(request.user, for_request=True)
    request.actor = actor  # type: ignore[attr-defined]
    return actor
