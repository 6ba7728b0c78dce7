"""Monitors of a living table: its windows are cut by time, counted where the rows are, and again for
rows that came late; a table that holds none, or is out of reach, ends in silence."""

from datetime import timedelta

import psycopg
import pytest

from accounts.models import Role
from audit.writing import Refused
from kernel.errors import Conflict, Invalid, Unprocessable
from kernel.moments import now, rfc3339
from monitoring import executor, selectors, services
from monitoring.models import Breach, CheckRun, Monitor, Window
from monitoring.services.unread import FIRST, LONGEST
from registry.sources import catalogue
from tests import factories
from tests.monitoring import helpers, lakes

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def lake(tmp_path, monkeypatch):
    return lakes.Lake(tmp_path, monkeypatch)


@pytest.fixture
def today():
    return lakes.day_of(now())


def person(role):
    return factories.actor_of(factories.make_user(None, role))


def turn(at):
    """A turn of the task of what is due, and every run that it asked for."""
    services.run_due_monitors(actor=helpers.SYSTEM, at=at)
    done = {}
    while (run := CheckRun.objects.filter(state="queued").order_by("pk").first()) is not None:
        done[run.pk] = executor.execute(run.pk, beat=None)
    return list(done.values())


def open_of(watch):
    return list(selectors.open_breaches(watch.version, watch.use, watch.environment))


def window_of(watch, start):
    return Window.objects.get(monitor=watch, start=start)


# Cutting and counting


def test_a_window_that_is_over_is_cut_from_the_table_and_judged(lake, today):
    watch = lakes.monitor()
    lake.put(today - HOUR, 50)
    lake.put(today, 200, right=0.7)
    lake.put(today + DAY, 70)
    assert turn(today + DAY - HOUR) == []
    (run,) = turn(today + DAY)
    assert (run.state, run.rows, run.grade) == ("succeeded", 200, "recomputed"), run.error
    assert run.dataset == watch.source
    bounds = {"column": "seen", "least": rfc3339(today), "below": rfc3339(today + DAY)}
    assert run.config["filters"] == [{**bounds, "instants": True}]
    window = window_of(watch, today)
    assert (window.state, window.rows, window.acts) == ("judged", 200, ["accuracy >="])
    (breach,) = open_of(watch)
    assert breach.detail["value"] == pytest.approx(0.7)
    (asked,) = helpers.entries("monitoring.check.requested", run.pk)
    assert asked.public["dataset_digest"] == watch.source.digest
    (started,) = helpers.entries("monitoring.monitor.started", watch.pk)
    assert started.public["source"] == watch.source.digest
    assert turn(today + DAY) == [], "once"


def test_a_window_waits_for_late_rows_first(lake, today):
    lakes.monitor(wait_seconds=3600)
    lake.put(today, 200)
    assert turn(today + DAY + HOUR / 2) == []
    (run,) = turn(today + DAY + HOUR)
    assert run.rows == 200


def test_as_many_windows_in_a_row_as_the_monitor_says(lake, today):
    watch = lakes.monitor(consecutive=2)
    for day, right in enumerate((0.7, 0.9, 0.7, 0.7)):
        lake.put(today + day * DAY, 100, right=right)
    turn(today + 3 * DAY)
    assert open_of(watch) == []
    turn(today + 4 * DAY)
    (breach,) = open_of(watch)
    assert breach.run == window_of(watch, today + 3 * DAY).run


def test_batches_are_nothing_to_a_monitor_of_a_source(lake, today):
    watch = lakes.monitor()
    helpers.batch(watch, window_start=today, window_end=today + HOUR)
    assert not Window.objects.exists()
    with pytest.raises(Conflict):
        services.evaluate_monitor(watch, watch.version.batches.get(), actor=helpers.SYSTEM)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        ("fairness", {"metric": "demographic_parity_difference", "attribute": "sex"}),
        ("data_quality", {"metric": "missing_rate", "attribute": "feature"}),
        ("drift", {"metric": "drifted_share"}),
    ],
)
def test_every_check_that_counts_can_watch_a_table(lake, today, kind, limit):
    lake.table("days")
    lake.put(today, 100, into="days")
    reference = {"reference": lakes.dataset("days", pinned=True)} if kind == "drift" else {}
    limits = [{**limit, "op": "<=", "value": 0.5}]
    watch = lakes.monitor(kind=kind, limits=limits, **reference)
    lake.put(today, 100)
    (run,) = turn(today + DAY)
    assert (run.state, run.rows, run.grade) == ("succeeded", 100, "recomputed"), run.error
    turn(today + 2 * DAY)
    assert window_of(watch, today + DAY).state == "insufficient", "a day without a row"
    assert window_of(watch, today + DAY).rows == 0


