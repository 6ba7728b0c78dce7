"""On pages: asking for what a monitor found over a period."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts.models import Role
from monitoring import services
from monitoring.models import CheckRun, Monitor, Window
from registry.services import grant_role
from tests import factories as f
from tests.governance.support import entries, refusals
from tests.monitoring import helpers
from tests.web.scene import client_of

pytestmark = pytest.mark.django_db(transaction=True)
MONTH = {"since": "2026-01-01", "until": "2026-01-31"}


@pytest.fixture
def monitor() -> Monitor:
    """A monitor with two judged days."""
    made = helpers.monitor()
    for day in range(2):
        helpers.finish(run_of(made, day), helpers.outcome())
    return made


def run_of(of: Monitor, day: int) -> CheckRun:
    batch = helpers.batch(of, day)
    run = CheckRun.objects.filter(batch=batch).first()
    return run or services.evaluate_monitor(of, batch, actor=helpers.SYSTEM)


def path(of: Monitor) -> str:
    return f"/monitoring/monitors/{of.pk}/roll-up/"


def test_a_month_is_asked_for_and_its_run_shows_how_far_it_is(monitor: Monitor) -> None:
    client = client_of(f.make_user(None, Role.DEVELOPER))
    home = client.get(f"/monitoring/monitors/{monitor.pk}/").content.decode()
    assert f'href="{path(monitor)}"' in home
    page = client.get(path(monitor)).content.decode()
    assert "2 measured windows" in page
    assert 'value="2026-01-01"' in page, "the month of the newest window is proposed"
    assert "None has been asked for" in page
    answer = client.post(path(monitor), MONTH)
    run = CheckRun.objects.get(purpose="rollup")
    assert (answer.status_code, answer["Location"]) == (303, f"/check-runs/{run.pk}/")
    assert (run.made_of["since"], run.made_of["until"]) == (
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
    )
    assert len(entries("monitoring.rollup.requested")) == 1
    shown = client.get(answer["Location"]).content.decode()
    assert "<progress" in shown
    assert "the cubes of 2 windows" in shown
    page = client.get(path(monitor)).content.decode()
    assert f'href="/check-runs/{run.pk}/"' in page
    assert "Queued" in page


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"until": "2025-12-31"}, 400, "until"),
        ({"until": "9999-12-31"}, 400, "until"),
        ({"until": ""}, 400, "until"),
        ({"since": "yesterday"}, 400, "since"),
        ({"since": "2026-01-20"}, 422, "since"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_the_other_stays(
    monitor: Monitor, changes: dict[str, str], status: int, field: str
) -> None:
    answer = client_of(f.make_user(None, Role.OWNER)).post(path(monitor), MONTH | changes)
    page = answer.content.decode()
    assert answer.status_code == status
    assert f'id="id_{field}-problem"' in page
    for value in {**MONTH, **changes}.values():
        assert f'value="{value}"' in page or not value
    assert not CheckRun.objects.filter(purpose="rollup").exists()


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR, Role.RISK_OFFICER], ids=str)
def test_who_asks_for_no_checks_is_told_why_not(monitor: Monitor, role: Role) -> None:
    client = client_of(f.make_user(None, role))
    page = client.get(path(monitor)).content.decode()
    assert "You cannot ask for one" in page
    assert 'method="post"' not in page.split("<main")[1]
    answer = client.post(path(monitor), MONTH)
    assert answer.status_code == 403
    assert 'value="2026-01-31"' in answer.content.decode()
    assert refusals() == ["not_permitted"]
    assert not CheckRun.objects.filter(purpose="rollup").exists()


def test_who_may_not_read_the_model_learns_nothing(monitor: Monitor) -> None:
    outsider = client_of(f.make_user(None))
    assert outsider.get(path(monitor)).status_code == 404
    assert outsider.post(path(monitor), MONTH).status_code == 404
    assert Client().get(path(monitor))["Location"].startswith("/sign-in/")
    alice = f.make_user("alice")
    admin = f.make_user(None, Role.ADMINISTRATOR)
    grant_role(alice, Role.DEVELOPER, monitor.version.model, actor=f.actor_of(admin))
    assert client_of(alice).post(path(monitor), MONTH).status_code == 303


def test_without_a_measured_window_there_is_nothing_to_ask(monitor: Monitor) -> None:
    client = client_of(f.make_user(None, Role.OWNER))
    bare = helpers.monitor(name="bare")
    Window.objects.create(monitor=bare, start=helpers.START, end=helpers.START + timedelta(days=1))
    page = client.get(path(bare)).content.decode()
    assert "No window has been measured yet" in page
    assert 'name="since"' not in page
    Monitor.objects.filter(pk=monitor.pk).update(kind="data_quality")
    page = client.get(path(monitor)).content.decode()
    assert "does not add up" in page
    answer = client.post(path(monitor), MONTH)
    assert answer.status_code == 400
    assert "add up" in answer.content.decode()


def test_many_are_shown_page_by_page(monitor: Monitor) -> None:
    client = client_of(f.make_user(None, Role.OWNER))
    for _ in range(26):
        client.post(path(monitor), MONTH)
    page = client.get(path(monitor)).content.decode()
    assert "Page 1 of 2" in page
    last = client.get(f"{path(monitor)}?page=2").content.decode()
    assert last.count('href="/check-runs/') == 1
