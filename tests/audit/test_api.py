"""The log over REST: who may read it, how it is searched, and what it answers to wrong input."""

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from countersign_client import verifier
from django.db import connection
from django.test import Client

from accounts import access
from accounts.models import OrganisationRole, Role, User
from audit import checkpoints, permission
from audit.models import Entry, LogKey, PrivatePayload, WebhookEndpoint
from audit.selection import Selection
from kernel.moments import now, rfc3339
from tests.audit import samples

pytestmark = pytest.mark.django_db
SCOPE = UUID(int=77)
API = "/api/v1/"


@pytest.fixture(autouse=True)
def accounts_decide(samples_may: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "_deciders", [access.require])


def client_of(*roles: Role) -> Client:
    user = User.objects.create(username=f"user-{uuid4()}", name="Uma")
    for role in roles:
        OrganisationRole.objects.create(user=user, role=role, since=now())
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return client


@pytest.fixture
def auditor() -> Client:
    return client_of(Role.AUDITOR)


@pytest.fixture
def admin() -> Client:
    return client_of(Role.ADMINISTRATOR)


@pytest.fixture
def log() -> list[Entry]:
    entries = samples.note_many(3, actor=samples.ADA, private=True)
    entries.append(samples.note("other", actor=samples.BEN, scope=SCOPE, private={"name": "Ben"}))
    samples.sequence()
    return entries


def get(client: Client, path: str, **query: str) -> Any:
    return client.get(API + path, query)


def post(client: Client, path: str, body: object) -> Any:
    return client.post(API + path, json.dumps(body), content_type="application/json")


READS = (
    "audit/entries/",
    f"audit/entries/{UUID(int=5)}/",
    f"audit/proofs/{UUID(int=5)}/",
    "audit/proofs/consistency/?from=1",
    "audit/status/",
)


@pytest.mark.parametrize("path", [*READS, "webhook-endpoints/"])
def test_strangers_and_those_without_the_right_read_nothing(log: list[Entry], path: str) -> None:
    assert Client().get(API + path).status_code == 401
    for client in (client_of(), client_of(Role.DEVELOPER, Role.OWNER, Role.OPERATOR)):
        answer = client.get(API + path)
        assert answer.status_code == 403
        assert answer["content-type"] == "application/problem+json"


def test_an_auditor_reads_and_changes_nothing(auditor: Client, log: list[Entry]) -> None:
    assert get(auditor, "audit/entries/").status_code == 200
    assert get(auditor, "webhook-endpoints/").status_code == 403
    body = {"url": "https://x.example", "patterns": ["*"]}
    assert post(auditor, "webhook-endpoints/", body).status_code == 403
    erase = f"audit/entries/{log[0].uuid}/erase/"
    assert post(auditor, erase, {"basis": "retention", "reason": "x"}).status_code == 403
    assert PrivatePayload.objects.filter(entry=log[0]).exists()
    assert Entry.objects.filter(type="audit.write.refused").count() == 2


def test_entries_newest_first_in_pages(auditor: Client, log: list[Entry]) -> None:
    first = get(auditor, "audit/entries/", page_size="3").json()
    assert [row["entry"] for row in first["results"]] == [str(e.uuid) for e in log[:0:-1]]
    samples.note("later", actor=samples.ADA)
    rest = auditor.get(first["next"]).json()
    assert [row["entry"] for row in rest["results"]] == [str(log[0].uuid)]
    assert rest["next"] is None


