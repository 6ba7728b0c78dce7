"""The gate never errs towards yes: who may ask, malformed questions, failures, replays, missing evidence."""

import copy
import json
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import IdempotencyRecord, Role
from governance import dossiers
from governance.models import GateDecision
from governance.services import approvals, gate, suspensions
from kernel.moments import now, rfc3339
from registry import services
from tests import factories
from tests.governance import facts as sample
from tests.governance import world as worlds
from tests.governance.asking import DECISIONS, ENFORCE, ask, denying
from tests.governance.test_missing_evidence import MUTATIONS

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    made = worlds.make_world()
    worlds.approve(made)
    made.refresh()
    return made


class TestWhoMayAsk:
    def test_nobody_without_a_token(self, world, client):
        for path in (DECISIONS, ENFORCE):
            response = client.post(path, world.question(), content_type="application/json")
            assert response.status_code == 401

    def test_no_token_without_the_scope(self, world):
        wrong = factories.bearer(world.pipeline, "read", "register")
        assert ask(world, headers=wrong).status_code == 403
        assert ask(world, ENFORCE, headers=wrong).status_code == 403

    def test_a_token_for_the_gate_alone_is_enough(self, world):
        assert ask(world, headers=factories.bearer(world.pipeline, "gate")).status_code == 200

    @pytest.mark.parametrize("role", [Role.AUDITOR, Role.VALIDATOR, Role.ADMINISTRATOR])
    def test_who_reads_but_may_not_ask_is_refused_on_record(self, world, role):
        headers = factories.bearer(factories.make_user(None, role))
        assert ask(world, headers=headers).status_code == 403
        assert ask(world, ENFORCE, headers=headers).status_code == 403
        refused = worlds.entries("audit.write.refused")
        assert [entry.public["code"] for entry in refused] == ["not_permitted"] * 2
        assert GateDecision.objects.count() == 0

    def test_to_an_outsider_the_version_is_not_there(self, world):
        headers = factories.bearer(factories.make_service_account(), "gate")
        body = ask(world, headers=headers).json()
        assert body["decision"] == "deny"
        assert "belongs to no version" in body["summary"]
        assert body["model"] is None
        assert ask(world, ENFORCE, headers=headers).status_code == 403

    def test_who_asks_for_one_model_is_not_told_of_the_other_with_the_same_bytes(self, world):
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
        ({"version": 1}, "model"),
        ({"version": "1", "model": "m"}, "version"),
        ({"version": 0, "model": "m"}, "version"),
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
            "governance.facts.facts_of_standing",
            "governance.models.GateDecision.save",
        ],
    )
    def test_whatever_fails_is_503(self, world, monkeypatch, path, error, where):
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
    def test_a_database_that_cannot_be_written(self):
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

    def test_a_dossier_that_is_not_what_its_digest_says(self, world):
        dossiers._read.cache_clear()
        world.version.dossiers.update(document=b"{}")
        assert ask(world, ENFORCE).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_a_version_that_changes_meanwhile_is_asked_about_again(monkeypatch):
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
    def test_the_same_key_gets_the_same_decision(self, world):
        headers = {**world.headers, "Idempotency-Key": "run-1"}
        first, second = ask(world, headers=headers), ask(world, headers=headers)
        assert first.json() == second.json()
        assert GateDecision.objects.count() == 1
        other = ask(world, headers=headers, digest="0" * 64)
        assert other.status_code == 422

    def test_an_allow_that_has_run_out_is_never_given_again(self, world):
        headers = {**world.headers, "Idempotency-Key": "run-1"}
        world.version.approvals.update(valid_until=now() + timedelta(milliseconds=300))
        assert ask(world, ENFORCE, headers=headers).status_code == 200
        world.version.approvals.update(valid_until=now() - timedelta(days=1))
        kept = IdempotencyRecord.objects.get()
        body = json.loads(bytes(kept.body)) | {"not_after": rfc3339(now() - timedelta(days=1))}
        IdempotencyRecord.objects.update(body=json.dumps(body).encode())
        assert ask(world, ENFORCE, headers=headers).status_code == 403

    @pytest.mark.parametrize("path", [DECISIONS, ENFORCE])
    @pytest.mark.parametrize("end", ["suspended", "breached", "reopened", "revoked"])
    def test_an_allow_that_holds_no_more_is_not_given_again(self, world, path, end):
        headers = {**world.headers, "Idempotency-Key": "run-1"}
        assert ask(world, path, headers=headers).json()["decision"] == "allow"
        officer = factories.actor_of(world.risk_officer)
        if end == "suspended":
            suspensions.suspend(
                **world.place, effect="no_new_deployment", reason="harm", actor=officer
            )
        elif end == "breached":
            worlds.make_breach(world)
        elif end == "reopened":
            owner = factories.actor_of(world.owner)
            services.reopen_version(world.version, reason="new facts", actor=owner)
        else:
            approvals.revoke_approval(world.version.approvals.get(), reason="no", actor=officer)
        answer = ask(world, path, headers=headers)
        assert answer.json()["decision"] == "deny"
        assert answer.status_code == (403 if path == ENFORCE else 200)

    def test_an_allow_that_holds_is_given_again_by_whatever_way_it_was_asked(self, world):
        headers = {**world.headers, "Idempotency-Key": "run-1"}
        first, second = (ask(world, ENFORCE, headers=headers) for _ in range(2))
        assert second.headers["Idempotency-Replayed"] == "true"
        assert first.json() == second.json()

    def test_pending_is_decided_anew(self):
        world = worlds.make_world()
        headers = {**world.headers, "Idempotency-Key": "run-1"}
        review = worlds.submit(world)
        assert ask(world, ENFORCE, headers=headers).status_code == 409
        worlds.approve(world, review)
        assert ask(world, ENFORCE, headers=headers).status_code == 200

    def test_a_denial_stays_a_denial(self, world):
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

    def test_whole_it_is_allowed(self, shipped, judged_on):
        judged_on()
        assert ask(shipped, ENFORCE).status_code == 200

    @pytest.mark.parametrize("name", MUTATIONS)
    def test_each_mutation_is_denied(self, shipped, judged_on, name):
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
        "version": st.sampled_from([1, 2, 0, "1", None, 2**40]),
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
