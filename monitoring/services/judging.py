"""Windows are judged as their runs end; what follows is opened in the same transaction.

A window that is judged anew, or late, changes what the windows after it add up to: those whose count
of consecutive breaches reaches back to it are judged again with it, and that is on record.

A window of a source that is counted once more keeps what it came to until the new counts are there, and
keeps it for good if they are the same.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Max

from audit.actor import Actor
from audit.recording import record
from audit.writing import in_write
from kernel.moments import rfc3339
from monitoring import limits
from monitoring.engine.sources import NO_ROWS
from monitoring.models import Breach, CheckRun, Monitor, Window
from monitoring.services import unread
from monitoring.services.breaches import SILENCE, open_breach, place

_State = Window.State
_COUNTED = (_State.JUDGED, _State.INSUFFICIENT)
_ENDED = (*_COUNTED, _State.FAILED)
_LOOK_BACK = 100
"""How many windows before and after one are looked through for consecutive breaches."""


def judge_run(run: CheckRun, *, at: datetime, actor: Actor) -> list[Breach]:
    """Hold a succeeded run of a window against the limits. A step inside a write.

    A breach opens once a limit was broken in as many windows in a row as the monitor says. Governance
    wrote the limits; nothing here decides what follows from a breach. Fewer rows than wanted judge
    nothing: the window is insufficient, which is no pass, and several in a row are silence.
    """
    in_write()
    window = run.window
    if window is None or not _is_awaited(run, window):
        return []
    unread.release(window, at)
    if run.pk == window.recheck_run_id:
        window.recheck_run = None
        if window.run is not None and window.run.cube_id == run.cube_id:
            window.save()
            return []
    watch = window.monitor or window.backtest
    assert watch is not None
    measured = list(
        run.measurements.values(
            "metric", "slice", "value", "lower", "upper", "level", "n", "undefined", "grade"
        )
    )
    judged = limits.judge_limits(
        limits.parse_limits(watch.limits), measured, rows=run.rows, min_rows=watch.min_rows
    )
    enough = run.rows is not None and run.rows >= watch.min_rows
    window.run, window.rows = run, run.rows
    return settle(
        window, _State.JUDGED if enough else _State.INSUFFICIENT, judged, at=at, actor=actor
    )


def judge_failure(
    run: CheckRun, why: str, *, code: str = "", at: datetime, actor: Actor
) -> list[Breach]:
    """A run of a window came to nothing: break the limits that want a measurement in any case.

    `code` says with which error. A source that could not be reached leaves its window insufficient.
    """
    in_write()
    window = run.window
    if window is None or not _is_awaited(run, window):
        return []
    is_away = code == unread.CODE and run.dataset_id is not None
    if run.pk == window.recheck_run_id:
        window.recheck_run = None
        if code != NO_ROWS or window.rows == 0:
            # What was counted before stands.
            (unread.put_off if is_away else unread.release)(window, at)
            window.save()
            return []
    window.run = run
    if is_away:
        return judge_unread(window, why, at=at, actor=actor)
    unread.release(window, at)
    if code == NO_ROWS:
        return judge_empty(window, "no row lies in the window", at=at, actor=actor)
    watch = window.monitor or window.backtest
    assert watch is not None
    judged = [
        limits.Judgement(limit, "not_measured", f"not measured: {why}")
        for limit in limits.parse_limits(watch.limits)
    ]
    return settle(window, _State.FAILED, judged, at=at, actor=actor)


def judge_unread(window: Window, why: str, *, at: datetime, actor: Actor) -> list[Breach]:
    """The rows of a window are out of reach: it is insufficient, which is no pass, and asked about
    again. A step inside a write."""
    in_write()
    unread.put_off(window, at)
    return _judge_nothing(window, None, why, at=at, actor=actor)


def judge_empty(window: Window, why: str, *, at: datetime, actor: Actor) -> list[Breach]:
    """A window without any data is insufficient. A step inside a write."""
    in_write()
    return _judge_nothing(window, 0, why, at=at, actor=actor)


def _judge_nothing(
    window: Window, rows: int | None, why: str, *, at: datetime, actor: Actor
) -> list[Breach]:
    watch = window.monitor or window.backtest
    assert watch is not None
    window.is_stale, window.rows = False, rows
    judged = [
        limits.Judgement(limit, "too_few_rows", why) for limit in limits.parse_limits(watch.limits)
    ]
    return settle(window, _State.INSUFFICIENT, judged, at=at, actor=actor)


def _is_awaited(run: CheckRun, window: Window) -> bool:
    """Is it the run that the window waits for, and no earlier one?"""
    return window.run_id in (None, run.pk) or window.recheck_run_id == run.pk


def settle(
    window: Window,
    state: str,
    judged: Sequence[limits.Judgement],
    *,
    at: datetime,
    actor: Actor,
) -> list[Breach]:
    """Write down what a window came to and open what follows. A step inside a write."""
    in_write()
    window.state = state
    window.outcomes = [_outcome(one) for one in judged]
    window.judged_at, window.judged_times = at, window.judged_times + 1
    monitor = window.monitor
    if monitor is None or monitor.until is not None or window.is_backfill:
        window.save()
        if monitor is not None:
            _record(window, at=at, actor=actor)
        return []
    if state == _State.FAILED:
        window.acts = [one["key"] for one in window.outcomes if one["breaks"]]
        window.save()
        opened = [_open(window, one, at=at, actor=actor) for one in _broken(window)]
    else:
        opened = _act(window, monitor, at=at, actor=actor)
    opened += _silence(monitor, at=at, actor=actor)
    _record(window, at=at, actor=actor)
    return [one for one in opened if one is not None]


def _outcome(one: limits.Judgement) -> dict[str, Any]:
    return {"key": one.limit.key, "breaks": one.breaks, **one.to_json()}


def _broken(window: Window) -> list[dict[str, Any]]:
    return [one for one in window.outcomes if one["key"] in window.acts]


def _act(window: Window, monitor: Monitor, *, at: datetime, actor: Actor) -> list[Breach | None]:
    """Count again from a window on, as far as the count reaches; open what was not open before."""
    rows = _around(window, monitor)
    here = rows.index(window)
    before = {one.pk: list(one.acts) for one in rows[here:]}
    for key in (one["key"] for one in window.outcomes):
        judged_since = 0
        for position in range(here, len(rows)):
            found = _of(rows[position], key)
            if position > here and found is not None and _past(found).tells:
                judged_since += 1
            if judged_since >= monitor.consecutive:
                break
            calls = _calls(rows, position, key, monitor.consecutive)
            kept = [one for one in rows[position].acts if one != key]
            rows[position].acts = [*kept, key] if calls else kept
    opened: list[Breach | None] = []
    for one in rows[here:]:
        new = [key for key in one.acts if key not in before[one.pk]]
        if one.pk != window.pk and sorted(one.acts) == sorted(before[one.pk]):
            continue
        if one.pk != window.pk:
            one.judged_times += 1
        one.save()
        late = window if one.pk != window.pk else None
        opened += [
            _open(one, found, at=at, actor=actor, late=late)
            for found in one.outcomes
            if found["key"] in new
        ]
        if late is not None:
            _record(one, at=at, actor=actor, because_of=window.pk)
    return opened


def _around(window: Window, monitor: Monitor) -> list[Window]:
    """The monitor's counted windows about one, oldest first, the given object among them."""
    others = (
        Window.objects.filter(monitor=monitor, is_backfill=False, state__in=_COUNTED)
        .exclude(pk=window.pk)
        .select_related("run")
    )
    earlier = others.filter(end__lte=window.end).order_by("-end", "-start", "-pk")[:_LOOK_BACK]
    later = others.filter(end__gt=window.end).order_by("end", "start", "pk")[:_LOOK_BACK]
    found = [*earlier, window, *later]
    for one in found:
        one.monitor = monitor
    return sorted(found, key=lambda one: (one.end, one.start, one.pk))


