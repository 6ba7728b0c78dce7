"""Reports through their services: who may ask, what is frozen, logged, proved, sealed and kept."""

import json
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine

from accounts.models import Role, User
from audit import tlog_proof
from audit.models import Entry
from audit.sequencer import Sequencer
from audit.writing import Refused
from kernel import keys
from kernel.canonical import dumps, sha256_hex
from kernel.errors import Conflict, Invalid, NotFound
from kernel.moments import now, rfc3339
from registry.services import amend_version
from registry.store import open_blob
from reports import gathering, issuing, selectors, services
from reports.models import Report
from reports.pdf.rendering import render
from reports.pdf.verification import verify_pdf
from tests import factories
from tests.governance.support import World
from tests.reports import world as worlds

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return worlds.approved()


def entries(kind: str) -> list[Entry]:
    return list(Entry.objects.filter(type=f"reports.report.{kind}").order_by("id"))


def bundle_of(report: Report) -> Any:
    assert report.bundle_id is not None
    return json.loads(open_blob(report.bundle_id).read())


def pdf_of(report: Report) -> bytes:
    return selectors.file_of(report).read()


@pytest.mark.parametrize("role", [Role.OWNER, Role.VALIDATOR, Role.RISK_OFFICER, Role.AUDITOR])
def test_those_who_may_ask_for_a_report(role: Role) -> None:
    world = World()
    actor = factories.actor_of(factories.make_user(None, role))
    report = services.request_report(world.version, world.use, world.environment, actor=actor)
    assert report.state == "requested"
    (entry,) = entries("requested")
    assert entry.object_id == str(report.pk)
    assert entry.scope == world.version.model_id


@pytest.mark.parametrize("role", [None, Role.DEVELOPER, Role.OPERATOR, Role.ADMINISTRATOR])
def test_those_who_may_not(role: Role | None) -> None:
    world = World()
    actor = factories.actor_of(factories.make_user(None, *([role] if role else [])))
    with pytest.raises(Refused):
        services.request_report(world.version, world.use, world.environment, actor=actor)
    assert not Report.objects.exists()
    assert Entry.objects.filter(type="audit.write.refused").count() == 1


def test_nobody_but_the_service_makes_one() -> None:
    report = worlds.requested(World())
    for user in User.objects.filter(kind="person"):
        with pytest.raises(Refused):
            services.claim(report.pk, actor=factories.actor_of(user))


def test_a_use_of_another_model_is_refused_by_field() -> None:
    world = World()
    other = factories.default_use(factories.make_version().model)
    actor = factories.actor_of(worlds.auditor())
    with pytest.raises(Invalid) as caught:
        services.request_report(world.version, other, world.environment, actor=actor)
    assert caught.value.field == "use"


def test_an_issued_report_is_whole(world: World) -> None:
    report = worlds.issued(world)
    certificate = keys.current("seal").certificate
    assert certificate is not None
    pdf = pdf_of(report)
    verdict = verify_pdf(pdf, trusted=[certificate], reproduce=True)
    assert verdict["problems"] == []
    assert verdict["report_id"] == str(report.pk)
    assert verdict["bundle_sha256"] == report.bundle_id
    assert sha256_hex(pdf) == report.pdf_id
    assert (report.error, report.leased_until) == ("", None)


def test_the_log_proves_the_bundle(world: World) -> None:
    report = worlds.issued(world)
    proof = verify_pdf(pdf_of(report))["proof"]
    assert proof is not None
    (frozen,) = entries("frozen")
    assert frozen.public["bundle_digest"] == report.bundle_id
    assert frozen.uuid == report.frozen_entry
    assert tlog_proof.parse(proof).index == frozen.position.index
    (issued,) = entries("issued")
    assert issued.public["file_digest"] == report.pdf_id
    assert issued.public["content_digest"] == report.content_digest


def test_the_unsigned_file_can_be_made_again(world: World) -> None:
    report = worlds.issued(world)
    pdf = pdf_of(report)
    again = render(dumps(bundle_of(report)), proof=verify_pdf(pdf)["proof"])
    assert sha256_hex(again) == report.content_digest
    assert pdf.startswith(again)


