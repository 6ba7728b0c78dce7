"""Asking the gate over REST: what it answers, what it records, what it signs, and that it never errs
towards yes."""

import base64
import copy
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.db import OperationalError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Role
from audit.catalogue import all_types
from governance import attestations
from governance.models import GateDecision
from governance.services import gate, suspensions
from kernel.moments import now, parse_rfc3339, rfc3339
from registry import services
from tests import factories
from tests.governance import facts as sample
from tests.governance import world as worlds
from tests.governance.test_missing_evidence import MUTATIONS

pytestmark = pytest.mark.django_db

DECISIONS = "/api/v1/gate/decisions/"
ENFORCE = "/api/v1/gate/enforce/"


@pytest.fixture
def world():
    made = worlds.make_world()
    worlds.approve(made)
    made.refresh()
    return made


@pytest.fixture
def ask(client):
    def asking(world, path=DECISIONS, headers=None, **question):
        return client.post(
            path,
            {**world.question(), **question},
            content_type="application/json",
            headers=headers or world.headers,
        )

    return asking


def denying(body) -> set[str]:
    return {
        one["control"]
        for one in body["reasons"]
        if one["mode"] == "block" and one["status"] in ("fail", "insufficient")
    }


def payload_of(client, body) -> dict:
    """The verified statement, by the published key, as somebody outside would verify it."""
    pem = client.get("/.well-known/countersign/attestation.pem").content
    key = load_pem_public_key(pem)
    return json.loads(attestations.verify(body["attestation"], [key]))


class TestAllow:
    def test_decisions_and_enforce_say_the_same(self, world, ask):
        told, enforced = ask(world).json(), ask(world, ENFORCE)
        assert enforced.status_code == 200
        assert enforced.json()["decision"] == told["decision"] == "allow"
        assert told["verdict"] == "PASSED"
        assert told["standing"] == "approved"
        assert told["policy"]["name"] == world.policy.policy.name
        assert denying(told) == set()
        assert len(told["reasons"]) == 16

    def test_the_json_is_compact_so_that_a_step_can_look_for_it(self, world, ask):
        assert b'"decision":"allow"' in ask(world, ENFORCE).content

    def test_by_name_and_number_too(self, world, ask):
        by_name = {"digest": None, "model": world.version.model.name, "number": 1}
        question = {k: v for k, v in {**world.question(), **by_name}.items() if v is not None}
        response = ask_raw(ask, world, question)
        assert response.json()["decision"] == "allow"
        assert response.json()["digest"] == world.version.artifact_digest

    def test_the_digest_may_carry_its_algorithm(self, world, ask):
        body = ask(world, digest=f"sha256:{world.version.artifact_digest}").json()
        assert body["decision"] == "allow"
        assert body["digest"] == world.version.artifact_digest

    def test_it_expires_with_the_policys_time(self, world, ask):
        body = ask(world).json()
        decided = parse_rfc3339(body["decided_at"], "decided_at")
        assert parse_rfc3339(body["not_after"], "not_after") == decided + timedelta(minutes=60)

    def test_or_with_the_approval(self, world, ask):
        soon = now() + timedelta(minutes=5)
        world.version.approvals.update(valid_until=soon)
        assert ask(world).json()["not_after"] == rfc3339(soon)

    def test_evidence_added_later_changes_nothing(self, world, ask):
        factories.make_evidence(world.version)
        assert ask(world).json()["decision"] == "allow"


def ask_raw(ask, world, question):
    from django.test import Client

    return Client().post(
        DECISIONS, question, content_type="application/json", headers=world.headers
    )


