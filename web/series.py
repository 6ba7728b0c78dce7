"""What a monitor measured, batch by batch, as plots with its limits drawn in. Pure."""

from collections.abc import Sequence
from typing import Any

from kernel.moments import rfc3339
from monitoring.limits import BETWEEN, Limit
from reports.plots import Plot
from web.vocabulary import between, label


def over_time(limits: Sequence[Limit], runs: Sequence[Any], measured: Sequence[Any]) -> list[Plot]:
    """One line for each limit, over the batches in order of their windows.

    A batch whose figure is undefined, or that was not measured, is a gap and never a zero.
    """
    ordered = sorted(
        (run for run in runs if run.batch is not None), key=lambda run: run.batch.window_start
    )
    plots = []
    for limit in limits:
        found = {
            one.run_id: one
            for one in measured
            if one.metric == limit.metric and one.slice == dict(limit.slice)
        }
        points = [_point(run, found[run.pk]) for run in ordered if run.pk in found]
        if points:
            plots.append(_plot(limit, points))
    return plots


def _plot(limit: Limit, points: list[dict[str, Any]]) -> Plot:
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
        "title": f"{name}{about}, by batch",
        "x_label": "first day of the batch",
        "series": [{"name": name, "points": points}],
        "limit": {"value": float(limit.value), "label": f"{word} {limit.value:g}"},
    }


def _point(run: Any, one: Any) -> dict[str, Any]:
    return {
        "x": rfc3339(run.batch.window_start)[:10],
        "y": one.value,
        "lower": one.lower,
        "upper": one.upper,
        "n": one.n,
        "reason": one.undefined,
    }