def test_the_bundle_says_what_the_record_says(world: World) -> None:
    bundle = bundle_of(worlds.issued(world))
    assert bundle["standing"]["state"] == "approved"
    assert bundle["summary"]["word"] == "supported"
    assert bundle["version"]["artifact"]["digest"] == world.version.artifact_digest
    assert bundle["version"]["revision"] == world.version.revision
    assert {s["name"] for s in bundle["signatures"]} == {world.validator.name, world.officer.name}
    assert {s["role"] for s in bundle["signatures"]} == {"validator", "risk_officer"}
    assert all(s["method"] == "password" for s in bundle["signatures"])
    (approval,) = bundle["approvals"]
    assert approval["in_force"]
    assert bundle["dossier"]["digest"] == world.version.dossiers.get().digest
    (check,) = bundle["checks"]
    assert [m["value"] for m in check["measurements"]] == [0.9]
    assert {c["control"]: c["verdict"] for c in bundle["policy"]["controls"]}["validated"] == "pass"
    assert bundle["validations"][0]["rating"] == "satisfactory"


def test_every_piece_of_evidence_has_its_audit_entry(world: World) -> None:
    bundle = bundle_of(worlds.issued(world))
    logged = {str(uuid) for uuid in Entry.objects.values_list("uuid", flat=True)}
    for row in bundle["evidence"]:
        if row["kind"] != "log checkpoint":
            assert row["entry"] in logged, row
    kinds = [row["kind"] for row in bundle["evidence"]]
    for kind in (
        "version",
        "check run",
        "policy",
        "dossier",
        "validation",
        "signature",
        "approval",
    ):
        assert kind in kinds


def test_the_history_is_the_logs(world: World) -> None:
    bundle = bundle_of(worlds.issued(world))
    said = " ".join(change["what"] for change in bundle["changes"])
    for word in ("version registered", "evidence added", "check succeeded", "review"):
        assert word in said
    logged = {str(uuid) for uuid in Entry.objects.values_list("uuid", flat=True)}
    assert {change["entry"] for change in bundle["changes"]} <= logged
    assert all(change["by"] for change in bundle["changes"])


def test_another_versions_history_is_not_in_it(world: World) -> None:
    other = factories.make_version(world.version.model)
    bundle = bundle_of(worlds.issued(world))
    entry = Entry.objects.get(type="registry.version.registered", object_id=str(other.pk))
    assert str(entry.uuid) not in {change["entry"] for change in bundle["changes"]}


def test_what_was_never_approved_is_not_supported() -> None:
    bundle = bundle_of(worlds.issued(World()))
    assert bundle["summary"]["word"] == "not supported"
    assert bundle["standing"]["state"] == "not_approved"
    assert bundle["dossier"] is None
    assert "validation" in bundle["summary"]["not_stated"]


def test_without_a_proof_it_waits_frozen_and_comes_back() -> None:
    report = worlds.requested(World())
    issuing.make(report.pk, proof_wait=0)
    report.refresh_from_db()
    assert (report.state, report.leased_until, report.pdf_id) == ("frozen", None, None)
    frozen = report.bundle_id
    Sequencer().drain()
    issuing.make(report.pk, proof_wait=0)
    report.refresh_from_db()
    assert (report.state, report.bundle_id) == ("issued", frozen)
    assert len(entries("frozen")) == 1


def test_a_done_report_is_not_made_again(world: World) -> None:
    report = worlds.issued(world)
    assert issuing.make(report.pk) is None
    assert len(entries("issued")) == 1


def test_one_attempt_holds_it_and_an_expired_one_counts_no_more() -> None:
    report = worlds.requested(World())
    first = services.claim(report.pk, actor=issuing.SYSTEM)
    assert first is not None
    assert services.claim(report.pk, actor=issuing.SYSTEM) is None
    with time_machine.travel(now() + services.LEASE + timedelta(seconds=1), tick=True):
        second = services.claim(report.pk, actor=issuing.SYSTEM)
        assert second is not None
        assert second.attempt == 2
        stored = factories.store_bytes(b"{}")
        with pytest.raises(Conflict):
            services.freeze(first, stored, actor=issuing.SYSTEM)