class TestDeny:
    def check(self, ask, world, control, **question):
        body = ask(world, **question).json()
        enforced = ask(world, ENFORCE, **question)
        assert body["decision"] == "deny"
        assert body["not_after"] is None
        assert control in denying(body)
        assert enforced.status_code == 403
        assert enforced["Content-Type"] == "application/json"
        assert b'"decision":"allow"' not in enforced.content
        return body

    def test_one_changed_byte_is_another_digest(self, world, ask):
        digest = world.version.artifact_digest
        changed = ("0" if digest[0] != "0" else "1") + digest[1:]
        body = self.check(ask, world, "gate.artifact_known", digest=changed)
        assert "belongs to no version" in body["summary"]
        assert body["attestation"]

    def test_a_digest_of_two_models_until_the_model_is_named(self, world, ask):
        factories.make_version(artifact_digest=world.version.artifact_digest)
        self.check(ask, world, "gate.artifact_known")
        assert ask(world, model=world.version.model.name).json()["decision"] == "allow"

    def test_a_digest_that_is_not_the_named_versions(self, world, ask):
        self.check(
            ask,
            world,
            "gate.artifact_known",
            digest="0" * 64,
            model=world.version.model.name,
            number=1,
        )

    def test_unknown_names(self, world, ask):
        self.check(ask, world, "gate.environment_known", environment="nowhere")
        self.check(ask, world, "gate.use_known", use="nothing")

    def test_nobody_approved_it(self, ask):
        world = worlds.make_world()
        body = self.check(ask, world, "gate.approved")
        assert "validated" in denying(body)

    def test_reopened_is_lapsed(self, world, ask):
        services.reopen_version(
            world.version, reason="new facts", actor=factories.actor_of(world.owner)
        )
        body = self.check(ask, world, "gate.not_lapsed")
        assert body["standing"] == "lapsed"
        worlds.approve(world)
        assert ask(world).json()["decision"] == "allow"

    def test_a_newer_policy_ends_it_at_once_or_later(self, world, ask):
        worlds.publish(world.policy.policy, transition="next_review")
        assert ask(world).json()["standing"] == "grandfathered"
        worlds.publish(world.policy.policy)
        assert self.check(ask, world, "gate.not_lapsed")["standing"] == "lapsed"

    def test_no_policy(self, world, ask):
        world.policy.policy.bindings.update(until=now())
        self.check(ask, world, "gate.policy_in_force")

    def test_suspended(self, world, ask):
        suspensions.suspend(
            world.version,
            use=world.use,
            environment=world.environment,
            effect="no_new_deployment",
            reason="complaints",
            actor=factories.actor_of(world.operator),
        )
        self.check(ask, world, "gate.not_suspended")
        assert ask(world, environment=factories.make_environment().name).status_code == 200

    def test_expired_and_revoked(self, world, ask):
        world.version.approvals.update(valid_until=now())
        self.check(ask, world, "gate.not_expired")
        world.version.approvals.update(revoked_at=now(), valid_until=now() + timedelta(days=9))
        self.check(ask, world, "gate.not_revoked")

    def test_retired(self, world, ask):
        services.retire_version(world.version, reason="old", actor=factories.actor_of(world.owner))
        self.check(ask, world, "gate.not_retired")

    def test_a_breach_closes_it_at_once_with_no_worker(self, world, ask):
        worlds.make_breach(world)
        body = self.check(ask, world, "gate.no_open_breach")
        assert body["reasons"][6]["figures"][0]["value"] == 0.41
        assert worlds.entries("governance.suspension.started") == []

    def test_a_finding_that_the_policy_does_not_bear(self, world, ask):
        from governance.services.findings import open_finding

        open_finding(
            world.version,
            title="Leak",
            detail="The label is among the inputs",
            severity="critical",
            actor=factories.actor_of(world.owner),
        )
        self.check(ask, world, "no-open-findings")


def test_pending_says_when_to_ask_again(ask):
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
    def test_the_pipeline_passes_and_the_attestation_says_failed(self, ask, client, mode):
        world = worlds.make_world(mode=mode)
        body = ask(world).json()
        assert ask(world, ENFORCE).status_code == 200
        assert (body["decision"], body["judged"], body["verdict"]) == ("allow", "deny", "FAILED")
        assert (body["warning"] is not None) == (mode == "warn")
        predicate = payload_of(client, body)["predicate"]
        assert predicate["verificationResult"] == "FAILED"
        assert predicate["verifiedLevels"] == ["FAILED"]
        assert predicate[attestations.EXTENSION]["mode"] == mode
        assert predicate[attestations.EXTENSION]["judged"] == "deny"


class TestFastPaths:
    def test_rollback_to_what_was_live(self, world, ask):
        deployed = factories.make_deployment(world.version, world.environment)
        services.end_deployment(deployed, actor=factories.actor_of(world.operator))
        services.reopen_version(
            world.version, reason="new facts", actor=factories.actor_of(world.owner)
        )
        assert ask(world).json()["decision"] == "deny"
        body = ask(world, purpose="rollback").json()
        assert (body["decision"], body["path"], body["standing"]) == ("allow", "rollback", "lapsed")
        worlds.make_breach(world)
        assert ask(world, ENFORCE, purpose="rollback").status_code == 403

    def test_restart_of_what_is_live(self, world, ask):
        factories.make_deployment(world.version, world.environment)
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


