"""Monitors: checks that run on production data by themselves, held against limits."""

import logging
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from django.db.models import Max

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import in_write, write
from kernel.errors import Conflict, CountersignError, Invalid
from kernel.moments import now, rfc3339
from monitoring import windows
from monitoring.models import Backtest, Breach, CheckRun, Monitor, ObservationBatch, Window
from monitoring.services import sources
from monitoring.services.backtests import suitable, tells
from monitoring.services.breaches import SILENCE, open_breach, place
from monitoring.services.definitions import Definition, check_place, define, refuse
from monitoring.services.windows import (
    batch_kind,
    batches_of,
    due_windows,
    evaluate_window,
    queue_evaluation,
    unlooked,
)
from registry.models import Dataset, Environment, ModelVersion, Use
from registry.services import lock_version, tick

logger = logging.getLogger(__name__)

EFFECTS = ("no_new_deployment", "fall_back", "stop")
MILDEST = EFFECTS[0]
"""What an unresolved breach does at the gate anyway; more than that takes a backtest."""
SILENT_AFTER_WINDOWS = 3
RECHECK = 1
"""As how many later windows end one of a source is counted again, if nobody says."""
_HOUR = 3600
_DAY = 24 * _HOUR
_YEAR = 366 * _DAY
USUAL: Final = "usual"
"""After how long without data a monitor is silent, if nobody says: see `usual_silence`."""
SilentAfter = int | Literal["usual"] | None
BATCHES_SILENT_AFTER = 7 * _DAY
_LATE_STRETCHES = 3


def usual_silence(window: str, wait_seconds: int) -> int:
    """Seconds without data that are silence: 7 days for single batches, three stretches, the wait for
    late data and an hour for windows of a stretch of time."""
    if window == windows.BATCH:
        return BATCHES_SILENT_AFTER
    return _LATE_STRETCHES * int(windows.longest(window).total_seconds()) + wait_seconds + _HOUR


@write
def start_monitor(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    name: str,
    kind: str,
    limits: list[dict[str, Any]],
    config: dict[str, Any] | None = None,
    reference: Dataset | None = None,
    min_rows: int = 100,
    consecutive: int = 1,
    silent_after_seconds: SilentAfter = USUAL,
    silent_after_windows: int | None = SILENT_AFTER_WINDOWS,
    window: str = windows.BATCH,
    wait_seconds: int = 0,
    source: Dataset | None = None,
    recheck: int | None = None,
    effect: str = "no_new_deployment",
    backtest: Backtest | None = None,
    actor: Actor,
) -> Monitor:
    """Watch a version, for a use in an environment, from now on. See `begin_monitor`."""
    require(actor, "monitor.manage", version)
    version = lock_version(version.pk)
    return begin_monitor(
        version,
        at=tick(version),
        actor=actor,
        use=use,
        environment=environment,
        name=name,
        kind=kind,
        limits=limits,
        config=config,
        reference=reference,
        min_rows=min_rows,
        consecutive=consecutive,
        silent_after_seconds=silent_after_seconds,
        silent_after_windows=silent_after_windows,
        window=window,
        wait_seconds=wait_seconds,
        source=source,
        recheck=recheck,
        effect=effect,
        backtest=backtest,
    )


