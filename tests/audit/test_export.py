"""Exports and the offline verifier: what leaves the house can be checked without it, and alone."""

import dataclasses
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from countersign_client import verifier
from django.core.management import CommandError, call_command

from audit import checkpoints, erasure, export, signing
from audit.models import Checkpoint, Entry, Leaf, LogKey
from audit.selection import Selection
from tests.audit import samples
from tests.audit.tampering import forged, rebuild

pytestmark = pytest.mark.django_db
SCOPE = UUID(int=77)


@pytest.fixture
def log() -> list[Entry]:
    entries: list[Entry] = []
    for count in (300, 100, 300):
        entries += samples.note_many(count, actor=samples.ADA, private=True)
        samples.sequence()
    return entries


@pytest.fixture
def vkey(log: list[Entry]) -> str:
    return LogKey.objects.get().vkey


def lines(**options: Any) -> list[bytes]:
    return list(export.jsonl(**options))


def check(data: list[bytes], vkey: str, *older: str) -> verifier.Result:
    return verifier.verify_lines(data, [vkey], older)


def codes(result: verifier.Result) -> set[str]:
    return {finding.code for finding in result.findings}


@pytest.mark.parametrize("private", [False, True])
def test_a_whole_export_verifies(log: list[Entry], vkey: str, private: bool) -> None:
    held = Checkpoint.objects.get(size=400).note
    result = check(lines(private=private), vkey, held)
    assert result.findings == []
    assert result.entries == 700
    assert (result.payloads, result.withheld) == ((700, 0) if private else (0, 700))


def test_an_export_without_private_payloads_has_none(log: list[Entry]) -> None:
    assert b"person" not in b"".join(lines()).replace(b'\\"kind\\":\\"person\\"', b"")


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (Selection(first=250, last=300), 50),
        (Selection(object_type="sample", object_id="object-5"), 3),
        (Selection(type="audit.sample.*"), 700),
        (Selection(type="audit.other.*"), 0),
        (Selection(actor=samples.BEN.pseudonym), 0),
        (Selection(scope=SCOPE), 0),
    ],
)
def test_a_part_verifies_by_its_proofs(
    log: list[Entry], vkey: str, chosen: Selection, count: int
) -> None:
    held = Checkpoint.objects.get(size=400).note
    data = lines(chosen=chosen, private=True, extends=[held])
    result = check(data, vkey, held)
    assert result.findings == []
    assert result.entries == count


def test_a_part_by_scope_and_time(log: list[Entry], vkey: str) -> None:
    entry = samples.note(actor=samples.ADA, scope=SCOPE)
    later = samples.note(actor=samples.ADA, scope=SCOPE)
    samples.sequence()
    assert check(lines(chosen=Selection(scope=SCOPE)), vkey).entries == 2
    assert check(lines(chosen=Selection(scope=SCOPE, until=later.at)), vkey).entries == 1
    assert check(lines(chosen=Selection(since=entry.at)), vkey).entries == 2


def test_a_part_without_a_proof_from_the_held_checkpoint_says_so(
    log: list[Entry], vkey: str
) -> None:
    held = Checkpoint.objects.get(size=400).note
    assert codes(check(lines(chosen=Selection(first=1, last=2)), vkey, held)) == {"history"}


def edited(data: list[bytes], index: int, change: Callable[[dict[str, Any]], None]) -> list[bytes]:
    result = []
    for raw in data:
        line = json.loads(raw)
        if line["kind"] == "entry" and line["index"] == index:
            change(line)
        result.append(json.dumps(line).encode())
    return result


def _edit_leaf(line: dict[str, Any]) -> None:
    line["leaf"] = line["leaf"].replace("object-5", "object-6")


def _edit_leaf_and_hash(line: dict[str, Any]) -> None:
    _edit_leaf(line)
    line["hash"] = verifier.leaf_hash(line["leaf"].encode()).hex()


def _edit_payload(line: dict[str, Any]) -> None:
    line["private"]["data"] = "e30="


def _drop_payload(line: dict[str, Any]) -> None:
    del line["private"]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    ("change", "code"),
    [(_edit_leaf, "leaf"), (_edit_payload, "payload"), (_drop_payload, "payload")],
)
def test_an_altered_entry_is_named(
    log: list[Entry], vkey: str, whole: bool, change: Callable[[dict[str, Any]], None], code: str
) -> None:
    chosen = Selection() if whole else Selection(type="audit.sample.noted")
    result = check(edited(lines(chosen=chosen, private=True), 5, change), vkey)
    named = [finding for finding in result.findings if finding.code == code]
    assert [(one.index, one.entry, one.type) for one in named] == [
        (5, str(log[5].uuid), "audit.sample.noted")
    ]


