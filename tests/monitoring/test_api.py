"""REST: what is asked, what is answered, and who is answered at all."""

import dataclasses
import json
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import Role
from monitoring import services
from monitoring.models import Breach, CheckRun, Monitor, ObservationBatch
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db
API = "/api/v1"


def signed_in(*roles):
    return {"headers": factories.bearer(factories.make_user(None, *roles))}


def post(client, path, body, **more):
    return client.post(f"{API}{path}", json.dumps(body), content_type="application/json", **more)


def checks_of(version):
    return f"/models/{version.model.name}/versions/{version.number}/checks/"


def fields_of(response):
    assert response["Content-Type"] == "application/problem+json"
    return {error["field"] for error in response.json().get("errors", [])}


def granted(model):
    """Somebody with a role on this one model alone."""
    from registry.services import grant_role

    user = factories.make_user()
    grant_role(
        user,
        Role.DEVELOPER,
        model,
        actor=factories.actor_of(factories.make_user(None, Role.ADMINISTRATOR)),
    )
    return {"headers": factories.bearer(user)}


# Checks


def test_a_check_is_asked_for_watched_and_read(client):
    version, data = helpers.version(), helpers.dataset()
    developer = signed_in(Role.DEVELOPER)
    body = {"kind": "performance", "dataset": data.name}
    response = post(client, checks_of(version), body, **developer)
    assert response.status_code == 201, response.content
    asked = response.json()
    assert (asked["state"], asked["progress"], asked["measurements"]) == ("queued", 0.0, [])
    run = CheckRun.objects.get(pk=asked["id"])
    helpers.finish(run)
    shown = client.get(f"{API}/check-runs/{run.pk}/", **developer).json()
    assert (shown["state"], shown["progress"]) == ("succeeded", 1.0)
    assert shown["measurements"][0]["value"] == 0.9
    assert shown["cube_digest"] == run.cube_id
    assert shown["finished_at"].endswith("Z")
    (listed,) = client.get(f"{API}{checks_of(version)}", **developer).json()["results"]
    assert "measurements" not in listed
    (measured,) = client.get(
        f"{API}/check-runs/{run.pk}/measurements/?metric=accuracy", **developer
    ).json()["results"]
    assert measured["metric"] == "accuracy"


def test_a_dataset_is_named_by_digest_too(client):
    data = helpers.dataset()
    body = {"kind": "performance", "dataset": f"sha256:{data.digest}"}
    response = post(client, checks_of(helpers.version()), body, **signed_in(Role.OWNER))
    assert response.json()["dataset"] == {"name": data.name, "digest": data.digest}


def test_attachments_are_downloads_without_rights(client):
    run = helpers.finish(helpers.request())
    reader = signed_in(Role.AUDITOR)
    response = client.get(f"{API}/check-runs/{run.pk}/attachments/report.html/", **reader)
    assert b"".join(response.streaming_content) == b"<p>report</p>"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["Content-Security-Policy"].startswith("sandbox")
    cube = client.get(f"{API}/check-runs/{run.pk}/attachments/cube.json/", **reader)
    assert b"".join(cube.streaming_content) == b'{"cells":[]}'
    missing = client.get(f"{API}/check-runs/{run.pk}/attachments/other/", **reader)
    assert missing.status_code == 404


def test_a_check_on_a_pickle_answers_the_formats(client):
    version = helpers.version(artifact_name="model.pkl", artifact_format="pickle")
    body = {
        "kind": "performance",
        "dataset": helpers.dataset().name,
        "config": {"grade": "re-performed"},
    }
    response = post(client, checks_of(version), body, **signed_in(Role.DEVELOPER))
    assert response.status_code == 422
    assert fields_of(response) == {"config.grade"}
    assert "onnx" in response.json()["detail"]
    assert "pickle, which is never opened" in response.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": None}, "kind"),
        ({"kind": 7}, "kind"),
        ({"kind": "sentiment"}, "kind"),
        ({"dataset": "nowhere"}, "dataset"),
        ({"dataset": ...}, "dataset"),
        ({"config": []}, "config"),
        ({"config": {"level": "high"}}, "config.level"),
        ({"verdict": "pass"}, "verdict"),
    ],
)
def test_wrong_input_is_named_and_nothing_is_written(client, change, field):
    version = helpers.version()
    body = {"kind": "performance", "dataset": helpers.dataset().name, **change}
    body = {name: value for name, value in body.items() if value is not ...}
    response = post(client, checks_of(version), body, **signed_in(Role.DEVELOPER))
    assert 400 <= response.status_code < 500
    assert field in fields_of(response)
    assert not CheckRun.objects.exists()


