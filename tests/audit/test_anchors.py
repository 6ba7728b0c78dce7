"""Anchors: a folder, a time stamp authority and a witness hold checkpoints, and say when they do not fit."""

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts import access
from accounts.models import OrganisationRole, Role, User
from audit import (
    anchoring,
    anchors,
    checkpoints,
    cosignatures,
    notes,
    permission,
    signing,
    status,
    verification,
)
from audit.models import Anchor, Checkpoint, Entry
from kernel.buckets import Bucket
from kernel.conf import ConfigurationError
from kernel.moments import now
from tests.audit import samples
from tests.audit.outside import Authority, Witness, served
from tests.audit.tampering import forged, rebuild
from tests.stores import new_bucket

pytestmark = pytest.mark.django_db
WITNESS = "witness.example/w1"


def configure(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    monkeypatch.setattr(
        settings, "COUNTERSIGN", dataclasses.replace(settings.COUNTERSIGN, **changes)
    )


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    configure(monkeypatch, anchor_folder=str(path))
    return path


def grow(count: int) -> Checkpoint:
    samples.note_many(count, actor=samples.ADA)
    samples.sequence()
    head = checkpoints.newest()
    assert head is not None
    return head


def later(minutes: float) -> time_machine.travel:
    return time_machine.travel(now() + timedelta(minutes=minutes), tick=False)


def codes(**options: Any) -> set[str]:
    return {finding.code for finding in verification.verify(**options).findings}


def test_a_folder_holds_each_checkpoint_once_and_for_good(folder: Path) -> None:
    head = grow(3)
    assert anchors.anchor_due() == 1
    (path,) = folder.rglob("*.checkpoint")
    assert path.read_text() == head.note
    assert path.stat().st_mode & 0o777 == 0o444
    assert anchors.anchor_due() == 0
    row = Anchor.objects.get()
    assert (row.kind, row.size, row.target) == ("file", 3, str(folder))
    assert codes() == set()


def test_an_anchor_has_its_turn_at_intervals_and_only_where_the_log_grew(folder: Path) -> None:
    grow(2)
    anchors.anchor_due()
    with later(61):
        assert anchors.anchor_due() == 0
        grow(1)
        assert anchors.anchor_due() == 1
        grow(1)
        assert anchors.anchor_due() == 0
        assert anchors.anchor_now() == {str(folder): ""}
    assert list(Anchor.objects.order_by("size").values_list("size", flat=True)) == [2, 3, 4]


def test_the_age_of_an_anchor_is_shown_and_alarms(folder: Path) -> None:
    assert status.current().anchors[0].waiting_seconds == 0
    grow(2)
    anchors.anchor_due()
    with later(500):
        assert status.current().ok
        grow(1)
    with later(500 + 119):
        seen = status.current()
        assert seen.ok
        assert 118 < seen.anchors[0].waiting_seconds / 60 <= 119.1
    with later(500 + 121):
        seen = status.current()
        assert not seen.ok
        assert "minutes behind" in seen.alarm
        anchors.anchor_due()
        assert status.current().ok


def test_a_rewritten_log_contradicts_the_folder_and_a_verification_reads_it(folder: Path) -> None:
    grow(3)
    anchors.anchor_due()
    entry = Entry.objects.order_by("id")[1]
    with forged():
        changed = bytes(entry.leaf).replace(b"object-1", b"object-9")
        Entry.objects.filter(pk=entry.pk).update(leaf=changed, object_id="object-9")
        rebuild()
        Anchor.objects.all().delete()
    assert codes() == {"history"}
    (failure,) = anchors.anchor_now().values()
    assert "another checkpoint of 3" in failure


def test_an_anchor_whose_checkpoint_or_receipt_was_changed_is_found(folder: Path) -> None:
    grow(3)
    anchors.anchor_due()
    with forged():
        Anchor.objects.update(receipt=b"other\n1\nAAAA\n\n")
    assert codes() == {"anchor"}
    with forged():
        Checkpoint.objects.all().delete()
    assert "anchor" in codes()


def test_a_folder_that_is_not_mounted_is_not_taken_for_an_empty_one(
    folder: Path, tmp_path: Path
) -> None:
    assert codes() == set()
    grow(1)
    anchors.anchor_due()
    folder.rename(tmp_path / "away")
    assert codes() == {"anchor"}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, s3_url: str) -> Bucket:
    place = new_bucket(s3_url, "log/anchors")
    text = f"{place.url}?endpoint={place.endpoint}"
    configure(monkeypatch, anchor_bucket=text)
    return Bucket(place)


