"""How far predicted numbers are from the outcomes, for everybody and for each group."""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from monitoring.configs import performance as performance_config
from monitoring.engine import intervals
from monitoring.engine.checks.performance.number_gains import ABSOLUTE_GAIN, GAINS, UNIT, gains
from monitoring.engine.checks.performance.scope import Scope
from monitoring.engine.checks.tables import (
    GROUP_FIELDS,
    GroupConfig,
    read_group_config,
    refuse_many_groups,
)
from monitoring.engine.cube import Group
from monitoring.engine.cube.error_bins import ErrorBins, SortedSizes
from monitoring.engine.cube.paired_errors import PairedErrors
from monitoring.engine.cube.regression import TOO_LARGE, RegressionCube, ResidualSums
from monitoring.engine.documents import Fields
from monitoring.engine.plots import interval_plot
from monitoring.engine.results import NO_DENOMINATOR, CheckResult, MeasurementValue, Note, Plot
from monitoring.engine.statistics import Interval
from monitoring.metrics.performance import quantile_name

MAE, RMSE, MSE, BIAS, R2 = FIGURES = (
    "mean_absolute_error",
    "root_mean_squared_error",
    "mean_squared_error",
    "mean_error",
    "r2",
)
QUANTILES = performance_config.QUANTILES
SQUARE = "outcome squared"
Sizes = Mapping[tuple[str, ...], Mapping[Group, Mapping[int, float]]]
"""By attributes, group and rank from 1: the sorted sizes of errors."""


def read_config(
    config: Mapping[str, Any], attributes: Sequence[str]
) -> tuple[GroupConfig, tuple[float, ...]]:
    """The groupings and the quantiles of the sizes of errors that are wanted.

    Raises:
        Invalid: naming the field of `config`.
    """
    fields = Fields(config, "config", (*GROUP_FIELDS, "quantiles"))
    quantiles = performance_config.quantiles(fields) or QUANTILES
    names = (*FIGURES, *map(quantile_name, quantiles), *GAINS)
    return read_group_config(fields, attributes, names), quantiles


def ranks_wanted(cube: RegressionCube, config: Mapping[str, Any]) -> dict[Any, Any]:
    """By attributes and group, the ranks of sorted errors from which quantiles are formed."""
    settings, quantiles = read_config(config, cube.attributes)
    wanted: dict[tuple[str, ...], dict[Group, list[int]]] = {}
    for attributes in ((), *settings.groupings):
        wanted[attributes] = {
            one.group: sorted(
                {rank for q in quantiles for rank in _ranks(one.n, q, settings.level)}
            )
            for one in cube.by(attributes).groups
        }
    return wanted


def _ranks(n: int, share: float, level: float) -> list[int]:
    low, _ = _place(n, share)
    around = (low, low + 1, *intervals.quantile_ranks(n, share, level))
    return [rank for rank in around if 1 <= rank <= n]


def _place(n: int, share: float) -> tuple[int, float]:
    """The rank at or under a quantile and how far it is on the way to the next (NumPy's linear)."""
    at = (n - 1) * share
    return math.floor(at) + 1, at - math.floor(at)


def measure_regression(
    cube: RegressionCube,
    sizes: Sizes | None,
    config: Mapping[str, Any],
    seed: int,
    *,
    bins: ErrorBins | None = None,
    paired: PairedErrors | None = None,
) -> CheckResult:
    """Measure everybody and each group.

    Mean errors have Student's interval, the mean squared error and R2 a delta method's on
    logarithms, quantiles that of two order statistics, which holds for any distribution. Without
    `sizes` quantiles are read from `bins`, certain to within what `detail.certified_error` says.
    `paired` gives the gains over another model.

    Raises:
        Invalid: naming the field of `config`.
    """
    settings, quantiles = read_config(config, cube.attributes)
    measurements: list[MeasurementValue] = []
    plots: list[Plot] = []
    for attributes in ((), *settings.groupings):
        found: list[MeasurementValue] = []
        binned = bins.by(attributes) if bins else None
        pairs = paired.by(attributes) if paired else None
        for one in cube.by(attributes).groups:
            scope = Scope(dict(zip(attributes, one.group, strict=True)), settings, seed)
            found += _figures(one, cube, scope)
            if sizes is None and binned is not None:
                known = binned.of(one.group)
                found += [_binned_quantile(one.n, share, known, scope) for share in quantiles]
            else:
                kept = (sizes or {}).get(attributes, {}).get(one.group, {})
                found += [_quantile(one.n, share, kept, scope) for share in quantiles]
            if pairs is not None:
                found += gains(pairs, one.group, scope)
        measurements += found
        if attributes:
            plots += _plots(attributes, found)
        else:
            groups = {one: len(cube.by(one).groups) for one in settings.groupings}
            refuse_many_groups(groups, len(found), cube.attributes, config)
    return CheckResult(measurements, plots, _left_out(cube))


def _left_out(cube: RegressionCube) -> list[Note]:
    """How many rows are in no figure, and why."""
    left = cube.rows - sum(one.n for one in cube.groups)
    large = f"an outcome or prediction of {TOO_LARGE:g} or more in size, too large for its square"
    reasons = (
        ("missing_outcome", left - cube.infinite - cube.too_large, "no outcome or no prediction"),
        ("infinite_number", cube.infinite, "an infinite outcome or prediction"),
        ("too_large_number", cube.too_large, large),
    )
    return [
        Note(code, f"{rows} rows have {what} and are left out", {"rows": rows})
        for code, rows, what in reasons
        if rows
    ]


