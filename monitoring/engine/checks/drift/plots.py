"""Charts of drift as data."""

from collections.abc import Sequence
from typing import Any

from monitoring.engine.comparing import Comparison
from monitoring.engine.plots import bar_plot, histogram_plot
from monitoring.engine.profiles import FLOOR
from monitoring.engine.results import BETWEEN, MeasurementValue, Plot

SHOWN = 3
"""Of so many features that moved most, both distributions are drawn."""
CATEGORIES = 12
ANSWERS = {
    "score": ("scores", "Scores now and in the reference"),
    "prediction": ("predictions", "Predictions now and in the reference"),
    "label": ("outcomes", "Outcomes now and in the reference"),
}
"""Of answers that are numbers: the chart's name and title."""


def plots(
    comparisons: Sequence[Comparison],
    measured: Sequence[MeasurementValue],
    later: Sequence[MeasurementValue],
) -> list[Plot]:
    by_index = sorted(_of_features(measured, "psi"), key=lambda bar: -bar[1])
    found = [bar_plot("psi", "Population stability index by feature", by_index, "feature", "index")]
    for one in comparisons:
        if one.answer and one.bins.edges:
            found.append(_numbers(*ANSWERS[one.column], one, one.column))
    found += _missing(measured)
    by_name = {one.column: one for one in comparisons if not one.answer}
    for place, (name, _) in enumerate(by_index[:SHOWN], 1):
        one, title = by_name[name], f"{name} now and in the reference"
        if one.bins.edges:
            found.append(_numbers(f"distribution-{place}", title, one, name))
        elif one.kind == "categorical" and one.bins.names:
            found.append(_categories(f"distribution-{place}", title, one, name))
    moved = [
        (one.slice["window"], one.value)
        for one in later
        if one.metric == "drifted_share" and one.value is not None
    ]
    if moved:
        title = "Share of features that drifted, by window"
        found.append(bar_plot("windows", title, moved, "window", "share"))
    return found


def _of_features(measured: Sequence[MeasurementValue], metric: str) -> list[tuple[str, float]]:
    return [
        (one.slice["feature"], one.value)
        for one in measured
        if one.metric == metric
        and one.value is not None
        and one.slice.get("feature") not in (None, BETWEEN)
    ]


def _numbers(name: str, title: str, one: Comparison, label: str) -> Plot:
    """Both samples by bin. Few rows at an end are told with the next bin: they are somebody's."""
    edges, counts = list(one.bins.edges), [list(one.bins.reference), list(one.bins.current)]
    for end, inner in ((0, 1), (-1, -2)):
        while len(edges) > 2 and sum(side[end] for side in counts) < FLOOR:
            for side in counts:
                side[inner] += side[end]
                side.pop(end)
            edges.pop(end)
    samples = [("reference", counts[0]), ("current", counts[1])]
    return histogram_plot(name, title, edges, samples, label)


def _categories(name: str, title: str, one: Comparison, label: str) -> Plot:
    """Shares of the commonest categories; the rest, and what few rows share, is `other`."""
    counts = dict(
        zip(one.bins.names, zip(one.bins.reference, one.bins.current, strict=True), strict=True)
    )
    common = sorted(counts, key=lambda category: (-sum(counts[category]), category))
    named = [category for category in common if max(counts[category]) >= FLOOR][:CATEGORIES]
    series = []
    for place, sample in enumerate(("reference", "current")):
        total = sum(pair[place] for pair in counts.values()) or 1
        points: list[dict[str, Any]] = [
            {"label": category, "value": counts[category][place] / total} for category in named
        ]
        rest = total - sum(counts[category][place] for category in named)
        if len(named) < len(counts):
            points.append({"label": "other", "value": rest / total})
        series.append({"name": sample, "points": points})
    return Plot(name, "bar", title, label, "share", series)


def _missing(measured: Sequence[MeasurementValue]) -> list[Plot]:
    rates = [
        (one.slice["feature"], one.detail)
        for one in measured
        if one.metric == "missing_rate_difference"
        and one.slice.get("feature") not in (None, BETWEEN)
        and (one.detail.get("reference") or one.detail.get("current"))
    ]
    if not rates:
        return []
    series = [
        {
            "name": sample,
            "points": [{"label": name, "value": detail[sample]} for name, detail in rates],
        }
        for sample in ("reference", "current")
    ]
    title = "Missing values now and in the reference"
    return [Plot("missing", "bar", title, "feature", "rate", series)]
