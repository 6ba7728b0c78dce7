"""REST of monitors of a source: named by a dataset alone, shown without an address."""

import json

import pytest

from accounts.models import Role
from kernel.moments import now
from monitoring import executor, services
from monitoring.models import Backtest, CheckRun, Monitor
from registry.services import grant_role
from tests import factories
from tests.monitoring import helpers, lakes

pytestmark = pytest.mark.django_db
API = "/api/v1"


@pytest.fixture
def lake(tmp_path, monkeypatch):
    return lakes.Lake(tmp_path, monkeypatch)


@pytest.fixture
def version():
    return helpers.version(columns=lakes.COLUMNS)


def signed_in(*roles):
    return {"headers": factories.bearer(factories.make_user(None, *roles))}


def post(client, path, body, **more):
    return client.post(f"{API}{path}", json.dumps(body), content_type="application/json", **more)


def body(version, **change):
    known = {
        "model": version.model.name,
        "version": version.number,
        "environment": factories.make_environment().name,
        "name": "accuracy",
        "kind": "performance",
        "limits": [helpers.LIMIT],
        "window": "day",
        "min_rows": 10,
    }
    return {**known, **change}


def fields_of(response):
    assert response["Content-Type"] == "application/problem+json"
    return {error["field"] for error in response.json().get("errors", [])}


def test_a_monitor_of_a_table_is_started_and_its_windows_are_read(client, lake, version):
    data = lakes.dataset()
    officer = signed_in(Role.RISK_OFFICER)
    made = post(client, "/monitors/", body(version, source=data.name, recheck=2), **officer)
    assert made.status_code == 201, made.content
    shown = made.json()
    assert shown["source"] == {"name": data.name, "digest": data.digest}
    assert shown["recheck"] == 2
    assert shown["config"]["grade"] == "recomputed"
    assert "duckdb:" not in made.content.decode()
    assert client.get(f"{API}/monitors/{shown['id']}/", **officer).json() == shown
    today = lakes.day_of(now())
    lake.put(today, 100)
    services.run_due_monitors(actor=helpers.SYSTEM, at=today + helpers.DAY)
    executor.execute(CheckRun.objects.get().pk, beat=None)
    (window,) = client.get(f"{API}/monitors/{shown['id']}/windows/", **officer).json()["results"]
    assert (window["state"], window["rows"], window["unread_times"]) == ("judged", 100, 0)
    assert (window["recheck_run"], window["retry_at"]) == (None, None)
    assert window["recheck_until"] == (today + 3 * helpers.DAY).isoformat().replace("+00:00", "Z")
    by_digest = body(version, source=f"sha256:{data.digest}", name="another")
    assert post(client, "/monitors/", by_digest, **officer).status_code == 201


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"source": "nowhere"}, 400, "source"),
        ({"source": "duckdb:///etc/passwd"}, 400, "source"),
        ({"source": {"source": "lake", "table": "loans"}}, 400, "source"),
        ({"source": 7}, 400, "source"),
        ({"window": "batch"}, 400, "window"),
        ({"window": "fortnight"}, 400, "window"),
        ({"recheck": "1"}, 400, "recheck"),
        ({"recheck": 32}, 400, "recheck"),
        ({"source": None, "recheck": 0}, 400, "recheck"),
        ({"config": {"grade": "re-performed"}}, 422, "source"),
        ({"url": "duckdb:///etc/passwd"}, 400, "url"),
    ],
)
def test_a_wrong_source_is_named(client, lake, version, change, status, field):
    asked = body(version, **{"source": lakes.dataset().name, **change})
    response = post(client, "/monitors/", asked, **signed_in(Role.RISK_OFFICER))
    assert response.status_code == status, response.content
    assert fields_of(response) == {field}
    assert not Monitor.objects.exists()


def test_a_table_that_one_may_not_read_cannot_be_watched(client, lake, version):
    data = lakes.dataset()
    owner = factories.make_user()
    admin = factories.actor_of(factories.make_user(None, Role.ADMINISTRATOR))
    grant_role(owner, Role.OWNER, version.model, actor=admin)
    headers = {"headers": factories.bearer(owner)}
    response = post(client, "/monitors/", body(version, source=data.name), **headers)
    assert response.status_code == 400
    assert fields_of(response) == {"source"}
    assert "there is no dataset" in response.content.decode()
    assert not Monitor.objects.exists()


def test_who_must_not_have_a_table_watched(client, lake, version):
    asked = body(version, source=lakes.dataset().name)
    for role in (Role.DEVELOPER, Role.VALIDATOR, Role.OPERATOR, Role.AUDITOR):
        assert post(client, "/monitors/", asked, **signed_in(role)).status_code == 403
    assert not Monitor.objects.exists()


def test_a_backtest_on_the_table_is_asked_for_and_called_off(client, lake, version):
    today = lakes.day_of(now())
    lake.put(today - helpers.DAY, 100)
    asked = body(
        version,
        dataset=lakes.dataset().name,
        since=(today - 2 * helpers.DAY).isoformat(),
        until=now().isoformat(),
    )
    developer = signed_in(Role.DEVELOPER)
    made = post(client, "/monitors/backtests/", asked, **developer)
    assert made.status_code == 201, made.content
    path = f"/monitors/backtests/{made.json()['id']}/cancel/"
    assert post(client, path, {}, **signed_in(Role.AUDITOR)).status_code == 403
    assert fields_of(post(client, path, {"why": "no"}, **developer)) == {"why"}
    done = post(client, path, {}, **developer)
    assert done.status_code == 200, done.content
    assert done.json()["state"] == "cancelled"
    assert {one["state"] for one in done.json()["windows"]} == {"failed"}
    assert post(client, path, {}, **developer).status_code == 409
    unknown = post(client, path.replace(made.json()["id"], str(version.pk)), {}, **developer)
    assert unknown.status_code == 404
    assert Backtest.objects.get().result == {}
