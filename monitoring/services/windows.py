"""The windows of monitors: what data are in them, when they are due, and their runs."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db.models import Max, Q, QuerySet

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import in_write, write
from kernel.errors import Conflict, Invalid
from kernel.moments import rfc3339
from monitoring import windows
from monitoring.models import CheckKind, CheckRun, Monitor, ObservationBatch, Window
from monitoring.services import sources
from monitoring.services.breaches import place
from monitoring.services.judging import judge_empty
from monitoring.services.requests import Question, need_bytes, queue_run
from registry.services import lock_version, tick

MOST_WINDOWS = 400
"""How many windows one request, or one turn of a monitor, looks at."""

Stretch = tuple[datetime, datetime]

_State = Window.State
_Run = CheckRun.State


def batches_of(monitor: Monitor) -> QuerySet[ObservationBatch]:
    """The batches of what a monitor watches that are of its kind, whenever they came."""
    return ObservationBatch.objects.filter(
        version=monitor.version_id,
        use=monitor.use_id,
        environment=monitor.environment_id,
        kind=batch_kind(monitor.kind),
    )


def batch_kind(check: str) -> str:
    """What a batch must hold for a check of that kind."""
    kinds = ObservationBatch.Kind
    return kinds.OVERSIGHT if check == CheckKind.OVERSIGHT else kinds.DATA


def note_batch(monitor: Monitor, batch: ObservationBatch, *, at: datetime, actor: Actor) -> None:
    """A batch came in that a monitor looks at. A step inside a write that holds the version.

    By itself it is checked at once; else its window is, once it is over: again, if it was before.
    """
    in_write()
    if monitor.source_id is not None or batch.kind != batch_kind(monitor.kind):
        return
    if monitor.window == windows.BATCH:
        queue_evaluation(monitor, batch, at=at, actor=actor)
        return
    start, end = windows.around(monitor.window, batch.window_start)
    window, _ = Window.objects.get_or_create(
        monitor=monitor, start=start, batch=None, defaults={"end": end}
    )
    if not window.is_stale:
        window.is_stale = True
        window.save(update_fields=["is_stale"])


def queue_evaluation(
    monitor: Monitor,
    batch: ObservationBatch,
    *,
    at: datetime,
    actor: Actor,
    is_backfill: bool = False,
) -> CheckRun:
    """Queue a monitor's check on a batch, once. A step inside a write that holds the version."""
    in_write()
    there = (
        CheckRun.objects.filter(monitor=monitor, batch=batch)
        .exclude(state__in=[_Run.FAILED, _Run.CANCELLED])
        .first()
    )
    if there is not None:
        return there
    window, _ = Window.objects.get_or_create(
        monitor=monitor,
        batch=batch,
        defaults={
            "start": batch.window_start,
            "end": batch.window_end,
            "is_backfill": is_backfill,
        },
    )
    return _queue(monitor, window, [batch], at=at, actor=actor)


def _queue(
    monitor: Monitor,
    window: Window,
    batches: list[ObservationBatch],
    *,
    at: datetime,
    actor: Actor,
    retry_of: CheckRun | None = None,
) -> CheckRun:
    question = Question(monitor.kind, monitor.config, monitor.mapping, monitor.reference)
    run = queue_run(
        monitor.version,
        question,
        purpose=CheckRun.Purpose.MONITORING,
        monitor=monitor,
        batch=window.batch,
        window=window,
        batches=batches,
        retry_of=retry_of,
        at=at,
        actor=actor,
    )
    window.state, window.run, window.is_stale = _State.QUEUED, run, False
    window.save(update_fields=["state", "run", "is_stale"])
    return run


def queue_again(
    monitor: Monitor, window: Window, *, retry_of: CheckRun, at: datetime, actor: Actor
) -> CheckRun:
    """Ask a window's question once more, of the data that it holds by now. A step inside a write."""
    in_write()
    if monitor.source_id is not None:
        need_bytes(sources.source_of(monitor), "source")
        window.monitor = monitor
        run = sources.queue_cut(window, seen_at=at, retry_of=retry_of, at=at, actor=actor)
        assert run is not None
        return run
    found = [window.batch] if window.batch is not None else list(_within(monitor, window))
    if not found:
        raise Conflict("the window holds no data", code="window_empty")
    return _queue(monitor, window, found, at=at, actor=actor, retry_of=retry_of)


def _within(monitor: Monitor, window: Window) -> QuerySet[ObservationBatch]:
    """The batches that begin in a window, in an order that does not hang on when they came."""
    return (
        batches_of(monitor)
        .filter(window_start__gte=window.start, window_start__lt=window.end)
        .order_by("window_start", "window_end", "batch_id")
    )


def due_windows(monitor: Monitor, at: datetime) -> list[tuple[datetime, datetime]]:
    """Which stretches of a monitor are over and not judged, or hold data that came since."""
    over = at - timedelta(seconds=monitor.wait_seconds)
    rows = Window.objects.filter(monitor=monitor, batch=None)
    stale = rows.filter(is_stale=True, end__lte=over).select_related("run")
    found = {(one.start, one.end) for one in stale if _wants_run(one)}
    # Each turn takes the earliest first, so up to the last that was asked about none is missing.
    asked = rows.filter(is_backfill=False).exclude(state=_State.COLLECTING)
    newest = asked.aggregate(end=Max("end"))["end"]
    since = monitor.since if newest is None else max(monitor.since, newest)
    known = set(rows.filter(end__gt=since).values_list("start", flat=True))
    for start, end in windows.between(monitor.window, since, over):
        if start not in known:
            found.add((start, end))
        if len(found) >= MOST_WINDOWS:
            break
    return sorted(found)[:MOST_WINDOWS]