def test_a_bucket_holds_each_checkpoint_once_and_is_read_by_verification(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchoring, "AT_ONCE", 1)
    heads = [grow(3)]
    assert anchors.anchor_due() == 1
    for _ in range(4):
        heads.append(grow(1))
        assert set(anchors.anchor_now().values()) == {""}
    kept = {item.key: bucket.get(item.key).decode() for item in bucket.list()}
    assert kept == {f"countersign.local_log/{one.size:020d}.checkpoint": one.note for one in heads}
    row = Anchor.objects.get(size=3)
    assert (row.kind, row.target) == ("bucket", str(bucket.location))
    assert codes() == set()
    with forged():
        entry = Entry.objects.order_by("id")[1]
        changed = bytes(entry.leaf).replace(b"object-1", b"object-9")
        Entry.objects.filter(pk=entry.pk).update(leaf=changed, object_id="object-9")
        rebuild()
        Anchor.objects.all().delete()
    assert codes() == {"history"}
    (failure,) = anchors.anchor_now().values()
    assert "another checkpoint of 7" in failure
    assert bucket.get("countersign.local_log/00000000000000000003.checkpoint") == (
        heads[0].note.encode()
    )


def test_a_bucket_that_cannot_be_read_is_a_finding_and_hides_no_other_place(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "outside"
    configure(
        monkeypatch,
        anchor_bucket=f"s3://tests-nowhere?endpoint={bucket.location.endpoint}",
        anchor_folder=str(folder),
    )
    grow(2)
    assert anchors.anchor_due() == 1
    failures = anchors.anchor_now()
    assert failures.pop(f"s3://tests-nowhere at {bucket.location.endpoint}").endswith("not exist")
    assert failures == {str(folder): ""}
    with forged():
        changed = bytes(Entry.objects.first().leaf).replace(b"object-0", b"object-9")
        Entry.objects.filter(pk=Entry.objects.first().pk).update(leaf=changed, object_id="object-9")
        rebuild()
    assert codes() == {"history", "anchor"}


def test_a_damaged_file_outside_is_named_and_hides_nothing(folder: Path) -> None:
    grow(3)
    (folder / "x.checkpoint").write_text("nonsense")
    assert codes() == {"anchor"}


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Authority]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the time stamps of this test and is not installed")
    one = Authority(tmp_path)
    with served(one) as (url, place):
        configure(
            monkeypatch,
            anchor_tsa=f"{url}/tsr",
            anchor_tsa_roots=str(tmp_path / "root.pem"),
            outbound_allow=(place,),
        )
        yield one


def test_a_time_stamp_is_asked_for_verified_and_kept(authority: Authority) -> None:
    grow(3)
    assert anchors.anchor_due() == 1
    row = Anchor.objects.get()
    assert row.kind == "rfc3161"
    assert len(bytes(row.receipt)) > 500
    assert codes() == set()
    other = grow(2)
    with forged():
        Anchor.objects.create(
            epoch_id=1,
            size=5,
            kind="rfc3161",
            target=row.target,
            receipt=row.receipt,
            created=now(),
        )
    assert other.size == 5
    assert codes() == {"anchor"}


