"""The tamper matrix: whatever is changed behind the application's back is detected and named."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from audit import checkpoints, erasure, notes, verification
from audit.highwater import HighWaterFile
from audit.models import Checkpoint, Entry, Epoch, Leaf, Pending, PrivatePayload, Tile
from audit.recording import commitment
from audit.writing import Refused
from kernel.errors import CountersignError, Invalid, NotFound
from kernel.moments import now
from tests.audit import samples
from tests.audit.tampering import forged, rebuild

pytestmark = pytest.mark.django_db


@pytest.fixture
def log() -> list[Entry]:
    """40 entries with private payloads, in trees of 20, 30 and 40."""
    return grown(20, 10, 10)


@pytest.fixture
def tall() -> list[Entry]:
    """400 entries, in trees of 258, 300 and 400: more than one tile, and more than one level."""
    return grown(258, 42, 100)


def grown(*counts: int) -> list[Entry]:
    entries: list[Entry] = []
    for count in counts:
        entries += samples.note_many(count, actor=samples.ADA, private=True)
        samples.sequence()
    return entries


def verify(**options: object) -> verification.Report:
    return verification.verify(**options)  # type: ignore[arg-type]


def alter(entry: Entry, **columns: object) -> None:
    with forged():
        Entry.objects.filter(pk=entry.pk).update(**columns)


def codes(report: verification.Report) -> set[str]:
    return {finding.code for finding in report.findings}


def named(report: verification.Report, code: str) -> list[tuple[int | None, str | None]]:
    return [(one.index, one.entry) for one in report.findings if one.code == code]


def test_an_untouched_log_is_whole(tall: list[Entry], own_sequencer_folder: Path) -> None:
    samples.note(actor=samples.ADA)
    seen: list[tuple[int, int]] = []
    report = verify(
        marks=HighWaterFile(own_sequencer_folder), progress=lambda *step: seen.append(step)
    )
    assert report.findings == []
    assert report.remarks == []
    assert (report.entries, report.payloads, report.checkpoints, report.pending) == (400, 400, 3, 1)
    assert report.tiles == 3
    assert seen[-1] == (400, 400)


def test_an_empty_log_is_whole() -> None:
    assert verify().ok


def test_an_altered_entry_is_named(log: list[Entry]) -> None:
    victim = log[35]
    alter(victim, leaf=bytes(victim.leaf).replace(b'"count":5', b'"count":6'))
    report = verify()
    assert named(report, "altered") == [(35, str(victim.uuid))]
    assert report.findings[0].type == "audit.sample.noted"
    assert codes(report) == {"altered"}


def test_an_altered_entry_whose_leaf_row_was_altered_too_is_named(log: list[Entry]) -> None:
    from audit.merkle import leaf_hash

    victim = log[9]
    leaf = bytes(victim.leaf).replace(b"object-9", b"object-8")
    alter(victim, leaf=leaf, object_id="object-8")
    with forged():
        Leaf.objects.filter(entry=victim).update(hash=leaf_hash(leaf))
    assert named(verify(), "altered") == [(9, str(victim.uuid))]


def test_an_altered_entry_with_leaf_row_and_tiles_is_narrowed_down(log: list[Entry]) -> None:
    victim = log[25]
    alter(victim, leaf=bytes(victim.leaf).replace(b"object-5", b"object-6"), object_id="object-6")
    notes_before = list(
        Checkpoint.objects.order_by("size").values("size", "root", "note", "created")
    )
    with forged():
        rebuild()
        Checkpoint.objects.all().delete()
        Checkpoint.objects.bulk_create(Checkpoint(epoch_id=1, **row) for row in notes_before)
    report = verify()
    assert codes(report) == {"root", "suspect"}
    assert "from index 20 to 29" in report.findings[0].message


@pytest.mark.parametrize(
    "columns",
    [
        {"at": now()},
        {"type": "audit.sample.other"},
        {"actor": uuid4()},
        {"actor_kind": "system"},
        {"object_type": "x"},
        {"object_id": "x"},
        {"scope": uuid4()},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_altered_search_columns_are_named(log: list[Entry], columns: dict[str, object]) -> None:
    alter(log[5], **columns)
    report = verify()
    assert named(report, "altered") == [(5, str(log[5].uuid))]
    assert next(iter(columns)) in report.findings[0].message


def test_an_altered_payload_is_named(log: list[Entry]) -> None:
    with forged():
        PrivatePayload.objects.filter(entry=log[7]).update(data=b'{"name":"Eve"}')
    report = verify()
    assert named(report, "payload") == [(7, str(log[7].uuid))]
    assert codes(report) == {"payload"}


def test_an_altered_payload_with_a_new_commitment_is_named(log: list[Entry]) -> None:
    victim = log[7]
    payload = PrivatePayload.objects.get(entry=victim)
    old = commitment(bytes(payload.salt), bytes(payload.data))
    new = commitment(bytes(payload.salt), b'{"name":"Eve"}')
    with forged():
        PrivatePayload.objects.filter(entry=victim).update(data=b'{"name":"Eve"}')
    alter(victim, leaf=bytes(victim.leaf).replace(old.encode(), new.encode()))
    assert named(verify(), "altered") == [(7, str(victim.uuid))]


def test_a_payload_of_an_entry_that_has_none_is_named() -> None:
    entry = samples.note(actor=samples.ADA)
    samples.sequence()
    PrivatePayload.objects.create(entry=entry, salt=b"s", data=b"{}")
    PrivatePayload.objects.create(entry_id=999, salt=b"s", data=b"{}")
    assert codes(verify()) == {"payload", "orphan"}


def test_a_deleted_entry_is_missed(log: list[Entry]) -> None:
    with forged():
        Entry.objects.filter(pk=log[5].pk).delete()
    report = verify()
    assert named(report, "deleted") == [(5, None)]
    assert codes(report) == {"deleted", "orphan"}


def test_an_entry_deleted_with_all_its_rows_is_missed(log: list[Entry]) -> None:
    with forged():
        PrivatePayload.objects.filter(entry=log[5]).delete()
        Leaf.objects.filter(entry=log[5]).delete()
        Entry.objects.filter(pk=log[5].pk).delete()
    report = verify()
    assert named(report, "gap") == [(5, None)]
    assert codes(report) == {"gap"}


def test_a_truncated_log_is_noticed(log: list[Entry]) -> None:
    with forged():
        gone = list(Leaf.objects.filter(index__gte=36).values_list("entry_id", flat=True))
        Leaf.objects.filter(index__gte=36).delete()
        Entry.objects.filter(id__in=gone).delete()
        PrivatePayload.objects.filter(entry_id__in=gone).delete()
    report = verify()
    assert [index for index, _ in named(report, "gap")] == list(range(36, 40))


def test_inserted_entries_are_named(log: list[Entry]) -> None:
    queued = samples.note(actor=samples.ADA)
    Pending.objects.filter(entry=queued).delete()
    appended = samples.note(actor=samples.ADA)
    Pending.objects.filter(entry=appended).delete()
    Leaf.objects.create(entry=appended, epoch_id=1, index=40, hash=bytes(32))
    report = verify()
    assert named(report, "orphan") == [(None, str(queued.uuid))]
    assert named(report, "unsigned") == [(40, str(appended.uuid))]


def test_swapped_entries_are_named(log: list[Entry]) -> None:
    with forged():
        Leaf.objects.filter(entry=log[3]).update(index=9999)
        Leaf.objects.filter(entry=log[4]).update(index=3)
        Leaf.objects.filter(entry=log[3]).update(index=4)
    report = verify()
    assert named(report, "altered") == [(3, str(log[4].uuid)), (4, str(log[3].uuid))]


def _tile(level: int, n: int, change: Callable[[bytes], bytes]) -> None:
    tile = Tile.objects.get(level=level, n=n)
    Tile.objects.filter(pk=tile.pk).update(hashes=change(bytes(tile.hashes)))


def test_altered_tiles_are_noticed(tall: list[Entry]) -> None:
    with forged():
        _tile(0, 0, lambda data: bytes(32) + data[32:])
    assert {"altered", "tile", "root"} <= codes(verify())


@pytest.mark.parametrize(
    ("level", "n", "change"),
    [
        (1, 0, lambda data: bytes(32) + data[32:]),
        (1, 0, lambda data: b""),
        (1, 0, lambda data: data + bytes(32)),
        (0, 1, lambda data: data + bytes(32)),
        (0, 1, lambda data: data[:-32]),
    ],
)
def test_altered_cut_and_grown_tiles_are_noticed(
    tall: list[Entry], level: int, n: int, change: Callable[[bytes], bytes]
) -> None:
    with forged():
        _tile(level, n, change)
    assert "tile" in codes(verify())


def test_deleted_and_invented_tiles_are_noticed(tall: list[Entry]) -> None:
    with forged():
        Tile.objects.filter(level=1).delete()
    assert codes(verify()) == {"tile"}
    Tile.objects.create(epoch_id=1, level=3, n=0, hashes=bytes(32))
    assert len(verify().findings) == 2


def test_altered_checkpoints_are_noticed(log: list[Entry]) -> None:
    with forged():
        Checkpoint.objects.filter(size=30).update(root=bytes(32))
        row = Checkpoint.objects.get(size=20)
        Checkpoint.objects.filter(size=20).update(note=row.note.replace("\n20\n", "\n21\n"))
    report = verify()
    assert len([one for one in report.findings if one.code == "checkpoint"]) == 2


def test_a_rollback_is_noticed_by_what_is_held_outside(
    log: list[Entry], own_sequencer_folder: Path
) -> None:
    held = checkpoints.latest() or ""
    with forged():
        gone = list(Leaf.objects.filter(index__gte=30).values_list("entry_id", flat=True))
        PrivatePayload.objects.filter(entry_id__in=gone).delete()
        Leaf.objects.filter(index__gte=30).delete()
        Entry.objects.filter(id__in=gone).delete()
        rebuild()
    assert verify().ok
    for report in (verify(older=[held]), verify(marks=HighWaterFile(own_sequencer_folder))):
        assert codes(report) == {"history"}
        assert "the log was cut: 40" in report.findings[0].message


def test_a_rewritten_log_signed_with_the_stolen_key_is_noticed_by_an_older_checkpoint(
    log: list[Entry],
) -> None:
    held = Checkpoint.objects.get(size=30).note
    alter(log[5], leaf=bytes(log[5].leaf).replace(b"object-5", b"object-6"), object_id="object-6")
    with forged():
        rebuild()
    assert verify().ok
    report = verify(older=[held])
    assert codes(report) == {"history"}
    assert "rewritten" in report.findings[0].message


def test_what_came_after_the_held_checkpoint_is_not_detected_as_the_threat_model_says(
    log: list[Entry],
) -> None:
    held = Checkpoint.objects.get(size=30).note
    alter(
        log[35],
        leaf=bytes(log[35].leaf).replace(b"object-5", b"object-6"),
        object_id="object-6",
    )
    with forged():
        rebuild()
    assert verify(older=[held]).ok


def test_a_log_of_another_name_does_not_pass_for_the_held_one(log: list[Entry]) -> None:
    held = (checkpoints.latest() or "").replace("countersign.local/log", "other.example/log")
    assert codes(verify(older=[held])) == {"history"}


def test_a_stranger_has_signed(log: list[Entry]) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    stranger = notes.Signer("countersign.local/log", Ed25519PrivateKey.generate())
    report = verify(trusted=[stranger.verifier])
    assert codes(report) == {"checkpoint"}


def test_erased_is_told_from_lost(log: list[Entry]) -> None:
    erasure.erase_payload(
        actor=samples.BEN, entry=log[5].uuid, basis="gdpr_17_1_b", reason="Ada withdrew consent"
    )
    samples.sequence()
    report = verify()
    assert report.ok
    assert (report.erased, report.payloads) == (1, 40)
    PrivatePayload.objects.filter(entry=log[6]).delete()
    assert named(verify(), "payload_lost") == [(6, str(log[6].uuid))]


def test_an_erasure_says_who_why_and_on_which_basis_and_names_nobody(log: list[Entry]) -> None:
    entry = erasure.erase_payload(
        actor=samples.BEN, entry=log[5].uuid, basis="gdpr_17_1_b", reason="Ada withdrew consent"
    )
    assert entry.type == "audit.payload.erased"
    assert entry.actor == samples.BEN.pseudonym
    assert (entry.object_type, entry.object_id) == ("entry", str(log[5].uuid))
    assert entry.public == {"entry": str(log[5].uuid), "basis": "gdpr_17_1_b"}
    assert b"Ada" not in bytes(entry.leaf)
    assert not PrivatePayload.objects.filter(entry=log[5]).exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"basis": "because"}, Invalid),
        ({"reason": " "}, Invalid),
        ({"entry": uuid4()}, NotFound),
    ],
)
def test_an_erasure_without_a_ground_erases_nothing(
    log: list[Entry], change: dict[str, object], error: type[CountersignError]
) -> None:
    arguments: dict[str, object] = {
        "entry": log[5].uuid,
        "basis": "retention",
        "reason": "ended",
        **change,
    }
    with pytest.raises(error):
        erasure.erase_payload(actor=samples.BEN, **arguments)  # type: ignore[arg-type]
    assert PrivatePayload.objects.count() == 40


def test_what_is_erased_cannot_be_erased_again(log: list[Entry]) -> None:
    for refused in (False, True):
        try:
            erasure.erase_payload(
                actor=samples.BEN, entry=log[5].uuid, basis="retention", reason="ended"
            )
        except Refused:
            assert refused
    assert Entry.objects.filter(type="audit.write.refused", object_id=str(log[5].uuid)).count() == 1


def test_the_command_names_the_altered_row_and_fails(
    log: list[Entry], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("audit_verify")
    assert "the log is whole" in capsys.readouterr().out
    alter(log[35], leaf=bytes(log[35].leaf).replace(b'"count":5', b'"count":6'))
    with pytest.raises(CommandError) as caught:
        call_command("audit_verify")
    assert caught.value.returncode == 1
    out = capsys.readouterr().out
    assert f"altered: entry {log[35].uuid}, index 35, type audit.sample.noted" in out


def test_the_command_refuses_a_key_that_is_none() -> None:
    with pytest.raises(CommandError) as caught:
        call_command("audit_verify", "--vkey", "nonsense")
    assert caught.value.returncode == 64


def test_two_epochs_verify_and_a_restore_is_remarked(
    log: list[Entry], own_sequencer_folder: Path
) -> None:
    call_command("audit_epoch", "--start", "--reason", "moved")
    samples.sequence()
    assert verify(marks=HighWaterFile(own_sequencer_folder)).findings == []
    with forged():
        first = Leaf.objects.get(epoch_id=2, index=0).entry
        other = bytes(first.leaf).replace(b'"cited_size":40', b'"cited_size":39')
        Entry.objects.filter(pk=first.pk).update(
            leaf=other.replace(b'"kept_size":40', b'"kept_size":1')
        )
    assert {"altered", "epoch"} == codes(verify())
    assert Epoch.objects.count() == 2
