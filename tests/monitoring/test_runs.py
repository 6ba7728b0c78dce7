"""The life of a run: leases, attempts, what counts and what does not."""

from datetime import timedelta

import pytest

from accounts.models import Role
from audit.models import Entry
from audit.writing import Refused
from kernel.errors import Conflict, NotFound
from kernel.moments import now
from monitoring import dispatch, services
from monitoring.models import CheckRun
from registry.store import open_blob, store
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db
State = CheckRun.State


@pytest.fixture
def sent(monkeypatch):
    """What the queue was told, instead of a broker."""
    told = []
    monkeypatch.setattr(dispatch, "send", lambda run_id: told.append(run_id) or True)
    return told


def claim(run):
    return services.claim_run(run.pk, actor=helpers.SYSTEM)


def lose(run):
    """The worker of this run was killed long ago."""
    CheckRun.objects.filter(pk=run.pk).update(leased_until=now() - timedelta(seconds=1))


def test_a_queued_run_is_claimed_once():
    run = helpers.request()
    first = claim(run)
    assert (first.state, first.attempt) == (State.RUNNING, 1)
    assert first.leased_until > now()
    assert claim(run) is None
    assert [one.public["attempt"] for one in helpers.entries("monitoring.check.started")] == [1]


def test_a_lost_attempt_is_taken_over_and_its_result_ignored():
    run = helpers.request()
    claim(run)
    lose(run)
    second = claim(run)
    assert second.attempt == 2
    late = helpers.outcome(helpers.measured(value=0.1), cube=b'{"late":1}')
    assert not services.finish_run(run.pk, 1, late, actor=helpers.SYSTEM)
    assert not services.fail_run(run.pk, 1, "late", retryable=True, actor=helpers.SYSTEM)
    assert not services.heartbeat(run.pk, 1, progress=0.9)
    run.refresh_from_db()
    assert (run.state, run.attempt, run.measurements.count()) == (State.RUNNING, 2, 0)
    assert not store().has(late.cube_digest), "nothing of the lost attempt is kept"
    assert services.finish_run(run.pk, 2, helpers.outcome(), actor=helpers.SYSTEM)
    assert not services.finish_run(run.pk, 1, late, actor=helpers.SYSTEM)
    assert run.measurements.get().value == 0.9


def test_a_result_is_kept_whole_and_once():
    run = helpers.request()
    result = helpers.outcome(
        helpers.measured(),
        helpers.measured("recall", None, slice={"sex": "F"}),
        helpers.measured("accuracy_difference", 0.1, slice={"sex": "*"}, lower=0.0, upper=0.2),
    )
    helpers.finish(run, result)
    assert services.finish_run(run.pk, 1, result, actor=helpers.SYSTEM), "said twice is said once"
    assert (run.state, run.grade, run.rows, run.progress) == (State.SUCCEEDED, "recomputed", 400, 1)
    assert run.leased_until is None
    assert open_blob(run.cube_id).read() == result.cube
    first, second, third = run.measurements.order_by("position")
    assert (first.metric, first.value, first.grade) == ("accuracy", 0.9, "recomputed")
    assert (second.value, second.undefined) == (None, "insufficient")
    assert (third.attribute, third.slice, third.upper) == ("sex", {"sex": "*"}, 0.2)
    assert open_blob(run.attachments.get(name="report.html").blob_id).read() == b"<p>report</p>"
    (entry,) = helpers.entries("monitoring.check.succeeded", run.pk)
    assert entry.public["cube_digest"] == result.cube_digest
    assert entry.public["result_digest"] == run.result_digest


def test_the_same_result_has_the_same_digest():
    one, other = (helpers.finish(helpers.request()) for _ in range(2))
    assert one.result_digest == other.result_digest


def test_success_before_the_freeze_raises_the_revision_and_after_it_is_an_addendum():
    version, data = helpers.version(), helpers.dataset()
    before = version.revision
    run = helpers.finish(helpers.request(version, data=data))
    version.refresh_from_db()
    assert (version.revision, run.is_addendum) == (before + 1, False)

    caught_by_freeze = helpers.request(version, data=data)
    factories.freeze(version)
    helpers.finish(caught_by_freeze)
    later = helpers.finish(helpers.request(version, data=data))
    version.refresh_from_db()
    assert version.revision == before + 1
    assert version.frozen_at is not None
    assert caught_by_freeze.is_addendum
    assert later.is_addendum


def test_failure_does_not_raise_the_revision():
    version = helpers.version()
    run = helpers.request(version)
    claim(run)
    assert services.fail_run(
        run.pk, 1, "the column is missing", retryable=False, actor=helpers.SYSTEM
    )
    run.refresh_from_db()
    before = version.revision
    version.refresh_from_db()
    assert (run.state, run.error) == (State.FAILED, "the column is missing")
    assert version.revision == before
    (entry,) = helpers.entries("monitoring.check.failed", run.pk)
    assert "column" not in str(entry.public), "what an error says is not for ever"