def test_an_entry_altered_with_its_hash_breaks_the_root_or_its_proof(
    log: list[Entry], vkey: str
) -> None:
    assert codes(check(edited(lines(), 5, _edit_leaf_and_hash), vkey)) == {"root"}
    part = lines(chosen=Selection(first=5, last=6))
    result = check(edited(part, 5, _edit_leaf_and_hash), vkey)
    assert [(one.code, one.index) for one in result.findings] == [("proof", 5)]


def test_left_out_swapped_doubled_and_cut(log: list[Entry], vkey: str) -> None:
    data = lines()
    assert {"order", "size"} <= codes(check(data[:7] + data[8:], vkey))
    assert "order" in codes(check([*data[:7], data[8], data[7], *data[9:]], vkey))
    assert "order" in codes(check([*data[:7], data[7], *data[7:]], vkey))
    assert "size" in codes(check(data[:-1], vkey))
    assert {"size"} <= codes(check([*data[:-3], data[-1]], vkey))


def test_malformed_lines_are_findings_and_no_crash(log: list[Entry], vkey: str) -> None:
    data = lines(chosen=Selection(last=3))
    for bad in (b"{", b"[]", b"null", b'{"kind":"other"}', b'{"kind":"entry"}', b"\xff"):
        assert "format" in codes(check([*data[:2], bad, *data[2:]], vkey))
    assert codes(check([b"{}"], vkey)) == {"format"}
    assert codes(check([], vkey)) == {"size"}


def test_a_rewritten_log_is_noticed_by_an_older_checkpoint(log: list[Entry], vkey: str) -> None:
    held = Checkpoint.objects.get(size=400).note
    with forged():
        leaf = bytes(log[5].leaf).replace(b"object-5", b"object-6")
        Entry.objects.filter(pk=log[5].pk).update(leaf=leaf, object_id="object-6")
        rebuild()
    assert check(lines(), vkey).valid
    result = check(lines(), vkey, held)
    assert codes(result) == {"history"}
    assert "rewritten" in result.findings[0].message
    part = lines(chosen=Selection(first=1, last=2), extends=[held])
    assert not check(part, vkey, held).valid


def test_a_cut_log_is_noticed_by_an_older_checkpoint(log: list[Entry], vkey: str) -> None:
    held = checkpoints.latest() or ""
    with forged():
        Leaf.objects.filter(index__gte=400).delete()
        rebuild()
    assert codes(check(lines(), vkey, held)) == {"history"}


def test_erased_and_lost_payloads(log: list[Entry], vkey: str) -> None:
    from audit.models import PrivatePayload

    erasure.erase_payload(actor=samples.BEN, entry=log[5].uuid, basis="retention", reason="x")
    samples.sequence()
    result = check(lines(private=True), vkey)
    assert (result.findings, result.erased) == ([], 1)
    PrivatePayload.objects.filter(entry=log[6]).delete()
    result = check(lines(), vkey)
    assert [(one.code, one.index) for one in result.findings] == [("payload", 6)]


def test_two_epochs_after_a_restore(log: list[Entry], vkey: str) -> None:
    held = checkpoints.latest() or ""
    with forged():
        gone = list(Leaf.objects.filter(index__gte=400).values_list("entry_id", flat=True))
        Leaf.objects.filter(index__gte=400).delete()
        Checkpoint.objects.filter(size=700).delete()
        Entry.objects.filter(id__in=gone).delete()
    call_command("audit_epoch", "--start", "--reason", "restored")
    samples.sequence()
    assert signing.vkeys() == [vkey]
    result = check(lines(), vkey)
    assert result.findings == []
    assert "lost its last 300 entries" in result.remarks[0]
    assert [head.size for head in result.heads] == [400, 1]
    assert codes(check(lines(), vkey, held)) == {"history"}


