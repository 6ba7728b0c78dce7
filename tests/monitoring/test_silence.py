"""What was not measured: of one limit or of all, of one window or of several in a row."""

from datetime import timedelta

import pytest

from accounts.models import Role
from kernel.errors import Invalid
from kernel.moments import now
from monitoring import selectors, services
from monitoring.models import Backtest, CheckRun, Monitor
from monitoring.services.monitors import usual_silence
from tests import factories
from tests.monitoring import helpers
from tests.monitoring.test_requests import stored_model

pytestmark = pytest.mark.django_db

RECALL = {"metric": "recall", "op": ">=", "value": 0.5}
BOTH = [helpers.LIMIT, RECALL]


def open_of(watch):
    found = selectors.open_breaches(watch.version, watch.use, watch.environment)
    return sorted(found, key=lambda one: one.limit_key)


def run_of(watch, day):
    return CheckRun.objects.get(batch=helpers.batch(watch, day))


def seen(watch, day, accuracy=0.9, recall=0.9, *, rows=400):
    """A day's batch, of which this was measured; None is undefined."""
    figures = [helpers.measured("accuracy", accuracy), helpers.measured("recall", recall)]
    return helpers.finish(run_of(watch, day), helpers.outcome(*figures, rows=rows))


def failed(watch, day):
    run = run_of(watch, day)
    services.claim_run(run.pk, actor=helpers.SYSTEM)
    services.fail_run(run.pk, 1, "no such column", retryable=False, actor=helpers.SYSTEM)
    run.refresh_from_db()
    return run


def resolve(breach):
    owner = factories.actor_of(factories.make_user(None, Role.OWNER))
    services.resolve_breach(breach, resolution="looked at", actor=owner)


# One limit


def test_a_limit_that_is_not_measured_several_windows_running_is_a_breach():
    watch = helpers.monitor(limits=BOTH)
    for day in range(2):
        seen(watch, day, recall=None)
    assert open_of(watch) == []
    run = seen(watch, 2, recall=None)
    (breach,) = open_of(watch)
    assert (breach.metric, breach.limit_key, breach.run) == ("recall", "recall >=", run)
    assert "3 windows in a row" in breach.detail["reason"]
    assert "insufficient" in breach.detail["reason"]
    assert (breach.detail["outcome"], breach.detail["limit"]["value"]) == ("not_measured", 0.5)
    (entry,) = helpers.entries("monitoring.breach.opened", breach.pk)
    assert (entry.public["reason"], entry.public["limit_key"]) == ("not_measured", "recall >=")


def test_a_window_that_failed_or_held_too_few_rows_measured_the_limit_as_little():
    watch = helpers.monitor(limits=BOTH)
    failed(watch, 0)
    seen(watch, 1, recall=None)
    assert open_of(watch) == []
    seen(watch, 2, rows=3)
    (breach,) = open_of(watch)
    assert breach.limit_key == "recall >=", "accuracy was measured in between"


def test_one_figure_among_them_ends_the_limits_silence():
    watch = helpers.monitor(limits=BOTH)
    for day, recall in enumerate([None, None, 0.9, None, None]):
        seen(watch, day, recall=recall)
    assert open_of(watch) == []


def test_a_check_that_always_fails_is_one_breach_of_silence_and_not_one_for_each_limit():
    watch = helpers.monitor(limits=BOTH)
    for day in range(3):
        failed(watch, day)
    (breach,) = open_of(watch)
    assert breach.limit_key == "silence"
    assert "no such column" in breach.detail["reason"]


def test_a_person_accounts_for_it_and_the_count_begins_again():
    watch = helpers.monitor(limits=BOTH, silent_after_windows=2)
    for day in range(2):
        seen(watch, day, recall=None)
    (first,) = open_of(watch)
    resolve(first)
    seen(watch, 2, recall=None)
    assert open_of(watch) == []
    seen(watch, 3, recall=None)
    (second,) = open_of(watch)
    assert second.pk != first.pk


def test_a_limit_that_wants_a_figure_in_any_case_waits_for_nothing():
    watch = helpers.monitor(limits=[helpers.LIMIT, RECALL | {"when_undefined": "breach"}])
    seen(watch, 0, recall=None)
    (breach,) = open_of(watch)
    assert breach.limit_key == "recall >="
    seen(watch, 1, recall=None)
    seen(watch, 2, recall=None)
    assert open_of(watch) == [breach], "one limit, one open breach"


def test_who_says_never_gets_none():
    watch = helpers.monitor(limits=BOTH, silent_after_windows=None)
    for day in range(4):
        seen(watch, day, recall=None)
    assert open_of(watch) == []


# Windows in a row


def test_what_was_not_measured_neither_keeps_a_count_nor_breaks_it():
    watch = helpers.monitor(consecutive=2)
    seen(watch, 0, accuracy=0.7)
    seen(watch, 1, accuracy=None)
    assert open_of(watch) == []
    failed(watch, 2)
    assert open_of(watch) == []
    run = seen(watch, 3, accuracy=0.7)
    (breach,) = open_of(watch)
    assert (breach.run, breach.detail["outcome"]) == (run, "exceeded")


