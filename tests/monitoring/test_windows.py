"""Windows of time: what is due, late data, too little volume, backfill."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Role
from audit.writing import Refused
from kernel.errors import Conflict, Invalid
from kernel.moments import now, rfc3339
from monitoring import executor, selectors, services, windows
from monitoring.models import Breach, CheckRun, Monitor, Window
from tests import factories
from tests.monitoring import helpers

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def person(role):
    return factories.actor_of(factories.make_user(None, role))


def judged(watch, day, value, *, rows=400, **fields):
    """A day's batch came in and its check found this accuracy."""
    batch = helpers.batch(watch, day, **fields)
    run = CheckRun.objects.get(monitor=watch, batch=batch)
    return helpers.finish(run, helpers.outcome(helpers.measured(value=value), rows=rows))


def due(at=None):
    return services.run_due_monitors(actor=helpers.SYSTEM, at=at)


def hours(watch, *numbers, day=0):
    """Batches of an hour each."""
    return [
        helpers.batch(
            watch,
            batch_id=f"{day}-{hour}",
            window_start=helpers.START + day * helpers.DAY + hour * HOUR,
            window_end=helpers.START + day * helpers.DAY + (hour + 1) * HOUR,
            data=helpers.rows(100, seed=100 * day + hour),
        )
        for hour in numbers
    ]


def open_of(watch):
    return list(selectors.open_breaches(watch.version, watch.use, watch.environment))


# Stretches of time


@given(
    st.sampled_from(windows.WINDOWS[1:]),
    st.integers(0, 60 * 365 * 24 * 60).map(lambda n: datetime(1990, 1, 1, tzinfo=UTC) + n * MINUTE),
)
def test_every_instant_lies_in_one_stretch_and_the_next_begins_where_it_ends(window, at):
    start, end = windows.around(window, at)
    assert start <= at < end
    assert windows.around(window, start) == (start, end)
    assert windows.around(window, end)[0] == end


@given(
    st.sampled_from(windows.WINDOWS[1:]),
    st.integers(0, 60 * 365 * 24).map(lambda n: datetime(1990, 1, 1, tzinfo=UTC) + n * HOUR),
    st.integers(0, 40),
)
def test_later_stretches_follow_without_a_gap_and_none_is_longer_than_can_be(window, at, count):
    start, end = windows.around(window, at)
    ends = list(windows.ends_after(window, end, count))
    assert len(ends) == count
    for before, after in zip([end, *ends], ends, strict=False):
        assert windows.around(window, before) == (before, after)
        assert after - before <= windows.longest(window)
    assert end - start <= windows.longest(window)
    assert windows.cuts_days(window) == window[0].isdigit()


def test_weeks_begin_on_monday_and_months_have_their_own_length():
    at = datetime(2024, 2, 29, 23, 59, tzinfo=UTC)
    assert windows.around("week", at)[0] == datetime(2024, 2, 26, tzinfo=UTC)
    assert windows.around("month", at)[1] == datetime(2024, 3, 1, tzinfo=UTC)
    assert windows.around("6h", at)[0] == datetime(2024, 2, 29, 18, tzinfo=UTC)
    until = datetime(2024, 3, 3, 12, tzinfo=UTC)
    assert len(list(windows.between("day", at, until))) == 3
    with pytest.raises(Invalid) as caught:
        windows.check("5h")
    assert caught.value.field == "window"


# Windows of a batch each


@pytest.mark.django_db
def test_each_batch_has_its_window_with_what_it_came_to():
    watch = helpers.monitor()
    run = judged(watch, 0, 0.7)
    window = Window.objects.get()
    assert (window.run, window.state, window.rows) == (run, "judged", 400)
    assert window.acts == ["accuracy >="]
    assert window.outcomes[0]["outcome"] == "exceeded"
    (entry,) = helpers.entries("monitoring.window.judged", window.pk)
    assert (entry.public["broken"], entry.public["acts"], entry.public["times"]) == (1, 1, 1)


@pytest.mark.django_db
def test_a_late_batch_judges_those_again_that_count_on_it():
    watch = helpers.monitor(consecutive=3)
    judged(watch, 0, 0.7)
    judged(watch, 2, 0.7)
    judged(watch, 3, 0.9)
    assert open_of(watch) == []
    late = judged(watch, 1, 0.7)
    (breach,) = open_of(watch)
    third = Window.objects.get(batch__batch_id="day-2")
    assert breach.run == third.run != late
    assert breach.detail["because_of"]["start"] == rfc3339(helpers.START + helpers.DAY)
    entries = helpers.entries("monitoring.window.judged", third.pk)
    assert [entry.public.get("because_of") for entry in entries] == [None, str(late.window_id)]
    assert len(helpers.entries("monitoring.window.judged")) == 5, "and no window beyond"