# Rows that come late


def test_a_window_is_counted_again_when_the_next_one_ends(lake, today):
    watch = lakes.monitor()
    lake.put(today, 100)
    turn(today + DAY)
    first = window_of(watch, today)
    lake.put(today + DAY, 100)
    lake.put(today + HOUR, 300, right=0.5)
    assert turn(today + DAY + HOUR) == [], "not before"
    runs = turn(today + 2 * DAY)
    again = window_of(watch, today)
    assert [run.rows for run in runs] == [100, 400]
    assert runs[1].retry_of == first.run
    assert (again.run, again.rows, again.judged_times) == (runs[1], 400, 2)
    (breach,) = open_of(watch)
    assert breach.run == again.run
    assert [
        one.public["times"] for one in helpers.entries("monitoring.window.judged", again.pk)
    ] == [
        1,
        2,
    ]
    lake.put(today, 100)
    assert [run.window.start for run in turn(today + 3 * DAY)] == [today + 2 * DAY, today + DAY]
    assert window_of(watch, today).rows == 400, "later still is not seen"


def test_the_same_counts_judge_nothing_again(lake, today):
    watch = lakes.monitor()
    lake.put(today, 100)
    lake.put(today + DAY, 100)
    (first,) = turn(today + DAY)
    runs = turn(today + 2 * DAY)
    again = window_of(watch, today)
    assert len(runs) == 2
    assert runs[1].cube_id == first.cube_id
    assert (again.run, again.judged_times, again.recheck_run) == (first, 1, None)
    assert len(helpers.entries("monitoring.window.judged", again.pk)) == 1


def test_a_window_that_was_empty_is_judged_on_what_came_and_one_that_is_emptied_is_no_pass(
    lake, today
):
    watch = lakes.monitor(recheck=2)
    turn(today + DAY)
    assert (window_of(watch, today).state, window_of(watch, today).rows) == ("insufficient", 0)
    lake.put(today, 100)
    turn(today + 2 * DAY)
    assert (window_of(watch, today).state, window_of(watch, today).rows) == ("judged", 100)
    lake.run("DELETE FROM loans")
    turn(today + 3 * DAY)
    window = window_of(watch, today)
    assert (window.state, window.rows, window.judged_times) == ("insufficient", 0, 3)
    times = [one.public["times"] for one in helpers.entries("monitoring.window.judged", window.pk)]
    assert times == [1, 2, 3]


def test_an_empty_window_that_stays_empty_is_judged_once(lake, today):
    watch = lakes.monitor()
    for day in (1, 2):
        turn(today + day * DAY)
    window = window_of(watch, today)
    assert CheckRun.objects.filter(window=window).count() == 2
    assert (window.judged_times, window.recheck_run) == (1, None)


def test_while_it_is_counted_again_a_window_keeps_what_it_came_to(lake, today):
    """Else the windows after it would lose count of it."""
    watch = lakes.monitor(consecutive=2)
    for day in range(2):
        lake.put(today + day * DAY, 100, right=0.7)
    turn(today + DAY)
    services.run_due_monitors(actor=helpers.SYSTEM, at=today + 2 * DAY)
    assert window_of(watch, today).state == "judged"
    executor.execute(window_of(watch, today + DAY).run_id, beat=None)
    assert len(open_of(watch)) == 1


def test_late_rows_judge_those_again_that_count_on_the_window(lake, today):
    watch = lakes.monitor(consecutive=2, recheck=2)
    lake.put(today, 100, right=0.9)
    lake.put(today + DAY, 100, right=0.7)
    turn(today + DAY)
    turn(today + 2 * DAY)
    assert open_of(watch) == []
    lake.put(today + HOUR, 300, right=0.5)
    turn(today + 3 * DAY)
    (breach,) = open_of(watch)
    second = window_of(watch, today + DAY)
    assert breach.run == second.run
    entries = helpers.entries("monitoring.window.judged", second.pk)
    assert [one.public.get("because_of") for one in entries] == [
        None,
        str(window_of(watch, today).pk),
    ]


@pytest.mark.parametrize(("recheck", "counted"), [(0, 1), (1, 2), (3, 4)])
def test_a_window_is_counted_as_often_as_the_monitor_says(lake, today, recheck, counted):
    watch = lakes.monitor(recheck=recheck, silent_after_windows=None)
    lake.put(today, 100)
    for day in range(1, 7):
        turn(today + day * DAY)
    assert CheckRun.objects.filter(window=window_of(watch, today)).count() == counted
    assert window_of(watch, today).recheck_until == today + (1 + recheck) * DAY


