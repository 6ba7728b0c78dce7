"""Reports over REST."""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role
from audit.models import Entry
from kernel.canonical import sha256_hex
from reports.models import Report
from tests import factories
from tests.governance.support import World
from tests.reports import world as worlds

pytestmark = pytest.mark.django_db
URL = "/api/v1/reports/"


def asked(world: World, **more: Any) -> dict[str, Any]:
    return {
        "model": world.version.model.name,
        "version": world.version.number,
        "environment": world.environment.name,
        **more,
    }


def post(client: Client, body: Any, headers: dict[str, str]) -> Any:
    return client.post(URL, json.dumps(body), content_type="application/json", headers=headers)


@pytest.fixture
def headers() -> dict[str, str]:
    return factories.bearer(worlds.auditor())


def test_asking_answers_202_and_the_report_can_be_followed(client: Client, headers: Any) -> None:
    world = World()
    answer = post(client, asked(world), headers)
    assert answer.status_code == 202, answer.json()
    body = answer.json()
    assert (body["state"], body["use"], body["pdf"]) == ("requested", world.use.name, None)
    assert client.get(f"{URL}{body['id']}/", headers=headers).json() == body
    (listed,) = client.get(URL, headers=headers).json()["results"]
    assert listed["id"] == body["id"]


def test_asking_again_with_the_same_key_makes_one_report(client: Client, headers: Any) -> None:
    world = World()
    keyed = {**headers, "Idempotency-Key": "once"}
    first, second = (post(client, asked(world), keyed).json() for _ in range(2))
    assert first == second
    assert Report.objects.count() == 1
    assert post(client, asked(world, use="other"), keyed).status_code == 422


def test_an_issued_report_is_downloaded_byte_for_byte(client: Client, headers: Any) -> None:
    report = worlds.issued(worlds.approved())
    shown = client.get(f"{URL}{report.pk}/", headers=headers).json()
    for what, digest in (("pdf", "file_digest"), ("bundle", "bundle_digest")):
        answer = client.get(shown[what], headers=headers)
        assert answer.status_code == 200
        assert sha256_hex(b"".join(answer.streaming_content)) == shown[digest]
        assert "attachment" in answer["Content-Disposition"]
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("what", ["pdf", "bundle"])
def test_what_is_not_there_yet_is_a_conflict(client: Client, headers: Any, what: str) -> None:
    report = worlds.requested(World())
    answer = client.get(f"{URL}{report.pk}/{what}/", headers=headers)
    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": "unknown"}, "model"),
        ({"version": 99}, "version"),
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"version": 0}, "version"),
        ({"use": "unknown"}, "use"),
        ({"environment": "unknown"}, "environment"),
        ({"environment": None}, "environment"),
        ({"format": "docx"}, "format"),
    ],
)
def test_wrong_input_is_refused_by_field(
    client: Client, headers: Any, change: dict[str, Any], field: str
) -> None:
    answer = post(client, asked(World(), **change), headers)
    assert answer.status_code == 400
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert not Report.objects.exists()


def test_a_missing_field_is_named(client: Client, headers: Any) -> None:
    body = asked(World())
    del body["environment"]
    answer = post(client, body, headers)
    assert answer.json()["errors"][0]["field"] == "environment"


def test_who_may_not_ask_is_refused_on_record(client: Client) -> None:
    world = World()
    answer = post(client, asked(world), factories.bearer(factories.make_user(None, Role.DEVELOPER)))
    assert answer.status_code == 403
    assert Entry.objects.filter(type="audit.write.refused").exists()
    assert not Report.objects.exists()


def test_a_token_without_the_scope_is_refused(client: Client) -> None:
    headers = factories.bearer(worlds.auditor(), "read")
    assert post(client, asked(World()), headers).status_code == 403


def test_without_a_token_nothing_is_shown(client: Client) -> None:
    report = worlds.requested(World())
    for path in ("", f"{report.pk}/", f"{report.pk}/pdf/", f"{report.pk}/bundle/"):
        assert client.get(URL + path).status_code == 401


def test_who_may_not_read_the_model_finds_no_report(client: Client) -> None:
    report = worlds.issued(worlds.approved())
    headers = factories.bearer(factories.make_user())
    assert client.get(URL, headers=headers).json()["results"] == []
    for path in ("", "pdf/", "bundle/"):
        assert client.get(f"{URL}{report.pk}/{path}", headers=headers).status_code == 404


def test_the_list_narrows_by_what_the_query_names(client: Client, headers: Any) -> None:
    world = World()
    worlds.requested(world)
    name = world.version.model.name
    for query, count in ((f"?model={name}", 1), ("?state=issued", 0), ("?version=7", 0)):
        assert len(client.get(URL + query, headers=headers).json()["results"]) == count
    answer = client.get(f"{URL}?colour=red", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "colour"
