"""Proofs from stored tiles, in O(log n)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit import merkle, tiles, tlog_proof, writing
from audit.checkpoints import newest
from audit.direct import call
from audit.stored import StoredTree
from kernel.errors import Invalid

POLL = 0.05
MAX_WAIT = 10.0


@dataclass(frozen=True)
class Proof:
    """That an entry is in the log. `tlog_proof` is a C2SP tlog-proof, checkpoint included;
    `leaf` holds the exact bytes that it proves."""

    entry: UUID
    epoch: int
    origin: str
    index: int
    size: int
    leaf: bytes
    checkpoint: str
    tlog_proof: str


def inclusion(entry_uuid: UUID, timeout: float = 0) -> Proof | None:
    """Return the proof of an entry; None if it is not in the tree within `timeout` seconds.

    Raises:
        RuntimeError: if asked to wait inside a write, whose entry cannot be sequenced before it ends.
    """
    if timeout > 0 and writing.is_open():
        raise RuntimeError("a write cannot wait for its own proof; ask after it")
    deadline = time.monotonic() + min(timeout, MAX_WAIT)
    while (proof := _inclusion(entry_uuid)) is None and time.monotonic() < deadline:
        time.sleep(POLL)
    return proof


def _inclusion(entry_uuid: UUID) -> Proof | None:
    database = transaction.get_connection()
    if database.vendor == "postgresql":
        return _at_once(database, entry_uuid)
    with database.cursor() as cursor:
        cursor.execute(_PLACE, [entry_uuid.hex])
        row = cursor.fetchone()
    if row is None or row[4] <= row[2]:
        return None
    return _proof(entry_uuid, row, StoredTree(row[0]).inclusion(row[2], row[4]))


# By hand, because a pipeline waits for it: few round trips and no models.
_PLACE = """
SELECT place.epoch_id, epoch.origin, place."index", entry.leaf, head.size, head.note
FROM audit_entry AS entry
JOIN audit_leaf AS place ON place.entry_id = entry.id
JOIN audit_epoch AS epoch ON epoch.number = place.epoch_id
JOIN audit_checkpoint AS head ON head.epoch_id = place.epoch_id AND head.size = (
    SELECT MAX(size) FROM audit_checkpoint WHERE epoch_id = place.epoch_id
)
WHERE entry.uuid = %s
"""


def _at_once(database: BaseDatabaseWrapper, entry_uuid: UUID) -> Proof | None:
    """The same in one call, whose plans the server keeps (`audit.triggers`): planning took half the time."""
    rows = call(database, "SELECT * FROM countersign_place(%s)", (entry_uuid,))
    if not rows or rows[0][4] is None or rows[0][4] <= rows[0][2]:
        return None
    read = tiles.TileReader({(level, n): hashes for *_, level, n, hashes in rows})
    hashes = merkle.prove_inclusion(read, rows[0][2], rows[0][4])
    return _proof(entry_uuid, rows[0], hashes)


def _proof(entry_uuid: UUID, row: Sequence[Any], hashes: Sequence[bytes]) -> Proof:
    epoch, origin, index, leaf, size, note = row[:6]
    text = tlog_proof.marshal(tlog_proof.TlogProof(index, tuple(hashes), note))
    return Proof(entry_uuid, epoch, origin, index, size, bytes(leaf), note, text)


@dataclass(frozen=True)
class Extension:
    """That the tree of `new` entries extends the tree of `old`."""

    epoch: int
    old: int
    new: int
    hashes: tuple[bytes, ...]
    checkpoint: str


def consistency(old: int, *, epoch: int | None = None) -> Extension:
    """Return the proof that the newest checkpoint extends one of `old` entries that a client holds.

    Raises:
        Invalid: naming `from`, if the log never had that size.
    """
    head = newest(epoch)
    if head is None or not 0 < old <= head.size:
        raise Invalid(f"the log has no tree of {old} entries", field="from")
    hashes = StoredTree(head.epoch_id).consistency(old, head.size)
    return Extension(head.epoch_id, old, head.size, tuple(hashes), head.note)