def test_a_retryable_failure_is_tried_again_up_to_a_limit(sent, django_capture_on_commit_callbacks):
    run = helpers.request()
    for attempt in range(1, services.MAX_ATTEMPTS + 1):
        assert claim(run).attempt == attempt
        with django_capture_on_commit_callbacks(execute=True):
            services.fail_run(run.pk, attempt, "no sandbox", retryable=True, actor=helpers.SYSTEM)
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert sent == [run.pk] * (services.MAX_ATTEMPTS - 1)
    assert len(helpers.entries("monitoring.check.requeued")) == services.MAX_ATTEMPTS - 1
    assert claim(run) is None


def test_the_sweep_queues_again_what_a_killed_worker_left(sent, django_capture_on_commit_callbacks):
    run = helpers.request()
    claim(run)
    services.sweep(actor=helpers.SYSTEM)
    run.refresh_from_db()
    assert run.state == State.RUNNING, "its lease holds"
    lose(run)
    with django_capture_on_commit_callbacks(execute=True):
        assert services.sweep(actor=helpers.SYSTEM) == 1
    run.refresh_from_db()
    assert (run.state, run.attempt) == (State.QUEUED, 1)
    assert sent == [run.pk]
    helpers.finish(run)
    assert (run.state, run.attempt, run.measurements.count()) == (State.SUCCEEDED, 2, 1)


def test_the_sweep_gives_up_after_the_last_attempt(sent):
    run = helpers.request()
    for _ in range(services.MAX_ATTEMPTS):
        assert claim(run)
        lose(run)
    assert claim(run) is None
    services.sweep(actor=helpers.SYSTEM)
    run.refresh_from_db()
    assert run.state == State.FAILED
    assert "lost" in run.error


def test_the_sweep_tells_the_queue_of_what_it_forgot(sent):
    run = helpers.request()
    assert services.sweep(actor=helpers.SYSTEM) == 0
    later = now() + services.RESEND_AFTER + timedelta(seconds=1)
    assert services.sweep(actor=helpers.SYSTEM, at=later) == 1
    assert services.sweep(actor=helpers.SYSTEM, at=later) == 0, "not on every sweep"
    assert sent == [run.pk]


def test_a_broker_that_is_down_fails_no_write(monkeypatch, django_capture_on_commit_callbacks):
    def refuse(*args, **kwargs):
        raise ConnectionError("nobody there")

    monkeypatch.setattr("celery.app.base.Celery.send_task", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        run = helpers.request()
    run.refresh_from_db()
    assert run.state == State.QUEUED


def test_progress_is_seen_and_renews_the_lease():
    run = helpers.request()
    claim(run)
    lose(run)
    assert services.heartbeat(run.pk, 1, progress=0.5, stage="counting")
    run.refresh_from_db()
    assert (run.progress, run.stage) == (0.5, "counting")
    assert run.leased_until > now()


def test_a_cancelled_run_stays_on_record_and_counts_no_result():
    run = helpers.request()
    claim(run)
    services.cancel_run(run, actor=helpers.developer())
    assert not services.heartbeat(run.pk, 1)
    assert not services.finish_run(run.pk, 1, helpers.outcome(), actor=helpers.SYSTEM)
    run.refresh_from_db()
    assert run.state == State.CANCELLED
    assert len(helpers.entries("monitoring.check.cancelled", run.pk)) == 1
    with pytest.raises(Conflict):
        services.cancel_run(run, actor=helpers.developer())


@pytest.mark.parametrize(
    "role", [Role.OPERATOR, Role.AUDITOR, Role.RISK_OFFICER, Role.ADMINISTRATOR]
)
def test_who_must_not_cancel(role):
    run = helpers.request()
    with pytest.raises(Refused):
        services.cancel_run(run, actor=factories.actor_of(factories.make_user(None, role)))
    assert Entry.objects.filter(type="audit.write.refused").exists()


def test_who_is_watched_does_not_call_off_the_watch():
    """Else whoever made the version could cancel each run before it finds the breach."""
    watch = helpers.monitor()
    run = CheckRun.objects.get(batch=helpers.batch(watch))
    with pytest.raises(Refused):
        services.cancel_run(run, actor=helpers.developer())
    run.refresh_from_db()
    assert run.state == State.QUEUED
    owner = factories.actor_of(factories.make_user(None, Role.OWNER))
    assert services.cancel_run(run, actor=owner).state == State.CANCELLED


def test_no_person_hands_in_results():
    run = helpers.request()
    owner = factories.actor_of(factories.make_user(None, *Role))
    for attempt in (
        lambda: services.claim_run(run.pk, actor=owner),
        lambda: services.finish_run(run.pk, 1, helpers.outcome(), actor=owner),
        lambda: services.fail_run(run.pk, 1, "no", retryable=False, actor=owner),
        lambda: services.sweep(actor=owner),
    ):
        with pytest.raises(Refused):
            attempt()


def test_bytes_that_are_gone_are_missed():
    with pytest.raises(NotFound):
        open_blob("0" * 64)
