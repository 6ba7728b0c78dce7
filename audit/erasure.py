"""Erasing personal data: the payload goes, the leaf and the tree stay, and the log says who and why."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.db import ProgrammingError

from audit import permission
from audit.actor import Actor
from audit.models import Entry, PrivatePayload
from audit.recording import record
from audit.writing import RefusedConflict, write
from kernel.errors import Invalid, NotFound
from kernel.moments import now

_INSUFFICIENT_PRIVILEGE = "42501"
BASES = (
    "gdpr_17_1_a",
    "gdpr_17_1_b",
    "gdpr_17_1_c",
    "gdpr_17_1_d",
    "gdpr_17_1_e",
    "retention",
    "other",
)


@write
def erase_payload(*, actor: Actor, entry: UUID, basis: str, reason: str) -> Entry:
    """Erase the private payload of an entry and record it.

    `basis` is the legal ground, one of `BASES`; `reason` says more and is kept as a private payload of
    the new entry. What backups still hold is erased when they age out: see the runbook.

    Raises:
        Refused: if the actor may not erase, code `not_permitted`.
        NotFound: if there is no such entry.
        Invalid: if `basis` or `reason` is not said.
        RefusedConflict: if the entry has no payload (any more).
    """
    permission.require(actor, "payload.erase")
    check_ground(basis, reason)
    found = Entry.objects.filter(uuid=entry).first()
    if found is None:
        raise NotFound("there is no such entry", field="entry")
    return erase(found, actor=actor, at=now(), basis=basis, reason=reason)


def check_ground(basis: str, reason: str) -> None:
    """Refuse an erasure without a legal ground and a reason.

    Raises:
        Invalid: naming `basis` or `reason`.
    """
    if basis not in BASES:
        raise Invalid(f"expected one of {', '.join(BASES)}", field="basis")
    if not reason.strip():
        raise Invalid("say why it is erased", field="reason")


@contextmanager
def erasers_work() -> Iterator[None]:
    """Tell who may erase, where the database lets only the eraser's role delete.

    Raises:
        RefusedConflict: code `eraser_only`, if this process's role may not.
    """
    try:
        yield
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", "") != _INSUFFICIENT_PRIVILEGE:
            raise
        raise RefusedConflict(
            "eraser_only",
            "this process's database role may not erase; run `manage.py erase` with the eraser's",
        ) from error


def erase(found: Entry, *, actor: Actor, at: datetime, basis: str, reason: str) -> Entry:
    """Erase the payload of `found` and record it: a step of the writes that erase.

    Raises:
        RefusedConflict: if the entry has no payload (any more).
    """
    with erasers_work():
        deleted, _ = PrivatePayload.objects.filter(entry=found).delete()
    if not deleted:
        raise RefusedConflict(
            "no_payload",
            "the entry has no private payload",
            field="entry",
            object_type="entry",
            object_id=found.uuid,
        )
    return record(
        "audit.payload.erased",
        actor=actor,
        at=at,
        object_type="entry",
        object_id=str(found.uuid),
        public={"entry": found.uuid, "basis": basis},
        private={"reason": reason},
        scope=found.scope,
    )
