"""The sequencer: the one process that turns queued entries into leaves and signs the tree.

It alone holds the log's key. Before each signature it verifies its own last one, recomputes the root
from the stored right edge, and compares the high-water file: the tree may only grow. If anything
differs it signs nothing, says why, and looks again until a person has repaired it.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.models import QuerySet

from audit import merkle, notes, signing, tiles
from audit.highwater import HighWater, HighWaterError, HighWaterFile
from audit.models import Checkpoint, Entry, Epoch, Leaf, LogKey, Pending, Tile
from audit.stored import StoredTree, load
from kernel.moments import now

logger = logging.getLogger(__name__)

BATCH = 5000
INTERVAL = 0.2
# Also without work, so that a database that was rolled back is noticed within this time.
INSPECT_EVERY = 30.0
_LOCK = 0x636F756E7465  # arbitrary, the same for every sequencer of a database
EPOCH_STARTED = "audit.epoch.started"


class Halted(Exception):
    """The stored log is not what was signed. Nothing more is signed until a person has acted."""


@dataclass(frozen=True)
class Head:
    """The newest tree head of an epoch."""

    epoch: Epoch
    size: int
    root: bytes
    note: str


class Queued(NamedTuple):
    """An entry that waits: its key and its exact bytes."""

    id: int
    leaf: bytes


def _read(rows: QuerySet[Entry]) -> list[Queued]:
    return [Queued(key, bytes(leaf)) for key, leaf in rows.values_list("id", "leaf")]


def folder() -> Path:
    """Where the sequencer keeps what must not be in the database."""
    path: Path = settings.COUNTERSIGN.data_dir / "sequencer"
    return path


def origin_of(epoch: int) -> str:
    """Return the origin line: the configured one for the first epoch, a path below it for others."""
    base: str = settings.COUNTERSIGN.log_origin
    return notes.check_name(base if epoch == 1 else f"{base}/epochs/{epoch}")


def take_lock() -> bool:
    """Become the only sequencer for the open transaction; False if another one is at work.

    SQLite needs none: its transactions begin IMMEDIATE, so there is one writer at a time.
    """
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


class Sequencer:
    """Takes what is queued, never "everything after the last one": ids commit out of order."""

    def __init__(self, *, batch: int = BATCH, marks: HighWaterFile | None = None) -> None:
        self._batch = batch
        self._marks = marks or HighWaterFile(folder())
        self._inspected = 0.0

    def step(self, *, inspect: bool = False) -> int:
        """Sequence one batch and return how many entries it had.

        With `inspect` the stored log is checked although nothing is queued.

        Raises:
            Halted: if the stored log does not extend what was signed before.
        """
        if not inspect and not Pending.objects.exists():
            return 0
        try:
            with transaction.atomic(durable=True):
                if not take_lock():
                    return 0
                head = self._verified_head()
                batch = self._take(head)
                if batch:
                    head = _integrate(head, batch)
        except (HighWaterError, tiles.TileError, notes.NoteError, merkle.ProofError) as error:
            raise Halted(str(error)) from error
        # Only now: a signature let out before a commit that fails would be a second tree.
        self._raise_mark(head)
        return len(batch)

    def drain(self) -> int:
        """Sequence until the queue is empty; return how many entries."""
        total = 0
        while taken := self.step():
            total += taken
        return total

    def run_forever(self, stop: threading.Event, *, interval: float = INTERVAL) -> None:
        """Poll until `stop` is set. A database that does not answer is asked again."""
        while not stop.is_set():
            wait = interval
            try:
                close_old_connections()
                due = time.monotonic() - self._inspected > INSPECT_EVERY
                busy = self.step(inspect=due)
                if due:
                    self._inspected = time.monotonic()
                    self._marks.set_halted(None)
                if busy == self._batch:
                    wait = 0.0
            except Halted as halt:
                logger.critical("the log is not signed any more: %s", halt)
                self._marks.set_halted(str(halt))
                self._inspected = 0.0
                wait = max(interval, 5.0)
            except Exception:
                logger.exception("the sequencer's step failed; it is tried again")
                wait = max(interval, 1.0)
            stop.wait(wait)

    def _verified_head(self) -> Head:
        mark = self._marks.read()
        epoch = Epoch.objects.order_by("-number").first()
        if epoch is None:
            epoch = self._first_epoch(mark)
            mark = self._marks.read()
        head = newest_head(epoch, signing.own_verifiers(epoch.origin))
        if mark is None:
            raise Halted(
                f"the database has a log of {head.size} entries, but the high-water file "
                f"{self._marks.path} is gone; bring it back, or run `manage.py audit_epoch --adopt`"
            )
        _check_extends(mark, head)
        return head

    def _first_epoch(self, mark: HighWater | None) -> Epoch:
        if mark is None:
            # The file comes first: a crash in between leaves a mark of size 0, which is no alarm.
            mark = HighWater(1, origin_of(1))
            self._marks.write(mark)
        if (mark.epoch, mark.size) != (1, 0):
            raise Halted(
                f"the database has no log, but {mark.size} entries of epoch {mark.epoch} were signed"
            )
        return Epoch.objects.create(number=1, origin=mark.origin, created=now())

    def _take(self, head: Head) -> list[Queued]:
        queued = Entry.objects.filter(pending__isnull=False)
        batch = _read(queued.order_by("id")[: self._batch])
        if head.size == 0 and head.epoch.number > 1:
            # The first leaf of a later epoch cites the one before it.
            first = _read(queued.filter(type=EPOCH_STARTED, object_id=str(head.epoch.number))[:1])
            if not first:
                raise Halted(f"epoch {head.epoch.number} has no entry that says why it was started")
            batch = [*first, *[one for one in batch if one.id != first[0].id]][: self._batch]
        again = _sequenced([one.id for one in batch])
        if again is not None:
            raise Halted(f"entry {again} is queued, but it is in the tree already")
        return batch

    def _raise_mark(self, head: Head) -> None:
        mark = self._marks.read()
        if mark and mark.epoch == head.epoch.number and mark.size >= head.size:
            return
        self._marks.write(
            HighWater(
                head.epoch.number,
                head.epoch.origin,
                head.size,
                head.root.hex(),
                head.note,
                head.epoch.predecessor,
            )
        )


def run_forever(stop: threading.Event, *, interval: float = INTERVAL) -> None:
    """Run one sequencer until `stop` is set."""
    Sequencer().run_forever(stop, interval=interval)


def newest_head(epoch: Epoch, trusted: Sequence[notes.Verifier]) -> Head:
    """Return the newest head of an epoch after checking signature, row and stored right edge.

    Raises:
        Halted: if one of them differs.
        NoteError, TileError: if the note or a tile is malformed or missing.
    """
    row = Checkpoint.objects.filter(epoch_id=epoch.number).order_by("-size").first()
    if row is None:
        if Leaf.objects.filter(epoch_id=epoch.number).exists():
            raise Halted(f"epoch {epoch.number} has leaves and no checkpoint")
        return Head(epoch, 0, merkle.EMPTY_ROOT, "")
    signed = notes.open_checkpoint(row.note, trusted)
    if (signed.origin, signed.size, signed.root) != (epoch.origin, row.size, bytes(row.root)):
        raise Halted(f"the newest checkpoint of epoch {epoch.number} says other than its note")
    if StoredTree(epoch.number).root(row.size) != signed.root:
        raise Halted(f"the stored tree of {row.size} entries has another root than was signed")
    return Head(epoch, signed.size, signed.root, row.note)


def _check_extends(mark: HighWater, head: Head) -> None:
    number = head.epoch.number
    if (mark.epoch, mark.origin) != (number, head.epoch.origin):
        raise Halted(
            f"the database is in epoch {number} ({head.epoch.origin}), this sequencer in epoch "
            f"{mark.epoch} ({mark.origin})"
        )
    if mark.size > head.size:
        raise Halted(
            f"{mark.size} entries were signed and the database has {head.size}: it was rolled back; "
            "restore it, or start a new epoch with `manage.py audit_epoch --start`"
        )
    root = bytes.fromhex(mark.root)
    if mark.size == head.size:
        if root != head.root:
            raise Halted(f"two trees of {head.size} entries: another root was signed before")
    elif mark.size:
        proof = StoredTree(number).consistency(mark.size, head.size)
        merkle.verify_consistency(mark.size, head.size, proof, root, head.root)


def _integrate(head: Head, batch: Sequence[Queued]) -> Head:
    """Append the batch, sign the new head, empty the queue: all in the open transaction."""
    number = head.epoch.number
    hashes = [merkle.leaf_hash(one.leaf) for one in batch]
    edge = load(number, tiles.edge_tiles(head.size))
    changed, root = tiles.append(edge, head.size, hashes)
    size = head.size + len(batch)
    _insert_leaves(number, head.size, [one.id for one in batch], hashes)
    Tile.objects.bulk_create(
        [
            Tile(epoch_id=number, level=level, n=n, hashes=data)
            for (level, n), data in changed.items()
        ],
        batch_size=200,
        update_conflicts=True,
        unique_fields=["epoch", "level", "n"],
        update_fields=["hashes"],
    )
    at = now()
    text = notes.Checkpoint(head.epoch.origin, size, root).text()
    signers = signing.signers(head.epoch.origin)
    note = notes.sign(text, signers)
    Checkpoint.objects.create(epoch_id=number, size=size, root=root, note=note, created=at)
    LogKey.objects.bulk_create(
        [LogKey(epoch_id=number, vkey=signer.verifier.vkey, created=at) for signer in signers],
        ignore_conflicts=True,
    )
    deleted = _dequeue([one.id for one in batch])
    if deleted != len(batch):
        raise Halted(f"{len(batch)} entries were taken from the queue, which lost {deleted}")
    return Head(head.epoch, size, root, note)


# On PostgreSQL thousands of numbers go as one text that the server takes apart: as parameters of their
# own they take longer than all the rest of a step.


def _array(numbers: Iterable[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _sequenced(ids: Sequence[int]) -> int | None:
    """Return one of the entries that is in the tree already; None if none is."""
    if connection.vendor != "postgresql":
        return Leaf.objects.filter(entry_id__in=ids).values_list("entry_id", flat=True).first()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT entry_id FROM audit_leaf WHERE entry_id = ANY(%s::bigint[]) LIMIT 1",
            [_array(ids)],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _dequeue(ids: Sequence[int]) -> int:
    """Take the entries out of the queue; return how many were in it."""
    if connection.vendor != "postgresql":
        return Pending.objects.filter(entry_id__in=ids).delete()[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM audit_pending WHERE entry_id = ANY(%s::bigint[])", [_array(ids)]
        )
        return int(cursor.rowcount)


def _insert_leaves(epoch: int, first: int, ids: list[int], hashes: list[bytes]) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                'INSERT INTO audit_leaf (epoch_id, entry_id, "index", hash) '
                "SELECT %s, entry, %s + place - 1, substr(%s, (place::int - 1) * 32 + 1, 32) "
                "FROM unnest(%s::bigint[]) WITH ORDINALITY AS taken (entry, place)",
                [epoch, first, b"".join(hashes), _array(ids)],
            )
        return
    Leaf.objects.bulk_create(
        (
            Leaf(entry_id=key, epoch_id=epoch, index=first + i, hash=hashes[i])
            for i, key in enumerate(ids)
        ),
        batch_size=1000,
    )
