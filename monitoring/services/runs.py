"""The life of a run: claimed by one attempt at a time, kept by a lease, ended once.

A worker may be killed at any instruction. What it left is found by its lease, and what it still
sends after another attempt began changes nothing.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import F, Q

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import in_write, write
from kernel.errors import Conflict
from kernel.moments import now
from monitoring import dispatch
from monitoring.models import CheckRun
from monitoring.services.backtests import finish_if_over
from monitoring.services.judging import judge_failure, judge_run
from monitoring.services.requests import Question, need_bytes, queue_run
from monitoring.services.results import Kept, keep, store_files
from monitoring.services.windows import queue_again
from registry.services import lock_version, tick

if TYPE_CHECKING:
    from monitoring.engine.results import CheckOutcome

LEASE = timedelta(seconds=30)
"""How long an attempt may be silent before another may begin."""
MAX_ATTEMPTS = 4
RESEND_AFTER = timedelta(seconds=60)
"""A queued run that nobody claimed for this long is told to the queue again."""

_State = CheckRun.State


@write
def claim_run(run_id: UUID, *, actor: Actor) -> CheckRun | None:
    """Begin the next attempt at a run; None if it has ended, or another attempt is under way."""
    require(actor, "check.execute")
    at = now()
    free = Q(state=_State.QUEUED) | Q(state=_State.RUNNING, leased_until__lt=at)
    taken = CheckRun.objects.filter(free, pk=run_id, attempt__lt=MAX_ATTEMPTS).update(
        state=_State.RUNNING,
        attempt=F("attempt") + 1,
        leased_until=at + LEASE,
        started_at=at,
        progress=0.0,
        stage="starting",
    )
    if not taken:
        return None
    run = _whole(run_id)
    _record("started", run, at=at, actor=actor)
    return run


def heartbeat(
    run_id: UUID, attempt: int, *, progress: float | None = None, stage: str | None = None
) -> bool:
    """Renew the lease of an attempt and say how far it is; False if it no longer counts.

    No governed fact changes, so no entry is written.
    """
    values: dict[str, Any] = {"leased_until": now() + LEASE}
    if progress is not None:
        values["progress"] = min(1.0, max(0.0, progress))
    if stage is not None:
        values["stage"] = stage[:200]
    return bool(_current(run_id, attempt).update(**values))


def finish_run(run_id: UUID, attempt: int, outcome: "CheckOutcome", *, actor: Actor) -> bool:
    """Keep what an attempt found out; False, and nothing kept, if the attempt no longer counts.

    Files go into the store first; then one write makes the rows, judges the limits of the monitor
    if there is one, and opens the breaches. To say it twice is to say it once.
    """
    require(actor, "check.execute")
    if not CheckRun.objects.filter(
        pk=run_id, attempt=attempt, state__in=[_State.RUNNING, _State.SUCCEEDED]
    ).exists():
        return False
    return _succeed(run_id, attempt, store_files(outcome), actor=actor)


@write
def _succeed(run_id: UUID, attempt: int, kept: Kept, *, actor: Actor) -> bool:
    run, at = _locked(run_id)
    if run.attempt != attempt or run.state not in (_State.RUNNING, _State.SUCCEEDED):
        return False
    if run.state == _State.SUCCEEDED:
        return True
    keep(run, kept, at=at, actor=actor)
    if run.window is not None:
        judge_run(run, at=at, actor=actor)
        finish_if_over(run.window, at=at, actor=actor)
    return True


@write
def fail_run(
    run_id: UUID, attempt: int, error: str, *, retryable: bool, code: str = "error", actor: Actor
) -> bool:
    """End an attempt that came to nothing; False if it no longer counts.

    `error` is a sentence for whoever asked. A retryable failure queues the run again until
    `MAX_ATTEMPTS` were made. A monitoring run that fails for good has measured nothing, which
    breaks the limits that say so.
    """
    require(actor, "check.execute")
    run, at = _locked(run_id)
    if run.attempt != attempt or run.state != _State.RUNNING:
        return False
    run.error = error
    if retryable and attempt < MAX_ATTEMPTS:
        _requeue(run, code, at=at, actor=actor)
    else:
        _give_up(run, code, at=at, actor=actor)
    return True


@write
def cancel_run(run: CheckRun, *, actor: Actor) -> CheckRun:
    """Call a queued or running check off. It stays on record; a worker stops at its next beat.

    Raises:
        Refused: also where a monitor asked for it, to whoever may not end the monitor: who is watched
            does not call off the watch.
        Conflict: it has ended already.
    """
    require(actor, "check.cancel", run)
    if run.monitor_id is not None:
        require(actor, "monitor.manage", run)
    run, at = _locked(run.pk)
    if run.state not in (_State.QUEUED, _State.RUNNING):
        raise Conflict(f"the check has {run.state} already", code="ended")
    call_off(run, at=at, actor=actor)
    _came_to_nothing(run, "the check was cancelled", at=at, actor=actor)
    return run


def call_off(run: CheckRun, *, at: datetime, actor: Actor) -> None:
    """End a locked run that is queued or running. A step inside a write that holds the version."""
    in_write()
    run.state, run.leased_until, run.finished_at = _State.CANCELLED, None, at
    run.save(update_fields=["state", "leased_until", "finished_at"])
    _record("cancelled", run, at=at, actor=actor)


@write
def retry_run(run: CheckRun, *, actor: Actor) -> CheckRun:
    """Ask the question of a run that is over once more: a new run that cites it.

    Configuration, columns and reference are those of the earlier run; of a monitor's window the
    data are what it holds by now. On the same inputs the digest of the result is the same.

    Raises:
        Conflict: it is not over, the version is retired, or the monitor has ended.
        Refused: also where a monitor asked for it, to whoever may not manage monitors.
    """
    require(actor, "check.request", run)
    if run.monitor_id is not None:
        require(actor, "monitor.manage", run)
    run, at = _locked(run.pk)
    if run.state in (_State.QUEUED, _State.RUNNING):
        raise Conflict(f"the check is {run.state}", code="under_way")
    if run.version.retired_at is not None:
        raise Conflict("the version is retired; nothing more is measured of it")
    if run.purpose == CheckRun.Purpose.ROLLUP:
        raise Conflict("a roll-up is asked for by its period", code="rollup")
    if run.purpose == CheckRun.Purpose.BACKTEST:
        raise Conflict("a backtest is asked for as a whole", code="backtest")
    if run.monitor is not None:
        return _ask_window_again(run, at, actor)
    assert run.dataset is not None
    need_bytes(run.dataset, "dataset")
    return queue_run(
        run.version,
        Question(run.kind, run.config, run.mapping, run.reference),
        purpose=run.purpose,
        dataset=run.dataset,
        retry_of=run,
        at=at,
        actor=actor,
    )


def _ask_window_again(run: CheckRun, at: datetime, actor: Actor) -> CheckRun:
    monitor, window = run.monitor, run.window
    assert monitor is not None
    assert window is not None
    if monitor.until is not None:
        raise Conflict("the monitor has ended", code="ended")
    if window.run_id != run.pk:
        raise Conflict("the window was asked about again since", code="superseded")
    if run.state == _State.SUCCEEDED and window.batch_id is not None:
        raise Conflict("the batch was judged; its bytes never change", code="judged")
    return queue_again(monitor, window, retry_of=run, at=at, actor=actor)


def _came_to_nothing(
    run: CheckRun, why: str, *, code: str = "", at: datetime, actor: Actor
) -> None:
    if run.window is not None:
        judge_failure(run, why, code=code, at=at, actor=actor)
        finish_if_over(run.window, at=at, actor=actor)


def sweep(*, actor: Actor, at: datetime | None = None) -> int:
    """Find what was lost: attempts whose lease ran out, queued runs that no queue knows of.

    Returns how many runs were queued again, given up or told to the queue.
    """
    require(actor, "check.execute")
    at = at or now()
    lost = CheckRun.objects.filter(state=_State.RUNNING, leased_until__lt=at)
    touched = sum(
        _reclaim(run_id, attempt, at, actor=actor)
        for run_id, attempt in lost.values_list("pk", "attempt")
    )
    waiting = CheckRun.objects.filter(state=_State.QUEUED, sent_at__lt=at - RESEND_AFTER)
    for run_id in waiting.order_by("requested_at").values_list("pk", flat=True):
        # Whoever moves the time tells the queue, so that two sweeps do not tell it twice.
        if waiting.filter(pk=run_id).update(sent_at=at):
            touched += dispatch.send(run_id)
    return touched


@write
def _reclaim(run_id: UUID, attempt: int, seen_at: datetime, *, actor: Actor) -> bool:
    run, at = _locked(run_id)
    if run.state != _State.RUNNING or run.attempt != attempt:
        return False
    if run.leased_until is None or run.leased_until >= seen_at:
        return False
    run.error = f"the worker of attempt {attempt} was lost"
    if attempt < MAX_ATTEMPTS:
        _requeue(run, "worker_lost", at=at, actor=actor)
    else:
        _give_up(run, "worker_lost", at=at, actor=actor)
    return True


def _requeue(run: CheckRun, reason: str, *, at: datetime, actor: Actor) -> None:
    run.state, run.leased_until, run.sent_at, run.stage = _State.QUEUED, None, at, "queued again"
    run.save(update_fields=["state", "leased_until", "sent_at", "stage", "error"])
    _record("requeued", run, at=at, actor=actor, reason=reason)
    dispatch.on_commit(run.pk)


def _give_up(run: CheckRun, reason: str, *, at: datetime, actor: Actor) -> None:
    run.state, run.leased_until, run.finished_at = _State.FAILED, None, at
    run.is_addendum = run.version.frozen_at is not None
    run.save(update_fields=["state", "leased_until", "finished_at", "error", "is_addendum"])
    _record("failed", run, at=at, actor=actor, reason=reason)
    _came_to_nothing(run, run.error, code=reason, at=at, actor=actor)


def _current(run_id: UUID, attempt: int) -> Any:
    return CheckRun.objects.filter(pk=run_id, attempt=attempt, state=_State.RUNNING)


def _locked(run_id: UUID) -> tuple[CheckRun, datetime]:
    """The run under its version's lock and its own, and the one instant of the write."""
    version = lock_version(CheckRun.objects.values_list("version", flat=True).get(pk=run_id))
    at = tick(version)
    run = (
        CheckRun.objects.select_for_update(of=("self",))
        .select_related(
            "monitor__environment",
            "monitor__use",
            "monitor__source",
            "batch",
            "dataset",
            "reference",
            "window__backtest__use",
            "window__backtest__environment",
            "window__batch",
            "window__run",
        )
        .get(pk=run_id)
    )
    run.version = version
    if run.monitor is not None:
        run.monitor.version = version
    if run.window is not None:
        run.window.monitor = run.monitor
        if run.window.backtest is not None:
            run.window.backtest.version = version
    return run, at


def _whole(run_id: UUID) -> CheckRun:
    return CheckRun.objects.select_related(
        "version__model", "monitor", "batch", "dataset", "reference", "window"
    ).get(pk=run_id)


def _record(what: str, run: CheckRun, *, at: datetime, actor: Actor, **more: Any) -> None:
    record(
        f"monitoring.check.{what}",
        actor=actor,
        at=at,
        object_type="check_run",
        object_id=str(run.pk),
        public={
            "model": run.version.model.name,
            "number": run.version.number,
            "kind": run.kind,
            "attempt": run.attempt,
            **more,
        },
        private={"error": run.error} if what in ("failed", "requeued") and run.error else None,
        scope=run.version.model_id,
    )