class TestAttestation:
    def test_it_binds_artifact_place_and_time_and_verifies_by_the_published_key(
        self, world, ask, client
    ):
        body = ask(world, run_id="run-1").json()
        statement = payload_of(client, body)
        digest = world.version.artifact_digest
        assert statement["subject"][0]["digest"] == {"sha256": digest}
        predicate = statement["predicate"]
        assert predicate["verificationResult"] == "PASSED"
        assert predicate["policy"]["digest"] == {"sha256": world.policy.digest}
        review = world.version.reviews.get()
        assert predicate["inputAttestations"][0]["digest"] == {"sha256": review.dossier_id}
        said = predicate[attestations.EXTENSION]
        assert said["decision"] == "allow"
        assert said["environment"] == world.environment.name
        assert said["use"] == "default"
        assert said["notAfter"] == body["not_after"]
        assert said["id"] == body["id"]
        assert said["runId"] == "run-1"
        assert len(said["nonce"]) == 32

    def test_the_key_set_names_the_key_that_signed(self, world, ask, client):
        body = ask(world).json()
        published = client.get("/.well-known/countersign/jwks.json").json()["keys"]
        assert body["attestation"]["signatures"][0]["keyid"] in [key["kid"] for key in published]

    def test_the_client_verifies_it_with_nothing_but_the_key(self, world, ask, client):
        from countersign_client.verifying import verify_attestation

        body = ask(world).json()
        pem = client.get("/.well-known/countersign/attestation.pem").content.decode()
        right = {
            "digest": world.version.artifact_digest,
            "environment": world.environment.name,
            "use": "default",
        }
        envelope = body["attestation"]
        assert verify_attestation(envelope, pem, **right) == []
        for wrong in (
            {"digest": "0" * 64},
            {"environment": "elsewhere"},
            {"use": "other"},
            {"at": parse_rfc3339(body["not_after"], "not_after") + timedelta(seconds=1)},
        ):
            assert verify_attestation(envelope, pem, **{**right, **wrong})
        worlds.make_breach(world)
        assert verify_attestation(ask(world).json()["attestation"], pem, **right)

    def test_another_environment_in_the_payload_breaks_the_signature(self, world, ask, client):
        body = ask(world).json()
        payload = base64.b64decode(body["attestation"]["payload"])
        forged = payload.replace(world.environment.name.encode(), b"elsewhere")
        body["attestation"]["payload"] = base64.b64encode(forged).decode()
        with pytest.raises(attestations.Invalid):
            payload_of(client, body)

    def test_asking_again_in_the_same_run_supersedes(self, world, ask, client):
        first = ask(world, run_id="r").json()
        second = payload_of(client, ask(world, run_id="r").json())
        said = second["predicate"][attestations.EXTENSION]
        assert said["supersedes"] == first["id"]
        other = payload_of(client, ask(world, run_id="s").json())
        assert other["predicate"][attestations.EXTENSION]["supersedes"] is None

    def test_without_any_digest_there_is_nothing_to_sign_over(self, world):
        question = {"model": "no-such", "number": 3, "environment": world.environment.name}
        body = ask_raw(None, world, question).json()
        assert body["decision"] == "deny"
        assert body["attestation"] is None


class TestThroughPeople:
    """The same gate, opened and closed by what people do through their own services."""

    def test_submitted_validated_signed_reopened(self, ask):
        from accounts.models import Role
        from tests.governance import support

        people = support.World()
        pipeline = factories.make_service_account(None, Role.OPERATOR)

        class Asked:
            headers = factories.bearer(pipeline)

            def question(self):
                return {
                    "digest": people.version.artifact_digest,
                    "environment": people.environment.name,
                }

        def status() -> int:
            return ask(Asked(), ENFORCE).status_code

        assert status() == 403
        review = people.submit()
        assert status() == 409
        people.validate(review)
        people.sign(review, people.validator)
        assert status() == 409
        people.sign(review, people.officer)
        assert status() == 200
        owner = factories.actor_of(factories.make_user(None, Role.OWNER))
        people.version.refresh_from_db()
        services.reopen_version(people.version, reason="new facts", actor=owner)
        assert status() == 403
        people.approve()
        assert status() == 200


