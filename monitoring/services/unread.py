"""Windows whose source could not be read: asked again, less and less often, until it answers.

Of several such windows the newest alone is asked about; once the source answers, all are. So a source
that is away for a week costs a question every six hours, and no window is lost.
"""

from datetime import datetime, timedelta

from django.db.models import QuerySet

from audit.writing import in_write
from monitoring.models import Window

FIRST, LONGEST = timedelta(minutes=5), timedelta(hours=6)
"""The wait before a source is asked again, doubled each time up to the longest."""
CODE = "unavailable"
"""With which a run ends whose source could not be reached: see `kernel.errors.Unavailable`."""


def put_off(window: Window, at: datetime) -> None:
    """Its source could not be read: say when it is asked again. A step inside a write; saves nothing.

    A window of a backtest or a backfill is asked about again by whoever wants it.
    """
    in_write()
    if window.monitor is None or window.monitor.source_id is None or window.is_backfill:
        return
    window.unread_times += 1
    others = _unread(window)
    others.filter(end__lt=window.end).update(retry_at=None)
    wait = FIRST * 2 ** min(window.unread_times - 1, 10)
    is_newest = not others.filter(end__gt=window.end).exists()
    window.retry_at = at + min(wait, LONGEST) if is_newest else None


def release(window: Window, at: datetime) -> None:
    """Its source was read: the windows that wait for that are asked about again. Saves not this one."""
    in_write()
    window.unread_times, window.retry_at = 0, None
    if window.monitor is not None and window.monitor.source_id is not None:
        _unread(window).update(retry_at=at)


def _unread(but: Window) -> QuerySet[Window]:
    rows = Window.objects.filter(monitor=but.monitor, unread_times__gt=0, is_backfill=False)
    return rows.exclude(pk=but.pk)
