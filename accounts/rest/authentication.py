"""Bearer tokens for pipelines, sessions (with CSRF) for pages that call the API."""

from datetime import timedelta
from typing import Any

from django.db.models import OuterRef, Q, Subquery
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts import tokens
from accounts.actors import actor_for
from accounts.models import ApiToken, Pseudonym, User
from audit.actor import Actor
from kernel.moments import now

_USED_GRAIN = timedelta(minutes=1)


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer cs_…`."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = _find(text.strip())
        if token is None:
            raise exceptions.AuthenticationFailed("the token is unknown, expired or revoked")
        request._request.actor = actor_for(  # type: ignore[attr-defined]
            token.user,
            scopes=frozenset(token.scopes),
            pseudonym=getattr(token, "pseudonym", None),
            for_request=True,
        )
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="countersign"'


def _find(text: str) -> ApiToken | None:
    parts = tokens.split(text)
    if parts is None:
        return None
    key, secret = parts
    pseudonym = Pseudonym.objects.filter(subject=OuterRef("user")).values("pseudonym")
    token = (
        ApiToken.objects.select_related("user")
        .annotate(pseudonym=Subquery(pseudonym))
        .filter(key=key)
        .first()
    )
    at = now()
    if (
        token is None
        or not tokens.matches(secret, secret_hmac=token.secret_hmac, pepper_id=token.pepper_id)
        or token.revoked_at is not None
        or token.expires_at <= at
        or not token.user.is_active
    ):
        return None
    if token.last_used_at is None or token.last_used_at < at - _USED_GRAIN:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=at - _USED_GRAIN)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=at)
    return token


class SessionAuthentication(authentication.SessionAuthentication):
    """The page's session; writes need its CSRF token."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        if found is not None:
            request._request.actor = actor_for(found[0], for_request=True)  # type: ignore[attr-defined]
        return found


def actor_of(request: Request) -> Actor:
    """The actor that authentication found. Permission has made sure that there is one."""
    actor = request._request.actor  # type: ignore[attr-defined]
    assert isinstance(actor, Actor)
    return actor