class TestRecord:
    def test_each_decision_is_a_row_and_an_entry(self, world, ask):
        body = ask(world, run_id="r-7").json()
        row = GateDecision.objects.get(pk=body["id"])
        assert row.asked_by == world.pipeline
        assert row.attestation == body["attestation"]
        (entry,) = worlds.entries("governance.gate_decision.made")
        assert entry.object_id == body["id"]
        assert entry.at == row.decided_at
        assert entry.public["answer"] == "allow"
        assert entry.public["artifact_digest"] == world.version.artifact_digest
        assert entry.public["denied_by"] == []
        assert "r-7" not in json.dumps(entry.content)

    def test_a_denial_names_what_denied_in_the_log(self, world, ask):
        worlds.make_breach(world)
        ask(world)
        entry = worlds.entries("governance.gate_decision.made")[-1]
        assert entry.public["denied_by"] == ["gate.no_open_breach"]

    def test_its_types_are_in_the_catalogue(self):
        names = {one.name for one in all_types()}
        assert "governance.gate_decision.made" in names

    def test_reading_them_back(self, world, ask, client):
        body = ask(world).json()
        ask(world, digest="0" * 64)
        listed = client.get(DECISIONS, headers=world.headers).json()["results"]
        assert [one["decision"] for one in listed] == ["deny", "allow"]
        denied = client.get(f"{DECISIONS}?decision=deny", headers=world.headers).json()["results"]
        assert len(denied) == 1
        one = client.get(f"{DECISIONS}{body['id']}/", headers=world.headers).json()
        assert one == body
        outsider = factories.bearer(factories.make_service_account())
        assert client.get(f"{DECISIONS}{body['id']}/", headers=outsider).status_code == 404
        assert client.get(DECISIONS, headers=outsider).json()["results"] == []


class TestWhoMayAsk:
    def test_nobody_without_a_token(self, world, client):
        for path in (DECISIONS, ENFORCE):
            response = client.post(path, world.question(), content_type="application/json")
            assert response.status_code == 401

    def test_no_token_without_the_scope(self, world, ask):
        wrong = factories.bearer(world.pipeline, "read", "register")
        assert ask(world, headers=wrong).status_code == 403
        assert ask(world, ENFORCE, headers=wrong).status_code == 403

    def test_a_token_for_the_gate_alone_is_enough(self, world, ask):
        assert ask(world, headers=factories.bearer(world.pipeline, "gate")).status_code == 200

    @pytest.mark.parametrize("role", [Role.AUDITOR, Role.VALIDATOR, Role.ADMINISTRATOR])
    def test_who_reads_but_may_not_ask_is_refused_on_record(self, world, ask, role):
        headers = factories.bearer(factories.make_user(None, role))
        assert ask(world, headers=headers).status_code == 403
        assert ask(world, ENFORCE, headers=headers).status_code == 403
        refused = worlds.entries("audit.write.refused")
        assert [entry.public["code"] for entry in refused] == ["not_permitted"] * 2
        assert GateDecision.objects.count() == 0

    def test_to_an_outsider_the_version_is_not_there(self, world, ask):
        headers = factories.bearer(factories.make_service_account(), "gate")
        body = ask(world, headers=headers).json()
        assert body["decision"] == "deny"
        assert "belongs to no version" in body["summary"]
        assert body["model"] is None
        assert ask(world, ENFORCE, headers=headers).status_code == 403

    def test_who_asks_for_one_model_is_not_told_of_the_other_with_the_same_bytes(self, world, ask):
        other = factories.make_version(artifact_digest=world.version.artifact_digest)
        account = factories.make_service_account()
        services.grant_role(
            account,
            Role.OPERATOR,
            world.version.model,
            actor=factories.actor_of(factories.make_user(None, Role.ADMINISTRATOR)),
        )
        body = ask(world, headers=factories.bearer(account)).json()
        assert body["decision"] == "deny"
        assert other.model.name not in json.dumps(body)
        named = ask(world, headers=factories.bearer(account), model=world.version.model.name)
        assert named.json()["decision"] == "allow"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"environment": None}, "environment"),
        ({"environment": 7}, "environment"),
        ({"digest": "xyz"}, "digest"),
        ({"digest": None}, "digest"),
        ({"digest": 5}, "digest"),
        ({"number": 1}, "model"),
        ({"number": "1", "model": "m"}, "number"),
        ({"number": 0, "model": "m"}, "number"),
        ({"purpose": "party"}, "purpose"),
        ({"enviroment": "typo"}, "enviroment"),
        ({"run_id": "x" * 201}, "run_id"),
        ({"use": "a\x00b"}, "use"),
    ],
)
def test_malformed_questions_are_400_and_name_the_field(world, client, change, field):
    question = {k: v for k, v in {**world.question(), **change}.items() if v is not None}
    for path in (DECISIONS, ENFORCE):
        response = client.post(
            path, question, content_type="application/json", headers=world.headers
        )
        assert response.status_code == 400
        assert response["Content-Type"] == "application/problem+json"
        assert field in [error["field"] for error in response.json()["errors"]]
    assert GateDecision.objects.count() == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"digest":NaN}', b"\xff"])
