"""The pages of monitors: the list, where the rows of windows come from, and a backtest called off."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Role
from kernel.moments import now
from monitoring import executor, services
from monitoring.models import CheckRun, Monitor, Window
from registry.services import grant_role
from tests import factories as f
from tests.monitoring import helpers, lakes
from tests.web.scene import Scene, client_of

pytestmark = pytest.mark.django_db


def page_of(user: Any, path: str) -> str:
    answer = client_of(user).get(path)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def officer() -> Any:
    return f.make_user(None, Role.RISK_OFFICER)


def found(user: Any, query: str = "") -> set[str]:
    """The monitors that the list shows for a query, by name."""
    shown = page_of(user, f"/monitoring/{query}")
    return {one.name for one in Monitor.objects.all() if f"/monitoring/monitors/{one.pk}/" in shown}


def test_monitors_are_found_by_model_and_by_state(officer: Any) -> None:
    version = helpers.version()
    place = f.make_environment()
    broken, kept, few, idle = (
        helpers.monitor(version, environment=place, name=name, min_rows=least)
        for name, least in (("broken", 10), ("kept", 11), ("few", 12), ("over", 13))
    )
    other = helpers.monitor(name="elsewhere")
    services.end_monitor(idle, actor=f.actor_of(officer))
    helpers.batch(broken)
    for watch, value, rows in ((broken, 0.1, 400), (kept, 0.9, 400), (few, 0.9, 1)):
        run = CheckRun.objects.get(monitor=watch)
        helpers.finish(run, helpers.outcome(helpers.measured(value=value), rows=rows))
    assert found(officer) == {"broken", "kept", "few", "elsewhere"}
    for state, names in (
        ("breach", {"broken"}),
        ("ok", {"kept"}),
        ("insufficient", {"few"}),
        ("failed", set()),
        ("queued", {"elsewhere"}),
        ("ended", {"over"}),
        ("nonsense", {"broken", "kept", "few", "elsewhere"}),
    ):
        assert found(officer, f"?state={state}") == names, state
    assert found(officer, f"?model={other.version.model.name}") == {"elsewhere"}
    assert found(officer, "?model=kep") == {"kept"}
    assert found(officer, f"?model={version.model.title.lower()}&state=ok") == {"kept"}
    assert "No monitor matches" in page_of(officer, "/monitoring/?model=nobody")


def test_many_monitors_are_turned_page_by_page_and_batches_by_themselves(officer: Any) -> None:
    first = helpers.monitor(name="m00")
    client = client_of(officer)
    asked = []
    for upto in (5, 28):
        for number in range(Monitor.objects.count(), upto):
            helpers.monitor(first.version, environment=first.environment, name=f"m{number:02d}")
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/monitoring/").status_code == 200
        asked.append(len(queries))
    assert asked[1] <= asked[0], "however many monitors there are"
    assert found(officer) == {f"m{number:02d}" for number in range(25)}
    assert found(officer, "?monitors=2&page=1") == {"m25", "m26", "m27"}
    assert found(officer, "?monitors=99") == {"m25", "m26", "m27"}
    shown = page_of(officer, "/monitoring/?state=queued")
    assert 'href="?state=queued&amp;monitors=2"' in shown


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: Any) -> lakes.Lake:
    return lakes.Lake(tmp_path, monkeypatch)


def turn(at: Any) -> None:
    services.run_due_monitors(actor=helpers.SYSTEM, at=at)
    while (run := CheckRun.objects.filter(state="queued").first()) is not None:
        executor.execute(run.pk, beat=None)


def test_the_page_says_where_the_rows_come_from(lake: lakes.Lake, officer: Any) -> None:
    watch = lakes.monitor()
    path = f"/monitoring/monitors/{watch.pk}/"
    shown = page_of(officer, path)
    assert "Table loans of source lake, cut by the column <code>seen</code>" in shown
    assert watch.source is not None
    assert f"/datasets/{watch.source.pk}/" in shown
    assert "duckdb:" not in shown, "never an address"
    assert watch.source.title in page_of(officer, "/monitoring/")
    reader = f.make_user()
    admin = f.actor_of(f.make_user(None, Role.ADMINISTRATOR))
    grant_role(reader, Role.DEVELOPER, watch.version.model, actor=admin)
    shown = page_of(reader, path)
    assert "Table loans of source lake" in shown
    assert "/datasets/" not in shown.split("Rows from")[1].split("</dd>")[0], "it may not read that"
    assert "the batches that are sent" in page_of(
        officer, f"/monitoring/monitors/{helpers.monitor().pk}/"
    )


def test_the_page_says_why_a_window_was_not_read_and_what_follows(
    lake: lakes.Lake, officer: Any
) -> None:
    watch = lakes.monitor(silent_after_windows=None)
    path = f"/monitoring/monitors/{watch.pk}/"
    today = lakes.day_of(now())
    lake.put(today, 100)
    lake.away()
    for day in (1, 2):
        turn(today + day * helpers.DAY)
    shown = page_of(officer, path)
    assert shown.count("ource lake cannot be reached") == 3
    assert "Not read" in shown
    assert "The source is asked again" in shown
    assert "Asked again once the source answers." in shown
    lake.back()
    for _ in range(2):
        turn(now() + 3 * helpers.DAY)
    services.run_due_monitors(actor=helpers.SYSTEM, at=now() + 4 * helpers.DAY)
    assert "Being counted again" in page_of(officer, path)
    assert Window.objects.exclude(recheck_run=None).exists()


def test_a_check_that_failed_is_said_with_its_reason(lake: lakes.Lake, officer: Any) -> None:
    watch = lakes.monitor()
    lake.run("ALTER TABLE loans DROP COLUMN seen")
    turn(lakes.day_of(now()) + helpers.DAY)
    shown = page_of(officer, f"/monitoring/monitors/{watch.pk}/")
    assert "no column &#x27;seen&#x27;" in shown
    assert "ask for that check again" in shown


def test_a_running_backtest_is_called_off_from_its_page(scene: Scene) -> None:
    place = {"use": scene.monitor.use, "environment": scene.monitor.environment}
    asked = services.request_backtest(
        scene.world.version,
        name="long",
        kind="performance",
        limits=[helpers.LIMIT],
        since=helpers.START,
        until=helpers.START + helpers.DAY,
        actor=scene.world.by(scene.world.developer),
        **place,
    )
    home = f"/monitoring/backtests/{asked.pk}/"
    path = f"{home}cancel/"
    assert path not in page_of(scene.auditor, home)
    assert path in page_of(scene.world.developer, home)
    assert client_of(scene.world.developer).get(path).status_code == 405
    assert client_of(scene.outsider).post(path).status_code == 404
    assert client_of(scene.auditor).post(path).status_code == 403
    asked.refresh_from_db()
    assert asked.state == "running"
    developer = client_of(scene.world.developer)
    assert developer.post(path)["Location"] == home
    asked.refresh_from_db()
    assert asked.state == "cancelled"
    assert "called off" in page_of(scene.world.developer, home)
    again = developer.post(path)
    assert again.status_code == 409
    assert "is over: it is cancelled" in again.content.decode()
