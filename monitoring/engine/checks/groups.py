"""Fairness for attributes that the data do not hold: estimated by a proxy, or not collected.

Estimated figures are weighted by the probability of membership; how certain they are follows from
Kish's effective size, (sum of weights)^2 / sum of squared weights, and what the proxy itself gets
wrong is in no interval: that is said with every figure. An attribute that is not collected yields
its comparisons undefined, so that nothing passes for want of data.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import Any

from kernel.errors import Invalid
from monitoring.engine import statistics
from monitoring.engine.checks.tables import MINIMUM
from monitoring.engine.cube import Cell, Contingency, Group
from monitoring.engine.mapping import UNKNOWN, ColumnMapping
from monitoring.engine.plots import interval_plot
from monitoring.engine.results import (
    BETWEEN,
    DECLARATION_LAPSED,
    INSUFFICIENT,
    MISSING_GROUP,
    NO_DENOMINATOR,
    NOT_COLLECTED,
    CheckResult,
    MeasurementValue,
    Note,
)
from monitoring.engine.unmeasured import NotCollected, ProxiedAttribute

_Test = Callable[[Cell], bool]
_RATES: Mapping[str, tuple[_Test, _Test]] = {
    "selection_rate": (lambda one: True, lambda one: one.prediction == 1),
    "true_positive_rate": (lambda one: one.label == 1, lambda one: one.prediction == 1),
    "false_positive_rate": (lambda one: one.label == 0, lambda one: one.prediction == 1),
    "false_negative_rate": (lambda one: one.label == 1, lambda one: one.prediction == 0),
    "accuracy": (lambda one: one.label is not None, lambda one: one.prediction == one.label),
}
"""Of the rows with a prediction: which a rate is formed over, and which of them it counts."""
_DIFFERENCES = {
    "demographic_parity_difference": "selection_rate",
    "equal_opportunity_difference": "true_positive_rate",
    "false_positive_rate_difference": "false_positive_rate",
    "accuracy_difference": "accuracy",
}
_RATIO, _ODDS = "demographic_parity_ratio", "equalized_odds_difference"
COMPARISONS = (*_DIFFERENCES, _RATIO, _ODDS)
_METHOD = "estimated by proxy, wilson at kish's effective size"


@dataclass(frozen=True)
class Apart:
    """What is to be measured of attributes that the data do not hold, and how."""

    attributes: tuple[str, ...]
    minimum: Mapping[str, int]
    level: float

    def least(self, metric: str) -> int:
        return self.minimum.get(metric, self.minimum.get("default", MINIMUM))


@dataclass(frozen=True)
class _Rate:
    """A weighted share, over `rows` expected rows that tell as much as `effective` certain ones."""

    value: float
    rows: float
    effective: float

    def interval(self, level: float) -> tuple[float, float]:
        """Wilson's (1927), which takes a size that is no whole number as well."""
        z, n, p = statistics.z_of(level), self.effective, self.value
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))


def split(mapping: ColumnMapping, config: Mapping[str, Any]) -> tuple[dict[str, Any] | None, Apart]:
    """The configuration for the measured attributes, None if none is asked for, and for the others.

    Raises:
        Invalid: a grouping crosses an attribute that the data do not hold with another.
    """
    elsewhere = [one.name for one in mapping.proxied] + [one.name for one in mapping.not_collected]
    given = list(config.get("groupings") or [])
    own: list[Any] = []
    asked: list[str] = []
    for index, one in enumerate(given):
        names = [one] if isinstance(one, str) else list(one) if isinstance(one, list) else []
        if not any(name in elsewhere for name in names):
            own.append(one)
        elif len(names) == 1:
            asked.append(names[0])
        else:
            raise Invalid(
                "an attribute that is not in the data is compared by itself: no proxy tells how it "
                "goes with another",
                field=f"config.groupings[{index}]",
            )
    minimum, level = config.get("minimum") or {}, config.get("level") or 0.95
    apart = Apart(tuple(asked if given else elsewhere), minimum, float(level))
    nothing = not own if given else not mapping.sensitive
    if nothing:
        return None, apart
    return {**config, **({"groupings": own} if given else {})}, apart


def measure(
    mapping: ColumnMapping, estimated: Mapping[str, Contingency], apart: Apart
) -> CheckResult:
    """Rates and comparisons of each estimated attribute, and why there are none of the others."""
    found = CheckResult([])
    for one in mapping.proxied:
        if one.name in apart.attributes:
            found = joined(found, _estimated(one, estimated[one.name], apart))
    for absent in mapping.not_collected:
        if absent.name in apart.attributes:
            found = joined(found, _not_collected(absent))
    return found


def joined(first: CheckResult, second: CheckResult) -> CheckResult:
    return CheckResult(
        [*first.measurements, *second.measurements],
        [*first.plots, *second.plots],
        [*first.notes, *second.notes],
    )