@pytest.mark.django_db
def test_a_late_batch_that_keeps_its_limit_takes_back_what_followed_from_later_ones():
    watch = helpers.monitor(consecutive=2)
    judged(watch, 0, 0.7)
    judged(watch, 2, 0.7)
    (breach,) = open_of(watch)
    judged(watch, 1, 0.9)
    assert Window.objects.get(batch__batch_id="day-2").acts == []
    assert open_of(watch) == [breach], "it is for a person to say why it no longer stands"


@pytest.mark.django_db
def test_a_late_batch_does_not_reopen_what_a_person_resolved():
    watch = helpers.monitor(consecutive=2)
    judged(watch, 1, 0.7)
    judged(watch, 2, 0.7)
    (breach,) = open_of(watch)
    services.resolve_breach(breach, resolution="known", actor=person(Role.OWNER))
    judged(watch, 0, 0.9)
    assert open_of(watch) == []


@pytest.mark.django_db
def test_too_little_volume_is_no_pass_and_three_in_a_row_are_silence():
    watch = helpers.monitor(min_rows=300)
    judged(watch, 0, 0.9, rows=10)
    assert Window.objects.get().state == "insufficient"
    judged(watch, 1, 0.9, rows=10)
    assert open_of(watch) == []
    judged(watch, 2, 0.9, rows=10)
    (breach,) = open_of(watch)
    assert breach.metric == "silence"
    assert breach.detail["reason"].startswith("3 windows in a row have fewer than the 300 rows")
    services.resolve_breach(breach, resolution="holidays", actor=person(Role.OWNER))
    judged(watch, 3, 0.9, rows=10)
    assert open_of(watch) == [], "counted anew since a person accounted for it"


@pytest.mark.django_db
def test_volume_that_never_matters_is_the_monitors_own_word():
    watch = helpers.monitor(min_rows=300, silent_after_windows=None)
    for day in range(4):
        judged(watch, day, 0.9, rows=10)
    assert open_of(watch) == []


# Windows of several batches


@pytest.mark.django_db
def test_a_day_is_judged_once_when_it_is_over_on_all_its_batches():
    watch = helpers.monitor(window="day")
    sent = hours(watch, 3, 1, 2)
    assert not CheckRun.objects.exists(), "not one by one"
    assert due() == 1
    assert due() == 0
    run = CheckRun.objects.get()
    ordered = sorted(sent, key=lambda one: one.window_start)
    assert run.batches == [str(one.pk) for one in ordered]
    done = executor.execute(run.pk, beat=None)
    assert (done.state, done.rows) == ("succeeded", 300), done.error
    window = Window.objects.get()
    assert (window.start, window.end) == (helpers.START, helpers.START + helpers.DAY)
    assert window.state == "judged"
    (entry,) = helpers.entries("monitoring.check.requested", run.pk)
    assert entry.public["window"] == str(window.pk)


@pytest.mark.django_db
def test_a_batch_for_a_judged_window_has_it_judged_again():
    watch = helpers.monitor(window="day")
    hours(watch, 1)
    due()
    first = helpers.finish(CheckRun.objects.get(), helpers.outcome(helpers.measured(value=0.9)))
    hours(watch, 2)
    assert due() == 1
    window = Window.objects.get()
    assert window.run != first
    assert len(window.run.batches) == 2
    helpers.finish(window.run, helpers.outcome(helpers.measured(value=0.7)))
    (breach,) = open_of(watch)
    window.refresh_from_db()
    assert (breach.run, window.judged_times) == (window.run, 2)


@pytest.mark.django_db
def test_data_that_come_while_a_window_is_being_checked_wait_for_the_next_turn():
    watch = helpers.monitor(window="day")
    hours(watch, 1)
    due()
    hours(watch, 2)
    assert due() == 0
    helpers.finish(CheckRun.objects.get(), helpers.outcome())
    assert due() == 1


@pytest.mark.django_db
def test_a_window_that_is_not_over_waits_and_so_does_one_with_time_for_late_data():
    watch = helpers.monitor(window="day", wait_seconds=3600)
    start, end = windows.around("day", now())
    helpers.batch(watch, window_start=start, window_end=start + HOUR)
    assert due() == 0
    assert due(end + timedelta(minutes=59)) == 0
    assert due(end + timedelta(minutes=61)) == 1


