"""Asking the gate over REST: what allows, what denies and is named, modes, and the fast paths."""

from datetime import timedelta
from uuid import UUID

import pytest

from governance import attestations
from governance.services import suspensions
from kernel.moments import now, parse_rfc3339, rfc3339
from registry import services
from tests import factories
from tests.governance import world as worlds
from tests.governance.asking import ENFORCE, ask, ask_raw, denying, statement_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    made = worlds.make_world()
    worlds.approve(made)
    made.refresh()
    return made


class TestAllow:
    def test_decisions_and_enforce_say_the_same(self, world):
        told, enforced = ask(world).json(), ask(world, ENFORCE)
        assert enforced.status_code == 200
        assert enforced.json()["decision"] == told["decision"] == "allow"
        assert told["verdict"] == "PASSED"
        assert told["standing"] == "approved"
        assert told["policy"]["name"] == world.policy.policy.name
        assert denying(told) == set()
        assert len(told["reasons"]) == 16

    def test_the_json_is_compact_so_that_a_step_can_look_for_it(self, world):
        assert b'"decision":"allow"' in ask(world, ENFORCE).content

    def test_by_name_and_number_too(self, world):
        by_name = {"digest": None, "model": world.version.model.name, "version": 1}
        question = {k: v for k, v in {**world.question(), **by_name}.items() if v is not None}
        response = ask_raw(world, question)
        assert response.json()["decision"] == "allow"
        assert response.json()["digest"] == world.version.artifact_digest

    def test_the_digest_may_carry_its_algorithm(self, world):
        body = ask(world, digest=f"sha256:{world.version.artifact_digest}").json()
        assert body["decision"] == "allow"
        assert body["digest"] == world.version.artifact_digest

    def test_it_expires_with_the_policys_time(self, world):
        body = ask(world).json()
        decided = parse_rfc3339(body["decided_at"], "decided_at")
        assert parse_rfc3339(body["not_after"], "not_after") == decided + timedelta(minutes=60)

    def test_or_with_the_approval(self, world):
        soon = now() + timedelta(minutes=5)
        world.version.approvals.update(valid_until=soon)
        assert ask(world).json()["not_after"] == rfc3339(soon)

    def test_evidence_added_later_changes_nothing(self, world):
        factories.make_evidence(world.version)
        assert ask(world).json()["decision"] == "allow"


class TestDeny:
    def check(self, world, control, **question):
        body = ask(world, **question).json()
        enforced = ask(world, ENFORCE, **question)
        assert body["decision"] == "deny"
        assert body["not_after"] is None
        assert control in denying(body)
        assert enforced.status_code == 403
        assert enforced["Content-Type"] == "application/json"
        assert b'"decision":"allow"' not in enforced.content
        return body

    def test_one_changed_byte_is_another_digest(self, world):
        digest = world.version.artifact_digest
        changed = ("0" if digest[0] != "0" else "1") + digest[1:]
        body = self.check(world, "gate.artifact_known", digest=changed)
        assert "belongs to no version" in body["summary"]
        assert body["attestation"]

    def test_a_digest_of_two_models_until_the_model_is_named(self, world):
        factories.make_version(artifact_digest=world.version.artifact_digest)
        self.check(world, "gate.artifact_known")
        assert ask(world, model=world.version.model.name).json()["decision"] == "allow"

    def test_a_digest_that_is_not_the_named_versions(self, world):
        self.check(
            world,
            "gate.artifact_known",
            digest="0" * 64,
            model=world.version.model.name,
            version=1,
        )

    def test_unknown_names(self, world):
        self.check(world, "gate.environment_known", environment="nowhere")
        self.check(world, "gate.use_known", use="nothing")

    def test_nobody_approved_it(self):
        world = worlds.make_world()
        body = self.check(world, "gate.approved")
        assert "validated" in denying(body)

    def test_reopened_is_lapsed(self, world):
        services.reopen_version(
            world.version, reason="new facts", actor=factories.actor_of(world.owner)
        )
        body = self.check(world, "gate.not_lapsed")
        assert body["standing"] == "lapsed"
        worlds.approve(world)
        assert ask(world).json()["decision"] == "allow"

    def test_a_newer_policy_ends_it_at_once_or_later(self, world):
        worlds.publish(world.policy.policy, transition="next_review")
        assert ask(world).json()["standing"] == "grandfathered"
        worlds.publish(world.policy.policy)
        assert self.check(world, "gate.not_lapsed")["standing"] == "lapsed"

    def test_no_policy(self, world):
        world.policy.policy.bindings.update(until=now())
        self.check(world, "gate.policy_in_force")

    def test_suspended(self, world):
        suspensions.suspend(
            world.version,
            use=world.use,
            environment=world.environment,
            effect="no_new_deployment",
            reason="complaints",
            actor=factories.actor_of(world.operator),
        )
        self.check(world, "gate.not_suspended")
        assert ask(world, environment=factories.make_environment().name).status_code == 200

    def test_expired_and_revoked(self, world):
        world.version.approvals.update(valid_until=now())
        self.check(world, "gate.not_expired")
        world.version.approvals.update(revoked_at=now(), valid_until=now() + timedelta(days=9))
        self.check(world, "gate.not_revoked")

    def test_retired(self, world):
        services.retire_version(world.version, reason="old", actor=factories.actor_of(world.owner))
        self.check(world, "gate.not_retired")

    def test_a_breach_closes_it_at_once_with_no_worker(self, world):
        worlds.make_breach(world)
        body = self.check(world, "gate.no_open_breach")
        assert body["reasons"][6]["figures"][0]["value"] == 0.41
        assert worlds.entries("governance.suspension.started") == []

    def test_a_finding_that_the_policy_does_not_bear(self, world):
        from governance.services.findings import open_finding

        open_finding(
            world.version,
            title="Leak",
            detail="The label is among the inputs",
            severity="critical",
            actor=factories.actor_of(world.owner),
        )
        self.check(world, "no-open-findings")


