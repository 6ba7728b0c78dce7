"""Builders of plots as data."""

from collections.abc import Iterable, Sequence
from typing import Any

from monitoring.engine.results import MeasurementValue, Plot


def interval_plot(
    name: str, title: str, measured: Iterable[tuple[str, MeasurementValue]], y_label: str = "rate"
) -> Plot:
    """A point with its interval for each measurement; an undefined one is a labelled gap."""
    points = [
        {
            "label": label,
            "value": one.value,
            "lower": one.lower,
            "upper": one.upper,
            "n": one.n,
            "reason": one.undefined_reason,
        }
        for label, one in measured
    ]
    return Plot(name, "interval", title, "", y_label, [{"name": title, "points": points}])


def bar_plot(
    name: str, title: str, bars: Iterable[tuple[str, float]], x_label: str, y_label: str
) -> Plot:
    points = [{"label": label, "value": value} for label, value in bars]
    return Plot(name, "bar", title, x_label, y_label, [{"name": title, "points": points}])


def line_plot(
    name: str,
    title: str,
    lines: Iterable[tuple[str, Sequence[tuple[float, float]]]],
    x_label: str,
    y_label: str,
) -> Plot:
    series: list[dict[str, Any]] = [
        {"name": label, "points": [{"x": x, "y": y} for x, y in points]} for label, points in lines
    ]
    return Plot(name, "line", title, x_label, y_label, series)


def histogram_plot(
    name: str,
    title: str,
    edges: Sequence[float],
    counts: Iterable[tuple[str, Sequence[int]]],
    x_label: str,
) -> Plot:
    """Shares by bin for one or more samples over the same edges."""
    series: list[dict[str, Any]] = []
    for label, values in counts:
        total = sum(values) or 1
        points = [
            {"from": edges[place], "to": edges[place + 1], "value": count / total}
            for place, count in enumerate(values)
        ]
        series.append({"name": label, "points": points})
    return Plot(name, "histogram", title, x_label, "share", series)


def confusion_plot(name: str, title: str, tp: int, fp: int, tn: int, fn: int) -> Plot:
    points = [
        {"actual": "positive", "predicted": "positive", "value": tp},
        {"actual": "positive", "predicted": "negative", "value": fn},
        {"actual": "negative", "predicted": "positive", "value": fp},
        {"actual": "negative", "predicted": "negative", "value": tn},
    ]
    return Plot(
        name, "confusion", title, "predicted", "actual", [{"name": title, "points": points}]
    )