def test_a_time_stamp_of_a_stranger_is_not_taken(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(3)
    aside = tmp_path / "other"
    aside.mkdir()
    Authority(aside)
    configure(monkeypatch, anchor_tsa_roots=str(aside / "root.pem"))
    (failure,) = anchors.anchor_now().values()
    assert "no good" in failure
    assert not Anchor.objects.exists()


def test_an_authority_that_is_down_is_asked_again(authority: Authority) -> None:
    grow(3)
    authority.status = 503
    assert anchors.anchor_due() == 0
    authority.status = 200
    assert anchors.anchor_due() == 1


@pytest.fixture(params=[False, True], ids=["ed25519", "ml-dsa-44"])
def witness(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Witness]:
    log = signing.own_verifiers("countersign.local/log")
    with ExitStack() as stack:
        if not log:
            grow(1)
            log = signing.own_verifiers("countersign.local/log")
        one = Witness(WITNESS, log, post_quantum=request.param)
        url, place = stack.enter_context(served(one))
        (tmp_path / "policy").write_text(one.policy(url))
        configure(monkeypatch, anchor_witnesses=str(tmp_path / "policy"), outbound_allow=(place,))
        yield one


def test_a_witness_cosigns_what_extends_what_it_has(witness: Witness) -> None:
    first = grow(3)
    assert anchors.anchor_now() == {WITNESS: ""}
    second = grow(300)
    assert anchors.anchor_now() == {WITNESS: ""}
    assert witness.asked[-2:] == [0, first.size]
    row = Anchor.objects.get(size=second.size)
    known = {witness.witness}
    lines = cosignatures.verified_lines(bytes(row.receipt).decode(), second.note, known)
    assert list(lines.values()) == [witness.time]
    assert "stranger" not in bytes(row.receipt).decode()
    assert codes() == set()


def test_a_witness_that_knows_more_than_we_remember_is_asked_from_there(witness: Witness) -> None:
    grow(3)
    anchors.anchor_now()
    with forged():
        Anchor.objects.all().delete()
    head = grow(5)
    assert anchors.anchor_now() == {WITNESS: ""}
    assert Anchor.objects.get().size == head.size


def test_a_witness_does_not_cosign_a_rewritten_or_cut_log(witness: Witness) -> None:
    grow(5)
    anchors.anchor_now()
    entry = Entry.objects.order_by("id")[1]
    with forged():
        Entry.objects.filter(pk=entry.pk).update(
            leaf=bytes(entry.leaf).replace(b"sample", b"simple")
        )
        rebuild()
        Anchor.objects.all().delete()
    (failure,) = anchors.anchor_now().values()
    assert "another tree" in failure
    assert witness.known is not None
    witness.known = dataclasses.replace(witness.known, size=witness.known.size + 1)
    (failure,) = anchors.anchor_now().values()
    assert "has cosigned" in failure
    witness.known = dataclasses.replace(witness.known, size=2)
    (failure,) = anchors.anchor_now().values()
    assert "does not extend" in failure
    assert not Anchor.objects.exists()


def test_a_wrong_cosignature_is_not_kept(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(2)
    true = witness.cosign
    monkeypatch.setattr(
        witness,
        "cosign",
        lambda note: true(note.replace("\n", "\n", 1).replace("local", "other", 1)),
    )
    (failure,) = anchors.anchor_now().values()
    assert "no good" in failure
    monkeypatch.setattr(witness, "cosign", lambda note: "")
    (failure,) = anchors.anchor_now().values()
    assert "no cosignature of its own" in failure


def test_a_private_address_is_not_asked_unless_exempt(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(2)
    configure(monkeypatch, outbound_allow=())
    asked = len(witness.asked)
    (failure,) = anchors.anchor_now().values()
    assert "not a public address" in failure
    assert len(witness.asked) == asked


def test_a_policy_file_is_read_strictly() -> None:
    key = cosignatures.Witness(WITNESS, cosignatures.ED25519, bytes(range(32)))
    assert cosignatures.parse_policy(f"witness a {key.vkey}\n  # note\nquorum a\n") == [key]
    for text, message in (
        (f"witness a {key.vkey}\nwitness b {key.vkey}", "twice"),
        ("witness a", "line 1"),
        ("observer a b", "line 1"),
        (f"witness a {key.vkey[:-4]}AAAA", "does not belong|damaged|base64"),
        ("witness a x+00000000+AQ==", "cosigner"),
    ):
        with pytest.raises(notes.NoteError, match=message):
            cosignatures.parse_policy(text)


@given(st.binary(max_size=40))
def test_only_a_size_is_read_as_a_size(body: bytes) -> None:
    read = cosignatures.parse_size(body)
    assert read is None or body == f"{read}\n".encode()


def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for changes, name in (
        ({"anchor_tsa": "https://tsa.example"}, "ANCHOR_TSA_ROOTS"),
        ({"anchor_tsa": "https://t.example", "anchor_tsa_roots": "/nowhere"}, "ANCHOR_TSA_ROOTS"),
        ({"anchor_tsa": "", "anchor_witnesses": "/nowhere"}, "ANCHOR_WITNESSES"),
        ({"anchor_witnesses": "", "anchor_bucket": "folder/x"}, "ANCHOR_BUCKET"),
    ):
        configure(monkeypatch, **changes)
        with pytest.raises(ConfigurationError, match=name):
            anchors.targets()
        assert name in status.current().alarm
        assert "anchor" in codes()


def test_the_command_anchors_and_says_what_failed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(3)
    call_command("audit_anchor")
    assert "holds 3 entries" in capsys.readouterr().out

    def broken(*_: Any, **__: Any) -> bytes:
        raise anchoring.AnchorFailed("the volume is full")

    monkeypatch.setattr(anchoring.StoreTarget, "anchor", broken)
    grow(1)
    with pytest.raises(CommandError) as caught:
        call_command("audit_anchor")
    assert caught.value.returncode == 1
    assert "the volume is full" in capsys.readouterr().out
    configure(monkeypatch, anchor_folder="")
    with pytest.raises(CommandError, match="no anchor is configured"):
        call_command("audit_anchor")


def test_auditors_read_anchors_and_their_age(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "_deciders", [access.require])
    grow(3)
    anchors.anchor_now()
    client = Client()
    user = User.objects.create(username="uma", name="Uma")
    client.force_login(user)
    assert client.get("/api/v1/audit/anchors/").status_code == 403
    OrganisationRole.objects.create(user=user, role=Role.AUDITOR, since=now())
    (row,) = client.get("/api/v1/audit/anchors/").json()["results"]
    assert (row["kind"], row["size"]) == ("file", 3)
    (seen,) = client.get("/api/v1/audit/status/").json()["anchors"]
    assert (seen["target"], seen["size"], seen["late"]) == (str(folder), 3, False)
