"""The registry over REST: the story of a pipeline, what each answers, and who sees what."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Role, User
from registry import services
from registry.models import Deployment, ModelVersion, RegisteredModel
from registry.store import open_blob, store
from tests import factories as f
from tests.registry.support import entries, fields_of, refusals

pytestmark = pytest.mark.django_db
API = "/api/v1/"
JSON = "application/json"


class Caller:
    """A client with a token."""

    def __init__(self, user: User, *scopes: str) -> None:
        self.user, self.headers, self.client = user, f.bearer(user, *scopes), Client()

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(API + path, query, headers=self.headers)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return self.client.post(API + path, body, JSON, headers=self.headers | headers)

    def patch(self, path: str, body: Any) -> Any:
        return self.client.patch(API + path, body, JSON, headers=self.headers)

    def put(self, path: str, data: bytes, kind: str = "application/octet-stream") -> Any:
        return self.client.put(API + path, data, kind, headers=self.headers)

    def send(self, path: str, **parts: Any) -> Any:
        return self.client.post(API + path, parts, headers=self.headers)


@pytest.fixture
def alice() -> Caller:
    return Caller(f.make_user("alice", Role.DEVELOPER, Role.OWNER))


def model_body(**fields: Any) -> dict[str, Any]:
    entity, portfolio = f.make_legal_entity(), f.make_portfolio()
    return {
        "name": "income-screening",
        "title": "Income screening",
        "kind": "machine_learned",
        "portfolio": portfolio.slug,
        "legal_entity": entity.slug,
        "use": {
            "purpose": "Rank files",
            "affected_people": "Adults",
            "operator_role": "provider",
            "legal_entity": entity.slug,
            "tier": 2,
            "tier_reason": "a person decides",
        },
    } | fields


def version_body(**fields: Any) -> dict[str, Any]:
    return {
        "artifact_name": "m.onnx",
        "artifact_digest": f.digest_of(f.unique("artifact")),
        "code_commit": "1" * 40,
    } | fields


def test_a_pipeline_registers_everything_and_reads_it_back(alice: Caller) -> None:
    made = alice.post("models/", model_body(columns={"label": "y"}))
    assert made.status_code == 201, made.content
    assert made.json()["uses"][0]["tier"] == 2
    assert made.json()["created_by"]["username"] == "alice"
    data = alice.post(
        "datasets/",
        {"name": "train", "title": "T", "digest": "a" * 64, "contains_personal_data": True},
    )
    assert data.status_code == 201, data.content
    version = alice.post(
        "models/income-screening/versions/",
        version_body(
            artifact_digest="sha256:" + "b" * 64,
            datasets=[{"name": "train", "purpose": "training"}],
            claims=[{"metric": "accuracy", "value": 0.9}],
            parameters={"trees": 10},
        ),
    )
    assert version.status_code == 201, version.content
    body = version.json()
    assert (body["number"], body["artifact_digest"], body["revision"]) == (1, "b" * 64, 1)
    assert body["datasets"] == [{"name": "train", "digest": "a" * 64, "purpose": "training"}]
    one = "models/income-screening/versions/1/"
    assert alice.get(one).json() == body
    evidence = alice.post(
        f"{one}evidence/", {"kind": "model_card", "name": "Card", "document": {"limits": ["x"]}}
    )
    assert evidence.status_code == 201, evidence.content
    changed = alice.patch(one, {"description": "Now told"})
    assert changed.json()["revision"] == 3
    for path, count in (("models/", 1), (f"{one}evidence/", 1), ("datasets/", 1)):
        assert len(alice.get(path).json()["results"]) == count


def test_bytes_are_hashed_on_the_way_in(alice: Caller) -> None:
    model = f.make_model()
    artifact = SimpleUploadedFile("net.pkl", b"\x80\x04 bytes", "application/octet-stream")
    record = '{"code_commit": "abc1234"}'
    answer = alice.send(f"models/{model.name}/versions/", artifact=artifact, record=record)
    assert answer.status_code == 201, answer.content
    version = ModelVersion.objects.get()
    assert (version.artifact_format, version.artifact_name) == ("pickle", "net.pkl")
    assert open_blob(version.artifact_digest, verify=True).read() == b"\x80\x04 bytes"


def test_the_record_may_come_as_a_file_part(alice: Caller) -> None:
    model = f.make_model()
    answer = alice.send(
        f"models/{model.name}/versions/",
        artifact=SimpleUploadedFile("m.onnx", b"bytes"),
        record=SimpleUploadedFile("record.json", b'{"code_commit": "abc1234"}', JSON),
    )
    assert answer.status_code == 201, answer.content
    assert len(list(store().digests())) >= 1


def test_a_digest_comes_first_and_its_bytes_later(alice: Caller) -> None:
    version = f.make_version(artifact_digest=f.digest_of("the bytes"))
    path = f"models/{version.model.name}/versions/1/artifact/"
    wrong = alice.put(path, b"other bytes")
    assert (wrong.status_code, fields_of(wrong)) == (422, ["artifact"])
    right = alice.put(path, b"the bytes")
    assert right.status_code == 200, right.content
    assert right.json()["artifact_stored"] is True


def test_evidence_goes_in_as_a_file_and_out_as_an_attachment(alice: Caller) -> None:
    version = f.make_version()
    path = f"models/{version.model.name}/versions/1/evidence/"
    page = b"<script>alert(1)</script>"
    made = alice.send(
        path, kind="test_report", file=SimpleUploadedFile("r\u00e9port.html", page, "text/html")
    )
    assert made.status_code == 201, made.content
    content = alice.get(f"{path}{made.json()['id']}/content/")
    assert b"".join(content.streaming_content) == page
    assert content["Content-Disposition"].startswith("attachment")
    assert content["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in content["Content-Security-Policy"]
    assert content["Repr-Digest"].startswith("sha-256=:")


def test_a_page_uploads_with_its_session_and_csrf_token() -> None:
    version = f.make_version()
    client = Client(enforce_csrf_checks=True)
    client.force_login(f.make_user(None, Role.VALIDATOR))
    path = f"{API}models/{version.model.name}/versions/1/evidence/"

    def parts() -> dict[str, Any]:
        file = SimpleUploadedFile("n.txt", b"seen", "text/plain")
        return {"kind": "note", "name": "N", "file": file}

    assert client.post(path, parts()).status_code == 403
    client.cookies["csrftoken"] = "t" * 32
    answer = client.post(path, parts(), headers={"X-CSRFToken": "t" * 32})
    assert answer.status_code == 201, answer.content
    assert answer.json()["digest"] == f.digest_of("seen")


def test_damaged_evidence_is_not_handed_out(alice: Caller) -> None:
    row = f.make_evidence(f.make_version(), stored=f.store_bytes(f.unique("sound").encode()))
    place = store().path(row.blob_id)
    place.chmod(0o600)
    place.write_bytes(b"altered")
    path = f"models/{row.version.model.name}/versions/1/evidence/{row.pk}/content/"
    answer = alice.get(path)
    assert answer.status_code == 500
    assert "altered" not in answer.content.decode()


def test_data_is_read_for_its_rows_and_columns_and_never_handed_out(alice: Caller) -> None:
    answer = alice.send(
        "datasets/",
        record='{"name": "train", "title": "T", "contains_personal_data": false}',
        file=SimpleUploadedFile("t.csv", b"age,sex\n1,F\n2,M\n"),
    )
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert (body["rows"], body["media_type"], body["stored"]) == (2, "text/csv", True)
    assert body["columns"] == [{"name": "age", "type": "int64"}, {"name": "sex", "type": "string"}]
    assert alice.get("datasets/train/content/").status_code in (403, 405)


def test_data_by_digest_gets_its_bytes_later(alice: Caller) -> None:
    data = b"a,b\n1,2\n"
    f.make_dataset("later", digest=f.digest_of(data.decode()), media_type="text/csv")
    wrong = alice.put("datasets/later/content/", b"a,b\n9,9\n")
    assert (wrong.status_code, fields_of(wrong)) == (422, ["file"])
    right = alice.put("datasets/later/content/", data)
    assert (right.status_code, right.json()["rows"]) == (200, 1)


def test_lineage_is_told(alice: Caller) -> None:
    f.make_dataset("raw", digest="1" * 64)
    body = {
        "name": "clean",
        "title": "C",
        "digest": "2" * 64,
        "contains_personal_data": False,
        "sources": [{"dataset": "raw", "transformation": "adults only"}],
    }
    assert alice.post("datasets/", body).status_code == 201
    told = alice.get("datasets/clean/").json()["sources"]
    assert told == [{"dataset": "raw", "digest": "1" * 64, "transformation": "adults only"}]


def test_modes_over_rest_take_two_people() -> None:
    rita = Caller(f.make_user("rita", Role.RISK_OFFICER))
    ross = Caller(f.make_user("ross", Role.RISK_OFFICER))
    made = rita.post(
        "environments/", {"name": "prod", "title": "P", "mode": "enforce", "position": 2}
    )
    assert made.status_code == 201, made.content
    proposed = rita.post("environments/prod/mode/", {"mode": "warn", "reason": "fire"})
    assert proposed.status_code == 202
    agreed = {"proposal": proposed.json()["proposal"]}
    assert rita.post("environments/prod/mode/second/", agreed).status_code == 403
    assert rita.get("environments/").json()["results"][0]["mode"] == "enforce"
    second = ross.post("environments/prod/mode/second/", agreed)
    assert (second.status_code, second.json()["seconded_by"]["username"]) == (201, "ross")
    assert ross.get("environments/").json()["results"][0]["mode"] == "warn"
    assert len(ross.get("environments/prod/mode/").json()["results"]) == 2


def test_a_pipeline_records_a_deployment_by_digest_alone() -> None:
    version, _ = f.make_version(), f.make_environment("prod")
    pipeline = Caller(f.make_service_account("cd", Role.OPERATOR), "deploy")
    body = {"artifact_digest": version.artifact_digest, "environment": "prod"}
    answer = pipeline.post("deployments/", body)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert (told["model"], told["version"], told["kind"]) == (version.model.name, 1, "champion")
    assert pipeline.get("deployments/").status_code == 403
    reader = Caller(f.make_user(None, Role.AUDITOR))
    live = reader.get("deployments/", live="true", environment="prod").json()["results"]
    assert [one["id"] for one in live] == [told["id"]]
    ended = pipeline.post(f"deployments/{told['id']}/end/", {})
    assert ended.json()["live_until"] is not None
    assert reader.get("deployments/", live="true").json()["results"] == []


def test_a_digest_of_two_models_needs_the_name() -> None:
    version, _ = f.make_version(), f.make_environment("prod")
    f.make_version(artifact_digest=version.artifact_digest)
    pipeline = Caller(f.make_user(None, Role.OPERATOR))
    body = {"artifact_digest": version.artifact_digest, "environment": "prod"}
    answer = pipeline.post("deployments/", body)
    assert (answer.status_code, fields_of(answer)) == (409, ["model"])
    assert pipeline.post("deployments/", body | {"model": version.model.name}).status_code == 201


def test_the_same_question_gets_the_same_answer(alice: Caller) -> None:
    model = f.make_model()
    path, body = f"models/{model.name}/versions/", version_body()
    first = alice.post(path, body, **{"Idempotency-Key": "k1"})
    second = alice.post(path, body, **{"Idempotency-Key": "k1"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert ModelVersion.objects.count() == 1
    other = alice.post(path, version_body(), **{"Idempotency-Key": "k1"})
    assert other.status_code == 422


def test_uses_tiers_columns_stakeholders_and_roles(alice: Caller) -> None:
    model = f.make_model()
    base = f"models/{model.name}/"
    entity = model.legal_entity.slug
    use = {
        "name": "triage",
        "purpose": "P",
        "affected_people": "A",
        "operator_role": "deployer",
        "legal_entity": entity,
    }
    assert alice.post(f"{base}uses/", use).json()["tier"] == 1
    assert alice.patch(f"{base}uses/triage/", {"purpose": "Q"}).json()["purpose"] == "Q"
    assert len(alice.get(f"{base}uses/").json()["results"]) == 2
    tier = {"tier": 3, "reason": "low stakes"}
    assert alice.post(f"{base}uses/triage/tiers/", tier).status_code == 403
    rita = Caller(f.make_user(None, Role.RISK_OFFICER))
    assert rita.post(f"{base}uses/triage/tiers/", tier).status_code == 201
    told = rita.get(f"{base}uses/triage/tiers/").json()["results"]
    assert [one["tier"] for one in told] == [3, 1]
    assert alice.post(f"{base}uses/triage/retire/", {"reason": "over"}).json()["retired_at"]
    assert alice.post(f"{base}columns/", {"label": "y"}).status_code == 201
    assert alice.get(f"{base}columns/").json()["results"][0]["columns"] == {"label": "y"}
    person = alice.post(f"{base}stakeholders/", {"name": "N", "interest": "I"}).json()
    ended = alice.post(f"{base}stakeholders/{person['id']}/end/", {})
    assert ended.json()["until"] is not None
    assert alice.patch(base, {"title": "New"}).json()["title"] == "New"
    admin = Caller(f.make_user(None, Role.ADMINISTRATOR))
    f.make_user("vera")
    grant = admin.post(f"{base}grants/", {"user": "vera", "role": "validator"})
    assert grant.status_code == 201, grant.content
    assert admin.post(f"grants/{grant.json()['id']}/end/", {}).json()["until"] is not None
    assert admin.get(f"{base}grants/", current="true").json()["results"] == []
    place = f"portfolios/{model.portfolio.slug}/grants/"
    assert admin.post(place, {"user": "vera", "role": "validator"}).status_code == 201
    assert admin.get(place, role="validator").json()["results"][0]["portfolio"]
    assert alice.post(f"{base}retire/", {"reason": "over"}).json()["retired_at"]


def test_the_organisation_is_for_administrators_and_risk_officers(alice: Caller) -> None:
    admin = Caller(f.make_user(None, Role.ADMINISTRATOR))
    for path in ("portfolios/", "legal-entities/"):
        body = {"slug": "new", "name": "New"}
        assert alice.post(path, body).status_code == 403
        assert admin.post(path, body).status_code == 201
        again = admin.post(path, body)
        assert (again.status_code, fields_of(again)) == (409, ["slug"])
        assert "new" in [one["slug"] for one in alice.get(path).json()["results"]]


class TestSight:
    def test_an_outsider_sees_nothing_and_cannot_tell_what_there_is(self) -> None:
        version = f.make_version()
        row = f.make_evidence(version)
        carol = Caller(f.make_user("carol"))
        base = f"models/{version.model.name}/"
        for path in (
            base,
            f"{base}uses/",
            f"{base}uses/default/",
            f"{base}columns/",
            f"{base}stakeholders/",
            f"{base}grants/",
            f"{base}versions/",
            f"{base}versions/1/",
            f"{base}versions/1/evidence/",
            f"{base}versions/1/evidence/{row.pk}/content/",
        ):
            assert carol.get(path).status_code == 404, path
        f.make_dataset("secret")
        assert carol.get("datasets/secret/").status_code == 404
        for path in ("models/", "datasets/", "deployments/"):
            assert carol.get(path).json()["results"] == []

    def test_writes_of_an_outsider_find_nothing_to_write_to(self) -> None:
        version = f.make_version()
        carol = Caller(f.make_user("carol"))
        base = f"models/{version.model.name}/"
        assert carol.patch(base, {"title": "x"}).status_code == 404
        assert carol.post(f"{base}versions/", version_body()).status_code == 404
        assert carol.put(f"{base}versions/1/artifact/", b"x").status_code == 404
        assert ModelVersion.objects.count() == 1

    def test_a_reader_is_refused_before_the_first_byte_and_on_record(self) -> None:
        version = f.make_version()
        auditor = Caller(f.make_user(None, Role.AUDITOR))
        before = set(store().digests())
        path = f"models/{version.model.name}/versions/1/"
        answer = auditor.send(
            f"{path}evidence/", kind="x", file=SimpleUploadedFile("x", b"never kept")
        )
        assert answer.status_code == 403
        assert auditor.put(f"{path}artifact/", b"never kept").status_code == 403
        assert auditor.send("datasets/", record="{}").status_code == 403
        assert set(store().digests()) == before
        assert [one["code"] for one in refusals()] == ["not_permitted"] * 3

    def test_a_role_on_one_model_shows_it_and_its_data(self) -> None:
        data = f.make_dataset("mine")
        f.make_dataset("other")
        version = f.make_version(datasets=[services.DatasetLink(data, "training")])
        f.make_version()
        admin = f.actor_of(f.make_user(None, Role.ADMINISTRATOR))
        bob = f.make_user("bob")
        services.grant_role(bob, Role.VALIDATOR, version.model, actor=admin)
        caller = Caller(bob)
        shown = [one["name"] for one in caller.get("models/").json()["results"]]
        assert shown == [version.model.name]
        assert [one["name"] for one in caller.get("datasets/").json()["results"]] == ["mine"]
        body = {"name": "new", "title": "T", "digest": "9" * 64, "contains_personal_data": False}
        assert caller.post("datasets/", body).status_code == 403
        made = caller.post(f"datasets/?model={version.model.name}", body)
        assert made.status_code == 201, made.content

    def test_nobody_is_nobody(self) -> None:
        assert Client().get(f"{API}models/").status_code == 401
        assert Client().post(f"{API}models/", {}, JSON).status_code == 401

    def test_a_token_without_the_scope_is_told_which(self) -> None:
        gate = Caller(f.make_user(None, Role.DEVELOPER), "gate")
        answer = gate.get("models/")
        assert answer.status_code == 403
        assert "read" in answer.json()["detail"]
        assert gate.post("models/", {}).status_code == 403


def test_pages_and_filters(alice: Caller) -> None:
    for number in range(3):
        f.make_model(f"m-{number}", kind="tool" if number else "vendor")
    page = alice.get("models/", page_size=2).json()
    assert [one["name"] for one in page["results"]] == ["m-2", "m-1"]
    rest = alice.client.get(page["next"], headers=alice.headers).json()
    assert [one["name"] for one in rest["results"]] == ["m-0"]
    assert len(alice.get("models/", kind="tool").json()["results"]) == 2
    assert len(alice.get("models/", search="M-1").json()["results"]) == 1
    wrong = alice.get("models/", kynd="tool")
    assert (wrong.status_code, fields_of(wrong)) == (400, ["kynd"])
    wrong = alice.get("models/", retired="maybe")
    assert (wrong.status_code, fields_of(wrong)) == (400, ["retired"])
    assert RegisteredModel.objects.count() == 3
    assert not Deployment.objects.exists()
    assert not entries("registry.deployment.recorded")
