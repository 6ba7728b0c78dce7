"""Proofs from stored tiles, in O(log n)."""

import time
from dataclasses import dataclass
from uuid import UUID

from audit import tlog_proof, writing
from audit.checkpoints import newest
from audit.models import Leaf
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
    place = (
        Leaf.objects.filter(entry__uuid=entry_uuid)
        .values_list("epoch_id", "epoch__origin", "index", "entry__leaf")
        .first()
    )
    if place is None:
        return None
    epoch, origin, index, leaf = place
    head = newest(epoch)
    if head is None or head.size <= index:
        return None
    hashes = StoredTree(epoch).inclusion(index, head.size)
    text = tlog_proof.marshal(tlog_proof.TlogProof(index, tuple(hashes), head.note))
    return Proof(entry_uuid, epoch, origin, index, head.size, bytes(leaf), head.note, text)


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
