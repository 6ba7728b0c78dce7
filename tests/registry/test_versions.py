"""Versions and their evidence: numbers, digests, revisions, freezing and reopening."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Role
from audit.actor import Actor
from audit.writing import RefusedConflict, write
from kernel.errors import Conflict, Invalid, Unprocessable
from registry import selectors, services
from registry.models import ModelVersion
from tests import factories as f
from tests.registry.support import entries, last, refusals

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Any:
    return f.actor_of(f.make_user("olivia", Role.OWNER))


@pytest.fixture
def developer() -> Any:
    return f.actor_of(f.make_user("dave", Role.DEVELOPER))


def test_the_server_gives_the_number() -> None:
    model = f.make_model()
    assert [f.make_version(model).number for _ in range(3)] == [1, 2, 3]
    assert f.make_version(f.make_model()).number == 1


def test_registering_records_who_what_and_from_which_data() -> None:
    alice = f.make_user("alice", Role.DEVELOPER)
    model, data = f.make_model(), f.make_dataset()
    parent = f.make_version(model)
    version = f.make_version(
        model,
        by=alice,
        artifact_name="screen.onnx",
        parent=parent,
        parameters={"trees": 100, "rate": 0.1},
        claims=[{"metric": "accuracy", "value": 0.94, "slice": {"sex": "Female"}}],
        datasets=[services.DatasetLink(data, "training")],
    )
    assert (version.author, version.registered_by, version.last_edited_by) == (alice,) * 3
    assert (version.artifact_format, version.artifact, version.revision) == ("onnx", None, 1)
    assert (version.moment, version.frozen_at) == (version.registered_at, None)
    entry = last("registry.version.registered")
    assert (entry.object_type, entry.object_id, entry.scope) == (
        "version",
        str(version.pk),
        model.pk,
    )
    assert entry.public["datasets"] == [data.digest]
    assert entry.public["parent"] == 1
    assert entry.at == version.registered_at


def test_a_digest_is_unique_within_a_model_and_not_beyond() -> None:
    model, other = f.make_model(), f.make_model()
    f.make_version(model, artifact_digest="a" * 64)
    f.make_version(other, artifact_digest="a" * 64)
    with pytest.raises(Conflict) as conflict:
        f.make_version(model, artifact_digest="a" * 64)
    assert conflict.value.field == "artifact_digest"
    assert "version 1" in conflict.value.detail


def test_the_database_holds_number_and_digest_unique() -> None:
    version = f.make_version()
    for change in ({"number": 2}, {"artifact_digest": "b" * 64}):
        double = ModelVersion.objects.get(pk=version.pk)
        double.pk = f.make_dataset().pk
        for name, value in change.items():
            setattr(double, name, value)
        with pytest.raises(IntegrityError), transaction.atomic():
            double.save(force_insert=True)


def test_an_uploaded_artifact_must_have_the_declared_digest() -> None:
    stored = f.store_bytes(b"\x80\x04pickle, never opened")
    version = f.make_version(stored=stored, artifact_digest=stored.digest, artifact_name="m.pkl")
    assert (version.artifact_id, version.artifact_format) == (stored.digest, "pickle")
    with pytest.raises(Unprocessable) as wrong:
        f.make_version(stored=stored, artifact_digest="c" * 64)
    assert wrong.value.field == "artifact_digest"


def test_bytes_come_later_and_change_no_fact(developer: Any) -> None:
    stored = f.store_bytes(b"later")
    version = f.freeze(f.make_version(artifact_digest=stored.digest))
    for _ in range(2):
        version = services.store_artifact(version, stored, actor=developer)
    assert (version.artifact_id, version.revision) == (stored.digest, 1)
    assert version.frozen_at is not None
    assert len(entries("registry.artifact.stored")) == 1
    with pytest.raises(Unprocessable):
        services.store_artifact(f.make_version(), stored, actor=developer)


class TestAuthor:
    def test_a_pipeline_names_the_person(self) -> None:
        alice = f.make_user("alice", Role.DEVELOPER)
        pipeline = f.make_service_account("ci", Role.DEVELOPER)
        version = f.make_version(by=pipeline, author=alice)
        assert (version.author, version.registered_by) == (alice, pipeline)

    def test_a_pipeline_that_names_nobody_is_told(self) -> None:
        with pytest.raises(Invalid) as error:
            f.make_version(by=f.make_service_account("ci", Role.DEVELOPER))
        assert error.value.field == "author"

    @pytest.mark.parametrize("who", ["validator", "service", "inactive"])
    def test_the_author_is_an_active_developer_or_owner_of_the_model(self, who: str) -> None:
        named = {
            "validator": lambda: f.make_user("vera", Role.VALIDATOR),
            "service": lambda: f.make_service_account("bot", Role.DEVELOPER),
            "inactive": lambda: f.make_user("gone", Role.DEVELOPER, is_active=False),
        }[who]()
        with pytest.raises((Invalid, Unprocessable)) as error:
            f.make_version(by=f.make_service_account("ci", Role.DEVELOPER), author=named)
        assert error.value.field == "author"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"code_commit": ""}, "code_commit"),
        ({"code_commit": "x" * 65}, "code_commit"),
        ({"artifact_name": ""}, "artifact_name"),
        ({"artifact_format": "exe"}, "artifact_format"),
        ({"parameters": {"rate": float("inf")}}, "parameters.rate"),
        ({"claims": [{"metric": "accuracy", "value": float("nan")}]}, "claims[0].value"),
        ({"claims": [{"metric": "accuracy", "value": "0.9"}]}, "claims[0].value"),
        ({"claims": [{"metric": "accuracy", "value": True}]}, "claims[0].value"),
        ({"claims": [{"value": 0.9}]}, "claims[0].metric"),
        ({"claims": [{"metric": "a", "value": 1, "grade": "best"}]}, "claims[0].grade"),
        ({"claims": [{"metric": "a", "value": 1, "slice": {"sex": 1}}]}, "claims[0].slice"),
    ],
)
def test_a_malformed_record_names_its_field(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid) as invalid:
        f.make_version(**fields)
    assert invalid.value.field == named
    assert not ModelVersion.objects.exists()


def test_a_parent_of_another_model_and_an_unknown_purpose_are_no_facts() -> None:
    with pytest.raises(Unprocessable) as error:
        f.make_version(parent=f.make_version())
    assert error.value.field == "parent"
    with pytest.raises(Invalid) as invalid:
        f.make_version(datasets=[services.DatasetLink(f.make_dataset(), "inspiration")])
    assert invalid.value.field == "datasets[0].purpose"


class TestRevision:
    def test_each_amendment_is_a_revision_with_its_editor(self) -> None:
        erin = f.make_user("erin", Role.DEVELOPER)
        version = f.make_version()
        amended = services.amend_version(
            version,
            changes={"description": "Better"},
            datasets=[services.DatasetLink(f.make_dataset(), "test")],
            actor=f.actor_of(erin),
        )
        assert (amended.revision, amended.last_edited_by) == (2, erin)
        assert amended.moment > version.moment
        assert last("registry.version.amended").public["fields"] == ["datasets", "description"]
        assert [one.revision for one in amended.revision_changes.order_by("at")] == [1, 2]

    def test_the_artifact_never_changes(self, developer: Any) -> None:
        for field in ("artifact_digest", "artifact_name", "author", "revision"):
            with pytest.raises(Invalid) as error:
                services.amend_version(f.make_version(), changes={field: "x"}, actor=developer)
            assert error.value.field == field

    def test_a_frozen_version_waits_for_its_owner(self, developer: Any, owner: Any) -> None:
        version = f.freeze(f.make_version())
        with pytest.raises(RefusedConflict) as refused:
            services.amend_version(version, changes={"label": "x"}, actor=developer)
        assert refused.value.code == "frozen"
        reopened = services.reopen_version(version, reason="typing error", actor=owner)
        assert (reopened.revision, reopened.frozen_at) == (2, None)
        assert last("registry.version.reopened").public["revision"] == 2
        amended = services.amend_version(version, changes={"label": "x"}, actor=developer)
        assert amended.revision == 3
        assert [one["code"] for one in refusals()] == ["frozen"]

    def test_what_was_not_submitted_cannot_be_reopened(self, owner: Any) -> None:
        with pytest.raises(RefusedConflict, match="nothing to reopen"):
            services.reopen_version(f.make_version(), reason="x", actor=owner)

    def test_instants_of_a_version_rise_strictly_whatever_the_clock_says(self) -> None:
        version = f.make_version()
        ahead = version.moment + timedelta(hours=1)
        ModelVersion.objects.filter(pk=version.pk).update(moment=ahead)
        first, second = f.make_evidence(version), f.make_evidence(version)
        assert ahead < first.added_at < second.added_at

    def test_the_steps_refuse_to_run_outside_a_write(self) -> None:
        version = f.make_version()
        for step in (
            lambda: services.tick(version),
            lambda: services.bump(version, version.moment),
            lambda: services.freeze(version, version.moment),
            lambda: services.lock_version(version.pk),
            lambda: services.lock_model(version.model_id),
        ):
            with pytest.raises(RuntimeError):
                step()
        version.refresh_from_db()
        assert version.revision == 1

    def test_a_write_that_fails_leaves_the_revision(self) -> None:
        version = f.make_version()

        @write
        def broken(*, actor: Actor) -> None:
            locked = services.lock_version(version.pk)
            services.bump(locked, services.tick(locked))
            raise Conflict("no")

        with pytest.raises(Conflict):
            broken(actor=Actor.system())
        version.refresh_from_db()
        assert version.revision == 1


class TestEvidence:
    def test_before_submission_it_is_a_fact_after_it_an_addendum(self, owner: Any) -> None:
        version = f.make_version()
        early = f.make_evidence(version)
        assert (early.is_addendum, early.revision) == (False, 2)
        f.freeze(version)
        late = f.make_evidence(version)
        version.refresh_from_db()
        assert (late.is_addendum, late.revision, version.revision) == (True, 2, 2)
        assert list(selectors.dossier_evidence(version)) == [early]
        version = services.reopen_version(version, reason="renewed", actor=owner)
        assert list(selectors.dossier_evidence(version)) == [early, late]

    def test_the_log_keeps_the_digest_and_not_the_name(self) -> None:
        stored = f.store_bytes(b"report of Jane Roe")
        row = f.make_evidence(f.make_version(), stored=stored, name="Jane Roe.pdf")
        entry = last("registry.evidence.added")
        assert entry.public["digest"] == stored.digest == row.blob_id
        assert entry.public["size"] == 18
        assert b"Jane" not in bytes(entry.leaf)

    def test_a_validators_evidence_is_no_edit(self) -> None:
        vera = f.make_user("vera", Role.VALIDATOR)
        erin = f.make_user("erin", Role.DEVELOPER)
        version = f.make_version()
        author = version.author
        f.make_evidence(version, by=vera)
        version.refresh_from_db()
        assert version.last_edited_by == author
        f.make_evidence(version, by=erin)
        version.refresh_from_db()
        assert version.last_edited_by == erin

    @pytest.mark.parametrize("what", ["use", "columns", "model"])
    def test_who_changes_what_all_versions_rest_on_has_edited_them(self, what: str) -> None:
        """Else an owner could move the threshold and sign for it."""
        version = f.make_version()
        owner = f.make_user(None, Role.OWNER)
        model, actor = version.model, f.actor_of(owner)
        if what == "use":
            changes = {"decision_rule": {"threshold": 0.2}}
            services.amend_use(f.default_use(model), changes=changes, actor=actor)
        elif what == "columns":
            services.declare_columns(model, {"label": "y"}, actor=actor)
        else:
            services.amend_model(model, changes={"description": "other"}, actor=actor)
        version.refresh_from_db()
        assert version.last_edited_by == owner

    def test_a_tier_is_judged_and_not_edited(self) -> None:
        version = f.make_version()
        officer = f.make_user(None, Role.RISK_OFFICER)
        services.set_tier(
            f.default_use(version.model), 4, reason="small", actor=f.actor_of(officer)
        )
        version.refresh_from_db()
        assert version.last_edited_by == version.author

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"kind": "Two Words"}, "kind"),
            ({"name": ""}, "name"),
            ({"media_type": "x"}, "media_type"),
            ({"media_type": "text/" + "a" * 95 + "\r\nX-Header: 1"}, "media_type"),
        ],
    )
    def test_malformed_fields_are_named(self, fields: dict[str, Any], named: str) -> None:
        version = f.make_version()
        with pytest.raises(Invalid) as error:
            f.make_evidence(version, **fields)
        assert error.value.field == named
        version.refresh_from_db()
        assert version.revision == 1

    def test_a_document_is_kept_in_its_canonical_form(self) -> None:
        one = services.store_document({"b": 1.0, "a": [None]})
        assert one == services.store_document({"a": [None], "b": 1})
        with pytest.raises(Invalid) as error:
            services.store_document({"a": float("nan")})
        assert error.value.field == "document.a"


def test_a_retired_version_is_closed(owner: Any, developer: Any) -> None:
    version = services.retire_version(f.make_version(), reason="old", actor=owner)
    assert version.retired_at == version.moment
    for call in (
        lambda: f.make_evidence(version),
        lambda: services.amend_version(version, changes={"label": "x"}, actor=developer),
        lambda: services.retire_version(version, reason="again", actor=owner),
    ):
        with pytest.raises(RefusedConflict):
            call()
    assert len(entries("registry.version.retired")) == 1
