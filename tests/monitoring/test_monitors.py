"""Production data, monitors and the breaches that they find."""

import io
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from accounts.models import Role
from audit.writing import Refused
from kernel.errors import Conflict, Invalid, TooLarge, Unprocessable
from kernel.moments import now
from monitoring import selectors, services
from monitoring.models import Breach, CheckRun, Monitor, ObservationBatch, Window
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db


def person(role):
    return factories.actor_of(factories.make_user(None, role))


def evaluated(watch, day, value, *, rows=400):
    """A day's batch came in and its check found this accuracy."""
    batch = helpers.batch(watch, day)
    run = CheckRun.objects.get(monitor=watch, batch=batch)
    return helpers.finish(run, helpers.outcome(helpers.measured(value=value), rows=rows))


def open_of(watch):
    return list(selectors.open_breaches(watch.version, watch.use, watch.environment))


# Batches


def test_a_batch_is_kept_and_each_monitor_looks_at_it_once():
    watch = helpers.monitor()
    batch = helpers.batch(watch)
    run = CheckRun.objects.get(batch=batch)
    assert (run.monitor, run.purpose, run.dataset) == (watch, "monitoring", None)
    (entry,) = helpers.entries("monitoring.batch.received", batch.pk)
    assert entry.public["digest"] == batch.blob_id
    assert "batch_id" not in entry.public, "a sender's id may name somebody"


def test_a_batch_sent_twice_is_one_batch():
    watch = helpers.monitor()
    sent = {"version": watch.version, "use": watch.use, "environment": watch.environment}
    facts = {
        "batch_id": "day-0",
        "media_type": "text/csv",
        "window_start": helpers.START,
        "window_end": helpers.START + helpers.DAY,
        "actor": person(Role.OPERATOR),
    }
    results = [
        services.record_batch(**sent, **facts, file=io.BytesIO(helpers.rows())) for _ in range(2)
    ]
    assert results[0][0] == results[1][0]
    assert [is_new for _, is_new in results] == [True, False]
    assert CheckRun.objects.count() == 1
    assert len(helpers.entries("monitoring.batch.received")) == 1


def test_the_same_id_with_other_bytes_or_another_window_is_a_conflict():
    watch = helpers.monitor()
    helpers.batch(watch, 0)
    with pytest.raises(Conflict) as caught:
        helpers.batch(watch, 0, data=helpers.rows(seed=99))
    assert caught.value.field == "batch_id"
    with pytest.raises(Conflict) as caught:
        helpers.batch(watch, 0, window_end=helpers.START + 2 * helpers.DAY)
    assert caught.value.field == "window_end"
    assert ObservationBatch.objects.count() == 1


def test_a_wrong_batch_is_named():
    watch = helpers.monitor()
    for fields, error, field in (
        ({"batch_id": " "}, Invalid, "batch_id"),
        ({"batch_id": "x" * 101}, Invalid, "batch_id"),
        ({"window_end": helpers.START}, Invalid, "window_end"),
        ({"use": factories.default_use(factories.make_model())}, Invalid, "use"),
        ({"media_type": "image/gif"}, Unprocessable, "media_type"),
        ({"digest": "0" * 64}, Unprocessable, "digest"),
        ({"kind": "gossip"}, Invalid, "kind"),
    ):
        with pytest.raises(error) as caught:
            helpers.batch(watch, **fields)
        assert caught.value.field == field
    assert not ObservationBatch.objects.exists()


def test_a_batch_may_not_be_endless(settings):
    from dataclasses import replace

    settings.COUNTERSIGN = replace(settings.COUNTERSIGN, max_evidence_bytes=100)
    with pytest.raises(TooLarge):
        helpers.batch(helpers.monitor())


@pytest.mark.parametrize("role", [Role.OWNER, Role.VALIDATOR, Role.RISK_OFFICER, Role.AUDITOR])
def test_who_must_not_send_data(role):
    watch = helpers.monitor()
    with pytest.raises(Refused):
        helpers.batch(watch, actor=person(role))
    assert helpers.entries("audit.write.refused")


# Monitors


def test_a_monitor_keeps_its_definition():
    watch = helpers.monitor(config={"level": 0.9})
    assert watch.config == {"level": 0.9, "grade": "recomputed"}
    assert watch.mapping["label"] == "outcome"
    assert watch.limits[0]["bound"] == "value"
    (entry,) = helpers.entries("monitoring.monitor.started", watch.pk)
    assert entry.public["definition_digest"] == watch.definition_digest