def begin_monitor(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    name: str,
    kind: str,
    limits: list[dict[str, Any]],
    config: dict[str, Any] | None,
    reference: Dataset | None,
    min_rows: int,
    consecutive: int,
    effect: str,
    at: datetime,
    actor: Actor,
    silent_after_seconds: SilentAfter = USUAL,
    silent_after_windows: int | None = SILENT_AFTER_WINDOWS,
    window: str = windows.BATCH,
    wait_seconds: int = 0,
    source: Dataset | None = None,
    recheck: int | None = None,
    backtest: Backtest | None = None,
) -> Monitor:
    """Make a monitor of a locked version. A step inside a write.

    Without data for `silent_after_seconds` it is silent, for which a limit that is not said follows
    from the window (see `usual_silence`); None is never, which somebody has to say.

    Its windows are made of the batches that come, or cut from the rows of a `source`: a table or query
    whose rows no digest pins. One of a source is counted again as each of the next `recheck` ends
    (1, if none is said).

    The column mapping and the grade are fixed with it, so that it measures the same for as long
    as it lives. One of the same name at the same place stays if it is the same in all, and else
    ends. Breaches stay open when their monitor ends.

    An effect beyond that of an open breach itself is granted once a backtest of the same question
    has shown how often the monitor would have acted: the one named, or the newest there is. Till
    then the monitor has the milder effect, and `wanted_effect` says what was asked for.

    Raises:
        Invalid: naming the field, as `limits[0].op`; also where the named backtest shows nothing.
        Conflict, Unprocessable: see `request_check`.
    """
    in_write()
    windows.check(window)
    if isinstance(silent_after_seconds, str):
        silent_after_seconds = usual_silence(window, wait_seconds)
    errors = check_place(version, use, name, min_rows, consecutive)
    errors |= _check(silent_after_seconds, silent_after_windows, wait_seconds, effect)
    errors |= _check_source(source, recheck, window, wait_seconds, silent_after_seconds)
    refuse(errors)
    definition = define(
        version,
        kind,
        limits=limits,
        config=config,
        reference=reference,
        window=window,
        min_rows=min_rows,
        consecutive=consecutive,
        data={"source": source},
    )
    shown = _shown(version, definition, effect, source, backtest)
    own = {
        "silent_after_seconds": silent_after_seconds,
        "silent_after_windows": silent_after_windows,
        "wait_seconds": wait_seconds,
        "effect": effect if effect == MILDEST or shown is not None else MILDEST,
        "wanted_effect": effect,
    }
    cut = {"source": source, "recheck": RECHECK if recheck is None else recheck} if source else {}
    digest = definition.digest(**own, **{**cut, "source": source.digest} if source else {})
    where = {"version": version, "use": use, "environment": environment, "name": name}
    same = _same_or_ended(where, digest, at=at, actor=actor)
    if same is not None:
        return same
    monitor = Monitor.objects.create(
        **where,
        reference=reference,
        backtest=shown,
        definition_digest=digest,
        question_digest=definition.question_digest,
        since=at,
        started_by_id=None if actor.kind == "system" else actor.id,
        **definition.fields,
        **own,
        **cut,
    )
    _record(
        "started",
        monitor,
        at=at,
        actor=actor,
        kind=kind,
        definition_digest=digest,
        effect=monitor.effect,
        wanted_effect=effect,
        backtest=shown.pk if shown else None,
        source=source.digest if source else None,
    )
    return monitor


def _same_or_ended(
    where: dict[str, Any], digest: str, *, at: datetime, actor: Actor
) -> Monitor | None:
    """The monitor of that name at that place if it is the same in all; another one ends."""
    before = (
        Monitor.objects.select_for_update(of=("self",))
        .select_related("use", "environment")
        .filter(**where, until=None)
        .first()
    )
    if before is None or before.definition_digest == digest:
        return before
    before.version = where["version"]
    finish_monitor(before, at=at, actor=actor)
    return None


def _shown(
    version: ModelVersion,
    definition: Definition,
    effect: str,
    source: Dataset | None,
    named: Backtest | None,
) -> Backtest | None:
    """The backtest that shows how often such a monitor would have acted."""
    if named is None:
        return None if effect == MILDEST else suitable(version, definition.question_digest, source)
    if named.version_id != version.pk or named.question_digest != definition.question_digest:
        raise Invalid("the backtest is of another definition", field="backtest")
    if source is not None and named.dataset_id != source.pk:
        raise Invalid("the backtest is of other data than the monitor's source", field="backtest")
    if named.state != Backtest.State.SUCCEEDED or not tells(named):
        raise Invalid("the backtest has judged too few windows to show anything", field="backtest")
    return named