@pytest.mark.django_db
def test_windows_without_any_data_are_insufficient_and_in_the_end_silence():
    watch = helpers.monitor(window="day")
    later = windows.around("day", now())[1] + 2 * helpers.DAY
    assert due(later) == 0
    assert list(Window.objects.values_list("state", "rows")) == [("insufficient", 0)] * 3
    (breach,) = open_of(watch)
    assert breach.metric == "silence"
    assert due(later) == 0


@pytest.mark.django_db
def test_a_window_that_was_missed_is_made_up_for_and_a_retired_version_is_left_alone():
    watch = helpers.monitor(window="day", silent_after_windows=None, silent_after_seconds=None)
    today, tomorrow = windows.around("day", now())
    assert due(tomorrow + helpers.DAY) == 0
    assert Window.objects.count() == 2
    helpers.batch(
        watch, window_start=today + 3 * helpers.DAY, window_end=tomorrow + 3 * helpers.DAY
    )
    assert due(tomorrow + 4 * helpers.DAY) == 1
    assert Window.objects.count() == 5, "those in between, too"
    type(watch.version).objects.filter(pk=watch.version_id).update(retired_at=now())
    assert due(tomorrow + 9 * helpers.DAY) == 0
    assert Window.objects.count() == 5


@pytest.mark.django_db
def test_a_monitor_of_windows_is_not_asked_about_a_batch():
    watch = helpers.monitor(window="week")
    (batch,) = hours(watch, 1)
    with pytest.raises(Conflict):
        services.evaluate_monitor(watch, batch, actor=helpers.SYSTEM)


# Backfill


@pytest.mark.django_db
def test_past_windows_are_evaluated_and_act_on_nothing():
    old = helpers.monitor()
    for day in range(3):
        helpers.batch(old, day)
    watch = helpers.monitor(old.version, environment=old.environment, name="new", consecutive=1)
    until = helpers.START + 2 * helpers.DAY
    made = services.backfill_monitor(
        watch, since=helpers.START, until=until, actor=person(Role.RISK_OFFICER)
    )
    assert [one.is_backfill for one in made] == [True, True]
    (entry,) = helpers.entries("monitoring.monitor.backfilled", watch.pk)
    assert entry.public["windows"] == 2
    for window in made:
        helpers.finish(window.run, helpers.outcome(helpers.measured(value=0.1)))
    assert not Breach.objects.filter(monitor=watch).exists()
    assert [one.state for one in watch.windows.all()] == ["judged", "judged"]
    again = services.backfill_monitor(
        watch, since=helpers.START, until=until, actor=person(Role.RISK_OFFICER)
    )
    assert again == [], "once"


@pytest.mark.django_db
def test_backfilled_windows_do_not_count_for_those_that_act():
    old = helpers.monitor()
    helpers.batch(old, 0)
    watch = helpers.monitor(old.version, environment=old.environment, name="new", consecutive=2)
    (window,) = services.backfill_monitor(
        watch,
        since=helpers.START,
        until=helpers.START + helpers.DAY,
        actor=person(Role.RISK_OFFICER),
    )
    helpers.finish(window.run, helpers.outcome(helpers.measured(value=0.1)))
    judged(watch, 1, 0.1)
    assert not Breach.objects.filter(monitor=watch).exists()


@pytest.mark.django_db
def test_days_of_the_past_are_backfilled_whole():
    old = helpers.monitor()
    hours(old, 1, 2)
    hours(old, 1, day=1)
    watch = helpers.monitor(old.version, environment=old.environment, name="new", window="day")
    made = services.backfill_monitor(
        watch,
        since=helpers.START,
        until=helpers.START + 2 * helpers.DAY,
        actor=person(Role.RISK_OFFICER),
    )
    assert [len(one.run.batches) for one in made] == [2, 1]


@pytest.mark.django_db
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.DEVELOPER, Role.VALIDATOR, Role.AUDITOR])
def test_who_must_not_backfill(role):
    watch = helpers.monitor()
    with pytest.raises(Refused):
        services.backfill_monitor(
            watch, since=helpers.START, until=helpers.START + helpers.DAY, actor=person(role)
        )
    assert not Window.objects.exists()
    assert helpers.entries("audit.write.refused")


@pytest.mark.django_db
def test_a_backfill_needs_a_stretch_and_a_monitor_that_lives():
    watch = helpers.monitor()
    risk = person(Role.RISK_OFFICER)
    with pytest.raises(Invalid) as caught:
        services.backfill_monitor(watch, since=helpers.START, until=helpers.START, actor=risk)
    assert caught.value.field == "until"
    services.end_monitor(watch, actor=risk)
    with pytest.raises(Conflict):
        services.backfill_monitor(
            Monitor.objects.get(),
            since=helpers.START,
            until=helpers.START + helpers.DAY,
            actor=risk,
        )