def _of(window: Window, key: str) -> dict[str, Any] | None:
    return next((one for one in window.outcomes if one["key"] == key), None)


def _calls(rows: Sequence[Window], position: int, key: str, consecutive: int) -> bool:
    """Does the limit's history up to this window call for a breach in it?"""
    newest = _of(rows[position], key)
    if newest is None or not newest["breaks"]:
        return False
    history = (_of(rows[place], key) for place in range(position, -1, -1))
    return limits.acts((_past(one) for one in history if one is not None), consecutive)


def _past(found: dict[str, Any]) -> limits.Past:
    return limits.Past(found["outcome"], found["breaks"])


def _open(
    window: Window,
    found: dict[str, Any],
    *,
    at: datetime,
    actor: Actor,
    late: Window | None = None,
) -> Breach | None:
    assert window.monitor is not None
    detail = {name: value for name, value in found.items() if name not in ("key", "breaks")}
    if late is not None:
        detail["because_of"] = {"start": rfc3339(late.start), "end": rfc3339(late.end)}
    return open_breach(
        window.monitor,
        metric=found["limit"]["metric"],
        limit_key=found["key"],
        reason=found["outcome"],
        detail=detail,
        run=window.run,
        at=at,
        actor=actor,
    )


def _silence(monitor: Monitor, *, at: datetime, actor: Actor) -> list[Breach | None]:
    """Windows that judged nothing, so many in a row, are as good as none; and of one limit, windows in
    which nobody could measure it."""
    wanted = monitor.silent_after_windows
    if wanted is None:
        return []
    newest = _newest(monitor, wanted, SILENCE)
    if len(newest) == wanted and all(one.state != _State.JUDGED for one in newest):
        detail = _silent_since(newest) | {"reason": _why_silent(newest, monitor)}
        opened = open_breach(
            monitor,
            metric=SILENCE,
            limit_key=SILENCE,
            reason="insufficient",
            detail=detail,
            run=newest[0].run,
            at=at,
            actor=actor,
        )
        return [opened]
    limited = [one.key for one in limits.parse_limits(monitor.limits)]
    return [_unmeasured(monitor, key, wanted, at=at, actor=actor) for key in limited]


