"""Backtests: how often a monitor would have acted, and that nothing harsher is granted without one."""

import json
from datetime import timedelta

import pytest

from accounts.models import Role
from audit.writing import Refused
from kernel.errors import Conflict, Invalid, Unprocessable
from monitoring import executor, selectors, services
from monitoring.backtesting import Judged, summarise
from monitoring.models import Backtest, Breach, CheckRun, Monitor
from tests import factories
from tests.monitoring import helpers

KEY = "accuracy >="


def person(role):
    return factories.actor_of(factories.make_user(None, role))


def outcome(kind):
    return {
        KEY: {"outcome": kind, "breaks": kind == "exceeded", "reason": f"it was {kind}"},
    }


def past(*kinds):
    states = {"too_few_rows": "insufficient", "failed": "failed"}
    return [
        Judged(f"{day:02d}", f"{day + 1:02d}", states.get(kind, "judged"), outcome(kind))
        for day, kind in enumerate(kinds)
    ]


# The counting


def test_an_open_breach_is_one_act_until_the_limit_is_kept():
    said = summarise(past("kept", "exceeded", "exceeded", "kept", "exceeded"), 1)
    assert (said["windows"], said["breached"], said["acted"]) == (5, 3, 2)
    assert [one["start"] for one in said["dates"]] == ["01", "04"]
    assert said["summary"] == "would have breached 3 of 5 windows and acted 2 times"


def test_as_many_in_a_row_as_asked_and_windows_with_too_few_rows_are_passed_over():
    said = summarise(past("exceeded", "too_few_rows", "exceeded", "kept", "exceeded"), 2)
    assert (said["insufficient"], said["acted"]) == (1, 1)
    assert said["dates"][0]["start"] == "02"
    assert summarise(past("exceeded", "kept"), 2)["summary"].endswith("and would never have acted")
    assert summarise(past("exceeded"), 1)["summary"] == (
        "would have breached 1 of 1 window and acted once"
    )


def test_it_counts_as_a_monitor_would_have(db):
    """The same figures, fed to a monitor window by window, open as many breaches."""
    watch = helpers.monitor(consecutive=2)
    accuracies = (0.9, 0.7, 0.7, 0.7, 0.9, 0.7, 0.7)
    for day, value in enumerate(accuracies):
        batch = helpers.batch(watch, day)
        run = CheckRun.objects.get(monitor=watch, batch=batch)
        helpers.finish(run, helpers.outcome(helpers.measured(value=value)))
        for breach in Breach.objects.filter(monitor=watch, resolved_at=None):
            if value > 0.8:
                services.resolve_breach(breach, resolution="over", actor=person(Role.OWNER))
    rows = [
        Judged("", str(one.end), one.state, {each["key"]: each for each in one.outcomes})
        for one in watch.windows.order_by("end")
    ]
    assert summarise(rows, 2)["acted"] == Breach.objects.filter(monitor=watch).count() == 2


# Asking


@pytest.fixture
def watch(db):
    """A monitor at a place where three days of data came."""
    made = helpers.monitor()
    for day in range(3):
        helpers.batch(made, day)
    return made


def ask(watch, **fields):
    known = {
        "use": watch.use,
        "environment": watch.environment,
        "name": "accuracy",
        "kind": "performance",
        "limits": [helpers.LIMIT],
        "min_rows": 10,
        "since": helpers.START,
        "until": helpers.START + 10 * helpers.DAY,
        "actor": fields.pop("actor", None) or helpers.developer(),
    }
    return services.request_backtest(watch.version, **{**known, **fields})


def play(backtest, *accuracies):
    for window, value in zip(backtest.windows.order_by("start"), accuracies, strict=True):
        helpers.finish(window.run, helpers.outcome(helpers.measured(value=value)))
    backtest.refresh_from_db()
    return backtest


def test_past_batches_are_judged_and_nothing_follows(watch):
    backtest = play(ask(watch), 0.7, 0.9, 0.7)
    assert backtest.state == "succeeded"
    assert backtest.result["summary"] == "would have breached 2 of 3 windows and acted 2 times"
    assert not Breach.objects.exists()
    (asked,) = helpers.entries("monitoring.backtest.requested", backtest.pk)
    (done,) = helpers.entries("monitoring.backtest.finished", backtest.pk)
    assert (asked.public["windows"], done.public["breached"], done.public["acted"]) == (3, 2, 2)
    run = backtest.windows.first().run
    assert (run.purpose, run.monitor) == ("backtest", None)
    assert str(run.pk) not in {one["id"] for one in selectors.measurement_facts(watch.version)}