def test_what_an_entry_says(auditor: Client, log: list[Entry]) -> None:
    row = get(auditor, "audit/entries/", scope=str(SCOPE)).json()["results"][0]
    entry = log[3]
    assert row == {
        "entry": str(entry.uuid),
        "at": rfc3339(entry.at),
        "type": "audit.sample.noted",
        "actor": {"kind": "person", "ref": str(samples.BEN.pseudonym)},
        "object": {"type": "sample", "id": "other"},
        "scope": str(SCOPE),
        "public": {},
        "committed": True,
        "position": {"epoch": 1, "index": 3},
        "leaf_hash": verifier.leaf_hash(bytes(entry.leaf)).hex(),
    }
    one = get(auditor, f"audit/entries/{entry.uuid}/").json()
    assert one["private"] == {"name": "Ben"}
    assert one["leaf"].encode() == bytes(entry.leaf)
    waiting = samples.note("waiting", actor=samples.ADA)
    assert get(auditor, f"audit/entries/{waiting.uuid}/").json()["position"] is None


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"actor": str(samples.BEN.pseudonym)}, 1),
        ({"object_type": "sample", "object_id": "object-1"}, 1),
        ({"object_type": "sample"}, 4),
        ({"type": "audit.sample.noted"}, 4),
        ({"type": "audit.*"}, 4),
        ({"type": "audit.other.*"}, 0),
        ({"scope": str(SCOPE)}, 1),
        ({"since": "2001-01-01T00:00:00Z"}, 4),
        ({"until": "2001-01-01"}, 0),
    ],
)
def test_search(auditor: Client, log: list[Entry], query: dict[str, str], count: int) -> None:
    assert len(get(auditor, "audit/entries/", **query).json()["results"]) == count


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("audit/entries/", {"actor": "ada"}, "actor"),
        ("audit/entries/", {"scope": "x"}, "scope"),
        ("audit/entries/", {"since": "yesterday"}, "since"),
        ("audit/entries/", {"aktor": "x"}, "aktor"),
        ("audit/proofs/consistency/", {}, "from"),
        ("audit/proofs/consistency/", {"from": "-1"}, "from"),
        ("audit/proofs/consistency/", {"from": "nan"}, "from"),
        ("audit/proofs/consistency/", {"from": "99"}, "from"),
        ("audit/proofs/consistency/", {"from": "1", "epoch": "x"}, "epoch"),
    ],
)
def test_malformed_queries_name_the_field(
    auditor: Client, log: list[Entry], path: str, query: dict[str, str], field: str
) -> None:
    answer = get(auditor, path, **query)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("chosen", "index"),
    [
        (Selection(actor=samples.ADA.pseudonym), "audit_entry_actor"),
        (Selection(object_type="sample", object_id="object-1"), "audit_entry_object"),
        (Selection(type="audit.sample.noted"), "audit_entry_type"),
        (Selection(scope=samples.ADA.id), "audit_entry_scope"),
        (Selection(since=now()), "audit_entry_at"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_search_is_answered_from_an_index(chosen: Selection, index: str) -> None:
    rows = Entry.objects.filter(chosen.entries())
    rows = rows.order_by("at") if chosen.since else rows.order_by("-id")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    plan = rows[:50].explain()
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_a_proof_that_a_stranger_verifies(auditor: Client, log: list[Entry]) -> None:
    answer = get(auditor, f"audit/proofs/{log[1].uuid}/", timeout="5").json()
    index, head = verifier.verify_proof(
        answer["tlog_proof"], answer["leaf"].encode(), [LogKey.objects.get().vkey]
    )
    assert (index, head.size) == (1, 4)
    assert answer["vkeys"] == [LogKey.objects.get().vkey]
    assert answer["checkpoint"] == checkpoints.latest()


def test_a_proof_that_is_not_there(auditor: Client, log: list[Entry]) -> None:
    assert get(auditor, f"audit/proofs/{uuid4()}/").status_code == 404
    entry = samples.note(actor=samples.ADA)
    assert get(auditor, f"audit/proofs/{entry.uuid}/").status_code == 503
    for timeout in ("11", "-1", "x", "nan", "inf"):
        answer = get(auditor, f"audit/proofs/{log[0].uuid}/", timeout=timeout)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "timeout"


def test_a_held_checkpoint_is_extended(auditor: Client, log: list[Entry]) -> None:
    held = checkpoints.latest() or ""
    samples.note_many(300, actor=samples.ADA)
    samples.sequence()
    answer = get(auditor, "audit/proofs/consistency/", **{"from": "4"}).json()
    proof = [bytes.fromhex(one) for one in answer["proof"]]
    vkeys = [LogKey.objects.get().vkey]
    assert verifier.verify_extension(held, answer["checkpoint"], proof, vkeys).size == 304


def test_status(auditor: Client, log: list[Entry]) -> None:
    seen = get(auditor, "audit/status/").json()
    assert (seen["ok"], seen["size"], seen["pending"]) == (True, 4, 0)


def test_erasing(admin: Client, log: list[Entry]) -> None:
    path = f"audit/entries/{log[3].uuid}/"
    answer = post(admin, path + "erase/", {"basis": "gdpr_17_1_b", "reason": "Ben asked"})
    assert answer.status_code == 201
    one = get(admin, path).json()
    assert (one["private"], one["erased_by"]) == (None, answer.json()["entry"])
    assert post(admin, path + "erase/", {"basis": "other", "reason": "x"}).status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "basis"),
        ({"basis": "x", "reason": "y"}, "basis"),
        ({"basis": "other", "reason": " "}, "reason"),
        ({"basis": "other", "reason": 7}, "reason"),
        ({"basis": "other", "reason": "y", "more": 1}, "more"),
    ],
)
def test_malformed_erasures(admin: Client, log: list[Entry], body: object, field: str) -> None:
    answer = post(admin, f"audit/entries/{log[3].uuid}/erase/", body)
    assert answer.status_code == 400
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert PrivatePayload.objects.filter(entry=log[3]).exists()


def test_webhook_endpoints(admin: Client) -> None:
    body = {"url": "https://x.example/hook", "patterns": ["audit.sample.*"]}
    made = post(admin, "webhook-endpoints/", body)
    assert made.status_code == 201
    secret, identity = made.json()["secret"], made.json()["id"]
    assert secret.startswith("whsec_")
    listed = get(admin, "webhook-endpoints/")
    assert [row["id"] for row in listed.json()["results"]] == [identity]
    assert secret not in listed.content.decode()
    path = f"webhook-endpoints/{identity}/"
    assert post(admin, path + "secret/", {}).json()["secret"] != secret
    assert get(admin, path + "deliveries/").json()["results"] == []
    assert post(admin, path + "disable/", {}).json()["disabled"] is not None
    assert post(admin, path + "disable/", {}).status_code == 409
    for missing in ("secret/", "disable/"):
        assert post(admin, f"webhook-endpoints/{uuid4()}/{missing}", {}).status_code == 404
    assert get(admin, f"webhook-endpoints/{uuid4()}/deliveries/").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "nope", "patterns": ["*"]}, "url"),
        ({"url": 7, "patterns": ["*"]}, "url"),
        ({"url": "https://x.example", "patterns": []}, "patterns"),
        ({"url": "https://x.example", "patterns": ["nothing.*"]}, "patterns"),
        ({"url": "https://x.example", "patterns": "audit.*"}, "patterns"),
        ({"url": "https://x.example", "patterns": ["*"], "secret": "x"}, "secret"),
    ],
)
def test_malformed_webhook_endpoints(admin: Client, body: object, field: str) -> None:
    answer = post(admin, "webhook-endpoints/", body)
    assert answer.status_code == 400
    assert any(error["field"].startswith(field) for error in answer.json()["errors"])
    assert not WebhookEndpoint.objects.exists()