def test_after_a_pause_a_window_is_counted_again_once(lake, today):
    watch = lakes.monitor(recheck=3, silent_after_windows=None)
    lake.put(today, 100)
    turn(today + DAY)
    runs = turn(today + 9 * DAY)
    assert sum(run.window.start == today for run in runs) == 1
    assert len(runs) == 9, "the eight that were missed are counted once: their late rows are there"
    assert watch.windows.count() == 9


# Silence


def test_a_table_without_rows_is_no_pass_and_in_the_end_silence(lake, today):
    watch = lakes.monitor()
    for day in (1, 2):
        turn(today + day * DAY)
    assert open_of(watch) == []
    turn(today + 3 * DAY)
    assert {one.state for one in watch.windows.all()} == {"insufficient"}
    (breach,) = open_of(watch)
    assert breach.metric == "silence"
    assert (
        breach.detail["reason"] == "3 windows in a row have fewer than the 10 rows that are wanted"
    )


def test_a_table_that_stops_growing_is_silent_after_the_time_that_was_said(lake, today):
    watch = lakes.monitor(silent_after_windows=None, silent_after_seconds=2 * 86_400)
    lake.put(today, 100)
    turn(today + DAY)
    Window.objects.update(judged_at=today + DAY)
    turn(today + 3 * DAY)
    assert open_of(watch) == []
    turn(today + 3 * DAY + HOUR)
    (breach,) = open_of(watch)
    assert breach.detail["reason"] == "no row of the source for more than 172800 s"


def test_a_source_out_of_reach_is_no_pass_is_asked_again_and_forgotten_by_nobody(lake, today):
    watch = lakes.monitor(recheck=0)
    lake.put(today, 100, right=0.7)
    lake.away()
    (run,) = turn(today + DAY)
    assert (run.state, run.attempt) == ("failed", services.MAX_ATTEMPTS)
    window = window_of(watch, today)
    assert (window.state, window.unread_times, window.rows) == ("insufficient", 1, None)
    assert window.outcomes[0]["reason"] == run.error
    assert run.error.startswith("source lake cannot be reached")
    assert timedelta() < window.retry_at - window.judged_at <= FIRST
    assert open_of(watch) == []
    lake.back()
    assert turn(window.retry_at - timedelta(seconds=1)) == []
    (again,) = turn(window.retry_at)
    window.refresh_from_db()
    assert (window.run, window.state, window.unread_times) == (again, "judged", 0)
    assert window.retry_at is None
    assert len(open_of(watch)) == 1, "what it would have broken it breaks now"


def test_a_source_that_stays_away_is_silence_and_costs_one_question_at_a_time(lake, today):
    watch = lakes.monitor(recheck=0)
    lake.away()
    for day in (1, 2, 3):
        turn(today + day * DAY)
    (breach,) = open_of(watch)
    assert breach.metric == "silence"
    assert "of the last: source lake cannot be reached" in breach.detail["reason"]
    waits = list(watch.windows.order_by("end").values_list("retry_at", flat=True))
    assert [one is None for one in waits] == [True, True, False], "the newest alone is asked"
    runs = turn(today + 30 * DAY - DAY / 2)
    assert sum(run.window.start < today + 3 * DAY for run in runs) == 1
    watch.windows.filter(retry_at__isnull=False).update(unread_times=40)
    turn(now() + 40 * DAY)
    newest = watch.windows.get(retry_at__isnull=False)
    assert newest.retry_at - newest.judged_at <= LONGEST
    lake.back()
    turn(now() + 40 * DAY)
    turn(now() + 40 * DAY)
    assert not watch.windows.filter(unread_times__gt=0).exists(), "all are made up for"


def test_a_source_that_is_away_when_a_window_is_counted_again_takes_nothing_back(lake, today):
    watch = lakes.monitor()
    lake.put(today, 100)
    (first,) = turn(today + DAY)
    lake.away()
    turn(today + 2 * DAY)
    window = window_of(watch, today)
    assert (window.state, window.run, window.recheck_run) == ("judged", first, None)
    lake.back()
    lake.put(today, 100)
    turn(now() + 3 * DAY)
    turn(now() + 3 * DAY)
    assert window_of(watch, today).rows == 200