def test_the_same_monitor_again_is_the_same_and_another_replaces_it():
    watch = helpers.monitor()
    again = helpers.monitor(watch.version, environment=watch.environment)
    assert again.pk == watch.pk
    stricter = helpers.monitor(
        watch.version, environment=watch.environment, limits=[{**helpers.LIMIT, "value": 0.95}]
    )
    watch.refresh_from_db()
    assert watch.until == stricter.since
    assert len(helpers.entries("monitoring.monitor.ended", watch.pk)) == 1


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "No Spaces"}, "name"),
        ({"consecutive": 0}, "consecutive"),
        ({"min_rows": 0}, "min_rows"),
        ({"silent_after_seconds": 0}, "silent_after_seconds"),
        ({"effect": "explode"}, "effect"),
        ({"kind": "sentiment"}, "kind"),
        ({"limits": []}, "limits"),
        ({"config": {"level": 2}}, "config.level"),
    ],
)
def test_a_wrong_monitor_is_named(fields, field):
    with pytest.raises(Invalid) as caught:
        helpers.monitor(**fields)
    assert caught.value.field == field
    assert not Monitor.objects.exists()


def test_an_ended_monitor_looks_at_nothing_and_cannot_end_twice():
    watch = helpers.monitor()
    services.end_monitor(watch, actor=person(Role.OWNER))
    helpers.batch(watch)
    assert not CheckRun.objects.exists()
    for act in (
        lambda: services.end_monitor(watch, actor=person(Role.OWNER)),
        lambda: services.evaluate_monitor(
            watch, ObservationBatch.objects.get(), actor=helpers.SYSTEM
        ),
    ):
        with pytest.raises(Conflict):
            act()


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VALIDATOR, Role.OPERATOR, Role.AUDITOR])
def test_who_must_not_manage_monitors(role):
    with pytest.raises(Refused):
        helpers.monitor(actor=person(role))
    watch = helpers.monitor()
    with pytest.raises(Refused):
        services.end_monitor(watch, actor=person(role))


def test_a_monitor_looks_only_at_what_it_watches():
    watch, other = helpers.monitor(), helpers.monitor()
    with pytest.raises(Invalid):
        services.evaluate_monitor(watch, helpers.batch(other), actor=helpers.SYSTEM)


def test_due_batches_are_found_once():
    version, environment = helpers.version(), factories.make_environment()
    first = helpers.monitor(version, environment=environment)
    batch = helpers.batch(first)
    Window.objects.update(run=None)
    CheckRun.objects.all().delete()
    assert services.run_due_monitors(actor=helpers.SYSTEM) == 1
    assert services.run_due_monitors(actor=helpers.SYSTEM) == 0
    assert CheckRun.objects.get().batch == batch
    late = helpers.monitor(version, environment=environment, name="later")
    assert services.run_due_monitors(actor=helpers.SYSTEM) == 0, "it came before the monitor"
    assert services.evaluate_monitor(late, batch, actor=helpers.SYSTEM).batch == batch


# Breaches


def test_a_passed_limit_opens_a_breach_with_the_runs_end():
    watch = helpers.monitor()
    assert evaluated(watch, 0, 0.85).state == "succeeded"
    assert open_of(watch) == []
    run = evaluated(watch, 1, 0.7)
    (breach,) = open_of(watch)
    assert (breach.metric, breach.run, breach.opened_at) == ("accuracy", run, run.finished_at)
    assert breach.detail["value"] == 0.7
    assert breach.detail["control"] == "accuracy-kept"
    (entry,) = helpers.entries("monitoring.breach.opened", breach.pk)
    assert (entry.public["value"], entry.public["limit"]) == (0.7, 0.8)
    assert entry.public["effect"] == watch.effect
    assert entry.at == run.finished_at


def test_a_run_and_its_breach_stand_or_fall_together(monkeypatch):
    watch = helpers.monitor()
    run = CheckRun.objects.get(batch=helpers.batch(watch))
    services.claim_run(run.pk, actor=helpers.SYSTEM)
    monkeypatch.setattr(Breach.objects, "create", _broken)
    result = helpers.outcome(helpers.measured(value=0.1))
    with pytest.raises(RuntimeError), transaction.atomic():
        services.finish_run(run.pk, 1, result, actor=helpers.SYSTEM)
    run.refresh_from_db()
    assert run.state == "running"
    assert not run.measurements.exists()


def _broken(**fields):
    raise RuntimeError("the disk is full")


def test_a_limit_has_one_open_breach_and_a_new_one_after_it_is_resolved():
    watch = helpers.monitor()
    evaluated(watch, 0, 0.7)
    evaluated(watch, 1, 0.6)
    (first,) = open_of(watch)
    services.resolve_breach(first, resolution="retrained", actor=person(Role.OWNER))
    assert open_of(watch) == []
    evaluated(watch, 2, 0.6)
    (second,) = open_of(watch)
    assert second.pk != first.pk


def test_a_breach_waits_for_as_many_runs_in_a_row_as_the_monitor_says():
    watch = helpers.monitor(consecutive=3)
    for day, value in enumerate([0.7, 0.7, 0.9, 0.7, 0.7]):
        evaluated(watch, day, value)
    assert open_of(watch) == []
    evaluated(watch, 5, 0.7, rows=3)
    assert open_of(watch) == [], "too few rows say nothing"
    evaluated(watch, 6, 0.7)
    assert len(open_of(watch)) == 1


