"""Users as the actors of the audit log, which knows them by their pseudonyms alone."""

from uuid import UUID

from accounts.models import Pseudonym, Responsibility, User
from audit.actor import Actor


def pseudonym_of(user_id: UUID) -> UUID:
    """Return what the log says instead of a user's id. Every entry's public part names people so.

    The row that ties the two together can be erased; an id in a leaf could not.
    """
    row, _ = Pseudonym.objects.get_or_create(subject=user_id)
    return row.pseudonym


def actor_for(user: User, *, scopes: frozenset[str] | None = None) -> Actor:
    """Return the actor that `user` is. `scopes` are an API token's; None stands for a session."""
    responsible: frozenset[UUID] = frozenset()
    if user.kind == User.Kind.SERVICE:
        responsible = frozenset(
            Responsibility.objects.filter(service=user, until=None).values_list("person", flat=True)
        )
    return Actor(
        kind="service" if user.kind == User.Kind.SERVICE else "person",
        id=user.pk,
        name=str(user),
        pseudonym=pseudonym_of(user.pk),
        responsible=responsible,
        scopes=scopes,
    )