def _unmeasured(
    monitor: Monitor, key: str, wanted: int, *, at: datetime, actor: Actor
) -> Breach | None:
    """A limit that nobody could measure, so many windows in a row, while others were judged."""
    newest = _newest(monitor, wanted, key)
    # A window of too few rows, or whose check failed, measured it as little.
    missed = [one for one in newest if one.state != _State.JUDGED or _is_unmeasured(one, key)]
    last = next((one for one in newest if one.state == _State.JUDGED), None)
    if len(missed) < wanted or last is None:
        return None
    found = _of(last, key)
    assert found is not None
    detail = {name: value for name, value in found.items() if name not in ("key", "breaks")}
    why = f"{_windows(wanted)} could not be held against this limit; of the last: {found['reason']}"
    return open_breach(
        monitor,
        metric=found["limit"]["metric"],
        limit_key=key,
        reason="not_measured",
        detail=detail | _silent_since(newest) | {"reason": why},
        run=newest[0].run,
        at=at,
        actor=actor,
    )


def _is_unmeasured(window: Window, key: str) -> bool:
    found = _of(window, key)
    return found is not None and found["outcome"] == "not_measured"


def _newest(monitor: Monitor, wanted: int, key: str) -> list[Window]:
    """The last windows that ended since a person last accounted for silence, or for this limit."""
    excused = Breach.objects.filter(monitor=monitor, limit_key__in=(SILENCE, key)).aggregate(
        at=Max("resolved_at")
    )["at"]
    rows = Window.objects.filter(monitor=monitor, is_backfill=False, state__in=_ENDED)
    if excused is not None:
        rows = rows.filter(judged_at__gt=excused)
    return list(rows.select_related("run").order_by("-end", "-start", "-pk")[:wanted])


def _silent_since(newest: Sequence[Window]) -> dict[str, Any]:
    return {"silent_since": rfc3339(newest[-1].start), "silent_after_windows": len(newest)}


def _why_silent(newest: Sequence[Window], monitor: Monitor) -> str:
    windows = _windows(len(newest))
    if all(one.state == _State.INSUFFICIENT and one.rows is not None for one in newest):
        have = "has" if len(newest) == 1 else "have"
        return f"{windows} {have} fewer than the {monitor.min_rows} rows that are wanted"
    last = next((one["reason"] for one in newest[0].outcomes), "its check came to nothing")
    return f"{windows} could not be judged; of the last: {last}"


def _windows(count: int) -> str:
    return "1 window" if count == 1 else f"{count} windows in a row"


def _record(window: Window, *, at: datetime, actor: Actor, because_of: UUID | None = None) -> None:
    monitor = window.monitor
    assert monitor is not None
    record(
        "monitoring.window.judged",
        actor=actor,
        at=at,
        object_type="window",
        object_id=str(window.pk),
        public={
            **place(monitor),
            "monitor": monitor.pk,
            "window_start": rfc3339(window.start),
            "window_end": rfc3339(window.end),
            "state": window.state,
            "run": window.run_id,
            "broken": sum(one["breaks"] for one in window.outcomes),
            "acts": len(window.acts),
            "times": window.judged_times,
            "is_backfill": window.is_backfill,
            "because_of": because_of,
        },
        scope=monitor.version.model_id,
    )