def test_what_is_no_question_at_all(world, client, body):
    response = client.post(ENFORCE, body, content_type="application/json", headers=world.headers)
    assert response.status_code == 400


class TestCannotDecide:
    @pytest.mark.parametrize("path", [DECISIONS, ENFORCE])
    @pytest.mark.parametrize(
        "error", [RuntimeError("bug"), OperationalError("locked"), KeyError("x")]
    )
    @pytest.mark.parametrize(
        "where",
        [
            "governance.services.gate.decide",
            "governance.services.gate.attestations.sign",
            "governance.services.gate.record",
            "governance.facts.standing_facts",
            "governance.models.GateDecision.save",
        ],
    )
    def test_whatever_fails_is_503(self, world, ask, monkeypatch, path, error, where):
        def fail(*args, **kwargs):
            raise error

        monkeypatch.setattr(where, fail)
        response = ask(world, path)
        assert response.status_code == 503
        assert response["Content-Type"] == "application/problem+json"
        assert b'allow"' not in response.content
        monkeypatch.undo()
        assert GateDecision.objects.count() == 0

    @pytest.mark.django_db(transaction=True)
    def test_a_database_that_cannot_be_written(self, ask):
        world = worlds.make_world()
        worlds.approve(world)
        ask(world)
        switch = {
            "sqlite": "PRAGMA query_only = {}",
            "postgresql": "SET default_transaction_read_only = {}",
        }[connection.vendor]
        with connection.cursor() as cursor:
            cursor.execute(switch.format("on"))
            try:
                assert ask(world).status_code == 503
                assert ask(world, ENFORCE).status_code == 503
            finally:
                cursor.execute(switch.format("off"))
        assert ask(world, ENFORCE).status_code == 200

    def test_a_dossier_that_is_not_what_its_digest_says(self, world, ask):
        from governance import dossiers

        dossiers._read.cache_clear()
        world.version.dossiers.update(document=b"{}")
        assert ask(world, ENFORCE).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_a_version_that_changes_meanwhile_is_asked_about_again(ask, monkeypatch):
    world = worlds.make_world()
    worlds.approve(world)
    real, calls = gate.decide, []

    def slow(*args):
        calls.append(args)
        if len(calls) == 1:
            suspensions.suspend(
                world.version,
                use=world.use,
                environment=world.environment,
                effect="stop",
                reason="meanwhile",
                actor=factories.actor_of(world.operator),
            )
        return real(*args)

    monkeypatch.setattr(gate, "decide", slow)
    assert ask(world).json()["decision"] == "deny"
    assert len(calls) == 2
    assert GateDecision.objects.count() == 1


class TestIdempotency:
    def test_the_same_key_gets_the_same_decision(self, world, ask):
        headers = {**world.headers, "Idempotency-Key": "run-1"}
        first, second = ask(world, headers=headers), ask(world, headers=headers)
        assert first.json() == second.json()
        assert GateDecision.objects.count() == 1
        other = ask(world, headers=headers, digest="0" * 64)
        assert other.status_code == 422

    def test_an_allow_that_has_run_out_is_never_given_again(self, world, ask):
        headers = {**world.headers, "Idempotency-Key": "run-1"}
        world.version.approvals.update(valid_until=now() + timedelta(milliseconds=300))
        assert ask(world, ENFORCE, headers=headers).status_code == 200
        world.version.approvals.update(valid_until=now() - timedelta(days=1))
        from accounts.models import IdempotencyRecord

        kept = IdempotencyRecord.objects.get()
        body = json.loads(bytes(kept.body)) | {"not_after": rfc3339(now() - timedelta(days=1))}
        IdempotencyRecord.objects.update(body=json.dumps(body).encode())
        assert ask(world, ENFORCE, headers=headers).status_code == 403

    def test_pending_is_decided_anew(self, ask):
        world = worlds.make_world()
        headers = {**world.headers, "Idempotency-Key": "run-1"}
        review = worlds.submit(world)
        assert ask(world, ENFORCE, headers=headers).status_code == 409
        worlds.approve(world, review)
        assert ask(world, ENFORCE, headers=headers).status_code == 200

    def test_a_denial_stays_a_denial(self, world, ask):
        headers = {**world.headers, "Idempotency-Key": "run-1"}
        for _ in range(2):
            response = ask(world, ENFORCE, headers=headers, digest="0" * 64)
            assert response.status_code == 403
            assert response["Content-Type"].startswith("application/json")


