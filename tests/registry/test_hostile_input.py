"""Input that no client of good will sends: it is refused, and is never an error of the service's own."""

import pytest
from django.test import Client

from accounts.models import Role
from kernel.errors import Invalid
from kernel.moments import parse_rfc3339
from kernel.rest.parsers import loads
from tests import factories as f

pytestmark = pytest.mark.django_db
HUGE = 10**30


@pytest.fixture
def headers() -> dict[str, str]:
    return f.bearer(f.make_user(None, *Role))


def get(path: str, headers: dict[str, str]) -> int:
    return Client(raise_request_exception=False).get(f"/api/v1/{path}", headers=headers).status_code


@pytest.mark.parametrize(
    "body",
    [
        b'{"number": ' + b"1" * 5000 + b"}",
        b'{"name": "\\ud800"}',
        b'["\\udc00"]',
        b'{"\\ud800": 1}',
        b"[" * 100_000,
        b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}",
    ],
)
def test_json_that_python_reads_and_nobody_can_keep(body: bytes) -> None:
    with pytest.raises(Invalid):
        loads(body)


@pytest.mark.parametrize("value", [b"9007199254740992", b"-1e400", b"NaN", b'"\\u0000"'])
def test_a_value_that_nobody_can_keep_is_named_by_where_it_stands(value: bytes) -> None:
    with pytest.raises(Invalid) as error:
        loads(b'{"config": {"rules": [{"least": 1}, {"least": ' + value + b"}]}}")
    assert error.value.field == "config.rules[1].least"


def test_the_largest_number_is_one() -> None:
    assert loads(b"[9007199254740991, -9007199254740991, 1e308]")[0] == 2**53 - 1


def test_pairs_of_surrogates_are_characters() -> None:
    assert loads(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-W47-5", "20261120T1"]
)
def test_instants_that_no_calendar_holds(text: str) -> None:
    with pytest.raises(Invalid) as error:
        parse_rfc3339(text, "at", time_zone="America/New_York")
    assert error.value.field == "at"


def test_the_last_date_has_no_end_west_of_greenwich() -> None:
    with pytest.raises(Invalid):
        parse_rfc3339("9999-12-31", "at", time_zone="America/New_York")


@pytest.mark.parametrize(
    "path",
    [
        "models/?cursor=cD1ub25zZW5zZQ==",
        "models/?cursor=%00",
        "models/?kind=%00",
        "models/?search=%00",
        "models/?page_size=99999999999999999999",
        "datasets/?digest=%00",
        "deployments/?environment=%00",
        "reviews/?model=%00",
        "gate/decisions/?decision=%00",
        "monitors/?name=%00",
        f"models/x/versions/{HUGE}/",
        f"models/x/versions/{HUGE}/standing/?environment=e",
        "policies/x/?number=99999999999",
        "check-runs/00000000-0000-0000-0000-000000000000/attachments/%00/",
    ],
)
def test_no_query_is_an_error_of_the_service(path: str, headers: dict[str, str]) -> None:
    status = get(path, headers)
    assert status == 400 if "%00" in path else status in (200, 400, 404)


def test_nor_a_number_that_no_column_holds(headers: dict[str, str]) -> None:
    version = f.make_version()
    environment = f.make_environment()
    bodies = {
        "deployments/": {
            "model": version.model.name,
            "version": HUGE,
            "artifact_digest": version.artifact_digest,
            "environment": environment.name,
        },
        "monitors/": {
            "model": version.model.name,
            "version": HUGE,
            "environment": environment.name,
            "name": "m",
            "kind": "drift",
            "limits": [],
            "min_rows": HUGE,
        },
        f"models/{version.model.name}/versions/": {
            "artifact_digest": "a" * 64,
            "artifact_name": "a",
            "code_commit": "c",
            "parent": HUGE,
        },
    }
    for path, body in bodies.items():
        answer = Client(raise_request_exception=False).post(
            f"/api/v1/{path}", body, content_type="application/json", headers=headers
        )
        assert 400 <= answer.status_code < 500, (path, answer.content)