def test_a_source_that_the_operator_takes_away_is_said_and_tried_again(lake, today):
    watch = lakes.monitor()
    lake.put(today, 100)
    lake.offer("days")
    assert turn(today + DAY) == []
    window = window_of(watch, today)
    assert (window.state, window.run) == ("insufficient", None)
    assert "offers no table of this name" in window.outcomes[0]["reason"]
    lake.offer("loans")
    (run,) = turn(window.retry_at)
    assert run.rows == 100


def test_a_column_that_goes_fails_the_window_with_its_name_and_ends_in_silence(lake, today):
    watch = lakes.monitor()
    lake.run("ALTER TABLE loans DROP COLUMN seen")
    runs = [turn(today + day * DAY)[0] for day in (1, 2, 3)]
    assert "no column 'seen'" in runs[0].error
    assert window_of(watch, today).state == "failed"
    assert [one.metric for one in open_of(watch)] == ["silence"]


def test_a_column_of_time_that_became_text_is_refused(lake, today):
    lakes.monitor()
    lake.run("ALTER TABLE loans ALTER seen TYPE text")
    (run,) = turn(today + DAY)
    assert run.state == "failed"
    assert "holds no times" in run.error


# By hand


def test_a_window_is_asked_again_by_hand_on_the_rows_that_are_there_now(lake, today):
    watch = lakes.monitor()
    lake.put(today, 100)
    (run,) = turn(today + DAY)
    lake.put(today, 100)
    officer = person(Role.OWNER)
    again = executor.execute(services.retry_run(run, actor=officer).pk, beat=None)
    assert (again.retry_of, again.rows) == (run, 200)
    assert window_of(watch, today).run == again
    lake.offer()
    with pytest.raises(Unprocessable) as caught:
        services.retry_run(again, actor=officer)
    assert caught.value.field == "source"
    assert window_of(watch, today).state == "judged"


def test_past_windows_are_cut_too_and_act_on_nothing(lake, today):
    watch = lakes.monitor()
    for day in range(1, 4):
        lake.put(today - day * DAY, 100, right=0.5)
    officer = person(Role.RISK_OFFICER)
    asked = {"since": today - 3 * DAY, "until": today + 9 * DAY, "actor": officer}
    made = services.backfill_monitor(watch, **asked)
    assert [one.start for one in made] == [today - day * DAY for day in (3, 2, 1)]
    runs = turn(today)
    assert [run.rows for run in runs] == [100] * 3
    assert not Breach.objects.exists()
    assert services.backfill_monitor(watch, **asked) == []
    lake.offer()
    with pytest.raises(Unprocessable) as caught:
        services.backfill_monitor(watch, **asked)
    assert caught.value.field == "source"


def backtest(watch, **fields):
    known = {
        "use": watch.use,
        "environment": watch.environment,
        "name": "past",
        "kind": "performance",
        "limits": [helpers.LIMIT],
        "window": "day",
        "min_rows": 10,
        "dataset": watch.source,
        "actor": helpers.developer(),
    }
    return services.request_backtest(watch.version, **{**known, **fields})


def test_a_backtest_on_the_source_arms_its_monitor(lake, today):
    watch = lakes.monitor(effect="stop", consecutive=2)
    assert watch.effect == "no_new_deployment"
    for day, right in enumerate((0.9, 0.7, 0.7)):
        lake.put(today + (day - 3) * DAY, 100, right=right)
    asked = backtest(watch, consecutive=2, since=today - 3 * DAY, until=now() + 30 * DAY)
    assert asked.windows.count() == 3, "what is not over yet is no past"
    turn(today)
    asked.refresh_from_db()
    assert asked.result["summary"] == "would have breached 2 of 3 windows and acted once"
    assert asked.question_digest == watch.question_digest
    armed = services.arm_monitor(watch, actor=person(Role.RISK_OFFICER))
    assert (armed.effect, armed.source, armed.recheck) == ("stop", watch.source, 1)


def test_a_backtest_on_other_data_arms_no_monitor_of_a_source(lake, today):
    watch = lakes.monitor(effect="stop")
    lake.table("days")
    lake.put(today - DAY, 100, into="days")
    other = backtest(watch, dataset=lakes.dataset("days"), since=today - DAY, until=today)
    turn(today)
    other.refresh_from_db()
    assert (other.state, other.question_digest) == ("succeeded", watch.question_digest)
    officer = person(Role.RISK_OFFICER)
    for named, error in ((None, Conflict), (other, Invalid)):
        with pytest.raises(error) as caught:
            services.arm_monitor(watch, backtest=named, actor=officer)
        assert caught.value.field == "backtest"


