"""What the gate signs and puts on record, and the same gate followed through what people do."""

import base64
import json
from datetime import timedelta

import pytest
from countersign_client.verifying import verify_attestation

from accounts.models import Role
from audit.catalogue import all_types
from governance import attestations
from governance.models import GateDecision
from kernel.moments import parse_rfc3339
from registry import services
from tests import factories
from tests.governance import support
from tests.governance import world as worlds
from tests.governance.asking import (
    DECISIONS,
    ENFORCE,
    ask,
    ask_raw,
    published_pem,
    statement_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    made = worlds.make_world()
    worlds.approve(made)
    made.refresh()
    return made


class TestAttestation:
    def test_it_binds_artifact_place_and_time_and_verifies_by_the_published_key(
        self, world, client
    ):
        body = ask(world, run_id="run-1").json()
        statement = statement_of(body)
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

    def test_the_key_set_names_the_key_that_signed(self, world, client):
        body = ask(world).json()
        published = client.get("/.well-known/countersign/jwks.json").json()["keys"]
        assert body["attestation"]["signatures"][0]["keyid"] in [key["kid"] for key in published]

    def test_the_client_verifies_it_with_nothing_but_the_key(self, world, client):
        body = ask(world).json()
        pem = published_pem()
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

    def test_another_environment_in_the_payload_breaks_the_signature(self, world, client):
        body = ask(world).json()
        payload = base64.b64decode(body["attestation"]["payload"])
        forged = payload.replace(world.environment.name.encode(), b"elsewhere")
        body["attestation"]["payload"] = base64.b64encode(forged).decode()
        with pytest.raises(attestations.Invalid):
            statement_of(body)

    def test_asking_again_in_the_same_run_supersedes(self, world, client):
        first = ask(world, run_id="r").json()
        second = statement_of(ask(world, run_id="r").json())
        said = second["predicate"][attestations.EXTENSION]
        assert said["supersedes"] == first["id"]
        other = statement_of(ask(world, run_id="s").json())
        assert other["predicate"][attestations.EXTENSION]["supersedes"] is None

    def test_without_any_digest_there_is_nothing_to_sign_over(self, world):
        question = {"model": "no-such", "version": 3, "environment": world.environment.name}
        body = ask_raw(world, question).json()
        assert body["decision"] == "deny"
        assert body["attestation"] is None


class TestThroughPeople:
    """The same gate, opened and closed by what people do through their own services."""

    def test_submitted_validated_signed_reopened(self):
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
    def test_each_decision_is_a_row_and_an_entry(self, world):
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

    def test_a_denial_names_what_denied_in_the_log(self, world):
        worlds.make_breach(world)
        ask(world)
        entry = worlds.entries("governance.gate_decision.made")[-1]
        assert entry.public["denied_by"] == ["gate.no_open_breach"]

    def test_its_types_are_in_the_catalogue(self):
        names = {one.name for one in all_types()}
        assert "governance.gate_decision.made" in names

    def test_reading_them_back(self, world, client):
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