def test_nan_is_not_json(client):
    response = client.post(
        f"{API}{checks_of(helpers.version())}",
        '{"kind": "performance", "dataset": "x", "config": {"level": NaN}}',
        content_type="application/json",
        **signed_in(Role.DEVELOPER),
    )
    assert response.status_code == 400


def test_the_same_request_with_the_same_key_is_one_check(client):
    version = helpers.version()
    developer = signed_in(Role.DEVELOPER)
    developer["headers"] = {**developer["headers"], "Idempotency-Key": "build-7"}
    body = {"kind": "performance", "dataset": helpers.dataset().name}
    answers = [post(client, checks_of(version), body, **developer).json() for _ in range(2)]
    assert answers[0]["id"] == answers[1]["id"]
    assert CheckRun.objects.count() == 1


def test_a_run_is_cancelled_once(client):
    run = helpers.request()
    developer = signed_in(Role.DEVELOPER)
    response = post(client, f"/check-runs/{run.pk}/cancel/", {}, **developer)
    assert response.json()["state"] == "cancelled"
    assert post(client, f"/check-runs/{run.pk}/cancel/", {}, **developer).status_code == 409


def batch_of(watch, data):
    return {
        "model": watch.version.model.name,
        "version": watch.version.number,
        "environment": watch.environment.name,
        "batch_id": "june",
        "window_start": "2026-06-01T00:00:00Z",
        "window_end": "2026-06-30T00:00:00Z",
        "file": SimpleUploadedFile("june.csv", data, content_type="text/csv"),
    }


def test_a_batch_that_is_too_large_is_not_taken_in_whole(client, settings, monkeypatch):
    settings.COUNTERSIGN = dataclasses.replace(settings.COUNTERSIGN, max_evidence_bytes=1000)
    kept = []
    monkeypatch.setattr("monitoring.services.batches.put", lambda *_, **__: kept.append(1))
    response = client.post(
        f"{API}/observations/", batch_of(helpers.monitor(), b"a" * 5000), **signed_in(Role.OPERATOR)
    )
    assert response.status_code == 413
    assert fields_of(response) == {"file"}
    assert not kept, "it was refused while it was read"


def test_who_may_read_nothing_sends_no_byte(client, monkeypatch):
    monkeypatch.setattr(
        "registry.api.uploads.LimitUploadHandler.receive_data_chunk",
        lambda *_: pytest.fail("bytes were taken"),
    )
    response = client.post(f"{API}/observations/", batch_of(helpers.monitor(), b"x"), **signed_in())
    assert response.status_code == 403


# Who is not answered


def test_without_a_token_nothing_is_answered(client):
    version = helpers.version()
    for path in (checks_of(version), "/monitors/", "/observations/", "/breaches/"):
        assert client.get(f"{API}{path}").status_code == 401