def test_without_its_slash_enforce_is_no_redirect(world, client):
    response = client.post(
        ENFORCE.rstrip("/"),
        world.question(digest="0" * 64),
        content_type="application/json",
        headers=world.headers,
    )
    assert response.status_code == 403


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "patch", "delete"])
def test_no_other_method_of_enforce_answers_below_400(world, client, method):
    for path in (ENFORCE, ENFORCE.rstrip("/")):
        assert getattr(client, method)(path, headers=world.headers).status_code >= 400


class TestMissingEvidence:
    """The matrix of 22, this time asked over REST of an approved version under the shipped policy."""

    @pytest.fixture
    def judged_on(self, monkeypatch):
        def use(change=None):
            facts = copy.deepcopy(sample.good())
            when = rfc3339(now() - timedelta(days=3))
            for run in facts["runs"]:
                run["finished_at"] = when
            if change is not None:
                change(facts)
            monkeypatch.setattr("governance.dossiers.facts", lambda *args: facts)

        return use

    @pytest.fixture
    def shipped(self):
        world = worlds.make_world(source=sample.SHIPPED.read_text())
        worlds.approve(world)
        return world

    def test_whole_it_is_allowed(self, shipped, ask, judged_on):
        judged_on()
        assert ask(shipped, ENFORCE).status_code == 200

    @pytest.mark.parametrize("name", MUTATIONS)
    def test_each_mutation_is_denied(self, shipped, ask, judged_on, name):
        control, mutate = MUTATIONS[name]
        judged_on(mutate)
        enforced = ask(shipped, ENFORCE)
        assert enforced.status_code == 403
        assert control in denying(enforced.json())
        assert ask(shipped).json()["decision"] == "deny"


questions = st.fixed_dictionaries(
    {},
    optional={
        "digest": st.sampled_from(["known", "0" * 64, "sha256:known", "", 7, None]),
        "model": st.sampled_from(["known", "other", "", None, 3]),
        "number": st.sampled_from([1, 2, 0, "1", None, 2**40]),
        "environment": st.sampled_from(["known", "nowhere", "", None, []]),
        "use": st.sampled_from(["default", "other", "", None, {}]),
        "purpose": st.sampled_from(["deploy", "rollback", "restart", "x", None]),
        "run_id": st.text(max_size=5),
    },
)
states = st.sampled_from(["approved", "none", "suspended", "breached", "reopened", "open"])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(question=questions, state=states)
def test_enforce_is_200_for_allow_and_else_never_below_400(client, question, state):
    world = _world_in(state)
    known = {
        "digest": world.version.artifact_digest,
        "model": world.version.model.name,
        "environment": world.environment.name,
    }
    asked = {
        name: value.replace("known", known[name])
        if isinstance(value, str) and name in known
        else value
        for name, value in question.items()
    }
    response = client.post(ENFORCE, asked, content_type="application/json", headers=world.headers)
    if response.status_code < 400:
        assert response.status_code == 200
        assert response.json()["decision"] == "allow"
        assert response.json()["verdict"] == "PASSED"
        assert state == "approved"
    else:
        assert response.status_code in (400, 403, 409)
        assert b'"decision":"allow"' not in response.content


def _world_in(state):
    world = worlds.make_world()
    if state == "open":
        worlds.submit(world)
    elif state != "none":
        worlds.approve(world)
    world.refresh()
    if state == "suspended":
        suspensions.suspend(
            world.version,
            use=world.use,
            environment=world.environment,
            effect="no_new_deployment",
            reason="x",
            actor=factories.actor_of(world.operator),
        )
    elif state == "breached":
        worlds.make_breach(world)
    elif state == "reopened":
        services.reopen_version(world.version, reason="x", actor=factories.actor_of(world.owner))
    return world
