"""Users as the actors of the audit log."""

from uuid import UUID

from accounts.models import Pseudonym, Responsibility, User
from audit.actor import Actor


def actor_for(user: User, *, scopes: frozenset[str] | None = None) -> Actor:
    """Return the actor that `user` is. `scopes` are an API token's; None stands for a session."""
    pseudonym, _ = Pseudonym.objects.get_or_create(subject=user.pk)
    responsible: frozenset[UUID] = frozenset()
    if user.kind == User.Kind.SERVICE:
        responsible = frozenset(
            Responsibility.objects.filter(service=user, until=None).values_list("person", flat=True)
        )
    return Actor(
        kind="service" if user.kind == User.Kind.SERVICE else "person",
        id=user.pk,
        name=str(user),
        pseudonym=pseudonym.pseudonym,
        responsible=responsible,
        scopes=scopes,
    )