def test_what_may_not_be_read_is_not_there(client):
    watch = helpers.monitor()
    batch = helpers.batch(watch)
    run = helpers.finish(
        CheckRun.objects.get(batch=batch), helpers.outcome(helpers.measured(value=0.1))
    )
    breach = Breach.objects.get()
    stranger = granted(factories.make_model())
    for path in (
        checks_of(watch.version),
        f"/check-runs/{run.pk}/",
        f"/check-runs/{run.pk}/measurements/",
        f"/check-runs/{run.pk}/attachments/cube.json/",
        f"/monitors/{watch.pk}/",
        f"/observations/{batch.pk}/",
        f"/breaches/{breach.pk}/",
        f"/check-runs/{uuid4()}/",
    ):
        assert client.get(f"{API}{path}", **stranger).status_code == 404, path
    for path in ("/monitors/", "/observations/", "/breaches/"):
        assert client.get(f"{API}{path}", **stranger).json()["results"] == []
    for path in (
        f"/check-runs/{run.pk}/cancel/",
        checks_of(watch.version),
    ):
        assert post(client, path, {}, **stranger).status_code == 404
    reader = granted(watch.version.model)
    assert client.get(f"{API}/check-runs/{run.pk}/", **reader).status_code == 200


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
def test_who_may_read_but_not_ask(client, role):
    version = helpers.version()
    body = {"kind": "performance", "dataset": helpers.dataset().name}
    response = post(client, checks_of(version), body, **signed_in(role))
    assert response.status_code == 403
    assert not CheckRun.objects.exists()
    assert helpers.entries("audit.write.refused")


def test_a_token_for_reading_asks_for_nothing(client):
    version = helpers.version()
    user = factories.make_user(None, Role.DEVELOPER)
    body = {"kind": "performance", "dataset": helpers.dataset().name}
    response = post(client, checks_of(version), body, headers=factories.bearer(user, "read"))
    assert response.status_code == 403


def test_a_token_for_checks_alone_asks_for_a_check(client):
    pipeline = factories.make_service_account(None, Role.DEVELOPER)
    body = {"kind": "performance", "dataset": helpers.dataset().name}
    response = post(
        client, checks_of(helpers.version()), body, headers=factories.bearer(pipeline, "check")
    )
    assert response.status_code == 201, response.content


def test_data_that_may_not_be_read_is_not_there(client):
    version, hidden = helpers.version(), helpers.dataset()
    body = {"kind": "performance", "dataset": hidden.name}
    response = post(client, checks_of(version), body, **granted(version.model))
    assert fields_of(response) == {"dataset"}
    assert not CheckRun.objects.exists()


def test_a_pipeline_manages_no_monitor_and_resolves_no_breach(client):
    watch = helpers.monitor()
    helpers.finish(
        CheckRun.objects.get(batch=helpers.batch(watch)),
        helpers.outcome(helpers.measured(value=0.1)),
    )
    pipeline = {
        "headers": factories.bearer(
            factories.make_service_account(None, Role.OWNER), "read", "check"
        )
    }
    breach = Breach.objects.get()
    for path, body in (
        ("/monitors/", {}),
        (f"/monitors/{watch.pk}/end/", {}),
        (f"/breaches/{breach.pk}/resolve/", {"resolution": "fine"}),
    ):
        assert post(client, path, body, **pipeline).status_code == 403


# Monitors, observations, breaches


def monitor_body(version, environment, change=None):
    return {
        "model": version.model.name,
        "version": version.number,
        "environment": environment.name,
        "name": "accuracy",
        "kind": "performance",
        "limits": [helpers.LIMIT],
        "min_rows": 10,
        **(change or {}),
    }


def test_a_monitor_is_started_and_ended(client):
    version, environment = helpers.version(), factories.make_environment()
    risk = signed_in(Role.RISK_OFFICER)
    response = post(client, "/monitors/", monitor_body(version, environment), **risk)
    assert response.status_code == 201, response.content
    shown = response.json()
    assert (shown["use"], shown["until"]) == ("default", None)
    assert client.get(f"{API}/monitors/{shown['id']}/", **risk).json() == shown
    (listed,) = client.get(f"{API}/monitors/?model={version.model.name}&version=1", **risk).json()[
        "results"
    ]
    assert listed["id"] == shown["id"]
    ended = post(client, f"/monitors/{shown['id']}/end/", {}, **risk)
    assert ended.json()["until"] is not None