def _not_collected(one: NotCollected) -> CheckResult:
    reason = NOT_COLLECTED if one.declaration is not None else DECLARATION_LAPSED
    detail = {"declaration": one.declaration, "until": one.until}
    measured = [
        MeasurementValue(
            metric, {one.name: BETWEEN}, None, undefined_reason=reason, unit="rate", detail=detail
        )
        for metric in COMPARISONS
    ]
    said = (
        f"declared so until {one.until}"
        if one.declaration is not None
        else "and nobody's signature says so now"
    )
    return CheckResult(measured, [], [Note(reason, f"{one.name} is not collected, {said}")])


def _estimated(one: ProxiedAttribute, cube: Contingency, apart: Apart) -> CheckResult:
    cells: dict[Group, list[Cell]] = {}
    for cell in cube.cells:
        if cell.prediction is not None:
            cells.setdefault(cell.group, []).append(cell)
    rates = {
        metric: {group: _rate(metric, cells[group], cube.scale) for group in sorted(cells)}
        for metric in _RATES
    }
    measured = [
        _shown(one, metric, group, rate, apart)
        for metric in _RATES
        for group, rate in rates[metric].items()
    ]
    between = [
        _difference(one, name, [metric], rates, apart) for name, metric in _DIFFERENCES.items()
    ]
    between.insert(1, _ratio(one, rates, apart))
    odds = ["true_positive_rate", "false_positive_rate"]
    between.append(_difference(one, _ODDS, odds, rates, apart))
    title = f"Selection rate by {one.name.replace('_', ' ')}, estimated"
    shown = [
        (found.slice[one.name], found) for found in measured if found.metric == "selection_rate"
    ]
    note = Note(
        "estimated_groups",
        f"groups of {one.name} are estimated by the registered model version {one.version}; no "
        "interval covers what that gets wrong",
    )
    return CheckResult(
        [*measured, *between, *_left_out(between)],
        [interval_plot(f"selection_rate_by_{one.name}", title, shown)],
        [note],
    )


def _rate(metric: str, cells: Sequence[Cell], scale: int) -> _Rate | None:
    over, counted = _RATES[metric]
    base = [cell for cell in cells if over(cell)]
    weight = sum(cell.n for cell in base)
    squares = sum(cell.squares for cell in base)
    if not weight:
        return None
    share = Fraction(sum(cell.n for cell in base if counted(cell)), weight)
    return _Rate(float(share), weight / scale, weight * weight / squares)


def _detail(one: ProxiedAttribute, **more: Any) -> dict[str, Any]:
    return {"estimated": True, "proxy": one.version, **more}


def _reason(group: Group, rate: _Rate | None, metric: str, apart: Apart) -> str | None:
    """Why a group is kept out of a comparison."""
    if group == (UNKNOWN,):
        return MISSING_GROUP
    if rate is None:
        return NO_DENOMINATOR
    return INSUFFICIENT if rate.effective < apart.least(metric) else None


def _shown(
    one: ProxiedAttribute, metric: str, group: Group, rate: _Rate | None, apart: Apart
) -> MeasurementValue:
    about = {one.name: group[0]}
    n = 0 if rate is None else int(rate.rows)
    base = MeasurementValue(
        metric,
        about,
        None,
        n=n,
        undefined_reason=NO_DENOMINATOR if rate is None else INSUFFICIENT,
        method=_METHOD,
        unit="rate",
        detail=_detail(one, minimum=apart.least(metric)),
    )
    if rate is None or rate.effective < apart.least(metric):
        return base
    lower, upper = rate.interval(apart.level)
    return replace(
        base,
        value=rate.value,
        lower=lower,
        upper=upper,
        level=apart.level,
        undefined_reason=None,
        detail=_detail(one, effective_n=round(rate.effective, 3)),
    )


_Rates = Mapping[str, Mapping[Group, _Rate | None]]


def _kept(metric: str, rates: _Rates, apart: Apart) -> dict[Group, _Rate]:
    return {
        group: rate
        for group, rate in rates[metric].items()
        if rate is not None and _reason(group, rate, metric, apart) is None
    }


def _excluded(
    one: ProxiedAttribute, metrics: Sequence[str], rates: _Rates, apart: Apart
) -> list[dict[str, Any]]:
    found = []
    for group in rates[metrics[0]]:
        for metric in metrics:
            rate = rates[metric][group]
            reason = _reason(group, rate, metric, apart)
            if reason is not None:
                n = 0 if rate is None else int(rate.rows)
                found.append({"group": {one.name: group[0]}, "reason": reason, "n": n})
                break
    return found