def test_pending_says_when_to_ask_again():
    world = worlds.make_world()
    review = worlds.submit(world)
    body = ask(world).json()
    enforced = ask(world, ENFORCE)
    assert body["decision"] == "pending"
    assert body["verdict"] == "FAILED"
    assert enforced.status_code == 409
    assert int(enforced["Retry-After"]) > 0
    worlds.approve(world, review)
    assert ask(world, ENFORCE).status_code == 200


class TestModes:
    @pytest.mark.parametrize("mode", ["observe", "warn"])
    def test_the_pipeline_passes_and_the_attestation_says_failed(self, client, mode):
        world = worlds.make_world(mode=mode)
        body = ask(world).json()
        assert ask(world, ENFORCE).status_code == 200
        assert (body["decision"], body["judged"], body["verdict"]) == ("allow", "deny", "FAILED")
        assert (body["warning"] is not None) == (mode == "warn")
        predicate = statement_of(body)["predicate"]
        assert predicate["verificationResult"] == "FAILED"
        assert predicate["verifiedLevels"] == ["FAILED"]
        assert predicate[attestations.EXTENSION]["mode"] == mode
        assert predicate[attestations.EXTENSION]["judged"] == "deny"


def deploy(world):
    """Ask the gate, and deploy as it allows."""
    decision = UUID(ask(world).json()["id"])
    return factories.make_deployment(world.version, world.environment, gate_decision_id=decision)


class TestFastPaths:
    def test_rollback_to_what_was_live(self, world):
        deployed = deploy(world)
        services.end_deployment(deployed, actor=factories.actor_of(world.operator))
        services.reopen_version(
            world.version, reason="new facts", actor=factories.actor_of(world.owner)
        )
        assert ask(world).json()["decision"] == "deny"
        body = ask(world, purpose="rollback").json()
        assert (body["decision"], body["path"], body["standing"]) == ("allow", "rollback", "lapsed")
        worlds.make_breach(world)
        assert ask(world, ENFORCE, purpose="rollback").status_code == 403

    def test_restart_of_what_is_live(self, world):
        deploy(world)
        worlds.make_breach(world)
        assert ask(world, purpose="restart").json()["decision"] == "allow"
        suspensions.suspend(
            world.version,
            use=world.use,
            environment=world.environment,
            effect="stop",
            reason="harm",
            actor=factories.actor_of(world.operator),
        )
        assert ask(world, purpose="restart").json()["decision"] == "deny"