def test_when_a_monitor_is_silent_follows_from_its_window_unless_somebody_says_never(client):
    version, environment = helpers.version(), factories.make_environment()
    risk, told = signed_in(Role.RISK_OFFICER), []
    for change in ({}, {"window": "day"}, {"silent_after_seconds": None}):
        body = monitor_body(version, environment, change)
        told.append(post(client, "/monitors/", body, **risk).json()["silent_after_seconds"])
    assert told == [7 * 86_400, 3 * 86_400 + 3600, None]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"environment": "moon"}, "environment"),
        ({"use": "other"}, "use"),
        ({"version": 9}, "version"),
        ({"version": "1"}, "version"),
        ({"limits": [{**helpers.LIMIT, "op": "<"}]}, "limits[0].op"),
        ({"limits": [{**helpers.LIMIT, "metric": "acuracy"}]}, "limits[0].metric"),
        ({"limits": [{**helpers.LIMIT, "value": 0}]}, "limits[0].value"),
        ({"limits": [{**helpers.LIMIT, "slice": {"nix": "A"}}]}, "limits[0].slice"),
        ({"limits": [{**helpers.LIMIT, "attribute": "sex"}]}, "limits[0].attribute"),
        ({"min_rows": 10**9}, "min_rows"),
        ({"min_rows": "10"}, "min_rows"),
        ({"threshold": 1}, "threshold"),
        ({"reference": "nowhere"}, "reference"),
    ],
)
def test_a_wrong_monitor_is_named(client, change, field):
    body = monitor_body(helpers.version(), factories.make_environment(), change)
    response = post(client, "/monitors/", body, **signed_in(Role.RISK_OFFICER))
    assert 400 <= response.status_code < 500
    assert field in fields_of(response)
    assert not Monitor.objects.exists()


def batch_form(watch, data=None, **change):
    file = SimpleUploadedFile("day.csv", helpers.rows() if data is None else data, "text/csv")
    form = {
        "model": watch.version.model.name,
        "version": str(watch.version.number),
        "environment": watch.environment.name,
        "batch_id": "day-0",
        "window_start": "2026-01-01T00:00:00Z",
        "window_end": "2026-01-02T00:00:00Z",
        "file": file,
        **change,
    }
    return {name: value for name, value in form.items() if value is not None}


def test_a_batch_is_sent_twice_and_taken_once(client):
    watch = helpers.monitor()
    operator = signed_in(Role.OPERATOR)
    answers = [client.post(f"{API}/observations/", batch_form(watch), **operator) for _ in range(2)]
    assert [one.status_code for one in answers] == [201, 200], answers[0].content
    assert answers[0].json() == answers[1].json()
    shown = answers[0].json()
    assert shown["runs"] == [str(CheckRun.objects.get().pk)]
    other = client.post(
        f"{API}/observations/", batch_form(watch, data=helpers.rows(seed=9)), **operator
    )
    assert other.status_code == 409
    assert fields_of(other) == {"batch_id"}
    assert client.get(f"{API}/observations/{shown['id']}/", **operator).json() == shown


