"""Windows of a monitor or a backtest as pages tell them: charts over time, and one line for each. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel.moments import rfc3339
from monitoring.limits import BETWEEN, Limit
from reports.plots import Plot
from web.vocabulary import between, label


@dataclass(frozen=True)
class Told:
    """What a window came to: a word with a tone, and why."""

    word: str
    label: str
    reasons: list[str]


def told(window: Any) -> Told:
    """A window's outcome in a word and the reasons for it."""
    broken = [one["reason"] for one in window.outcomes if one["breaks"]]
    unmeasured = [one["reason"] for one in window.outcomes if one["outcome"] == "not_measured"]
    if window.state == "judged":
        if broken:
            return Told("breach" if window.acts else "warn", "Limit broken", broken)
        if unmeasured:
            return Told("insufficient", "Not measured", unmeasured)
        return Told("ok", "Within limits", [])
    if window.state == "insufficient":
        if window.rows is not None:
            return Told("insufficient", "Too few rows" if window.rows else "No rows", [])
        return Told("insufficient", "Not read", [one["reason"] for one in window.outcomes[:1]])
    if window.state == "failed":
        return Told("failed", "Failed", unmeasured[:1])
    return Told(window.state, label(window.state), [])


def over_time(limits: Sequence[Limit], windows: Iterable[Any], whole: bool) -> list[Plot]:
    """One line for each limit over the windows in order.

    A window whose figure is undefined, or that was not measured, is a gap and never a zero. `whole`
    says that a window is a stretch of time and not one batch.
    """
    ordered = sorted(windows, key=lambda one: (one.start, one.end))
    plots = []
    for limit in limits:
        points = [
            _point(window, found)
            for window in ordered
            for found in window.outcomes
            if found["key"] == limit.key and found["outcome"] != "too_few_rows"
        ]
        if points:
            plots.append(_plot(limit, points, "window" if whole else "batch"))
    return plots


def volume(windows: Iterable[Any], least: int) -> Plot | None:
    """The rows of each window, and how many are wanted; None before the first is counted."""
    counted = sorted(
        (one for one in windows if one.rows is not None), key=lambda one: (one.start, one.end)
    )
    if not counted:
        return None
    points = [{"x": _when(one), "y": float(one.rows)} for one in counted]
    return {
        "name": "volume",
        "kind": "line",
        "title": "Rows, window by window",
        "x_label": "start of the window",
        "series": [{"name": "rows", "points": points}],
        "limit": {"value": float(least), "label": f"at least {least}"},
        "unit": "count",
    }


def _plot(limit: Limit, points: list[dict[str, Any]], what: str) -> Plot:
    name = label(limit.metric)
    compared = [attribute for attribute, group in limit.slice.items() if group == BETWEEN]
    groups = [
        f"{attribute} {group}" for attribute, group in limit.slice.items() if group != BETWEEN
    ]
    about = f" of {', '.join(groups)}" if groups else ""
    if compared:
        of_features = compared == ["feature"]
        about = f", {between(limit.slice)}" if of_features else f" by {' and '.join(compared)}"
    word = "at most" if limit.op == "<=" else "at least"
    return {
        "name": limit.key,
        "kind": "line",
        "title": f"{name}{about}, by {what}",
        "x_label": f"first day of the {what}",
        "series": [{"name": name, "points": points}],
        "limit": {"value": float(limit.value), "label": f"{word} {limit.value:g}"},
    }


def _point(window: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "x": _when(window),
        "y": found.get("value"),
        "lower": found.get("lower"),
        "upper": found.get("upper"),
        "n": found.get("n"),
        "reason": found.get("undefined")
        or ("" if found.get("value") is not None else "unmeasured"),
    }


def _when(window: Any) -> str:
    """The day, and the hour where windows are shorter than one."""
    text = rfc3339(window.start)
    hours = (window.end - window.start).total_seconds() < 86_400
    return f"{text[:10]} {text[11:16]}" if hours else text[:10]
