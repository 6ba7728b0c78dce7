"""Users as the actors of the audit log, which knows them by their pseudonyms alone."""

from collections.abc import Iterable
from uuid import UUID

from accounts.models import Pseudonym, User
from audit.actor import Actor


def pseudonym_of(user_id: UUID) -> UUID:
    """Return what the log says instead of a user's id. Every entry's public part names people so.

    The row that ties the two together can be erased; an id in a leaf could not.
    """
    row, _ = Pseudonym.objects.get_or_create(subject=user_id)
    return row.pseudonym


def actor_for(
    user: User,
    *,
    scopes: frozenset[str] | None = None,
    pseudonym: UUID | None = None,
    for_request: bool = False,
) -> Actor:
    """Return the actor that `user` is. `scopes` are an API token's; None stands for a session.

    `pseudonym` is the user's, if it was read already. `for_request`: the actor lives as long as one
    request, and its reads may remember what they looked up about it.
    """
    return Actor(
        kind="service" if user.kind == User.Kind.SERVICE else "person",
        id=user.pk,
        name=str(user),
        pseudonym=pseudonym or pseudonym_of(user.pk),
        scopes=scopes,
        memo={} if for_request else None,
    )


def names_of(pseudonyms: Iterable[UUID]) -> dict[UUID, str]:
    """Return who is behind the pseudonyms, but for those whose row was erased."""
    subjects = dict(
        Pseudonym.objects.filter(pseudonym__in=set(pseudonyms)).values_list("pseudonym", "subject")
    )
    users = User.objects.in_bulk(list(subjects.values()))
    return {
        pseudonym: str(users[subject])
        for pseudonym, subject in subjects.items()
        if subject in users
    }
