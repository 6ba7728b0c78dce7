"""Plots of performance, as data."""

from collections.abc import Iterable, Sequence
from typing import Any

from monitoring.configs.performance import Costs
from monitoring.engine import curves, statistics
from monitoring.engine.checks.performance.scores import Bins, calibration_table
from monitoring.engine.checks.tables import ACCURACY
from monitoring.engine.plots import interval_plot, line_plot
from monitoring.engine.profiles import FLOOR
from monitoring.engine.results import MeasurementValue, Plot
from monitoring.engine.statistics import Interval

Lines = Iterable[tuple[str, Bins]]
Rate = tuple[int, int]


def curves_of(name: str, of: str, lines: Sequence[tuple[str, Bins]], level: float) -> list[Plot]:
    """Calibration, ROC and precision-recall, a line for each of `lines`. `name` ends their names.

    A calibration bin of few people of a group would tell what each of them had: it is a gap.
    """
    return [
        _calibration(name, of, lines, level, FLOOR if name else 1),
        _roc(name, of, lines),
        _precision(name, of, lines),
    ]


def _calibration(name: str, of: str, lines: Lines, level: float, least: int) -> Plot:
    series = []
    for label, bins in lines:
        points = []
        for n, mean, rate in calibration_table(bins.cells, bins.bins):
            point: dict[str, Any] = {"x": mean, "y": None, "n": n}
            if n >= least:
                interval = statistics.wilson(round(n * rate), n, level)
                point |= {"y": rate, "lower": interval.lower, "upper": interval.upper}
            points.append(point)
        series.append({"name": label, "points": points})
    ends = [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]
    return Plot(
        f"calibration{name}",
        "line",
        f"Calibration in ten equal bins{of}",
        "mean score",
        "rate of positives",
        [*series, {"name": "ideal", "points": ends}],
    )


def _roc(name: str, of: str, lines: Lines) -> Plot:
    drawn = [(label, curves.roc_points(bins.ranked())) for label, bins in lines]
    return line_plot(
        f"roc{name}",
        f"Receiver operating characteristic{of}",
        [*drawn, ("chance", [(0.0, 0.0), (1.0, 1.0)])],
        "false positive rate",
        "true positive rate",
    )


def _precision(name: str, of: str, lines: Lines) -> Plot:
    drawn = [(label, curves.precision_points(bins.ranked())) for label, bins in lines]
    return line_plot(
        f"precision_recall{name}", f"Precision and recall{of}", drawn, "recall", "precision"
    )


def accuracy_by(attributes: Sequence[str], found: Sequence[MeasurementValue]) -> Plot:
    by = " and ".join(attributes).replace("_", " ")
    measured = [(", ".join(m.slice.values()), m) for m in found if m.metric == ACCURACY]
    return interval_plot(f"accuracy_by_{'_'.join(attributes)}", f"Accuracy by {by}", measured)


def sweep(bins: Bins, points: int, level: float, costs: Costs | None) -> list[Plot]:
    """Metrics over the threshold at which a row is selected, with Wilson's bands; costs apart."""
    ranked, thresholds = bins.ranked(), [k / points for k in range(points + 1)]
    tables = [(at, ranked.at(at)) for at in thresholds]
    series = [
        {
            "name": name.replace("_", " "),
            "points": [_point(at, rates[name], level) for at, rates in rows],
        }
        for rows in [[(at, _rates(*cells)) for at, cells in tables]]
        for name in ("accuracy", "precision", "recall", "specificity", "selection_rate")
    ]
    series.append({"name": "F1 score", "points": [_f1(at, *cells) for at, cells in tables]})
    plots = [Plot("threshold_sweep", "line", "Metrics by threshold", "threshold", "rate", series)]
    if costs is not None and bins.n:
        drawn = [(at, costs.mean(cells)) for at, cells in tables]
        title = "Expected cost by threshold"
        plots.append(
            line_plot("threshold_cost", title, [("model", drawn)], "threshold", costs.unit)
        )
    return plots


def sweep_by(attributes: Sequence[str], lines: Lines, points: int, level: float) -> list[Plot]:
    """Selection rates and recall of each group over the threshold."""
    by, name = " and ".join(attributes).replace("_", " "), "_".join(attributes)
    lines = list(lines)
    plots = []
    for metric, title in (("selection_rate", "Selection rate"), ("recall", "Recall")):
        series = []
        for label, bins in lines:
            ranked = bins.ranked()
            rows = [(k / points, _rates(*ranked.at(k / points))[metric]) for k in range(points + 1)]
            series.append({"name": label, "points": [_point(at, rate, level) for at, rate in rows]})
        heading = f"{title} by threshold and {by}"
        plots.append(
            Plot(f"threshold_{metric}_by_{name}", "line", heading, "threshold", "rate", series)
        )
    return plots


def _rates(tp: int, fp: int, tn: int, fn: int) -> dict[str, Rate]:
    n = tp + fp + tn + fn
    return {
        "accuracy": (tp + tn, n),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "selection_rate": (tp + fp, n),
    }


def _point(at: float, rate: Rate, level: float) -> dict[str, Any]:
    k, n = rate
    if not n:
        return {"x": at, "y": None}
    interval: Interval = statistics.wilson(k, n, level)
    return {"x": at, "y": k / n, "lower": interval.lower, "upper": interval.upper}


def _f1(at: float, tp: int, fp: int, tn: int, fn: int) -> dict[str, Any]:
    n = 2 * tp + fp + fn
    return {"x": at, "y": 2 * tp / n if n else None}