def test_the_counts_of_windows_add_up_to_a_period(lake, today):
    watch = lakes.monitor()
    for day in range(2):
        lake.put(today + day * DAY, 100)
        turn(today + (day + 1) * DAY)
    whole = services.roll_up(
        watch, since=today, until=today + 2 * DAY, actor=person(Role.VALIDATOR)
    )
    done = executor.execute(whole.pk, beat=None)
    assert (done.state, done.rows, done.grade) == ("succeeded", 200, "recomputed"), done.error


# What is refused


def test_what_cannot_be_watched_is_named(lake, today):
    lake.table("days", "date")
    lake.table("texts", "text")
    lake.run("CREATE TABLE timeless (outcome int, decision int, score double, sex text, x double)")
    version = helpers.version(columns=lakes.COLUMNS)
    source = lakes.dataset()
    loose = {"version": version, "source": source}
    for fields, error, field in (
        ({"window": "batch"}, Invalid, "window"),
        ({"source": helpers.dataset()}, Invalid, "source"),
        ({"source": factories.make_dataset()}, Invalid, "source"),
        ({"source": lakes.dataset("texts", pinned=True)}, Invalid, "source"),
        ({"source": lakes.dataset("texts")}, Unprocessable, "source"),
        ({"source": lakes.dataset("timeless")}, Unprocessable, "source"),
        ({"source": lakes.dataset("days"), "window": "6h"}, Invalid, "window"),
        ({"version": helpers.version()}, Unprocessable, "source"),
        ({"config": {"grade": "re-performed"}}, Unprocessable, "source"),
        ({"kind": "explainability"}, Unprocessable, "source"),
        ({"config": {"scoring_endpoint": "shop"}}, Unprocessable, "config.scoring_endpoint"),
        ({"config": {"compare_with": 1}}, Unprocessable, "config.compare_with"),
        ({"kind": "oversight"}, Invalid, "source"),
        ({"recheck": -1}, Invalid, "recheck"),
        ({"recheck": 32}, Invalid, "recheck"),
        ({"source": None, "recheck": 1}, Invalid, "recheck"),
        ({"silent_after_seconds": 86_400}, Invalid, "silent_after_seconds"),
    ):
        with pytest.raises(error) as caught:
            lakes.monitor(**{**loose, **fields})
        assert caught.value.field == field, fields
    lake.offer()
    with pytest.raises(Unprocessable) as caught:
        lakes.monitor(**loose)
    assert caught.value.field == "source"
    assert not Monitor.objects.exists()


def test_the_same_monitor_again_is_the_same_and_one_of_another_source_is_not(lake):
    watch = lakes.monitor()
    same = {"version": watch.version, "environment": watch.environment}
    assert lakes.monitor(**same, recheck=1) == watch
    assert lakes.monitor(**same, recheck=2) != watch
    lake.table("days", "date")
    assert lakes.monitor(**same, source=lakes.dataset("days")).definition_digest not in (
        watch.definition_digest,
        lakes.monitor(**same, source=None).definition_digest,
    )


def test_who_must_not_have_a_table_watched(lake):
    for role in (Role.DEVELOPER, Role.VALIDATOR, Role.OPERATOR, Role.AUDITOR):
        with pytest.raises(Refused):
            lakes.monitor(actor=person(role))
    assert not Monitor.objects.exists()


# On PostgreSQL


@pytest.mark.postgres
@pytest.mark.parametrize("time", ["timestamp", "timestamptz"])
def test_a_table_of_postgresql_is_cut_at_the_same_instants(
    postgres_server, tmp_path, monkeypatch, time
):
    """Whatever zone its sessions are in."""
    url = postgres_server.create(f"watched_{time}")
    today = lakes.day_of(now())
    with psycopg.connect(url, autocommit=True) as link:
        link.execute("SET TimeZone = 'UTC'")
        link.execute(lakes.DDL.format("loans", time).replace("double", "float8"))
        link.execute(
            "INSERT INTO loans SELECT i %% 2, i %% 2, 0.5, 'F', i, %s::timestamp + i * interval '1 hour'"
            " FROM generate_series(-30, 60) t(i)",
            [today.replace(tzinfo=None)],
        )
        link.execute(f"ALTER DATABASE watched_{time} SET TimeZone = 'America/New_York'")
    (tmp_path / "sources.toml").write_text(f'[sources.lake]\nurl = "{url}"\ntables = ["loans"]\n')
    monkeypatch.setenv(catalogue.VARIABLE, str(tmp_path / "sources.toml"))
    lakes.monitor()
    (run,) = turn(today + DAY)
    assert (run.state, run.rows, run.engine) == ("succeeded", 24, "postgresql"), run.error
