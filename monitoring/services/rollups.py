"""What a monitor found over a period, from the stored cubes of its windows alone."""

from datetime import datetime

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import write
from kernel import canonical
from kernel.errors import Invalid, Unprocessable
from kernel.moments import rfc3339
from monitoring import dispatch
from monitoring.models import CheckRun, CubeErasure, Monitor, Window
from registry.services import lock_version, tick

KINDS = ("performance", "fairness", "drift")
"""The kinds of check whose cubes add up: see `monitoring.engine.rollup`."""


@write
def roll_up(monitor: Monitor, *, since: datetime, until: datetime, actor: Actor) -> CheckRun:
    """Queue a run that adds up what a monitor counted in the windows from `since` to `until`.

    No row is read again: the run's row names the cubes that it is made of, and its grade is the
    least of theirs. It opens no breach: the windows were judged one by one.

    Raises:
        Invalid: the period is empty, or the monitor's kind of check does not add up.
        Unprocessable: no window of the period was measured, or the cube of one was erased.
    """
    require(actor, "check.request", monitor)
    if since >= until:
        raise Invalid("is not after since", field="until")
    if monitor.kind not in KINDS:
        raise Invalid(f"only checks of {', '.join(KINDS)} add up", field="monitor")
    version = lock_version(monitor.version_id)
    at = tick(version)
    runs = _newest(monitor, since, until)
    if not runs:
        raise Unprocessable("no window of the period was measured", field="since")
    erased = CubeErasure.objects.filter(cube__in=[run.cube_id for run in runs])
    if any(one.erased_at >= run.finished_at for one in erased for run in runs if run.finished_at):
        raise Unprocessable("a cube of the period was erased", field="since", code="erased")
    windows = Window.objects.filter(monitor=monitor, start__gte=since, end__lte=until).count()
    cubes = [{"run": str(run.pk), "cube": run.cube_id} for run in runs]
    made_of = {
        "since": rfc3339(since),
        "until": rfc3339(until),
        "left_out": windows - len(runs),
        "cubes": cubes,
    }
    parts_digest = canonical.digest([run.cube_id for run in runs])
    run = CheckRun.objects.create(
        version=version,
        kind=monitor.kind,
        purpose=CheckRun.Purpose.ROLLUP,
        rollup_of=monitor,
        made_of=made_of,
        reference=monitor.reference,
        config=monitor.config,
        mapping=monitor.mapping,
        config_digest=canonical.digest(
            {"kind": monitor.kind, "config": monitor.config, "cubes": parts_digest}
        ),
        is_addendum=version.frozen_at is not None,
        requested_at=at,
        requested_by_id=None if actor.kind == "system" else actor.id,
        sent_at=at,
    )
    record(
        "monitoring.rollup.requested",
        actor=actor,
        at=at,
        object_type="check_run",
        object_id=str(run.pk),
        public={
            "model": version.model.name,
            "number": version.number,
            "kind": run.kind,
            "monitor": monitor.pk,
            "since": made_of["since"],
            "until": made_of["until"],
            "parts": len(cubes),
            "parts_digest": parts_digest,
        },
        scope=version.model_id,
    )
    dispatch.on_commit(run.pk)
    return run


def _newest(monitor: Monitor, since: datetime, until: datetime) -> list[CheckRun]:
    """The newest result of each window: late data may have had one judged again."""
    found = CheckRun.objects.filter(
        monitor=monitor,
        purpose=CheckRun.Purpose.MONITORING,
        state=CheckRun.State.SUCCEEDED,
        window__start__gte=since,
        window__end__lte=until,
    )
    newest: dict[object, CheckRun] = {}
    for run in found.order_by("window__start", "window", "finished_at", "pk"):
        newest[run.window_id] = run
    return list(newest.values())
