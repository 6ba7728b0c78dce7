"""The sequencer: what it signs, and what it refuses to sign."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from audit import (
    checkpoints,
    epochs,
    merkle,
    notes,
    proofs,
    sequencer,
    signing,
    status,
    tiles,
    tlog_proof,
)
from audit.actor import Actor
from audit.highwater import HighWaterFile
from audit.models import Checkpoint, Entry, Epoch, Leaf, LogKey, Pending, Tile
from audit.sequencer import Halted, Sequencer
from audit.writing import RefusedConflict, write
from kernel import keys
from kernel.moments import now
from tests.audit import samples
from tests.audit.tampering import forged, rebuild

pytestmark = pytest.mark.django_db


def assert_whole() -> None:
    """Every entry is one leaf, in one gapless tree whose newest checkpoint is signed."""
    leaves = list(Leaf.objects.select_related("entry").order_by("epoch_id", "index"))
    assert len(leaves) == Entry.objects.count()
    assert not Pending.objects.exists()
    for epoch in Epoch.objects.all():
        own = [leaf for leaf in leaves if leaf.epoch_id == epoch.number]
        assert [leaf.index for leaf in own] == list(range(len(own)))
        hashes = [merkle.leaf_hash(bytes(leaf.entry.leaf)) for leaf in own]
        assert [bytes(leaf.hash) for leaf in own] == hashes
        head = checkpoints.newest(epoch.number)
        assert head is not None
        signed = notes.open_checkpoint(head.note, signing.own_verifiers(epoch.origin))
        assert (signed.size, signed.root) == (len(own), merkle.tree_root(hashes))
        rows = {(t.level, t.n): bytes(t.hashes) for t in Tile.objects.filter(epoch_id=epoch.number)}
        assert rows == tiles.append({}, 0, hashes)[0]


def test_entries_become_leaves_tiles_and_a_checkpoint() -> None:
    for count in (1, 3, 300):
        samples.note_many(count, actor=samples.ADA)
        assert samples.sequence() == count
    assert Checkpoint.objects.count() == 3
    assert_whole()


def test_nothing_queued_signs_nothing() -> None:
    assert samples.sequence() == 0
    assert checkpoints.latest() is None
    assert not Epoch.objects.exists()


def test_a_backlog_is_taken_in_batches() -> None:
    samples.note_many(25, actor=samples.ADA)
    one = Sequencer(batch=10)
    assert [one.step(), one.step(), one.step(), one.step()] == [10, 10, 5, 0]
    assert_whole()


def test_a_late_commit_with_a_smaller_id_is_not_lost() -> None:
    first, _ = samples.note_many(2, actor=samples.ADA)
    Pending.objects.filter(entry=first).delete()
    samples.sequence()
    Pending.objects.create(entry=first)
    samples.sequence()
    assert Leaf.objects.get(entry=first).index == 1
    assert_whole()


def test_every_entry_has_a_self_contained_proof() -> None:
    entries = samples.note_many(20, actor=samples.ADA)
    samples.sequence()
    entries += samples.note_many(300, actor=samples.ADA)
    samples.sequence()
    trusted = [notes.parse_vkey(LogKey.objects.get().vkey)]
    for entry in entries:
        proof = proofs.inclusion(entry.uuid)
        assert proof is not None
        assert tlog_proof.verify(proof.tlog_proof, bytes(entry.leaf), trusted).size == 320
        assert proof.checkpoint == checkpoints.latest()


def test_a_proof_reads_few_rows(django_assert_num_queries: Any) -> None:
    entry = samples.note_many(1000, actor=samples.ADA)[700]
    samples.sequence()
    # On PostgreSQL one call of a function, which goes past what Django counts.
    with django_assert_num_queries(2 if connection.vendor == "sqlite" else 0):
        assert proofs.inclusion(entry.uuid) is not None


def test_no_proof_before_the_sequencer_and_none_of_what_is_unknown() -> None:
    entry = samples.note(actor=samples.ADA)
    assert proofs.inclusion(entry.uuid) is None
    assert proofs.inclusion(uuid4(), timeout=0.01) is None


def test_a_write_does_not_wait_for_its_own_proof() -> None:
    @write
    def wait(*, actor: Actor) -> None:
        proofs.inclusion(samples.step(actor, "one").uuid, timeout=1)

    with pytest.raises(RuntimeError, match="cannot wait"):
        wait(actor=samples.ADA)


def test_a_held_checkpoint_can_be_extended() -> None:
    samples.note_many(5, actor=samples.ADA)
    samples.sequence()
    held = notes.parse_checkpoint(checkpoints.latest() or "")
    samples.note_many(300, actor=samples.ADA)
    samples.sequence()
    extension = proofs.consistency(held.size)
    new = notes.parse_checkpoint(extension.checkpoint)
    merkle.verify_consistency(held.size, new.size, extension.hashes, held.root, new.root)
    with pytest.raises(Exception, match="no tree of 306"):
        proofs.consistency(306)


@contextmanager
def dying_at(statement: int) -> Iterator[list[int]]:
    """Let the database connection fail at the nth statement, as a killed process would."""
    seen = [0]

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen[0] += 1
        if seen[0] == statement:
            raise KeyboardInterrupt(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(wrapper):
        yield seen


@pytest.mark.django_db(transaction=True)
def test_killed_at_any_statement_of_its_step_it_goes_on_as_if_nothing_was() -> None:
    for number in itertools.count(1):
        samples.note_many(2, actor=samples.ADA)
        with dying_at(number) as seen, suppress(KeyboardInterrupt):
            samples.sequence()
        samples.sequence()
        assert_whole()
        if seen[0] < number:
            break
    assert number > 10


def test_killed_between_commit_and_high_water_it_goes_on() -> None:
    samples.note_many(3, actor=samples.ADA)
    samples.sequence()
    samples.note_many(3, actor=samples.ADA)
    dying = mock.patch.object(HighWaterFile, "write", side_effect=KeyboardInterrupt)
    with dying, pytest.raises(KeyboardInterrupt):
        samples.sequence()
    samples.note_many(3, actor=samples.ADA)
    samples.sequence()
    assert_whole()


def test_killed_before_the_first_commit_it_starts_again() -> None:
    samples.note(actor=samples.ADA)
    dying = mock.patch.object(sequencer, "_integrate", side_effect=KeyboardInterrupt)
    with dying, pytest.raises(KeyboardInterrupt):
        samples.sequence()
    samples.sequence()
    assert_whole()


def test_a_commit_whose_outcome_is_unknown_publishes_nothing(own_sequencer_folder: Path) -> None:
    samples.note(actor=samples.ADA)
    samples.sequence()
    before = HighWaterFile(own_sequencer_folder).read()
    samples.note(actor=samples.ADA)
    real = transaction.Atomic.__exit__

    def lost(self: Any, *details: Any) -> None:
        real(self, *details)
        raise ConnectionError("the answer to COMMIT never came")

    with mock.patch.object(transaction.Atomic, "__exit__", lost), pytest.raises(ConnectionError):
        Sequencer().step()
    assert HighWaterFile(own_sequencer_folder).read() == before
    samples.sequence()
    assert_whole()


def _stands_still(match: str) -> None:
    samples.note(actor=samples.ADA)
    count = Checkpoint.objects.count()
    with pytest.raises(Halted, match=match):
        samples.sequence()
    assert Checkpoint.objects.count() == count
    assert Pending.objects.exists()


def _grown_log() -> None:
    for _ in range(3):
        samples.note_many(100, actor=samples.ADA)
        samples.sequence()


def test_it_stands_still_when_the_newest_checkpoint_was_deleted() -> None:
    _grown_log()
    with forged():
        Checkpoint.objects.filter(size=300).delete()
    _stands_still("rolled back")


def test_it_stands_still_when_the_database_was_replaced_by_an_empty_one() -> None:
    _grown_log()
    with forged():
        for model in (Leaf, Tile, Checkpoint, Epoch, LogKey, Entry):
            model.objects.all().delete()
    _stands_still("no log")


def test_it_stands_still_when_a_tile_was_changed() -> None:
    _grown_log()
    with forged():
        tile = Tile.objects.get(level=0, n=1)
        Tile.objects.filter(pk=tile.pk).update(hashes=b"\0" * 32 + bytes(tile.hashes)[32:])
    _stands_still("another root")


def test_it_stands_still_when_a_tile_is_gone() -> None:
    _grown_log()
    with forged():
        Tile.objects.filter(level=0, n=1).delete()
    _stands_still("missing or too short")


def test_it_stands_still_when_its_signature_is_wrong() -> None:
    _grown_log()
    with forged():
        head = Checkpoint.objects.get(size=300)
        Checkpoint.objects.filter(pk=head.pk).update(
            note=notes.sign(
                notes.Checkpoint("countersign.local/log", 300, bytes(32)).text(),
                [notes.Signer("countersign.local/log", Ed25519PrivateKey.generate())],
            )
        )
    _stands_still("no trusted key")


def test_it_stands_still_when_the_tree_was_rewritten_with_the_stolen_key() -> None:
    _grown_log()
    with forged():
        entry = Entry.objects.order_by("id")[5]
        Entry.objects.filter(pk=entry.pk).update(
            leaf=bytes(entry.leaf).replace(b"object-5", b"object-6")
        )
        rebuild()
    _stands_still("two trees of 300")


def test_it_stands_still_when_the_high_water_file_is_gone_or_damaged(
    own_sequencer_folder: Path,
) -> None:
    _grown_log()
    path = own_sequencer_folder / "high-water.json"
    kept = path.read_text()
    path.write_text("{")
    _stands_still("cannot be read")
    path.unlink()
    _stands_still("is gone")
    path.write_text(kept)
    samples.sequence()
    assert_whole()


def test_a_lost_high_water_file_is_adopted_once(
    capsys: pytest.CaptureFixture[str], own_sequencer_folder: Path
) -> None:
    _grown_log()
    with pytest.raises(CommandError, match="adopting is for a lost file"):
        call_command("audit_epoch", "--adopt")
    (own_sequencer_folder / "high-water.json").unlink()
    call_command("audit_epoch", "--adopt")
    assert "adopted epoch 1 at 300 entries" in capsys.readouterr().out
    samples.note(actor=samples.ADA)
    samples.sequence()
    assert_whole()


def test_it_stands_still_when_a_sequenced_entry_is_queued_again() -> None:
    _grown_log()
    Pending.objects.create(entry=Entry.objects.order_by("id")[0])
    _stands_still("in the tree already")


def test_an_inspection_without_work_notices_a_rollback() -> None:
    _grown_log()
    assert Sequencer().step(inspect=True) == 0
    with forged():
        Checkpoint.objects.filter(size=300).delete()
    assert Sequencer().step() == 0
    with pytest.raises(Halted):
        Sequencer().step(inspect=True)


class OneTurn(threading.Event):
    """An event that is set after the loop waited `turns` times, so that no test sleeps."""

    def __init__(self, turns: int = 1) -> None:
        super().__init__()
        self.turns, self.waits = turns, []  # type: ignore[var-annotated]

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if len(self.waits) >= self.turns:
            self.set()
        return self.is_set()


def test_the_loop_sequences_until_told_to_stop() -> None:
    samples.note_many(3, actor=samples.ADA)
    with mock.patch("audit.sequencer.close_old_connections"):
        Sequencer().run_forever(OneTurn())
    assert_whole()


def test_the_loop_alarms_goes_on_looking_and_recovers(caplog: pytest.LogCaptureFixture) -> None:
    _grown_log()
    samples.note(actor=samples.ADA)
    kept = Checkpoint.objects.get(size=300)
    with forged():
        Checkpoint.objects.filter(size=300).delete()
    loop = Sequencer()
    with mock.patch("audit.sequencer.close_old_connections"):
        turn = OneTurn(2)
        loop.run_forever(turn)
        assert min(turn.waits) >= 5
        assert "the log is not signed any more" in caplog.text
        seen = status.current()
        assert not seen.ok
        assert "rolled back" in (seen.halted or "")
        kept.save(force_insert=True)
        loop.run_forever(OneTurn())
    assert status.current().halted is None
    assert_whole()


def test_the_loop_outlives_a_database_that_does_not_answer() -> None:
    with mock.patch("audit.sequencer.close_old_connections", side_effect=[ConnectionError, None]):
        samples.note(actor=samples.ADA)
        Sequencer().run_forever(OneTurn(2))
    assert_whole()


def test_the_command_looks_at_the_log_also_where_nothing_waits(
    capsys: pytest.CaptureFixture[str], own_sequencer_folder: Path
) -> None:
    samples.note_many(3, actor=samples.ADA)
    call_command("audit_sequencer", "--once")
    assert capsys.readouterr().out == "3 entries sequenced\n"
    for path in own_sequencer_folder.iterdir():
        path.unlink()
    with pytest.raises(CommandError, match=r"nothing is signed.*is gone") as caught:
        call_command("audit_sequencer", "--once")
    assert caught.value.returncode == 1


def test_the_lag_alarms() -> None:
    samples.note(actor=samples.ADA)
    assert status.current().ok
    with time_machine.travel(now() + timedelta(seconds=6), tick=False):
        seen = status.current()
        assert "waited 6 s" in seen.alarms[0]
        assert seen.pending == 1
        samples.sequence()
        assert status.current().ok


def test_a_sequencer_that_stands_still_stops_no_business_write() -> None:
    start = now()
    for second in range(0, 61, 5):
        with time_machine.travel(start + timedelta(seconds=second), tick=False):
            samples.note(f"after {second} s", actor=samples.ADA)
    with time_machine.travel(start + timedelta(seconds=60), tick=False):
        seen = status.current()
        assert (seen.pending, seen.lag_seconds) == (13, 60.0)
        assert "waited 60 s" in seen.alarm
        assert samples.sequence() == 13
        assert status.current().ok
    assert_whole()


def test_a_rotated_key_signs_beside_the_old_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ring = keys.KeyRing(tmp_path / "keys")
    monkeypatch.setattr(keys, "ring", lambda: ring)
    samples.note(actor=samples.ADA)
    samples.sequence()
    old = signing.own_verifiers(sequencer.origin_of(1))
    ring.rotate("log")
    samples.note(actor=samples.ADA)
    samples.sequence()
    new = signing.own_verifiers(sequencer.origin_of(1))[1:]
    note = checkpoints.latest() or ""
    assert notes.open_checkpoint(note, old) == notes.open_checkpoint(note, new)
    assert len(notes.parse(note).signatures) == 2
    assert LogKey.objects.count() == 2
    ring.rotate("log")
    samples.note(actor=samples.ADA)
    samples.sequence()
    with pytest.raises(notes.NoteError):
        notes.open_checkpoint(checkpoints.latest() or "", old)


def test_after_a_restore_a_new_epoch_cites_the_old_checkpoint() -> None:
    _grown_log()
    lost = notes.parse_checkpoint(checkpoints.latest() or "")
    with forged():
        # What restoring a backup taken at 200 entries does.
        gone = list(Leaf.objects.filter(index__gte=200).values_list("entry_id", flat=True))
        Checkpoint.objects.filter(size=300).delete()
        Leaf.objects.filter(index__gte=200).delete()
        Entry.objects.filter(id__in=gone).delete()
    _stands_still("rolled back")
    with pytest.raises(CommandError, match="--reason"):
        call_command("audit_epoch", "--start")
    call_command("audit_epoch", "--start", "--reason", "restored after disk failure")
    samples.sequence()
    first = Leaf.objects.select_related("entry").get(epoch_id=2, index=0).entry
    assert first.type == "audit.epoch.started"
    assert first.public == {
        "epoch": 2,
        "origin": "countersign.local/log/epochs/2",
        "cited_origin": "countersign.local/log",
        "cited_size": 300,
        "cited_root": lost.root.hex(),
        "kept_size": 200,
    }
    head = checkpoints.newest()
    assert head is not None
    assert (head.epoch_id, head.size) == (2, 2)
    assert notes.open_checkpoint(head.note, signing.recorded_verifiers(2)).origin.endswith(
        "/epochs/2"
    )
    old = proofs.inclusion(Entry.objects.order_by("id")[0].uuid)
    assert old is not None
    assert (old.epoch, old.size) == (1, 200)


def test_a_new_epoch_that_crashed_half_way_can_be_started_again(own_sequencer_folder: Path) -> None:
    _grown_log()
    marks = HighWaterFile(own_sequencer_folder)
    held = marks.read()
    with (
        mock.patch("audit.epochs.record", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        epochs.start_epoch(actor=samples.ADA, reason="test", marks=marks)
    _stands_still("epoch 1 .* epoch 2")
    epochs.start_epoch(actor=samples.ADA, reason="test", marks=marks)
    samples.sequence()
    assert held is not None
    assert Epoch.objects.get(number=2).predecessor == held.note
    assert Leaf.objects.get(epoch_id=2, index=0).entry.public["kept_size"] == 300


def test_an_epoch_that_the_database_alone_knows_is_not_signed() -> None:
    _grown_log()
    Epoch.objects.create(
        number=2, origin="countersign.local/log/epochs/2", created=Epoch.objects.get().created
    )
    _stands_still("the database is in epoch 2")


def test_there_is_no_second_epoch_before_the_first(own_sequencer_folder: Path) -> None:
    with pytest.raises(RefusedConflict, match="no epoch"):
        epochs.start_epoch(actor=samples.ADA, reason="x", marks=HighWaterFile(own_sequencer_folder))
