"""Calibration within groups: do the scores of a group say how many of it are positive?"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from kernel.errors import Invalid
from monitoring.engine import intervals, statistics
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.checks.performance.scores import (
    CALIBRATION_METHOD,
    calibration_error,
    calibration_table,
)
from monitoring.engine.cube import Group, ScoreCell, ScoreCube
from monitoring.engine.mapping import UNKNOWN
from monitoring.engine.plots import interval_plot
from monitoring.engine.results import (
    BETWEEN,
    INSUFFICIENT,
    MISSING_GROUP,
    CheckResult,
    MeasurementValue,
    Plot,
)
from monitoring.engine.statistics import extremes, samples
from monitoring.metrics.fairness import (
    CALIBRATION_DIFFERENCE,
    CALIBRATION_IN_THE_LARGE,
    GROUP_CALIBRATION_ERROR,
)

_LINES = 6
"""Groups whose curves are drawn, the largest first; more cannot be told apart."""


def calibration(scores: ScoreCube | None, settings: Settings) -> CheckResult:
    """For each group the expected calibration error over ten equal bins, and the mean score less
    the rate of positives (calibration in the large), with the largest difference of the latter.

    Raises:
        Invalid: there are no scores of labelled rows.
    """
    if scores is None:
        raise Invalid("calibration needs scores and outcomes", field="config.calibration")
    result = CheckResult([])
    for attributes in settings.groups.groupings:
        _grouping(scores.by(attributes), settings, result)
    return result


def _grouping(scores: ScoreCube, settings: Settings, result: CheckResult) -> None:
    attributes = scores.attributes
    cells: dict[Group, list[ScoreCell]] = {}
    for cell in scores.cells:
        cells.setdefault(cell.group, []).append(cell)
    squares = {one.group: one.squared for one in scores.moments}
    errors, larges = [], []
    for group in sorted(cells):
        about = dict(zip(attributes, group, strict=True))
        errors.append(_error(about, cells[group], scores.bins, settings))
        larges.append(_large(about, cells[group], squares[group], settings))
    difference = _difference(attributes, larges, settings)
    result.measurements.extend([*errors, *larges, difference])
    by, name = " and ".join(attributes).replace("_", " "), "_".join(attributes)
    labelled = [(", ".join(one.slice.values()), one) for one in larges]
    result.plots.append(
        interval_plot(
            f"{CALIBRATION_IN_THE_LARGE}_by_{name}",
            f"Mean score less rate of positives, by {by}",
            labelled,
            "difference",
        )
    )
    largest = sorted(cells, key=lambda group: -sum(cell.n for cell in cells[group]))[:_LINES]
    # With how many a point is over, so that one of few can be left out.
    curves: list[dict[str, Any]] = [
        {
            "name": ", ".join(group),
            "points": [
                {"x": mean, "y": rate, "n": n}
                for n, mean, rate in calibration_table(cells[group], scores.bins)
            ],
        }
        for group in sorted(largest)
    ]
    ideal = {"name": "ideal", "points": [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]}
    result.plots.append(
        Plot(
            f"calibration_by_{name}",
            "line",
            f"Calibration by {by}, in ten equal bins",
            "mean score",
            "rate of positives",
            [*curves, ideal],
        )
    )


def _error(
    about: dict[str, str], cells: Sequence[ScoreCell], bins: int, settings: Settings
) -> MeasurementValue:
    n = sum(cell.n for cell in cells)
    base = MeasurementValue(
        GROUP_CALIBRATION_ERROR,
        about,
        None,
        n=n,
        undefined_reason=INSUFFICIENT,
        method=CALIBRATION_METHOD,
        unit="rate",
    )
    if n < settings.groups.least(GROUP_CALIBRATION_ERROR):
        return base
    names = (GROUP_CALIBRATION_ERROR, *sorted(about.items()))
    stream = statistics.generator(settings.seed, *names)
    table = calibration_table(cells, bins)
    interval, corrected = statistics.calibration_interval(table, settings.level, stream)
    return replace(
        base,
        value=calibration_error(cells, bins),
        lower=interval.lower,
        upper=interval.upper,
        level=settings.level,
        undefined_reason=None,
        detail={"corrected": corrected},
    )


def _large(
    about: dict[str, str], cells: Sequence[ScoreCell], squared: Decimal, settings: Settings
) -> MeasurementValue:
    n = sum(cell.n for cell in cells)
    positives = sum(cell.n for cell in cells if cell.label)
    total = sum((cell.score_sum for cell in cells), Decimal(0)) - positives
    interval = intervals.mean_interval(float(total), float(squared), n, settings.level)
    few = n < settings.groups.least(CALIBRATION_IN_THE_LARGE) or interval is None
    return MeasurementValue(
        CALIBRATION_IN_THE_LARGE,
        about,
        None if few else float(total) / n,
        None if few or interval is None else interval.lower,
        None if few or interval is None else interval.upper,
        None if few else settings.level,
        n,
        undefined_reason=INSUFFICIENT if few else None,
        method="student",
        unit="difference",
        detail={"mean_score": (float(total) + positives) / n, "rate": positives / n},
    )


def _difference(
    attributes: Sequence[str], larges: Sequence[MeasurementValue], settings: Settings
) -> MeasurementValue:
    def missing(one: MeasurementValue) -> bool:
        return UNKNOWN in one.slice.values() and not settings.groups.include_missing

    kept = [one for one in larges if one.value is not None and not missing(one)]
    excluded = [
        {
            "group": dict(one.slice),
            "reason": MISSING_GROUP if missing(one) else INSUFFICIENT,
            "n": one.n,
        }
        for one in larges
        if one not in kept
    ]
    sizes = [one.n or 0 for one in kept]
    few = MeasurementValue(
        CALIBRATION_DIFFERENCE,
        dict.fromkeys(attributes, BETWEEN),
        None,
        n=sum(sizes),
        undefined_reason=INSUFFICIENT,
        unit="difference",
        detail={"excluded": excluded, "groups": len(kept)},
    )
    if len(kept) < 2:
        return few
    values = [float(one.value or 0.0) for one in kept]
    errors = [
        (float(one.upper or 0) - float(one.lower or 0)) / 2 / intervals.t_of(settings.level, n)
        for one, n in zip(kept, sizes, strict=True)
    ]
    stream = statistics.generator(settings.seed, CALIBRATION_DIFFERENCE, *attributes)
    drawn = samples.normal(values, [error**2 for error in errors], sizes, stream)
    interval = extremes.largest([extremes.between(drawn)], settings.level)
    return MeasurementValue(
        CALIBRATION_DIFFERENCE,
        few.slice,
        max(values) - min(values),
        interval.lower,
        interval.upper,
        settings.level,
        few.n,
        method="normal, max-t",
        unit="difference",
        detail=few.detail,
    )
