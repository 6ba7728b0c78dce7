"""The write: one transaction with its entry, refusals recorded apart, nothing by halves."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from audit import catalogue, recording, records
from audit.actor import Actor
from audit.models import Entry, OutboxMessage, Pending, PrivatePayload
from audit.recording import commitment, record
from audit.writing import Refused, RefusedConflict, RefusedInvalid, in_write, write
from kernel import canonical
from kernel.errors import TooLarge
from kernel.moments import now
from tests.audit import samples

pytestmark = pytest.mark.django_db


def test_a_write_leaves_its_entry_payload_and_queue_rows() -> None:
    scope = uuid4()
    entry = samples.note(actor=samples.ADA, count=3, private={"name": "Ada"}, scope=scope)
    stored = Entry.objects.get(uuid=entry.uuid)
    leaf = json.loads(bytes(stored.leaf))
    payload = PrivatePayload.objects.get(entry=stored)
    assert leaf == {
        "v": 1,
        "id": str(entry.uuid),
        "at": leaf["at"],
        "type": "audit.sample.noted",
        "actor": {"kind": "person", "ref": str(samples.ADA.pseudonym)},
        "object": {"type": "sample", "id": "one"},
        "scope": str(scope),
        "public": {"count": 3},
        "private": commitment(bytes(payload.salt), bytes(payload.data)),
    }
    assert bytes(payload.data) == b'{"name":"Ada"}'
    assert len(payload.salt) == 32
    assert (stored.type, stored.actor, stored.scope) == (leaf["type"], samples.ADA.pseudonym, scope)
    assert Pending.objects.filter(entry=stored).exists()
    assert OutboxMessage.objects.filter(entry=stored).exists()


@pytest.mark.parametrize(
    "text", ["one", 'a "quoted" \\ word', "\x7f\n\t\x01", "ünï\u2028cödé \U0001f600"]
)
@pytest.mark.parametrize("actor", [samples.ADA, Actor.system("monitor")], ids=["person", "system"])
def test_the_leaf_is_canonical_json_whatever_it_is_about(text: str, actor: Actor) -> None:
    for scope, private in ((None, None), (uuid4(), {"name": text})):
        entry = samples.note(text, actor=actor, count=2, private=private, scope=scope)
        assert canonical.dumps(entry.content) == bytes(entry.leaf)
        assert records.differing_columns(Entry.objects.get(uuid=entry.uuid)) == []


def test_the_leaf_names_no_person() -> None:
    entry = samples.note(actor=samples.ADA, private={"name": "Ada Lovelace"})
    leaf = bytes(entry.leaf).decode()
    assert samples.ADA.name not in leaf
    assert str(samples.ADA.id) not in leaf


def test_the_system_is_named_and_always_the_same() -> None:
    assert Actor.system("monitor") == Actor.system("monitor") != Actor.system("sequencer")
    entry = samples.note(actor=Actor.system("monitor"))
    assert entry.content["actor"]["name"] == "monitor"


def test_a_rolled_back_write_leaves_no_entry() -> None:
    with pytest.raises(ZeroDivisionError):
        samples.note_and_fail(actor=samples.ADA)
    assert not Entry.objects.exists()
    assert not Pending.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_a_rolled_back_savepoint_takes_its_entry_with_it() -> None:
    @write
    def half(*, actor: Actor) -> None:
        try:
            with transaction.atomic():
                samples.step(actor, "lost")
                raise ValueError
        except ValueError:
            samples.step(actor, "kept")

    half(actor=samples.ADA)
    assert [entry.object_id for entry in Entry.objects.all()] == ["kept"]
    assert Pending.objects.count() == 1


def test_a_failed_audit_insert_rolls_the_business_change_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = samples.note(actor=samples.ADA).uuid
    monkeypatch.setattr(recording, "uuid7", lambda: taken)

    @write
    def change(*, actor: Actor) -> None:
        PrivatePayload.objects.create(entry_id=77, salt=b"s", data=b"business")
        record(
            "audit.sample.noted",
            actor=actor,
            at=now(),
            object_type="sample",
            object_id="one",
            public={},
        )

    with pytest.raises(DatabaseError):
        change(actor=samples.ADA)
    assert not PrivatePayload.objects.exists()
    assert Entry.objects.count() == Pending.objects.count() == 1


def test_outside_a_write_nothing_is_recorded() -> None:
    with pytest.raises(RuntimeError, match="no write is open"):
        samples.step(samples.ADA, "one")
    with transaction.atomic(), pytest.raises(RuntimeError, match="no write is open"):
        in_write()


def test_a_write_inside_a_write_is_refused() -> None:
    @write
    def outer(*, actor: Actor) -> None:
        samples.note(actor=actor)

    with pytest.raises(RuntimeError, match="inside a write"):
        outer(actor=samples.ADA)
    assert not Entry.objects.exists()
    samples.note(actor=samples.ADA)


def test_a_write_needs_an_actor() -> None:
    with pytest.raises(TypeError, match="actor"):
        samples.note()


@pytest.mark.parametrize(
    ("kind", "status"), [(Refused, 403), (RefusedConflict, 409), (RefusedInvalid, 422)]
)
def test_a_refusal_rolls_back_and_is_recorded(kind: type[Refused], status: int) -> None:
    scope = uuid4()

    @write
    def refuse(*, actor: Actor) -> None:
        samples.step(actor, "one")
        raise kind(
            "own_work",
            "Ada cannot sign her own model",
            field="review",
            object_type="review",
            object_id=UUID(int=5),
            scope=scope,
        )

    with pytest.raises(kind) as caught:
        refuse(actor=samples.ADA)
    assert caught.value.status == status
    assert caught.value.code == "own_work"
    assert caught.value.fields == {"review": "Ada cannot sign her own model"}
    (entry,) = Entry.objects.all()
    assert entry.type == "audit.write.refused"
    assert (entry.object_type, entry.object_id) == ("review", str(UUID(int=5)))
    assert entry.scope == scope
    assert entry.public["code"] == "own_work"
    assert entry.public["field"] == "review"
    assert entry.public["operation"].endswith("refuse")
    assert "Ada" not in bytes(entry.leaf).decode()
    assert json.loads(bytes(PrivatePayload.objects.get(entry=entry).data)) == {
        "detail": "Ada cannot sign her own model"
    }


def test_a_refusal_without_an_object_names_the_operation() -> None:
    @write
    def refuse(*, actor: Actor) -> None:
        raise Refused("no", "no")

    with pytest.raises(Refused):
        refuse(actor=samples.ADA)
    assert Entry.objects.get().object_type == "operation"


@pytest.mark.parametrize(
    ("type_", "public", "match"),
    [
        ("audit.sample.unheard", {}, "no entry type"),
        ("audit.sample.noted", {"count": "3"}, "count"),
        ("audit.sample.noted", {"count": True}, "count"),
        ("audit.sample.noted", {"more": 1}, "no field more"),
        ("audit.sample.detailed", {"state": "s"}, "needs digest"),
        ("audit.sample.detailed", {"state": "a\nb", "digest": "d"}, "free text"),
        ("audit.sample.detailed", {"state": "s" * 501, "digest": "d"}, "free text"),
        ("audit.sample.detailed", {"state": "s", "digest": "d", "share": float("nan")}, "share"),
        ("audit.sample.detailed", {"state": "s", "digest": "d", "ids": ["x"]}, "ids"),
    ],
)
def test_an_entry_that_the_catalogue_does_not_know_cannot_be_written(
    type_: str, public: dict[str, Any], match: str
) -> None:
    with pytest.raises(catalogue.CatalogueError, match=match):
        samples.raw(type_, public, actor=samples.ADA)
    assert not Entry.objects.exists()


def test_facts_are_written_as_json_values() -> None:
    identity = uuid4()
    at = now()
    entry = samples.raw(
        "audit.sample.detailed",
        {"state": "s", "digest": "d", "share": 1, "ids": {identity}, "when": at, "note": None},
        actor=samples.ADA,
    )
    assert entry.public == {
        "state": "s",
        "digest": "d",
        "share": 1,
        "ids": [str(identity)],
        "when": at.isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("two.words", {}),
        ("Audit.thing.done", {}),
        ("audit.thing.done", {"a": bytes}),
        ("audit.thing.done", {"a": int | str}),
        ("audit.sample.noted", {"count": str}),
    ],
)
def test_malformed_types_cannot_be_defined(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(catalogue.CatalogueError):
        catalogue.define(name, **fields)


def test_a_leaf_that_no_entry_bundle_can_hold_is_refused() -> None:
    with pytest.raises(TooLarge):
        samples.raw(
            "audit.sample.detailed",
            {"state": "s", "digest": "d", "many": ["x" * 400] * 200},
            actor=samples.ADA,
        )


@pytest.mark.parametrize("table", ["entry", "leaf", "checkpoint", "epoch", "logkey", "anchor"])
def test_append_only_tables_take_no_update_and_no_delete(table: str) -> None:
    from django.apps import apps

    samples.note(actor=samples.ADA)
    samples.sequence()
    model = apps.get_model("audit", table)
    if table == "anchor":
        model.objects.create(
            epoch_id=1, size=1, kind="file", target="t", receipt=b"", created=now()
        )
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        model.objects.update(
            **{
                model._meta.fields[-1].name: model.objects.get().serializable_value(
                    model._meta.fields[-1].attname
                )
            }
        )
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        model.objects.all().delete()
    assert model.objects.exists()


def test_a_tile_may_grow_and_never_shrink() -> None:
    from audit.models import Tile

    samples.note(actor=samples.ADA)
    samples.sequence()
    tile = Tile.objects.get(level=0)
    grown = bytes(tile.hashes) + bytes(32)
    Tile.objects.filter(pk=tile.pk).update(hashes=grown)
    for change in ({"hashes": grown[:32]}, {"hashes": bytes(64)}, {"n": 4}):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            Tile.objects.filter(pk=tile.pk).update(**change)


def test_a_dropped_trigger_is_missed_and_put_back() -> None:
    from audit import triggers

    assert triggers.missing(connection) == []
    on = " ON audit_entry" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER countersign_keep_audit_entry_update{on}")
    assert triggers.missing(connection) == ["countersign_keep_audit_entry_update"]
    triggers.ensure(connection)
    assert triggers.missing(connection) == []