def test_a_failed_run_is_a_failed_window_and_all_failed_is_a_failed_backtest(watch):
    backtest = ask(watch, until=helpers.START + helpers.DAY)
    run = services.claim_run(backtest.windows.get().run_id, actor=helpers.SYSTEM)
    services.fail_run(run.pk, run.attempt, "bad", retryable=False, actor=helpers.SYSTEM)
    backtest.refresh_from_db()
    assert (backtest.state, backtest.result["failed"]) == ("failed", 1)


def test_a_dataset_is_cut_by_its_time(db, tmp_path):
    version = helpers.version(columns={**helpers.COLUMNS, "time": "at"})
    lines = helpers.rows(600).decode().splitlines()
    stamped = [f"{lines[0]},at"] + [
        f"{line},2026-01-{1 + index // 200:02d} {index % 24:02d}:00:00"
        for index, line in enumerate(lines[1:])
    ]
    data = helpers.dataset("\n".join(stamped).encode() + b"\n")
    backtest = services.request_backtest(
        version,
        use=factories.default_use(version.model),
        environment=factories.make_environment(),
        name="accuracy",
        kind="performance",
        limits=[helpers.LIMIT],
        window="day",
        min_rows=10,
        since=helpers.START,
        until=helpers.START + 3 * helpers.DAY,
        dataset=data,
        actor=helpers.developer(),
    )
    for window in backtest.windows.all():
        done = executor.execute(window.run_id, beat=None)
        assert (done.state, done.rows) == ("succeeded", 200), done.error
    backtest.refresh_from_db()
    assert (backtest.state, backtest.result["judged"]) == ("succeeded", 3)


def test_what_cannot_be_looked_back_on_is_named(watch):
    cases = (
        ({"until": helpers.START}, Invalid, "until"),
        ({"name": "No Spaces"}, Invalid, "name"),
        ({"window": "5h"}, Invalid, "window"),
        ({"limits": []}, Invalid, "limits"),
        ({"since": helpers.START + 5 * helpers.DAY}, Invalid, "since"),
        ({"dataset": helpers.dataset()}, Invalid, "window"),
        ({"dataset": helpers.dataset(), "window": "day"}, Unprocessable, "dataset"),
    )
    for fields, error, field in cases:
        with pytest.raises(error) as caught:
            ask(watch, **fields)
        assert caught.value.field == field, fields
    assert not Backtest.objects.exists()


def test_answers_of_another_version_are_no_past_of_this_one(watch):
    other = factories.make_version(watch.version.model)
    with pytest.raises(Invalid) as caught:
        services.request_backtest(
            other,
            use=watch.use,
            environment=watch.environment,
            name="accuracy",
            kind="performance",
            limits=[helpers.LIMIT],
            since=helpers.START,
            until=helpers.START + 10 * helpers.DAY,
            actor=helpers.developer(),
        )
    assert caught.value.field == "config.grade"


@pytest.mark.parametrize("role", [Role.RISK_OFFICER, Role.OPERATOR, Role.AUDITOR])
def test_who_must_not_ask(watch, role):
    with pytest.raises(Refused):
        ask(watch, actor=person(role))
    assert not Backtest.objects.exists()
    assert helpers.entries("audit.write.refused")


def test_a_backtest_is_not_retried_run_by_run(watch):
    backtest = play(ask(watch), 0.9, 0.9, 0.9)
    with pytest.raises(Conflict):
        services.retry_run(backtest.windows.first().run, actor=helpers.developer())


# What it is for


def harsh(watch, **fields):
    return helpers.monitor(
        watch.version, environment=watch.environment, name="harsh", effect="stop", **fields
    )


def test_without_a_backtest_a_monitor_has_the_milder_effect_and_says_why(watch):
    made = harsh(watch)
    assert (made.effect, made.wanted_effect) == ("no_new_deployment", "stop")
    assert "takes a backtest" in selectors.effect_note(made)
    (entry,) = helpers.entries("monitoring.monitor.started", made.pk)
    assert (entry.public["effect"], entry.public["wanted_effect"]) == ("no_new_deployment", "stop")


def test_after_a_backtest_of_the_same_definition_it_has_what_was_wanted(watch):
    backtest = play(ask(watch), 0.9, 0.9, 0.9)
    made = harsh(watch)
    assert (made.effect, made.backtest) == ("stop", backtest)
    assert selectors.effect_note(made) == ""
    assert harsh(watch, min_rows=20).effect == "no_new_deployment", "another definition"