def _difference(
    one: ProxiedAttribute, name: str, metrics: Sequence[str], rates: _Rates, apart: Apart
) -> MeasurementValue:
    """The largest difference between two groups, of the worst of the rates.

    Newcombe's (1998) hybrid of Wilson's intervals for every pair at once, after Bonferroni: the
    largest difference lies between the largest lower and the largest upper end.
    """
    excluded = _excluded(one, metrics, rates, apart)
    away = {tuple(left["group"].values()) for left in excluded}
    kept = {
        metric: {
            group: rate for group, rate in _kept(metric, rates, apart).items() if group not in away
        }
        for metric in metrics
    }
    if len(kept[metrics[0]]) < 2:
        return _too_few(one, name, kept[metrics[0]], excluded, "rate")
    pairs = [
        (metric, *pair) for metric in metrics for pair in combinations(sorted(kept[metric]), 2)
    ]
    level = 1 - (1 - apart.level) / len(pairs)
    spread = []
    for metric, first, second in pairs:
        high, low = sorted(
            (kept[metric][first], kept[metric][second]), key=lambda rate: -rate.value
        )
        spread.append((high.value - low.value, *_newcombe(high, low, level), metric, first, second))
    value, _, _, worst, first, second = max(spread)
    ordered = sorted((first, second), key=lambda group: -kept[worst][group].value)
    return MeasurementValue(
        name,
        {one.name: BETWEEN},
        value,
        max(found[1] for found in spread),
        max(found[2] for found in spread),
        apart.level,
        int(sum(rate.rows for rate in kept[worst].values())),
        method="estimated by proxy, newcombe at kish's effective size, bonferroni",
        unit="rate",
        detail=_detail(
            one,
            highest={one.name: ordered[0][0]},
            lowest={one.name: ordered[1][0]},
            excluded=excluded,
            groups=len(kept[worst]),
            **({"worst": worst} if len(metrics) > 1 else {}),
        ),
    )


def _newcombe(high: _Rate, low: _Rate, level: float) -> tuple[float, float]:
    (l1, u1), (l2, u2) = high.interval(level), low.interval(level)
    gap = high.value - low.value
    return (
        gap - math.hypot(high.value - l1, u2 - low.value),
        gap + math.hypot(u1 - high.value, low.value - l2),
    )


def _ratio(one: ProxiedAttribute, rates: _Rates, apart: Apart) -> MeasurementValue:
    """The lowest selection rate over the highest, with Katz's (1978) interval of its logarithm."""
    metric = "selection_rate"
    excluded = _excluded(one, [metric], rates, apart)
    kept = _kept(metric, rates, apart)
    if len(kept) < 2:
        return _too_few(one, _RATIO, kept, excluded, "ratio")
    highest = max(kept, key=lambda group: kept[group].value)
    lowest = min(kept, key=lambda group: kept[group].value)
    high, low = kept[highest], kept[lowest]
    if not high.value:
        few = _too_few(one, _RATIO, kept, excluded, "ratio")
        return replace(few, undefined_reason=NO_DENOMINATOR)
    value = low.value / high.value
    pairs = len(kept) * (len(kept) - 1) // 2
    z = statistics.z_of(1 - (1 - apart.level) / pairs)
    # Half a row is added to a count of none, whose logarithm is not finite.
    spread = math.sqrt(
        sum((1 - rate.value) / max(rate.effective * rate.value, 0.5) for rate in (high, low))
    )
    shift = math.exp(z * spread)
    base = value or 0.5 / (low.effective * high.value)
    return MeasurementValue(
        _RATIO,
        {one.name: BETWEEN},
        value,
        min(value, base / shift) if value else 0.0,
        max(value, base * shift),
        apart.level,
        int(sum(rate.rows for rate in kept.values())),
        method="estimated by proxy, katz at kish's effective size, bonferroni",
        unit="ratio",
        detail=_detail(
            one,
            highest={one.name: highest[0]},
            lowest={one.name: lowest[0]},
            excluded=excluded,
            groups=len(kept),
        ),
    )


def _too_few(
    one: ProxiedAttribute,
    name: str,
    kept: Mapping[Group, _Rate],
    excluded: list[dict[str, Any]],
    unit: str,
) -> MeasurementValue:
    return MeasurementValue(
        name,
        {one.name: BETWEEN},
        None,
        n=int(sum(rate.rows for rate in kept.values())),
        undefined_reason=INSUFFICIENT,
        unit=unit,
        detail=_detail(one, excluded=excluded, groups=len(kept)),
    )


def _left_out(between: Sequence[MeasurementValue]) -> list[MeasurementValue]:
    return [
        MeasurementValue(
            one.metric,
            left["group"],
            None,
            n=left["n"],
            undefined_reason=left["reason"],
            method="excluded from the comparison",
            unit=one.unit,
            detail={"estimated": True, "proxy": one.detail["proxy"]},
        )
        for one in between
        for left in one.detail["excluded"]
    ]
