"""Erasing a person: what holds their name, and how a verification tells erased from lost.

The log names people by pseudonyms. Once the row that ties a pseudonym to an account is gone, and the
private payloads that hold the name with it, what remains in the tree says nothing about anybody.
What somebody signed is kept, with the name as then known, until its retention ends.
"""

import json
import re
import secrets
from collections.abc import Iterator

from axes.models import AccessAttempt, AccessFailureLog, AccessLog

from accounts.models import ApiToken, Pseudonym, User
from audit import outbox
from audit.erasure import erasers_work
from audit.models import Entry, PrivatePayload
from audit.writing import in_write

ERASED = "accounts.person.erased"
ERASED_NAME = "erased person"
_USERNAME = "erased-"
_kept: set[str] = set()


def keep(entry_type: str) -> None:
    """Say that payloads of these entries outlive an erasure: retention by law asks for the name.

    `entry_type` may end in `.*`. Called in `AppConfig.ready()`.
    """
    _kept.add(entry_type)


def is_kept(entry_type: str) -> bool:
    return any(outbox.matches(pattern, entry_type) for pattern in _kept)


def holding(user: User, pseudonym: str, *, after: int = 0) -> Iterator[Entry]:
    """Yield the entries after the id `after` whose private payload is about the account or names it.

    A name counts as a whole word only: `Ann` is not in `Annual`.
    """
    named = _pattern(user)
    rows = PrivatePayload.objects.filter(entry_id__gt=after).select_related("entry")
    for row in rows.order_by("entry_id").iterator(1000):
        about = (row.entry.object_type, row.entry.object_id) == ("user", pseudonym)
        if about or _names(json.loads(bytes(row.data)), named):
            yield row.entry


def _pattern(user: User) -> re.Pattern[str]:
    words = sorted({word for word in (user.name, user.username, user.email) if word})
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, words)) + r")(?!\w)", re.IGNORECASE)


def _names(value: object, named: re.Pattern[str]) -> bool:
    if isinstance(value, str):
        return named.search(value) is not None
    if isinstance(value, dict):
        return any(_names(one, named) for pair in value.items() for one in pair)
    return isinstance(value, list) and any(_names(one, named) for one in value)


def is_erased(user: User) -> bool:
    return user.name == ERASED_NAME and user.username.startswith(_USERNAME)


def forget(user: User) -> None:
    """Take the name off the account and its surroundings. A step: the row itself stays, since what
    was governed points to it."""
    in_write()
    with erasers_work():
        for table in (AccessAttempt, AccessFailureLog, AccessLog):
            table.objects.filter(username=user.username).delete()
        Pseudonym.objects.filter(subject=user.pk).delete()
    ApiToken.objects.filter(user=user).update(name="erased")
    user.username = f"{_USERNAME}{secrets.token_hex(6)}"
    user.name, user.email, user.first_name, user.last_name = ERASED_NAME, "", "", ""
    user.last_login = None
    user.is_staff = user.is_superuser = False
    user.set_unusable_password()
    user.save()


def lost_pseudonyms() -> Iterator[tuple[str, str]]:
    """Yield a finding for each actor of the log whose pseudonym leads nowhere though nobody erased it."""
    last = None
    while True:
        rows = Entry.objects.order_by("actor", "id")
        # From actor to actor along the index: as many queries as there are actors, not entries.
        one = (
            (rows.filter(actor__gt=last) if last else rows)
            .values_list("actor", "actor_kind")
            .first()
        )
        if one is None:
            return
        last, kind = one
        if kind == "system" or Pseudonym.objects.filter(pseudonym=last).exists():
            continue
        told = {"type": ERASED, "object_type": "user", "object_id": str(last)}
        if not Entry.objects.filter(**told).exists():
            yield (
                "pseudonym_lost",
                f"nothing says whose pseudonym {last} is, and no entry says that it was erased",
            )