def test_a_named_backtest_must_be_of_it_and_show_something(watch):
    other = play(ask(watch, min_rows=11), 0.9, 0.9, 0.9)
    with pytest.raises(Invalid) as caught:
        harsh(watch, backtest=other)
    assert caught.value.field == "backtest"
    running = ask(watch)
    with pytest.raises(Invalid) as caught:
        harsh(watch, backtest=running)
    assert caught.value.field == "backtest"


def test_a_monitor_is_armed_later(watch):
    made = harsh(watch)
    risk = person(Role.RISK_OFFICER)
    with pytest.raises(Conflict) as caught:
        services.arm_monitor(made, actor=risk)
    assert caught.value.code == "backtest_missing"
    backtest = play(ask(watch), 0.9, 0.9, 0.9)
    armed = services.arm_monitor(made, actor=risk)
    made.refresh_from_db()
    assert (armed.effect, armed.backtest, made.until) == ("stop", backtest, armed.since)
    (entry,) = helpers.entries("monitoring.monitor.started", armed.pk)
    assert entry.public["backtest"] == str(backtest.pk)
    with pytest.raises(Conflict):
        services.arm_monitor(armed, actor=risk)


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.OPERATOR, Role.AUDITOR])
def test_who_must_not_arm(watch, role):
    made = harsh(watch)
    play(ask(watch), 0.9, 0.9, 0.9)
    with pytest.raises(Refused):
        services.arm_monitor(made, actor=person(role))
    assert Monitor.objects.get(pk=made.pk).until is None


def test_too_few_judged_windows_show_nothing(watch):
    play(ask(watch, until=helpers.START + timedelta(days=1), consecutive=2), 0.9)
    assert harsh(watch, consecutive=2).effect == "no_new_deployment"


def test_the_result_is_plain_json(watch):
    backtest = play(ask(watch), 0.7, 0.7, 0.7)
    assert json.loads(json.dumps(backtest.result)) == backtest.result


# Calling it off


def test_a_backtest_is_called_off_with_every_check_of_it_that_is_not_over(watch):
    backtest = ask(watch)
    first, second, third = backtest.windows.order_by("start")
    helpers.finish(first.run)
    under_way = services.claim_run(second.run_id, actor=helpers.SYSTEM)
    services.cancel_backtest(backtest, actor=helpers.developer())
    backtest.refresh_from_db()
    assert (backtest.state, backtest.result) == ("cancelled", {})
    assert backtest.finished_at is not None
    runs = [CheckRun.objects.get(window=one) for one in (first, second, third)]
    assert [one.state for one in runs] == ["succeeded", "cancelled", "cancelled"]
    told = [(one.state, one.outcomes[0]["reason"]) for one in backtest.windows.order_by("start")]
    assert told[1:] == [("failed", "not measured: the backtest was cancelled")] * 2
    (entry,) = helpers.entries("monitoring.backtest.cancelled", backtest.pk)
    assert (entry.public["windows"], entry.public["judged"]) == (3, 1)
    assert len(helpers.entries("monitoring.check.cancelled")) == 2
    assert not helpers.entries("monitoring.backtest.finished")
    late = helpers.outcome(helpers.measured())
    assert not services.finish_run(second.run_id, under_way.attempt, late, actor=helpers.SYSTEM)
    backtest.refresh_from_db()
    assert backtest.state == "cancelled", "what a worker still sends changes nothing"


def test_a_backtest_that_was_called_off_shows_nothing(watch):
    backtest = ask(watch)
    helpers.finish(backtest.windows.order_by("start").first().run)
    services.cancel_backtest(backtest, actor=helpers.developer())
    assert harsh(watch).effect == "no_new_deployment"
    backtest.refresh_from_db()
    with pytest.raises(Invalid) as caught:
        harsh(watch, backtest=backtest)
    assert caught.value.field == "backtest"


def test_a_backtest_that_is_over_is_not_called_off(watch):
    backtest = play(ask(watch), 0.9, 0.9, 0.9)
    with pytest.raises(Conflict):
        services.cancel_backtest(backtest, actor=helpers.developer())
    backtest.refresh_from_db()
    assert backtest.state == "succeeded"
    other = ask(watch)
    services.cancel_backtest(other, actor=helpers.developer())
    with pytest.raises(Conflict):
        services.cancel_backtest(other, actor=helpers.developer())


@pytest.mark.parametrize("role", [Role.RISK_OFFICER, Role.OPERATOR, Role.AUDITOR])
def test_who_must_not_call_a_backtest_off(watch, role):
    backtest = ask(watch)
    with pytest.raises(Refused):
        services.cancel_backtest(backtest, actor=person(role))
    backtest.refresh_from_db()
    assert backtest.state == "running"
    assert helpers.entries("audit.write.refused")