def _wants_run(window: Window) -> bool:
    """Data came since it was asked for, and no run that was asked for before is under way."""
    run = window.run
    return window.is_stale and (run is None or run.state not in (_Run.QUEUED, _Run.RUNNING))


@write
def evaluate_window(
    monitor: Monitor,
    start: datetime,
    end: datetime,
    *,
    seen_at: datetime | None = None,
    actor: Actor,
) -> CheckRun | None:
    """Queue the check of a window on all its data; one without any batch is insufficient at once.

    `seen_at` is when it was found to be due.
    """
    require(actor, "check.request", monitor)
    monitor, at = _locked(monitor)
    if monitor.until is not None:
        return None
    window, is_new = Window.objects.get_or_create(
        monitor=monitor, start=start, batch=None, defaults={"end": end}
    )
    window.monitor = monitor
    if not is_new and not _wants_run(window):
        return None
    if monitor.source_id is not None:
        return sources.queue_cut(window, seen_at=seen_at or at, at=at, actor=actor)
    batches = list(_within(monitor, window))
    if batches:
        return _queue(monitor, window, batches, at=at, actor=actor)
    judge_empty(window, "no data came in the window", at=at, actor=actor)
    return None


@write
def backfill_monitor(
    monitor: Monitor, *, since: datetime, until: datetime, actor: Actor
) -> list[Window]:
    """Look at past windows with data that a monitor has not judged. It acts on none of them.

    Of a source these are the windows that were over before the monitor began to watch.

    Raises:
        Conflict: the monitor has ended.
        Invalid: there is no stretch between the two, or too many windows in it.
        Unprocessable: the operator no longer offers the source.
    """
    require(actor, "monitor.manage", monitor)
    if until <= since:
        raise Invalid("expected an instant after `since`", field="until")
    monitor, at = _locked(monitor)
    if monitor.until is not None:
        raise Conflict("the monitor has ended", code="ended")
    if monitor.source_id is not None:
        need_bytes(sources.source_of(monitor), "source")
    found = _unjudged(monitor, since, until)
    if len(found) > MOST_WINDOWS:
        raise Invalid(f"there are more than {MOST_WINDOWS} windows; name fewer", field="since")
    made = []
    for window, batches in found:
        window.save()
        if monitor.source_id is not None:
            sources.queue_cut(window, seen_at=at, at=at, actor=actor)
        else:
            _queue(monitor, window, batches, at=at, actor=actor)
        made.append(window)
    record(
        "monitoring.monitor.backfilled",
        actor=actor,
        at=at,
        object_type="monitor",
        object_id=str(monitor.pk),
        public={
            **place(monitor),
            "name": monitor.name,
            "since": rfc3339(since),
            "until": rfc3339(until),
            "windows": len(made),
        },
        scope=monitor.version.model_id,
    )
    return made


def _unjudged(
    monitor: Monitor, since: datetime, until: datetime
) -> list[tuple[Window, list[ObservationBatch]]]:
    known = set(Window.objects.filter(monitor=monitor, batch=None).values_list("start", flat=True))
    if monitor.source_id is not None:
        began, _ = windows.around(monitor.window, monitor.since)
        return [
            (_past(monitor, start=start, end=end), [])
            for start, end in _few(windows.between(monitor.window, since, min(until, began)))
            if start not in known
        ]
    past = batches_of(monitor).filter(window_start__gte=since, window_end__lte=until)
    past = past.order_by("window_start", "window_end", "batch_id")
    if monitor.window == windows.BATCH:
        fresh = past.exclude(runs__monitor=monitor)[: MOST_WINDOWS + 1]
        return [
            (_past(monitor, batch=one, start=one.window_start, end=one.window_end), [one])
            for one in fresh
        ]
    stretches: dict[tuple[datetime, datetime], list[ObservationBatch]] = {}
    for one in past:
        stretches.setdefault(windows.around(monitor.window, one.window_start), []).append(one)
    return [
        (_past(monitor, start=start, end=end), batches)
        for (start, end), batches in stretches.items()
        if start not in known
    ]


def _few(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """No more than show that there are too many."""
    return islice(stretches, MOST_WINDOWS + 1)


def _past(monitor: Monitor, **fields: Any) -> Window:
    return Window(monitor=monitor, is_backfill=True, **fields)


def unlooked(monitor: Monitor) -> QuerySet[ObservationBatch]:
    """Batches that came since a monitor of single batches began, and that it has not looked at."""
    return batches_of(monitor).filter(
        ~Q(pk__in=CheckRun.objects.filter(monitor=monitor, batch__isnull=False).values("batch")),
        received_at__gte=monitor.since,
    )


def _locked(monitor: Monitor) -> tuple[Monitor, datetime]:
    version = lock_version(monitor.version_id)
    at = tick(version)
    monitor = (
        Monitor.objects.select_for_update(of=("self",))
        .select_related("use", "environment", "reference", "source")
        .get(pk=monitor.pk)
    )
    monitor.version = version
    return monitor, at