def test_a_backtest_counts_alike():
    watch = helpers.monitor()
    for day in range(3):
        helpers.batch(watch, day)
    asked = services.request_backtest(
        watch.version,
        use=watch.use,
        environment=watch.environment,
        name="again",
        kind="performance",
        limits=[helpers.LIMIT],
        since=helpers.START,
        until=helpers.START + 3 * helpers.DAY,
        min_rows=10,
        consecutive=2,
        actor=helpers.developer(),
    )
    for window, value in zip(asked.windows.order_by("start"), [0.7, None, 0.7], strict=True):
        helpers.finish(window.run, helpers.outcome(helpers.measured(value=value)))
    result = Backtest.objects.get(pk=asked.pk).result
    assert (result["breached"], result["acted"]) == (2, 1)


# Without data


@pytest.mark.parametrize(
    ("fields", "days"),
    [({}, 7), ({"window": "day"}, 3), ({"window": "week", "wait_seconds": 86_400}, 22)],
)
def test_a_monitor_that_nobody_timed_falls_silent_all_the_same(fields, days):
    watch = helpers.monitor(silent_after_windows=None, **fields)
    hour = 0 if not fields else 3600
    assert watch.silent_after_seconds == usual_silence(
        fields.get("window", "batch"), fields.get("wait_seconds", 0)
    )
    assert watch.silent_after_seconds == days * 86_400 + hour
    at = now() + timedelta(seconds=watch.silent_after_seconds)
    services.run_due_monitors(actor=helpers.SYSTEM, at=at - timedelta(minutes=1))
    assert open_of(watch) == []
    services.run_due_monitors(actor=helpers.SYSTEM, at=at + timedelta(minutes=1))
    (breach,) = open_of(watch)
    assert breach.metric == "silence"


def test_never_has_to_be_said():
    watch = helpers.monitor(silent_after_seconds=None)
    assert watch.silent_after_seconds is None
    assert services.run_due_monitors(actor=helpers.SYSTEM, at=now() + timedelta(days=400)) == 0


# Limits that hold nothing


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"limits": [{**RECALL, "metric": "recal"}]}, "limits[0].metric"),
        ({"limits": [helpers.LIMIT, {**RECALL, "value": 0}]}, "limits[1].value"),
        ({"limits": [{**RECALL, "attribute": "sex"}]}, "limits[0].attribute"),
        ({"limits": [{**RECALL, "slice": {"age": "old"}}]}, "limits[0].slice"),
        ({"min_rows": 10**9}, "min_rows"),
    ],
)
def test_neither_a_monitor_nor_a_backtest_takes_one(fields, field):
    with pytest.raises(Invalid) as caught:
        helpers.monitor(**fields)
    assert caught.value.field == field
    assert not Monitor.objects.exists()
    version = helpers.version()
    known = {"limits": [helpers.LIMIT], "min_rows": 10, **fields}
    with pytest.raises(Invalid) as caught:
        services.request_backtest(
            version,
            use=factories.default_use(version.model),
            environment=factories.make_environment(),
            name="again",
            kind="performance",
            since=helpers.START,
            until=helpers.START + helpers.DAY,
            actor=helpers.developer(),
            **known,
        )
    assert caught.value.field == field


def test_a_group_that_the_data_may_lack_is_the_datas_to_tell():
    watch = helpers.monitor(limits=[{**RECALL, "slice": {"sex": "Nobody"}}])
    for day in range(3):
        seen(watch, day)
    (breach,) = open_of(watch)
    assert "the check gave no such measurement" in breach.detail["reason"]


@pytest.mark.parametrize(
    ("kind", "limit", "field"),
    [
        ("explainability", {"metric": "mean_abs_shap", "slice": {"feature": "x"}}, None),
        ("explainability", {"metric": "mean_abs_shap", "slice": {"feature": "y"}}, "slice"),
        ("explainability", {"metric": "proxy_auc", "attribute": "sex"}, "metric"),
        ("robustness", {"metric": "flip_rate", "attribute": "perturbation"}, None),
        ("robustness", {"metric": "flip_rate", "slice": {"perturbation": "storm"}}, "slice"),
        ("robustness", {"metric": "max_score_change", "attribute": "perturbation"}, "attribute"),
    ],
)
def test_so_are_limits_on_what_only_the_model_tells(kind, limit, field):
    version = helpers.version(**stored_model())
    limits = [{**limit, "op": "<=", "value": 0.4}]
    if field is None:
        assert helpers.monitor(version, kind=kind, limits=limits).kind == kind
        return
    with pytest.raises(Invalid) as caught:
        helpers.monitor(version, kind=kind, limits=limits)
    assert caught.value.field == f"limits[0].{field}"
