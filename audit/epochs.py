"""Epochs: after a restore the old tree is frozen as it is, and a new one starts by citing it."""

from audit import notes, sequencer, signing
from audit.actor import Actor
from audit.highwater import HighWater, HighWaterFile
from audit.models import Checkpoint, Epoch
from audit.recording import record
from audit.writing import RefusedConflict, write
from kernel.moments import now


def adopt(marks: HighWaterFile) -> HighWater:
    """Make a high-water file from the database's newest head, where the file was lost.

    Its signature and root are verified; that it was the newest that was ever signed cannot be: compare
    it with a checkpoint held outside first.

    Raises:
        RefusedConflict: if there is a file, or no log.
        Halted: if the stored head does not verify.
    """
    if marks.read() is not None:
        raise RefusedConflict(
            "high_water_exists", f"{marks.path} exists; adopting is for a lost file"
        )
    epoch = Epoch.objects.order_by("-number").first()
    if epoch is None:
        raise RefusedConflict("no_log", "the database has no log to adopt")
    head = sequencer.newest_head(epoch, signing.own_verifiers(epoch.origin))
    mark = HighWater(
        epoch.number, epoch.origin, head.size, head.root.hex(), head.note, epoch.predecessor
    )
    marks.write(mark)
    return mark


@write
def start_epoch(*, actor: Actor, reason: str, marks: HighWaterFile) -> Epoch:
    """Freeze the current epoch as the database has it and start the next.

    Its first entry cites the newest checkpoint that was signed, which the high-water file holds, and
    says how many entries of it the database still has. Safe to repeat after a crash in between.

    Raises:
        RefusedConflict: if the sequencer holds the lock, or there is no epoch yet.
    """
    if not sequencer.take_lock():
        raise RefusedConflict("sequencer_busy", "stop the sequencer first")
    current = Epoch.objects.order_by("-number").first()
    mark = marks.read()
    if current is None:
        raise RefusedConflict("no_log", "there is no epoch to end; the sequencer starts the first")
    kept = Checkpoint.objects.filter(epoch_id=current.number).order_by("-size").first()
    cited = _cited(current, kept, mark)
    number = current.number + 1
    at = now()
    # Before the commit: a file that is ahead halts the sequencer and lets this be repeated.
    origin = sequencer.origin_of(number)
    marks.write(HighWater(number, origin, predecessor=cited))
    epoch = Epoch.objects.create(number=number, origin=origin, created=at, predecessor=cited)
    checkpoint = notes.parse_checkpoint(cited) if cited else None
    record(
        sequencer.EPOCH_STARTED,
        actor=actor,
        at=at,
        object_type="epoch",
        object_id=str(number),
        public={
            "epoch": number,
            "origin": epoch.origin,
            "cited_origin": checkpoint.origin if checkpoint else None,
            "cited_size": checkpoint.size if checkpoint else None,
            "cited_root": checkpoint.root.hex() if checkpoint else None,
            "kept_size": kept.size if kept else 0,
        },
        private={"reason": reason},
    )
    return epoch


def _cited(current: Epoch, kept: Checkpoint | None, mark: HighWater | None) -> str:
    """Return the newest note known of the epoch that ends: the file's, if it is not behind."""
    known = kept.note if kept else ""
    if mark is None:
        return known
    if mark.epoch == current.number + 1 and mark.size == 0:
        return mark.predecessor
    if mark.epoch == current.number and mark.note and (kept is None or mark.size >= kept.size):
        return mark.note
    return known
