"""Anchors: checkpoints carried outside at intervals, how old they are, and whether they still hold.

Who holds the log's key and the database can rewrite what is newer than the newest checkpoint outside;
how long that is, `states()` says, and it alarms when a target falls behind.
"""

import contextlib
import http.client
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, transaction

from audit import anchoring, merkle
from audit.anchoring import (
    AnchorContradicts,
    AnchorFailed,
    BucketStore,
    Folder,
    StoreTarget,
    Target,
)
from audit.checkpoints import newest
from audit.models import Anchor, Checkpoint
from audit.stored import StoredTree
from audit.tiles import TileError
from kernel.buckets import BucketError, open_bucket, parse_location
from kernel.conf import ConfigurationError
from kernel.moments import now
from kernel.outbound import OutboundRefused

logger = logging.getLogger(__name__)
# A target may miss one turn before a person is called.
PATIENCE = 2


@dataclass(frozen=True)
class State:
    """One target. `waiting_seconds` is the age of the oldest checkpoint that it does not cover yet."""

    kind: str
    target: str
    epoch: int | None
    size: int | None
    at: datetime | None
    waiting_seconds: float
    late: bool

    @property
    def alarm(self) -> str:
        minutes = self.waiting_seconds / 60
        return (
            f"{self.kind} anchor {self.target} is {minutes:.0f} minutes behind" if self.late else ""
        )


def interval() -> timedelta:
    return timedelta(minutes=settings.COUNTERSIGN.anchor_minutes)


def targets() -> list[Target]:
    """Return the targets of this installation: `COUNTERSIGN_ANCHOR_*`.

    Raises:
        ConfigurationError: naming the variable whose file cannot be read.
    """
    known = settings.COUNTERSIGN
    return list(
        _targets(
            known.anchor_folder,
            known.anchor_bucket,
            known.anchor_tsa,
            known.anchor_tsa_roots,
            known.anchor_witnesses,
        )
    )


@lru_cache(maxsize=4)
def _targets(folder: str, bucket: str, tsa: str, roots: str, witnesses: str) -> tuple[Target, ...]:
    found: list[Target] = []
    if folder:
        found.append(StoreTarget(Folder(Path(folder)), folder))
    if bucket:
        try:
            place = parse_location(bucket)
            store = BucketStore(open_bucket(place))
        except (ValueError, BucketError) as error:
            raise ConfigurationError(f"COUNTERSIGN_ANCHOR_BUCKET: {error}") from error
        found.append(StoreTarget(store, str(place), Anchor.Kind.BUCKET.value))
    if tsa:
        if not roots:
            raise ConfigurationError("COUNTERSIGN_ANCHOR_TSA_ROOTS: name the certificates to trust")
        try:
            found.append(anchoring.TimestampTarget(tsa, anchoring.load_roots(Path(roots))))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"COUNTERSIGN_ANCHOR_TSA_ROOTS: {error}") from error
    if witnesses:
        try:
            found += anchoring.witnesses_in(Path(witnesses))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"COUNTERSIGN_ANCHOR_WITNESSES: {error}") from error
    return tuple(found)


def anchor_due() -> int:
    """Carry the newest checkpoint to each target whose turn it is; return how many took it."""
    due = now() - interval()
    return sum(
        _attempt(target, head)
        for target, head, last in _behind(targets())
        if last is None or last.created <= due
    )


def anchor_now() -> dict[str, str]:
    """Carry the newest checkpoint to each target that lacks it; return {target: what was wrong}.

    A target that took it, or had it, has an empty text.
    """
    failures = {target.name: "" for target in targets()}
    for target, head, _ in _behind(targets()):
        try:
            _anchor(target, head)
        except _FAILURES as error:
            failures[target.name] = str(error) or type(error).__name__
    return failures


_FAILURES = (
    AnchorFailed,
    OutboundRefused,
    OSError,
    http.client.HTTPException,
    TileError,
    merkle.ProofError,
)