def test_what_is_recorded_after_the_cut_off_takes_another_one() -> None:
    world = World()
    report = worlds.requested(world)
    real = gathering.bundle_of
    owner = factories.actor_of(factories.make_user(None, Role.OWNER))

    def overtaken(held: Report) -> Any:
        if held.attempt == 1:
            amend_version(world.version, changes={"label": "late"}, actor=owner)
        return real(held)

    with mock.patch.object(gathering, "bundle_of", overtaken):
        issuing.make(report.pk, proof_wait=0)
    report.refresh_from_db()
    assert report.attempt == 2
    bundle = bundle_of(report)
    assert bundle["version"]["label"] == "late"
    assert report.cut_off is not None
    assert bundle["report"]["cut_off"] == rfc3339(report.cut_off)


def test_a_name_that_no_font_draws_fails_with_its_reason() -> None:
    world = World()
    type(world.version.model).objects.update(title="漢字")
    report = worlds.requested(world)
    issuing.make(report.pk, proof_wait=0)
    Sequencer().drain()
    issuing.make(report.pk, proof_wait=0)
    report.refresh_from_db()
    assert report.state == "failed"
    assert "U+6F22" in report.error
    assert entries("failed")[0].public["code"] == "unprintable"


def test_what_breaks_is_tried_again_and_then_fails() -> None:
    report = worlds.requested(World())
    with mock.patch.object(gathering, "bundle_of", side_effect=ZeroDivisionError):
        for _ in range(services.MAX_ATTEMPTS):
            report.refresh_from_db()
            assert report.state == "requested"
            issuing.make(report.pk, proof_wait=0)
    report.refresh_from_db()
    assert report.state == "failed"
    assert "ZeroDivisionError" in report.error


def test_a_damaged_bundle_is_not_drawn() -> None:
    report = worlds.requested(World())
    issuing.make(report.pk, proof_wait=0)
    Sequencer().drain()
    report.refresh_from_db()
    from registry.store import path_of

    assert report.bundle_id is not None
    path = path_of(report.bundle_id)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"Countersign", b"Countersigm"))
    issuing.make(report.pk, proof_wait=0)
    report.refresh_from_db()
    assert report.state == "failed"
    assert "SHA-256" in report.error


def test_a_newer_report_supersedes_the_older(world: World) -> None:
    first = worlds.issued(world)
    second = worlds.issued(world)
    assert second.supersedes_id == first.pk
    assert bundle_of(second)["report"]["supersedes"] == str(first.pk)
    assert selectors.registered(first.pk)["superseded_by"] == str(second.pk)
    assert selectors.registered(second.pk)["superseded_by"] is None


def test_the_register_tells_digests_and_nothing_of_the_model(world: World) -> None:
    report = worlds.issued(world)
    said = selectors.registered(report.pk)
    assert said["bundle_sha256"] == report.bundle_id
    seal = verify_pdf(pdf_of(report))["seal"]
    assert seal is not None
    assert said["seal_fingerprint"] == seal["fingerprint"]
    for word in (world.version.model.name, world.version.artifact_digest, world.officer.name):
        assert word not in json.dumps(said)
    with pytest.raises(NotFound):
        selectors.registered(worlds.requested(world).pk)


def test_the_sweep_finds_what_was_forgotten() -> None:
    report = worlds.requested(World())
    with mock.patch("reports.dispatch.send") as send:
        assert services.sweep() == 0
        with time_machine.travel(now() + timedelta(minutes=1), tick=True):
            assert services.sweep() == 1
        send.assert_called_once_with(report.pk)


def test_a_broker_that_is_down_loses_no_report(django_capture_on_commit_callbacks: Any) -> None:
    with (
        mock.patch("celery.app.base.Celery.send_task", side_effect=OSError),
        django_capture_on_commit_callbacks(execute=True),
    ):
        report = worlds.requested(World())
    assert Report.objects.get(pk=report.pk).state == "requested"
