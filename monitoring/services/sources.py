"""Windows that are cut from the rows of a named source, by the mapping's column of the time.

Nobody says when a row arrives in a table. So a window is counted once it is over and the wait for late
rows too, and counted again as each of the next windows ends, as often as the monitor's `recheck` says;
what it came to is judged again if the counts are others by then. Rows that come later still are not
seen. Each count is a run of its own, on record whatever it found.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import F

from accounts.access import require
from audit.actor import Actor
from audit.writing import in_write, write
from kernel.errors import Unavailable, Unprocessable
from monitoring import windows
from monitoring.models import CheckRun, Monitor, Window
from monitoring.services.definitions import cut
from monitoring.services.judging import judge_unread
from monitoring.services.requests import need_bytes, queue_run
from registry.services import lock_version, tick

if TYPE_CHECKING:
    from registry.models import Dataset

_MOST_AGAIN = 100
"""How many windows of a monitor are asked about again in one turn."""
_UNDER_WAY = (CheckRun.State.QUEUED, CheckRun.State.RUNNING)


def queue_cut(
    window: Window,
    *,
    seen_at: datetime,
    at: datetime,
    actor: Actor,
    retry_of: CheckRun | None = None,
) -> CheckRun | None:
    """Queue the check of a window on the rows that its source holds. A step inside a write.

    None if the operator no longer offers the source: then the window is insufficient at once.
    """
    in_write()
    monitor = window.monitor
    assert monitor is not None
    _note(window, monitor, seen_at)
    window.is_stale, window.recheck_run = False, None
    try:
        need_bytes(source_of(monitor), "source")
    except (Unprocessable, Unavailable) as error:
        window.run = None
        judge_unread(window, error.detail, at=at, actor=actor)
        return None
    run = _ask(monitor, window, retry_of, at=at, actor=actor)
    window.state, window.run = Window.State.QUEUED, run
    window.save()
    return run


def _recheck(window: Window, *, seen_at: datetime, at: datetime, actor: Actor) -> CheckRun | None:
    """Count a window once more, while what it came to stands. None if the source is gone."""
    monitor = window.monitor
    assert monitor is not None
    _note(window, monitor, seen_at)
    try:
        need_bytes(source_of(monitor), "source")
    except (Unprocessable, Unavailable):
        # The next window says so; this one was judged.
        window.save()
        return None
    window.recheck_run = _ask(monitor, window, window.run, at=at, actor=actor)
    window.save()
    return window.recheck_run


def _note(window: Window, monitor: Monitor, seen_at: datetime) -> None:
    window.asked_at, window.retry_at = seen_at, None
    if not window.is_backfill:
        *_, window.recheck_until = (window.end, *_looks(monitor, window))


def _looks(monitor: Monitor, window: Window) -> list[datetime]:
    """When a window is counted again: as each of the next ends, and the wait after it."""
    wait = timedelta(seconds=monitor.wait_seconds)
    ends = windows.ends_after(monitor.window, window.end, monitor.recheck)
    return [end + wait for end in ends]


def _ask(
    monitor: Monitor, window: Window, retry_of: CheckRun | None, *, at: datetime, actor: Actor
) -> CheckRun:
    source = source_of(monitor)
    return queue_run(
        monitor.version,
        cut(monitor, source, window.start, window.end),
        purpose=CheckRun.Purpose.MONITORING,
        monitor=monitor,
        window=window,
        dataset=source,
        retry_of=retry_of,
        at=at,
        actor=actor,
    )


def source_of(monitor: Monitor) -> "Dataset":
    assert monitor.source is not None
    return monitor.source


def due_again(monitor: Monitor, at: datetime) -> list[Window]:
    """The windows of a source that are to be counted again: its answer is waited for, or late rows are."""
    if monitor.source_id is None:
        return []
    rows = Window.objects.filter(monitor=monitor, is_backfill=False).select_related(
        "run", "recheck_run"
    )
    found = list(rows.filter(retry_at__lte=at).order_by("end")[:_MOST_AGAIN])
    late = rows.filter(unread_times=0, asked_at__lt=F("recheck_until")).order_by("end")
    for window in late[:_MOST_AGAIN]:
        looks = [one for one in _looks(monitor, window) if one <= at]
        if looks and window.asked_at is not None and window.asked_at < looks[-1]:
            found.append(window)
    return [one for one in found if not _is_asked(one)]


def _is_asked(window: Window) -> bool:
    runs = (window.run, window.recheck_run)
    return any(one is not None and one.state in _UNDER_WAY for one in runs)


@write
def ask_again(window: Window, *, seen_at: datetime, actor: Actor) -> CheckRun | None:
    """Count a window of a source once more; None if it is being counted, or cannot be.

    What was judged stands until other counts are there; what never was is asked as at first.
    """
    require(actor, "check.request", window.monitor)
    assert window.monitor is not None
    version = lock_version(window.monitor.version_id)
    at = tick(version)
    monitor = (
        Monitor.objects.select_for_update(of=("self",))
        .select_related("use", "environment", "reference", "source")
        .get(pk=window.monitor.pk)
    )
    monitor.version = version
    window = Window.objects.select_related("run", "recheck_run").get(pk=window.pk)
    window.monitor = monitor
    if monitor.until is not None or _is_asked(window):
        return None
    was_counted = window.rows is not None and window.state != Window.State.FAILED
    ask = _recheck if was_counted else queue_cut
    return ask(window, seen_at=seen_at, at=at, actor=actor)
