"""Calling off a backtest as a whole: every check of it that is not over ends with it."""

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import write
from kernel.errors import Conflict
from monitoring.models import Backtest, CheckRun, Window
from monitoring.services.judging import judge_failure
from monitoring.services.runs import call_off
from registry.services import lock_version, tick

_UNDER_WAY = (CheckRun.State.QUEUED, CheckRun.State.RUNNING)


@write
def cancel_backtest(backtest: Backtest, *, actor: Actor) -> Backtest:
    """Call a running backtest off. It shows nothing; what was judged of it stays to be read.

    Its checks that are queued or running end with it; a worker stops at its next beat.

    Raises:
        Conflict: it has ended already.
    """
    require(actor, "check.cancel", backtest)
    version = lock_version(backtest.version_id)
    at = tick(version)
    backtest = (
        Backtest.objects.select_for_update(of=("self",))
        .select_related("use", "environment", "reference", "dataset")
        .get(pk=backtest.pk)
    )
    backtest.version = version
    if backtest.state != Backtest.State.RUNNING:
        raise Conflict(f"the backtest is over: it is {backtest.state}", code="ended")
    # First, so that no window that ends with it ends the backtest in another way.
    backtest.state, backtest.finished_at = Backtest.State.CANCELLED, at
    backtest.save(update_fields=["state", "finished_at"])
    runs = (
        CheckRun.objects.select_for_update(of=("self",))
        .filter(window__backtest=backtest, state__in=_UNDER_WAY)
        .select_related("window")
        .order_by("pk")
    )
    for run in runs:
        assert run.window is not None
        run.version, run.window.backtest = version, backtest
        call_off(run, at=at, actor=actor)
        judge_failure(run, "the backtest was cancelled", at=at, actor=actor)
    windows = backtest.windows.all()
    record(
        "monitoring.backtest.cancelled",
        actor=actor,
        at=at,
        object_type="backtest",
        object_id=str(backtest.pk),
        public={
            "model": version.model.name,
            "number": version.number,
            "use": backtest.use.name,
            "environment": backtest.environment.name,
            "question_digest": backtest.question_digest,
            "windows": windows.count(),
            "judged": windows.filter(state=Window.State.JUDGED).count(),
        },
        scope=version.model_id,
    )
    return backtest
