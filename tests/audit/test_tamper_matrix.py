"""Tampering by tampering: detected and named, in the database and in an export made of it.

Who verifies holds a checkpoint from before. The attacker has the database, and where the matrix says
so the log's key as well. `test_concurrency` runs all of it on PostgreSQL too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from countersign_client import verifier

from audit import export, verification
from audit.merkle import leaf_hash
from audit.models import (
    Checkpoint,
    Entry,
    Leaf,
    LogKey,
    OutboxMessage,
    Pending,
    PrivatePayload,
    Tile,
)
from audit.recording import commitment
from tests.audit import samples
from tests.audit.tampering import forged, rebuild

pytestmark = pytest.mark.django_db
VICTIM = 12


@dataclass
class Log:
    """40 entries in trees of 20, 30 and 40; what was held outside is the checkpoint of 30."""

    entries: list[Entry] = field(default_factory=list)
    held: str = ""
    vkey: str = ""

    @property
    def victim(self) -> Entry:
        return self.entries[VICTIM]


@pytest.fixture
def log() -> Log:
    made = Log()
    for count in (20, 10, 10):
        made.entries += samples.note_many(count, actor=samples.ADA, private=True)
        samples.sequence()
    made.held = Checkpoint.objects.get(size=30).note
    made.vkey = LogKey.objects.get().vkey
    return made


def _drop(entries: list[Entry]) -> None:
    ids = [entry.pk for entry in entries]
    for table in (Leaf, PrivatePayload, OutboxMessage):
        table.objects.filter(entry_id__in=ids).delete()
    Entry.objects.filter(pk__in=ids).delete()


def edit_payload(log: Log) -> None:
    PrivatePayload.objects.filter(entry=log.victim).update(data=b'{"name":"Eve"}')


def edit_payload_with_commitment(log: Log) -> None:
    payload = PrivatePayload.objects.get(entry=log.victim)
    old = commitment(bytes(payload.salt), bytes(payload.data))
    new = commitment(bytes(payload.salt), b'{"name":"Eve"}')
    edit_payload(log)
    leaf = bytes(log.victim.leaf).replace(old.encode(), new.encode())
    Entry.objects.filter(pk=log.victim.pk).update(leaf=leaf)


def edit_with_leaf_row(log: Log) -> None:
    edit_payload_with_commitment(log)
    leaf = bytes(Entry.objects.get(pk=log.victim.pk).leaf)
    Leaf.objects.filter(entry=log.victim).update(hash=leaf_hash(leaf))


def delete(log: Log) -> None:
    Entry.objects.filter(pk=log.victim.pk).delete()


def delete_with_leaf_row(log: Log) -> None:
    _drop([log.victim])


def insert(log: Log) -> None:
    entry = samples.note("smuggled", actor=samples.BEN)
    Pending.objects.filter(entry=entry).delete()
    Leaf.objects.filter(entry=log.victim).update(index=9999)
    Leaf.objects.create(entry=entry, epoch_id=1, index=VICTIM, hash=leaf_hash(bytes(entry.leaf)))
    Leaf.objects.filter(entry=log.victim).delete()


def swap(log: Log) -> None:
    other = log.entries[VICTIM + 1]
    Leaf.objects.filter(entry=log.victim).update(index=9999)
    Leaf.objects.filter(entry=other).update(index=VICTIM)
    Leaf.objects.filter(entry=log.victim).update(index=VICTIM + 1)


def truncate(log: Log) -> None:
    _drop(log.entries[25:])


@dataclass(frozen=True)
class Case:
    """`inside` and `outside`: (codes of which one must be found, does one name the entry's place?)."""

    change: Callable[[Log], None]
    inside: tuple[set[str], bool]
    outside: tuple[set[str], bool]


CASES = [
    Case(edit_payload, ({"payload"}, True), ({"payload"}, True)),
    Case(edit_payload_with_commitment, ({"altered"}, True), ({"leaf"}, True)),
    Case(edit_with_leaf_row, ({"altered"}, True), ({"root", "history"}, False)),
    Case(delete, ({"deleted"}, True), ({"order", "size"}, False)),
    Case(delete_with_leaf_row, ({"gap"}, True), ({"order", "size"}, False)),
    Case(insert, ({"altered"}, True), ({"root", "history"}, False)),
    Case(swap, ({"altered"}, True), ({"root", "history"}, False)),
    Case(truncate, ({"gap"}, False), ({"size"}, False)),
]


def exported(log: Log) -> verifier.Result:
    return verifier.verify_lines(list(export.jsonl(private=True)), [log.vkey], [log.held])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.change.__name__)
def test_without_the_key_it_is_detected_and_named(log: Log, case: Case) -> None:
    with forged():
        case.change(log)
    report = verification.verify(older=[log.held])
    codes, named = case.inside
    assert codes & {one.code for one in report.findings}
    if named:
        assert VICTIM in {one.index for one in report.findings if one.code in codes}
    result = exported(log)
    codes, named = case.outside
    assert codes & {one.code for one in result.findings}
    if named:
        places = {(one.index, one.entry) for one in result.findings if one.index is not None}
        assert places == {(VICTIM, str(log.victim.uuid))}


def _rewrite(change: Callable[[Log], None]) -> Callable[[Log], None]:
    def changed(log: Log) -> None:
        change(log)
        rebuild()

    changed.__name__ = f"{change.__name__}_and_sign_again"
    return changed


def roll_back(log: Log) -> None:
    _drop(log.entries[25:])
    Checkpoint.objects.filter(size__gt=20).delete()
    Tile.objects.all().delete()


SIGNED_AGAIN = [
    _rewrite(one)
    for one in (
        edit_payload_with_commitment,
        delete_with_leaf_row,
        insert,
        swap,
        truncate,
        roll_back,
    )
]


@pytest.mark.parametrize("change", SIGNED_AGAIN, ids=lambda change: change.__name__)
def test_with_the_stolen_key_an_older_checkpoint_detects_it(
    log: Log, change: Callable[[Log], None]
) -> None:
    with forged():
        change(log)
    assert not {"altered", "root", "gap", "checkpoint"} & {
        one.code for one in verification.verify().findings
    }
    report = verification.verify(older=[log.held])
    assert "history" in {one.code for one in report.findings}
    result = exported(log)
    assert {one.code for one in result.findings} == {"history"}
