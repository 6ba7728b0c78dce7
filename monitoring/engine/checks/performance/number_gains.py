"""Two models that predict numbers, on the same rows: how much less this one errs.

A gain is the other's error less this model's, positive where this one is the better. It is formed
over pairs of errors, so that what makes a row hard for both is in neither's favour.
"""

import math

from monitoring.engine import intervals, statistics
from monitoring.engine.checks.performance.scope import Scope
from monitoring.engine.cube import Group
from monitoring.engine.cube.paired_errors import PairedErrors, PairedErrorSums
from monitoring.engine.results import MeasurementValue
from monitoring.engine.statistics import Interval

GAINS = ABSOLUTE_GAIN, SQUARED_GAIN = "mean_absolute_error_gain", "root_mean_squared_error_gain"
UNIT = "outcome"


def gains(paired: PairedErrors, group: Group, scope: Scope) -> list[MeasurementValue]:
    """Both gains of one group."""
    one = next((one for one in paired.groups if one.group == group), None)
    if one is None or not scope.enough(ABSOLUTE_GAIN, one.n):
        return [scope.too_few(name, one.n if one else 0, UNIT) for name in GAINS]
    unit = 2.0**paired.unit
    return [_absolute(one, unit, scope), _squared(one, unit, scope)]


def _absolute(one: PairedErrorSums, unit: float, scope: Scope) -> MeasurementValue:
    """The mean of the differences of the sizes of errors, with Student's interval."""
    ours, other, n = one.of("a"), one.of("b"), one.n
    found = intervals.mean_interval(other - ours, one.of("d2"), n, scope.level)
    detail = {"this": ours / n * unit, "other": other / n * unit}
    return scope.value(
        ABSOLUTE_GAIN,
        (other - ours) / n * unit,
        _times(found, unit),
        n,
        "paired, student",
        UNIT,
        detail,
    )


def _squared(one: PairedErrorSums, unit: float, scope: Scope) -> MeasurementValue:
    """The difference of the roots of mean squared errors.

    By the delta method its error is that of the mean of b2 / (2 B) - a2 / (2 A), where A and B are the
    roots and a2 and b2 a row's squared errors.
    """
    n = one.n
    ours, other = (math.sqrt(one.of(name) / n) for name in ("a2", "b2"))
    interval = None
    if ours and other and n > 1:
        mean = (other - ours) / 2
        square = one.of("b4") / (4 * other**2) + one.of("a4") / (4 * ours**2)
        square -= one.of("a2b2") / (2 * ours * other)
        variance = max(0.0, (square - n * mean * mean) / (n - 1))
        width = statistics.z_of(scope.level) * math.sqrt(variance / n)
        interval = Interval(other - ours - width, other - ours + width)
    detail = {"this": ours * unit, "other": other * unit}
    value = (other - ours) * unit
    return scope.value(
        SQUARED_GAIN, value, _times(interval, unit), n, "paired, delta method", UNIT, detail
    )


def _times(interval: Interval | None, unit: float) -> Interval | None:
    return interval and Interval(interval.lower * unit, interval.upper * unit)
