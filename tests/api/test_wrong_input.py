"""Wrong input to every write under /api/v1/: 4xx problem details that name the field, nothing written."""

import json
import re
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from audit.models import Entry
from tests.api import changes
from tests.api.cases import CASES, UPLOADS
from tests.api.routes import routes
from tests.api.scene import Scene

pytestmark = pytest.mark.django_db
JSON = "application/json"
MEGABYTES = b'{"title": "' + b"x" * (10 * 1024**2) + b'"}'
#: Says nothing about the world: what a request leaves behind wherever it ends.
LOG = {"Entry", "PrivatePayload", "Pending", "OutboxMessage", "Delivery"}


class Sent:
    """A write of the table, to be sent with one body after another."""

    def __init__(self, name: str) -> None:
        self.scene = Scene()
        self.case = CASES[name]
        self.method, self.pattern = name.split(" ")
        self.path = self.case.path(self.scene)
        self.body = self.case.body(self.scene)
        self.client = Client(raise_request_exception=False)

    def send(self, body: Any, content_type: str = JSON) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body)
        return self.client.generic(
            self.method, f"/api/v1/{self.path}", data, content_type, headers=self.scene.headers
        )

    @property
    def schema(self) -> dict[str, Any] | None:
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", f"/api/v1/{self.pattern}")
        return changes.body_schema(self.method, path)


@pytest.fixture(params=CASES)
def sent(request: pytest.FixtureRequest, db: None) -> Sent:
    return Sent(request.param)


def written() -> dict[str, Any]:
    """How many rows there are of everything but of refusals."""
    layers = ("accounts", "registry", "monitoring", "governance", "reports", "audit")
    counts: dict[str, Any] = {
        model.__name__: model.objects.count()
        for label in layers
        for model in apps.get_app_config(label).get_models()
        if model.__name__ not in LOG
    }
    counts["entries"] = Entry.objects.exclude(type="audit.write.refused").count()
    return counts


def named(answer: Any) -> list[str]:
    assert answer["Content-Type"].startswith("application/problem+json"), answer.content
    return [error["field"] for error in answer.json().get("errors", [])]


def is_named(field: str, found: list[str]) -> bool:
    """`use` is named by `use` and by what is in it, `use.purpose`; a list by one of its items."""
    return any(re.fullmatch(rf"{re.escape(field)}([.\[].*)?", one) for one in found)


def test_every_write_is_in_the_table() -> None:
    there = {str(route) for route in routes() if route.method in ("POST", "PUT", "PATCH")}
    assert there == set(CASES) | UPLOADS


def test_each_wrong_field_is_named_and_nothing_is_written(sent: Sent) -> None:
    before = written()
    found = list(changes.wrong(sent.schema, sent.body)) if sent.schema else []
    found += [changes.missing(sent.body, name) for name in sent.case.also]
    if not sent.body or not sent.schema:
        found.append(changes.Change("unknown", changes.UNKNOWN, {**sent.body, changes.UNKNOWN: 1}))
    wrongs = []
    for change in found:
        answer = sent.send(change.body)
        if not 400 <= answer.status_code < 500:
            wrongs.append((change.what, change.field, answer.status_code, answer.content[:200]))
        elif not is_named(sent.case.prefix + change.field, named(answer)):
            wrongs.append((change.what, change.field, answer.status_code, answer.json()))
    assert not wrongs, "\n".join(map(str, wrongs))
    assert written() == before
    # And the body that all of these were made from is taken.
    answer = sent.send(sent.body)
    assert 200 <= answer.status_code < 300, answer.content
    assert written() != before


def test_what_is_not_json_or_too_large(sent: Sent) -> None:
    """NaN in each field is named; so is what is doubled; so is the body that is no object or too long."""
    before = written()
    for name in (*sent.body, changes.UNKNOWN):
        body = json.dumps({**sent.body, name: "@"}).replace('"@"', "NaN").encode()
        answer = sent.send(body)
        assert answer.status_code == 400, answer.content
        assert named(answer) == [name]
    for body, status, field in (
        (MEGABYTES, 413, "body"),
        (b"{", 400, None),
        (b"\xff", 400, None),
        (b'{"a": 1, "a": 2}', 400, "a"),
        (b'{"a": 1e999}', 400, "a"),
        (b"[" * 100_000, 400, None),
        (b"[]", 400, None),
        (b'"x"', 400, None),
        (b"7", 400, None),
        (b"null", 400, None),
    ):
        answer = sent.send(body)
        assert answer.status_code == status, (body[:20], answer.content)
        assert field is None or named(answer) == [field], (body[:20], answer.content)
    answer = sent.send(b"<body/>", "application/xml")
    assert answer.status_code == 415, answer.content
    assert written() == before