@write
def arm_monitor(monitor: Monitor, *, backtest: Backtest | None = None, actor: Actor) -> Monitor:
    """Give a monitor the effect that was wanted of it, now that a backtest shows what it does.

    It goes on as a new row of the same definition; the old one ends.

    Raises:
        Conflict: it has ended, has that effect already, or no backtest shows how often it would act.
        Invalid: the named backtest is of another definition.
    """
    require(actor, "monitor.manage", monitor)
    version = lock_version(monitor.version_id)
    at = tick(version)
    monitor = _whole(monitor)
    if monitor.until is not None:
        raise Conflict("the monitor has ended", code="ended")
    if monitor.effect == monitor.wanted_effect:
        raise Conflict(f"the monitor has the effect {monitor.effect} already", code="armed")
    if backtest is None and suitable(version, monitor.question_digest, monitor.source) is None:
        raise Conflict(
            "no backtest of this monitor's definition has shown how often it would have acted",
            field="backtest",
            code="backtest_missing",
        )
    return begin_monitor(
        version,
        use=monitor.use,
        environment=monitor.environment,
        name=monitor.name,
        kind=monitor.kind,
        limits=monitor.limits,
        config=monitor.config,
        reference=monitor.reference,
        min_rows=monitor.min_rows,
        consecutive=monitor.consecutive,
        silent_after_seconds=monitor.silent_after_seconds,
        silent_after_windows=monitor.silent_after_windows,
        window=monitor.window,
        wait_seconds=monitor.wait_seconds,
        source=monitor.source,
        recheck=monitor.recheck if monitor.source else None,
        effect=monitor.wanted_effect,
        backtest=backtest,
        at=at,
        actor=actor,
    )


def _check(
    silent_after_seconds: int | None,
    silent_after_windows: int | None,
    wait_seconds: int,
    effect: str,
) -> dict[str, str]:
    errors = {}
    if silent_after_seconds is not None and not 1 <= silent_after_seconds <= 2 * _YEAR:
        errors["silent_after_seconds"] = f"expected seconds from 1 to {2 * _YEAR}, or null"
    if silent_after_windows is not None and not 1 <= silent_after_windows <= 100:
        errors["silent_after_windows"] = "expected a whole number from 1 to 100, or null"
    if not 0 <= wait_seconds <= _YEAR:
        errors["wait_seconds"] = f"expected seconds from 0 to {_YEAR}"
    if effect not in EFFECTS:
        errors["effect"] = f"expected one of {', '.join(EFFECTS)}"
    return errors


def _check_source(
    source: Dataset | None,
    recheck: int | None,
    window: str,
    wait_seconds: int,
    silent_after_seconds: int | None,
) -> dict[str, str]:
    errors = {}
    if source is None:
        return {} if recheck is None else {"recheck": "only windows of a source are counted again"}
    if recheck is not None and not 0 <= recheck <= windows.MOST_RECHECKS:
        errors["recheck"] = f"expected a whole number from 0 to {windows.MOST_RECHECKS}"
    if source.location is None or "source" not in source.location:
        errors["source"] = (
            f"dataset {source.name} is a file, to which no row is added; name a table or query of a "
            "source, or send batches"
        )
    elif source.digest_of != Dataset.DigestOf.RELATION:
        errors["source"] = (
            f"the rows of dataset {source.name} are pinned by their digest, so none may come; "
            "register the relation with pinned false"
        )
    if window in windows.WINDOWS[1:] and silent_after_seconds is not None:
        least = int(windows.longest(window).total_seconds()) + wait_seconds + _HOUR
        if silent_after_seconds < least:
            errors["silent_after_seconds"] = (
                f"expected at least {least}: a window of {window} is counted once it is over"
            )
    return errors


@write
def end_monitor(monitor: Monitor, *, actor: Actor) -> Monitor:
    """Stop watching. What it found stays, open breaches too.

    Raises:
        Conflict: it has ended already.
    """
    require(actor, "monitor.manage", monitor)
    version = lock_version(monitor.version_id)
    at = tick(version)
    monitor = _whole(monitor)
    monitor.version = version
    if monitor.until is not None:
        raise Conflict("the monitor has ended already", code="ended")
    finish_monitor(monitor, at=at, actor=actor)
    return monitor


def finish_monitor(monitor: Monitor, *, at: datetime, actor: Actor) -> None:
    """End a monitor of a locked version. A step inside a write."""
    in_write()
    monitor.until = at
    monitor.save(update_fields=["until"])
    _record("ended", monitor, at=at, actor=actor)


@write
def evaluate_monitor(monitor: Monitor, batch: ObservationBatch, *, actor: Actor) -> CheckRun:
    """Queue the monitor's check on a batch; the run that there is, if it was queued before.

    Raises:
        Conflict: the monitor has ended.
        Invalid: the batch is of another version, use or environment.
    """
    require(actor, "check.request", monitor)
    version = lock_version(monitor.version_id)
    at = tick(version)
    monitor = _whole(monitor)
    monitor.version = version
    if monitor.until is not None:
        raise Conflict("the monitor has ended", code="ended")
    if _place_of(monitor) != _place_of(batch) or batch.kind != batch_kind(monitor.kind):
        raise Invalid("the batch is not of what the monitor watches", field="batch")
    if monitor.window != windows.BATCH:
        raise Conflict("the monitor judges whole windows, not single batches", code="windowed")
    return queue_evaluation(monitor, batch, at=at, actor=actor)