def _plots(attributes: tuple[str, ...], found: Sequence[MeasurementValue]) -> list[Plot]:
    by = " and ".join(attributes).replace("_", " ")
    plots = []
    for metric, title in ((MAE, "Mean absolute error"), (ABSOLUTE_GAIN, "Gain in absolute error")):
        rows = [(", ".join(m.slice.values()), m) for m in found if m.metric == metric]
        if rows:
            name = f"{metric}_by_{'_'.join(attributes)}"
            plots.append(interval_plot(name, f"{title} by {by}", rows, UNIT))
    return plots


def _figures(one: ResidualSums, cube: RegressionCube, scope: Scope) -> list[MeasurementValue]:
    units = dict(zip(FIGURES, (UNIT, UNIT, SQUARE, UNIT, "share"), strict=True))
    if not scope.enough(MAE, one.n):
        return [scope.too_few(name, one.n, unit) for name, unit in units.items()]
    unit, n = 2.0**cube.frame.unit, one.n
    size, error, square = (float(one.of(name)) for name in ("size", "e", "e2"))
    measured = []
    for name, total in ((MAE, size), (BIAS, error)):
        interval = intervals.mean_interval(total, square, n, scope.level)
        measured.append(
            scope.value(name, total / n * unit, _times(interval, unit), n, "student", UNIT)
        )
    found = _square_interval(square, float(one.of("e4")), n, scope.level)
    roots = found and Interval(math.sqrt(found.lower), math.sqrt(found.upper))
    method = "delta method on logarithms"
    root = math.sqrt(square / n) * unit
    measured.insert(1, scope.value(RMSE, root, _times(roots, unit), n, method, UNIT))
    mean = square / n * unit**2
    measured.insert(2, scope.value(MSE, mean, _times(found, unit**2), n, method, SQUARE))
    return [*measured, _r2(one, cube, scope)]


def _times(interval: Interval | None, unit: float) -> Interval | None:
    return interval and Interval(interval.lower * unit, interval.upper * unit)


def _square_interval(square: float, fourth: float, n: int, level: float) -> Interval | None:
    if n < 2 or square <= 0:
        return None
    mean = square / n
    variance = max(0.0, (fourth - n * mean * mean) / (n - 1))
    return intervals.log_ratio_interval(mean, math.sqrt(variance / n) / mean, level)


def _r2(one: ResidualSums, cube: RegressionCube, scope: Scope) -> MeasurementValue:
    """One less the ratio of squared errors to the outcomes' own spread; none if outcomes are alike."""
    n, square = Fraction(one.n), one.of("e2")
    centre = one.of("y") / n
    spread = one.of("y2") - one.of("y") * centre
    # Squares are rounded to a double's digits: what differs by no more than that is alike.
    if spread <= one.of("y2") / 2**48:
        return scope.undefined(R2, NO_DENOMINATOR, one.n, "share")
    ratio = float(square * Fraction(4) ** (cube.frame.unit - cube.frame.power) / spread)
    # Moments about the middle of the outcomes, turned into moments about their mean.
    y4 = one.of("y4") - 4 * centre * one.of("y3") + 6 * centre**2 * one.of("y2")
    y4 -= 3 * n * centre**4
    e2y2 = one.of("e2y2") - 2 * centre * one.of("e2y") + centre**2 * square
    interval = None
    if square > 0:
        a, b = square / n, spread / n
        # Of the logarithm of the ratio: the mean square of e2 / a - y2 / b over the rows.
        error = one.of("e4") / a**2 - 2 * e2y2 / (a * b) + y4 / b**2
        deviation = math.sqrt(max(0.0, float(error))) / one.n
        found = intervals.log_ratio_interval(ratio, deviation, scope.level)
        interval = Interval(1 - found.upper, 1 - found.lower)
    return scope.value(R2, 1 - ratio, interval, one.n, "delta method on logarithms", "share")


def _quantile(n: int, share: float, sizes: Mapping[int, float], scope: Scope) -> MeasurementValue:
    name = quantile_name(share)
    if not n or not scope.enough(name, n):
        return scope.too_few(name, n, UNIT)
    rank, on = _place(n, share)
    value = sizes[rank] + (on * (sizes[rank + 1] - sizes[rank]) if on else 0.0)
    low, high = intervals.quantile_ranks(n, share, scope.level)
    interval = None
    if low >= 1 and high <= n:
        interval = Interval(sizes[low], sizes[high])
    return scope.value(name, value, interval, n, "order statistics", UNIT)


def _binned_quantile(n: int, share: float, sizes: SortedSizes, scope: Scope) -> MeasurementValue:
    """The same from bins: in the middle of where it can be, within an interval that holds it."""
    name = quantile_name(share)
    if not n or not scope.enough(name, n):
        return scope.too_few(name, n, UNIT)
    rank, on = _place(n, share)
    least, most = sizes.at(rank)
    if on:
        after = sizes.at(rank + 1)
        least, most = least + on * (after[0] - least), most + on * (after[1] - most)
    low, high = intervals.quantile_ranks(n, share, scope.level)
    interval = None
    if low >= 1 and high <= n:
        interval = Interval(sizes.at(low)[0], sizes.at(high)[1])
    value, bound = (least + most) / 2, (most - least) / 2
    detail = {"certified_error": bound}
    return scope.value(name, value, interval, n, "binned, order statistics", UNIT, detail)