def test_a_file_name_tells_the_type_that_a_client_does_not(client):
    watch = helpers.monitor()
    file = SimpleUploadedFile("day.csv", helpers.rows(), "application/octet-stream")
    response = client.post(
        f"{API}/observations/", batch_form(watch, file=file), **signed_in(Role.OPERATOR)
    )
    assert response.json()["media_type"] == "text/csv"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"batch_id": None}, "batch_id"),
        ({"file": None}, "file"),
        ({"window_end": "yesterday"}, "window_end"),
        ({"window_end": "2026-01-02T00:00:00"}, "window_end"),
        ({"window_end": "2025-01-01"}, "window_end"),
        ({"version": "one"}, "version"),
        ({"digest": "abc"}, "digest"),
        ({"digest": "0" * 64}, "digest"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_batch_is_named(client, change, field):
    watch = helpers.monitor()
    response = client.post(
        f"{API}/observations/", batch_form(watch, **change), **signed_in(Role.OPERATOR)
    )
    assert 400 <= response.status_code < 500
    assert field in fields_of(response)
    assert not ObservationBatch.objects.exists()


def test_breaches_are_listed_and_resolved(client):
    watch = helpers.monitor()
    helpers.finish(
        CheckRun.objects.get(batch=helpers.batch(watch)),
        helpers.outcome(helpers.measured(value=0.1)),
    )
    owner = signed_in(Role.OWNER)
    (shown,) = client.get(f"{API}/breaches/?open=true", **owner).json()["results"]
    assert (shown["metric"], shown["detail"]["value"]) == ("accuracy", 0.1)
    empty = post(client, f"/breaches/{shown['id']}/resolve/", {"resolution": ""}, **owner)
    assert fields_of(empty) == {"resolution"}
    body = {"resolution": "a faulty sensor"}
    done = post(client, f"/breaches/{shown['id']}/resolve/", body, **owner)
    assert done.json()["resolved_at"] is not None
    assert client.get(f"{API}/breaches/?open=true", **owner).json()["results"] == []
    assert post(client, f"/breaches/{shown['id']}/resolve/", body, **owner).status_code == 409


def test_an_unknown_filter_is_named(client):
    response = client.get(f"{API}/breaches/?opened=true", **signed_in(Role.OWNER))
    assert fields_of(response) == {"opened"}


def test_the_lease_is_nobodys_business(client):
    run = helpers.request()
    services.claim_run(run.pk, actor=helpers.SYSTEM)
    shown = client.get(f"{API}/check-runs/{run.pk}/", **signed_in(Role.OWNER)).json()
    assert "leased_until" not in shown
    assert (shown["state"], shown["stage"]) == ("running", "starting")


# Numbers and types that no digest can hold


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"minimum": {"default": 2**53}}, "config.minimum.default"),
        ({"minimum": {"default": 10**400}}, "config.minimum.default"),
        ({"groupings": 0}, "config.groupings"),
        ({"groupings": False}, "config.groupings"),
        ({"minimum": {"acuracy": 3}}, "config.minimum.acuracy"),
        ({"filters": [{"column": "x", "below": 2**60}]}, "config.filters[0].below"),
    ],
)
def test_a_check_is_never_asked_for_with_what_cannot_be_written(client, config, field):
    version, data = helpers.version(), helpers.dataset()
    body = {"kind": "performance", "dataset": data.name, "config": config}
    response = post(client, checks_of(version), body, **signed_in(Role.DEVELOPER))
    assert response.status_code == 400
    assert fields_of(response) == {field}
    assert not CheckRun.objects.exists()


def test_a_limit_is_a_number_that_can_be_written(client):
    version = helpers.version()
    body = {
        "model": version.model.name,
        "version": version.number,
        "environment": factories.make_environment().name,
        "name": "accuracy",
        "kind": "performance",
        "limits": [{**helpers.LIMIT, "value": 10**400}],
        "min_rows": 10,
    }
    response = post(client, "/monitors/", body, **signed_in(Role.RISK_OFFICER))
    assert response.status_code == 400
    assert fields_of(response) == {"limits[0].value"}


@pytest.mark.parametrize(
    ("name", "value"), [("state", "nix"), ("kind", "horoscope"), ("purpose", "fun")]
)
def test_a_list_is_not_narrowed_to_what_cannot_be(client, name, value):
    version = helpers.version()
    run = helpers.request(version)
    who = signed_in(Role.DEVELOPER)
    answer = client.get(f"{API}{checks_of(version)}?{name}={value}", **who)
    assert answer.status_code == 400
    assert fields_of(answer) == {name}
    known = getattr(run, name)
    (listed,) = client.get(f"{API}{checks_of(version)}?{name}={known}", **who).json()["results"]
    assert listed["id"] == str(run.pk)


def test_windows_and_batches_are_not_narrowed_to_what_cannot_be(client):
    watch = helpers.monitor()
    who = signed_in(Role.RISK_OFFICER)
    for path in (f"/monitors/{watch.pk}/windows/?state=nix", "/monitors/backtests/?state=nix"):
        answer = client.get(f"{API}{path}", **who)
        assert answer.status_code == 400
        assert fields_of(answer) == {"state"}


def test_a_failed_run_says_which_field_is_at_fault(client):
    from monitoring import executor

    run = helpers.request(config={"filters": [{"column": "gone", "equals": 1}]})
    executor.execute(run.pk, beat=None)
    shown = client.get(f"{API}/check-runs/{run.pk}/", **signed_in(Role.DEVELOPER)).json()
    assert shown["state"] == "failed"
    assert shown["error"] == "dataset.filters[0]: the data has no column 'gone'"