def test_too_few_rows_are_no_breach():
    watch = helpers.monitor(min_rows=1000)
    evaluated(watch, 0, 0.1)
    assert open_of(watch) == []


@pytest.mark.parametrize(("when_undefined", "expected"), [("ignore", 0), ("breach", 1)])
def test_what_was_not_measured_breaks_a_limit_that_says_so(when_undefined, expected):
    watch = helpers.monitor(limits=[{**helpers.LIMIT, "when_undefined": when_undefined}])
    evaluated(watch, 0, None)
    assert len(open_of(watch)) == expected
    failed = CheckRun.objects.get(batch=helpers.batch(watch, 1))
    for breach in open_of(watch):
        services.resolve_breach(breach, resolution="looked at", actor=person(Role.OWNER))
    services.claim_run(failed.pk, actor=helpers.SYSTEM)
    services.fail_run(failed.pk, 1, "no such column", retryable=False, actor=helpers.SYSTEM)
    assert len(open_of(watch)) == expected


def test_monitoring_runs_change_no_dossier_fact():
    watch = helpers.monitor()
    before = watch.version.revision
    evaluated(watch, 0, 0.7)
    watch.version.refresh_from_db()
    assert watch.version.revision == before
    assert selectors.measurement_facts(watch.version) == []


def test_a_silent_monitor_is_a_breach_until_somebody_accounts_for_it():
    watch = helpers.monitor(silent_after_seconds=3600)
    at = now()
    assert services.run_due_monitors(actor=helpers.SYSTEM, at=at) == 0
    late = at + timedelta(hours=2)
    assert services.run_due_monitors(actor=helpers.SYSTEM, at=late) == 1
    assert services.run_due_monitors(actor=helpers.SYSTEM, at=late) == 0
    (breach,) = open_of(watch)
    assert (breach.metric, breach.run) == ("silence", None)
    (entry,) = helpers.entries("monitoring.breach.opened", breach.pk)
    assert entry.public["reason"] == "silent"
    services.resolve_breach(breach, resolution="a holiday", actor=person(Role.RISK_OFFICER))
    assert services.run_due_monitors(actor=helpers.SYSTEM, at=now()) == 0
    assert services.run_due_monitors(actor=helpers.SYSTEM, at=late + timedelta(hours=2)) == 1


def test_data_ends_silence():
    watch = helpers.monitor(silent_after_seconds=3600)
    Monitor.objects.filter(pk=watch.pk).update(since=now() - timedelta(hours=2))
    helpers.batch(watch)
    assert services.run_due_monitors(actor=helpers.SYSTEM) == 0


def test_a_breach_outlives_its_monitor_and_is_seen_as_it_stood():
    watch = helpers.monitor()
    evaluated(watch, 0, 0.7)
    services.end_monitor(watch, actor=person(Role.OWNER))
    (breach,) = open_of(watch)
    resolved = services.resolve_breach(breach, resolution="data fault", actor=person(Role.OWNER))
    before = selectors.open_breaches(
        watch.version, watch.use, watch.environment, at=breach.opened_at
    )
    after = selectors.open_breaches(
        watch.version, watch.use, watch.environment, at=resolved.resolved_at
    )
    assert list(before) == [breach]
    assert list(after) == []


def test_resolving_takes_a_reason_and_happens_once():
    watch = helpers.monitor()
    evaluated(watch, 0, 0.7)
    (breach,) = open_of(watch)
    owner = person(Role.OWNER)
    with pytest.raises(Invalid) as caught:
        services.resolve_breach(breach, resolution="  ", actor=owner)
    assert caught.value.field == "resolution"
    services.resolve_breach(breach, resolution="Maria looked at it", actor=owner)
    (entry,) = helpers.entries("monitoring.breach.resolved", breach.pk)
    assert "Maria" not in str(entry.public)
    with pytest.raises(Conflict):
        services.resolve_breach(breach, resolution="again", actor=owner)


@pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VALIDATOR, Role.OPERATOR, Role.AUDITOR])
def test_who_must_not_resolve(role):
    watch = helpers.monitor()
    evaluated(watch, 0, 0.7)
    (breach,) = open_of(watch)
    with pytest.raises(Refused):
        services.resolve_breach(breach, resolution="fine", actor=person(role))
    pipeline = factories.make_service_account(None, Role.OWNER)
    with pytest.raises(Refused):
        services.resolve_breach(breach, resolution="fine", actor=factories.actor_of(pipeline))
    assert open_of(watch) == [breach]


def test_the_database_itself_holds_one_open_breach_a_limit():
    watch = helpers.monitor()
    evaluated(watch, 0, 0.7)
    (breach,) = open_of(watch)
    breach.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        breach.save(force_insert=True)
