"""Wrong input to each write over REST: 4xx problem details that name the field, and nothing written."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import Role
from registry.models import ModelVersion
from tests import factories as f
from tests.registry.support import fields_of
from tests.registry.test_api import API, JSON, Caller, model_body, version_body

pytestmark = pytest.mark.django_db
MEGABYTES = b'{"title": "' + b"x" * (10 * 1024**2) + b'"}'

USE = {
    "name": "n",
    "purpose": "p",
    "affected_people": "a",
    "operator_role": "provider",
    "legal_entity": "le",
}
DATASET = {"name": "n", "title": "t", "digest": "a" * 64, "contains_personal_data": False}
DEPLOYMENT = {"model": "m", "version": 1, "artifact_digest": "a" * 64, "environment": "prod"}

# Where: a body that would be taken, and for each wrong change of it the field that must be named.
CASES: dict[str, tuple[dict[str, Any], dict[str, dict[str, Any]]]] = {
    "POST models/": (
        {},
        {
            "name": {"name": None},
            "title": {"title": 7},
            "kind": {"kind": "oracle"},
            "portfolio": {"portfolio": "nowhere"},
            "legal_entity": {"legal_entity": "nobody"},
            "use.purpose": {"use": {}},
            "use": {"use": "screening"},
            "stakeholders[0].interest": {"stakeholders": [{"name": "x"}]},
            "columns.labl": {"columns": {"labl": "y"}},
            "titel": {"titel": "x"},
        },
    ),
    "PATCH models/m/": (
        {},
        {"title": {"title": 1}, "name": {"name": "x"}, "legal_entity": {"legal_entity": "x"}},
    ),
    "POST models/m/columns/": ({}, {"columns.labl": {"labl": "y"}, "columns.label": {"label": 3}}),
    "POST models/m/stakeholders/": (
        {"name": "n", "interest": "i"},
        {"name": {"name": 3}, "interest": {"interest": None}, "role": {"role": "x"}},
    ),
    "POST models/m/uses/": (
        USE,
        {
            "purpose": {"purpose": ""},
            "operator_role": {"operator_role": "x"},
            "legal_entity": {"legal_entity": "nobody"},
            "tier": {"tier": "2"},
            "excluded_uses[0]": {"excluded_uses": [3]},
            "decision_rule": {"decision_rule": [0.5]},
            "colour": {"colour": "red"},
        },
    ),
    "PATCH models/m/uses/default/": (
        {},
        {"purpose": {"purpose": 3}, "tier": {"tier": 1}, "operator_role": {"operator_role": "x"}},
    ),
    "POST models/m/uses/default/tiers/": (
        {"tier": 1, "reason": "r"},
        {"tier": {"tier": 9}, "reason": {"reason": ""}, "until": {"until": "x"}},
    ),
    "POST models/m/grants/": (
        {"user": "everybody", "role": "owner"},
        {"user": {"user": "nobody"}, "role": {"role": "king"}, "since": {"since": "x"}},
    ),
    "POST models/m/versions/": (
        {},
        {
            "code_commit": {"code_commit": None},
            "artifact_name": {"artifact_name": 5},
            "artifact_digest": {"artifact_digest": "md5:abc"},
            "artifact_format": {"artifact_format": "exe"},
            "parameters": {"parameters": [1]},
            "claims[0].value": {"claims": [{"metric": "a", "value": "0.9"}]},
            "datasets[0].name": {"datasets": [{"name": "nowhere", "purpose": "training"}]},
            "datasets[0].digest": {"datasets": [{"digest": "9" * 64, "purpose": "training"}]},
            "datasets[0].purpose": {"datasets": [{"name": "d", "purpose": "fun"}]},
            "parent": {"parent": 99},
            "author": {"author": "nobody"},
            "number": {"number": 7},
        },
    ),
    "PATCH models/m/versions/1/": (
        {},
        {
            "label": {"label": 1},
            "parameters": {"parameters": 1},
            "input_spec": {"input_spec": []},
            "artifact_digest": {"artifact_digest": "a" * 64},
        },
    ),
    "POST models/m/versions/1/evidence/": (
        {"kind": "note", "name": "n", "document": {}},
        {
            "kind": {"kind": "Two Words"},
            "name": {"name": 3},
            "media_type": {"media_type": "html"},
            "digest": {"digest": "e" * 64},
            "grade": {"grade": "best"},
        },
    ),
    "POST datasets/": (
        DATASET,
        {
            "name": {"name": "A B"},
            "title": {"title": None},
            "digest": {"digest": "x"},
            "contains_personal_data": {"contains_personal_data": "no"},
            "rows": {"rows": -1},
            "columns[0]": {"columns": [{"name": "a"}]},
            "collected_until": {"collected_from": "2026-02-01", "collected_until": "2026-01-01"},
            "collected_from": {"collected_from": "yesterday"},
            "sources[0].dataset": {"sources": [{"dataset": "nowhere", "transformation": "t"}]},
            "owner": {"owner": "x"},
        },
    ),
    "POST environments/": (
        {"name": "n", "title": "t", "mode": "warn", "position": 1},
        {
            "name": {"name": "A"},
            "title": {"title": 1},
            "mode": {"mode": "off"},
            "position": {"position": "1"},
            "region": {"region": "x"},
        },
    ),
    "POST environments/prod/mode/": (
        {"mode": "enforce", "reason": "r"},
        {"mode": {"mode": "off"}, "reason": {"reason": ""}, "until": {"until": "x"}},
    ),
    "POST environments/prod/mode/second/": (
        {},
        {"proposal": {"proposal": "x"}},
    ),
    "POST deployments/": (
        DEPLOYMENT,
        {
            "model": {"model": "nowhere"},
            "version": {"version": 99},
            "use": {"use": "fun"},
            "environment": {"environment": "moon"},
            "artifact_digest": {"artifact_digest": "e" * 64},
            "kind": {"kind": "king"},
            "gate_decision": {"gate_decision": "x"},
            "is_rollback": {"is_rollback": "yes"},
            "region": {"region": "x"},
        },
    ),
    "POST portfolios/": (
        {"slug": "s", "name": "n"},
        {"slug": {"slug": "A"}, "name": {"name": 1}, "x": {"x": 1}},
    ),
    "POST legal-entities/": (
        {"slug": "s", "name": "n"},
        {"slug": {"slug": "A"}, "name": {"name": 1}, "x": {"x": 1}},
    ),
}


@pytest.fixture
def everybody() -> Caller:
    user = f.make_user("everybody", *Role)
    caller = Caller(user)
    model = f.make_model("m")
    f.make_version(model, artifact_digest="a" * 64)
    f.make_environment("prod", mode="warn")
    f.make_dataset("d")
    type(model.legal_entity).objects.create(slug="le", name="LE")
    return caller


def rows() -> dict[str, int]:
    return {
        model.__name__: model.objects.count()
        for model in apps.get_app_config("registry").get_models()
    }


def ask(caller: Caller, where: str, body: Any) -> Any:
    method, path = where.split(" ")
    return caller.client.generic(method, API + path, body, JSON, headers=caller.headers)


def good(where: str) -> dict[str, Any]:
    if where == "POST models/":
        return model_body()
    if where == "POST models/m/versions/":
        return version_body()
    return CASES[where][0]


@pytest.mark.parametrize("where", CASES)
def test_each_wrong_field_is_named(everybody: Caller, where: str) -> None:
    body = good(where)
    before = rows()
    for named, change in CASES[where][1].items():
        answer = ask(everybody, where, json.dumps(body | change))
        assert 400 <= answer.status_code < 500, (named, answer.content)
        assert named in fields_of(answer), (named, answer.content)
    assert rows() == before


@pytest.mark.parametrize("where", CASES)
def test_an_empty_object_names_what_is_required(everybody: Caller, where: str) -> None:
    if where.startswith("PATCH") or "columns" in where:
        return
    before = rows()
    answer = ask(everybody, where, "{}")
    assert answer.status_code == 400
    assert fields_of(answer)
    assert rows() == before


@pytest.mark.parametrize("where", CASES)
def test_nan_ten_megabytes_and_what_is_no_json(everybody: Caller, where: str) -> None:
    before = rows()
    for body, status, named in (
        ('{"title": NaN}', 400, ["title"]),
        ('{"a": {"rate": [1, [Infinity]]}}', 400, ["a.rate[1][0]"]),
        ('{"a": 1e999}', 400, ["a"]),
        ('{"a": 1, "a": 2}', 400, ["a"]),
        (MEGABYTES, 413, ["body"]),
        ("{", 400, []),
        ("[]", 400, None),
        ('"x"', 400, None),
        ("[" * 100_000, 400, []),
        (b'{"a": "\xff"}', 400, []),
    ):
        answer = ask(everybody, where, body)
        assert answer.status_code == status, (body[:40], answer.content)
        found = fields_of(answer)
        assert named is None or found == named, (body[:40], answer.content)
    assert rows() == before


class TestUploads:
    PATH = "models/m/versions/"

    def test_a_digest_that_does_not_match(self, everybody: Caller) -> None:
        record = json.dumps({"code_commit": "abc", "artifact_digest": "c" * 64})
        answer = everybody.send(
            self.PATH, artifact=SimpleUploadedFile("m.onnx", b"bytes"), record=record
        )
        assert (answer.status_code, fields_of(answer)) == (422, ["artifact_digest"])
        answer = everybody.send(
            "models/m/versions/1/evidence/",
            kind="note",
            digest="c" * 64,
            file=SimpleUploadedFile("n.txt", b"bytes"),
        )
        assert (answer.status_code, fields_of(answer)) == (422, ["digest"])
        record = '{"name": "n", "title": "t", "contains_personal_data": true, "digest": "%s"}'
        answer = everybody.send(
            "datasets/", file=SimpleUploadedFile("n.csv", b"a\n1\n"), record=record % ("c" * 64)
        )
        assert (answer.status_code, fields_of(answer)) == (422, ["digest"])
        assert ModelVersion.objects.count() == 1

    @pytest.mark.parametrize(
        ("parts", "status", "named"),
        [
            ({}, 400, "record"),
            ({"record": "{}"}, 400, "code_commit"),
            ({"record": '{"code_commit": NaN}'}, 400, "code_commit"),
            ({"record": "{}", "other": "x"}, 400, "other"),
            ({"record": '{"code_commit": "a"}'}, 400, "artifact_name"),
            ({"record": '{"code_commit": "a"}', "artifact": "no file"}, 400, "artifact"),
            (
                {
                    "record": '{"code_commit": "a"}',
                    "artifact": SimpleUploadedFile("m.onnx", b""),
                },
                400,
                "artifact",
            ),
            ({"record": "x" * (2 * 1024**2)}, 413, "record"),
            ({"record": SimpleUploadedFile("r.json", b"x" * (2 * 1024**2))}, 413, "record"),
        ],
    )
    def test_parts_that_are_wrong_are_named(
        self, everybody: Caller, parts: dict[str, Any], status: int, named: str
    ) -> None:
        answer = everybody.send(self.PATH, **parts)
        assert answer.status_code == status, answer.content
        assert named in fields_of(answer)
        assert ModelVersion.objects.count() == 1

    def test_a_broken_multipart_body(self, everybody: Caller) -> None:
        answer = everybody.client.post(
            API + self.PATH, b"nothing", "multipart/form-data", headers=everybody.headers
        )
        assert (answer.status_code, fields_of(answer)) == (400, ["body"])

    def test_data_that_is_not_what_it_says(self, everybody: Caller) -> None:
        record = '{"name": "n", "title": "t", "contains_personal_data": true}'
        answer = everybody.send(
            "datasets/", file=SimpleUploadedFile("n.parquet", b"PAR1 not"), record=record
        )
        assert (answer.status_code, fields_of(answer)) == (422, ["file"])

    def test_another_media_type_is_not_taken(self, everybody: Caller) -> None:
        answer = everybody.client.post(
            f"{API}models/", "<model/>", "application/xml", headers=everybody.headers
        )
        assert answer.status_code == 415