def run_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the shipped file as a stranger would: no path to this project, no site packages."""
    return subprocess.run(
        [sys.executable, "-I", "-S", "verifier.py", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_shipped_file_verifies_alone(log: list[Entry], vkey: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    call_command("audit_export", str(target), "--private")
    assert {path.name for path in target.iterdir()} == {
        "export.jsonl", "verifier.py", "README.txt", "checkpoint", "vkey",
    }  # fmt: skip
    good = run_alone(target, ".", "--vkey", vkey, "--checkpoint", "checkpoint")
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "VALID")
    assert run_alone(target, "export.jsonl", "--vkey", "vkey").returncode == 0
    undecided = run_alone(target, ".")
    assert undecided.returncode == 3
    assert "NOT DECIDED" in undecided.stdout
    text = (target / "export.jsonl").read_text()
    (target / "export.jsonl").write_text(text.replace("object-7\\", "object-8\\", 1))
    bad = run_alone(target, ".", "--vkey", vkey)
    assert bad.returncode == 1
    assert str(log[7].uuid) in bad.stdout
    assert run_alone(target).returncode == 64
    assert run_alone(target, "nothing-here", "--vkey", vkey).returncode == 1
    assert run_alone(target, ".", "--vkey", "nonsense").returncode == 1


def test_a_zip_verifies(log: list[Entry], vkey: str, tmp_path: Path) -> None:
    target = tmp_path / "out.zip"
    call_command("audit_export", str(target), "--type", "audit.sample.*", "--last", "10")
    assert verifier.verify_export(target, [vkey]).entries == 10
    with zipfile.ZipFile(target) as archive:
        assert "verifier.py" in archive.namelist()


def test_a_folder_of_tiles_verifies(log: list[Entry], vkey: str, tmp_path: Path) -> None:
    target = tmp_path / "tiles"
    call_command("audit_export", str(target), "--format", "tiles")
    paths = {
        str(path.relative_to(target)) for path in (target / "tile").rglob("*") if path.is_file()
    }
    assert paths == {
        "tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2",
        "tile/entries/000", "tile/entries/001", "tile/entries/002.p/188",
    }  # fmt: skip
    held = Checkpoint.objects.get(size=400).note
    assert verifier.verify_export(target, [vkey], [held]).findings == []
    assert run_alone(target, ".", "--vkey", vkey).returncode == 0
    assert run_alone(target, ".").returncode == 3
    bundle = target / "tile/entries/001"
    bundle.write_bytes(bundle.read_bytes().replace(b"object-7", b"object-8", 1))
    result = verifier.verify_export(target, [vkey], [held])
    assert codes(result) == {"root", "history", "tile"}


def test_an_export_is_never_written_over_another(log: list[Entry], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="exists"):
        call_command("audit_export", str(tmp_path))


def test_the_command_refuses_what_it_cannot_read(log: list[Entry], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="RFC 3339"):
        call_command("audit_export", str(tmp_path / "x"), "--since", "yesterday")
    assert not (tmp_path / "x").exists()


def test_the_verifier_needs_the_standard_library_alone() -> None:
    import ast

    tree = ast.parse(export.VERIFIER.read_text())
    names = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("chunk", [1, 7, 256, 4096])
def test_however_it_is_cut_the_verdict_is_the_same(
    log: list[Entry], vkey: str, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    held = [Checkpoint.objects.get(size=size).note for size in (300, 400)]
    data = lines(private=True)
    data[50] = data[50].replace(b"person", b"parson")
    data[60] = data[60].replace(b'"object-', b'"abject-')
    data[70] = b'{"kind":"entry","index":68,"leaf":"\xff"}\n'
    data[80], data[81] = data[81], data[80]
    data[90] = data[90][:-20] + b"\n"
    whole = check(data, vkey, *held)
    monkeypatch.setattr(verifier, "CHUNK", chunk)
    cut = check(data, vkey, *held)
    assert sorted(map(str, cut.findings)) == sorted(map(str, whole.findings))
    assert {"leaf", "order", "format", "root", "history"} <= codes(cut)
    assert (cut.entries, cut.payloads) == (whole.entries, whole.payloads)


def test_several_processes_come_to_the_same_verdict(log: list[Entry], vkey: str) -> None:
    held = [Checkpoint.objects.get(size=400).note]
    data = lines(private=True)
    assert verifier.verify_lines(data, [vkey], held, processes=2).findings == []
    data[450] = data[450].replace(b'"object-', b'"abject-')
    one = verifier.verify_lines(data, [vkey], held)
    two = verifier.verify_lines(data, [vkey], held, processes=2)
    assert two.findings == one.findings
    assert codes(two) == {"leaf", "root"}


# What an altered byte can be: of JSON's own, of base64, of an escape, or none that belongs there.
_BYTES = b'"\\{}[]:,0aA=/+ un\xff\t'


def test_what_is_checked_quickly_is_judged_as_if_it_were_read_closely(
    vkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte is altered, removed or put in, anywhere in an entry: both ways come to one verdict."""
    data, quick = lines(private=True), verifier._check_quickly
    entries = data[2:8]
    work = verifier._Work([], 3, 0, True, verifier.Checkpoint("o", 700, bytes(32)))
    choose = random.Random(3)
    for _ in range(600):
        own = list(entries)
        line = own[choose.randrange(1, 6)]
        at, new = choose.randrange(len(line) - 1), bytes([choose.choice(_BYTES)])
        altered = line[:at] + choose.choice([new, b"", new + line[at : at + 1]]) + line[at + 1 :]
        own[entries.index(line)] = altered
        given = dataclasses.replace(work, lines=own)
        monkeypatch.setattr(verifier, "_check_quickly", quick)
        quickly = verifier._check_entries(given)
        monkeypatch.setattr(verifier, "_check_quickly", lambda *_: 0)
        assert quickly == verifier._check_entries(given), altered


def test_a_whole_export_is_read_quickly(
    log: list[Entry], vkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closely: list[int] = []
    real = verifier._check_entry
    monkeypatch.setattr(
        verifier, "_check_entry", lambda line, *rest: (closely.append(1), real(line, *rest))[1]
    )
    for private in (False, True):
        assert check(lines(private=private), vkey).valid
    assert len(closely) == 2