def _behind(wanted: Sequence[Target]) -> Iterator[tuple[Target, Checkpoint, Anchor | None]]:
    head = newest()
    if head is None:
        return
    for target in wanted:
        last = _last(target, head.epoch_id)
        if last is None or last.size < head.size:
            yield target, head, last


def _last(target: Target, epoch: int | None = None) -> Anchor | None:
    rows = Anchor.objects.filter(kind=target.kind, target=target.name)
    if epoch is not None:
        rows = rows.filter(epoch_id=epoch)
    return rows.order_by("-epoch_id", "-size").first()


def _attempt(target: Target, head: Checkpoint) -> bool:
    try:
        _anchor(target, head)
    except AnchorContradicts as error:
        logger.critical("what is anchored outside contradicts the log: %s", error)
        return False
    except _FAILURES as error:
        logger.warning("the checkpoint could not be anchored at %s: %s", target.name, error)
        return False
    return True


def _anchor(target: Target, head: Checkpoint) -> None:
    last = _last(target, head.epoch_id)
    tree = StoredTree(head.epoch_id)
    # Outside any transaction: the network may take its time.
    receipt = target.anchor(head, before=last.size if last else 0, prove=tree.consistency)
    try:
        with transaction.atomic():
            Anchor.objects.create(
                epoch_id=head.epoch_id,
                size=head.size,
                kind=target.kind,
                target=target.name,
                receipt=receipt,
                created=now(),
            )
    except IntegrityError:
        logger.info("another worker has anchored %s at %s too", head, target.name)


def states() -> list[State]:
    """Say for each target what it holds and how far it is behind."""
    head = newest()
    found: list[State] = []
    for target in targets():
        last = _last(target)
        waiting = _waiting(head, last)
        found.append(
            State(
                target.kind,
                target.name,
                last.epoch_id if last else None,
                last.size if last else None,
                last.created if last else None,
                waiting,
                late=waiting > PATIENCE * interval().total_seconds(),
            )
        )
    return found


def _waiting(head: Checkpoint | None, last: Anchor | None) -> float:
    if head is None:
        return 0.0
    rows = Checkpoint.objects.filter(epoch_id=head.epoch_id)
    if last is not None and last.epoch_id == head.epoch_id:
        rows = rows.filter(size__gt=last.size)
    oldest = rows.order_by("size").values_list("created", flat=True).first()
    return max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0


def held_outside() -> Iterator[tuple[str, list[str] | str]]:
    """Yield each folder and bucket by name, with every checkpoint that it holds, or why it cannot be
    read (a text).

    Raises:
        ConfigurationError: naming the variable that is wrong.
    """
    for target in targets():
        if isinstance(target, StoreTarget):
            try:
                held = target.held()
            except (OSError, BucketError) as error:
                yield target.name, str(error)
                continue
            # A volume that is not mounted reads like an empty folder.
            if not held and _last(target):
                yield target.name, "it holds nothing, though checkpoints were anchored there"
                continue
            yield target.name, held


def problems() -> Iterator[tuple[str, str]]:
    """Verify every receipt again; yield (code, message) for each that does not hold."""
    known: dict[tuple[str, str], Target] = {}
    # What is misconfigured is said by reading what is held outside.
    with contextlib.suppress(ConfigurationError):
        known = {(target.kind, target.name): target for target in targets()}
    for row in Anchor.objects.order_by("epoch_id", "size").iterator(500):
        what = f"{row.kind} anchor of {row.size} entries at {row.target}"
        own = Checkpoint.objects.filter(epoch_id=row.epoch_id, size=row.size)
        note = own.values_list("note", flat=True).first()
        if note is None:
            yield "anchor", f"{what}: that checkpoint is gone"
            continue
        target = known.get((row.kind, row.target))
        if target is None:
            continue
        try:
            target.check(bytes(row.receipt), note)
        except AnchorContradicts as error:
            yield "anchor", f"{what}: {error}"