def run_due_monitors(*, actor: Actor, at: datetime | None = None) -> int:
    """Do what is due: windows that are over, batches not looked at yet, monitors that fell silent.

    One monitor's failure does not keep the others from their turn. Returns how many runs were
    queued and breaches opened.
    """
    require(actor, "check.execute")
    at = at or now()
    done = 0
    watching = Monitor.objects.filter(until=None, version__retired_at=None)
    for monitor in watching.order_by("pk"):
        try:
            if monitor.window == windows.BATCH:
                for batch in unlooked(monitor):
                    evaluate_monitor(monitor, batch, actor=actor)
                    done += 1
            else:
                done += _look(monitor, at, actor)
            if _is_silent(monitor, at):
                done += _open_silence(monitor, at, actor=actor)
        except CountersignError as error:
            logger.warning("monitor %s: %s", monitor.pk, error)
    return done


def _look(monitor: Monitor, at: datetime, actor: Actor) -> int:
    """Ask about the windows that are over, then about those that may hold other rows by now."""
    asked = 0
    for start, end in due_windows(monitor, at):
        asked += evaluate_window(monitor, start, end, seen_at=at, actor=actor) is not None
    for window in sources.due_again(monitor, at):
        asked += sources.ask_again(window, seen_at=at, actor=actor) is not None
    return asked


def heard_at(monitor: Monitor) -> datetime:
    """Since when a monitor waits for data: its newest batch or window with rows, its start, or when a
    person last accounted for its silence, whichever is latest."""
    if monitor.source_id is None:
        newest = batches_of(monitor).aggregate(at=Max("received_at"))["at"]
    else:
        seen = Window.objects.filter(monitor=monitor, is_backfill=False, rows__gt=0)
        newest = seen.aggregate(at=Max("judged_at"))["at"]
    excused = Breach.objects.filter(monitor=monitor, limit_key=SILENCE).aggregate(
        at=Max("resolved_at")
    )["at"]
    return max(one for one in (monitor.since, newest, excused) if one is not None)


def _is_silent(monitor: Monitor, at: datetime) -> bool:
    if monitor.silent_after_seconds is None:
        return False
    if Breach.objects.filter(monitor=monitor, limit_key=SILENCE, resolved_at=None).exists():
        return False
    return at - heard_at(monitor) > timedelta(seconds=monitor.silent_after_seconds)


@write
def _open_silence(monitor: Monitor, seen_at: datetime, *, actor: Actor) -> bool:
    require(actor, "breach.open", monitor)
    version = lock_version(monitor.version_id)
    at = tick(version)
    monitor = _whole(monitor)
    monitor.version = version
    # Looked at again under the lock: a batch may have come in between.
    if monitor.until is not None or not _is_silent(monitor, seen_at):
        return False
    since = heard_at(monitor)
    what = "batch" if monitor.source_id is None else "row of the source"
    detail = {
        "reason": f"no {what} for more than {monitor.silent_after_seconds} s",
        "silent_since": rfc3339(since),
        "silent_after_seconds": monitor.silent_after_seconds,
    }
    opened = open_breach(
        monitor,
        metric=SILENCE,
        limit_key=SILENCE,
        reason="silent",
        detail=detail,
        run=None,
        at=at,
        actor=actor,
    )
    return opened is not None


def _whole(monitor: Monitor) -> Monitor:
    return (
        Monitor.objects.select_for_update(of=("self",))
        .select_related("use", "environment", "reference", "source")
        .get(pk=monitor.pk)
    )


def _place_of(one: Monitor | ObservationBatch) -> tuple[Any, Any, Any]:
    return one.version_id, one.use_id, one.environment_id


def _record(what: str, monitor: Monitor, *, at: datetime, actor: Actor, **more: Any) -> None:
    record(
        f"monitoring.monitor.{what}",
        actor=actor,
        at=at,
        object_type="monitor",
        object_id=str(monitor.pk),
        public={**place(monitor), "name": monitor.name, **more},
        scope=monitor.version.model_id,
    )
