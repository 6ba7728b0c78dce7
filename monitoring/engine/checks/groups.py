"""Fairness for attributes that the data do not hold: estimated by a proxy, or not collected.

Estimated figures are weighted by the probability of membership; how certain they are follows from
Kish's effective size, (sum of weights)^2 / sum of squared weights, and what the proxy itself gets
wrong is in no interval: that is said with every figure. Whether there are enough people for a figure
is asked of that size and of how many people are expected: 600 rows that belong to a group with
probability 0.002 are the same size of 600, and 1.2 people. An estimated attribute may be crossed with
measured ones: each row keeps its probabilities within its measured group, which assumes that the
proxy is as right in one measured group as in another. An attribute that is not collected yields
its comparisons undefined, so that nothing passes for want of data.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import Any

from kernel.errors import Invalid
from monitoring.engine import statistics
from monitoring.engine.checks.tables import MINIMUM, refuse_too_many
from monitoring.engine.cube import Cell, Contingency, Group
from monitoring.engine.mapping import UNKNOWN, ColumnMapping, SensitiveAttribute
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
from monitoring.engine.unmeasured import NotCollected, ProxiedAttribute, refuse_crossing

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
_UNLABELLED = ("selection_rate", "demographic_parity_difference", _RATIO)
"""What is measured where no outcomes are declared."""
_METHOD = "estimated by proxy, wilson at kish's effective size"


@dataclass(frozen=True)
class Apart:
    """What is to be measured of attributes that the data do not hold, and how.

    Each of `groupings` holds one such attribute, and measured ones if it is crossed with any.
    """

    groupings: tuple[tuple[str, ...], ...]
    minimum: Mapping[str, int]
    level: float

    def least(self, metric: str) -> int:
        return self.minimum.get(metric, self.minimum.get("default", MINIMUM))

    def of(self, name: str) -> list[tuple[str, ...]]:
        """The groupings by an attribute."""
        return [grouping for grouping in self.groupings if name in grouping]

    def measured_with(self, name: str, mapping: ColumnMapping) -> list[SensitiveAttribute]:
        """The measured attributes that an estimated one is crossed with."""
        wanted = {one for grouping in self.of(name) for one in grouping}
        return [one for one in mapping.sensitive if one.name in wanted]


@dataclass(frozen=True)
class _About:
    """An estimated attribute, and all attributes of the grouping that is measured."""

    one: ProxiedAttribute
    attributes: tuple[str, ...]

    def slice(self, group: Group) -> dict[str, str]:
        return dict(zip(self.attributes, group, strict=True))

    def between(self) -> dict[str, str]:
        return dict.fromkeys(self.attributes, BETWEEN)

    def detail(self, **more: Any) -> dict[str, Any]:
        return {"estimated": True, "proxy": self.one.version, **more}


@dataclass(frozen=True)
class _Rate:
    """A weighted share, over `rows` expected rows that tell as much as `effective` certain ones."""

    value: float
    rows: float
    effective: float

    def enough(self, least: int) -> bool:
        """Are both the people expected and what they tell at least so many?"""
        return min(self.rows, self.effective) >= least

    def interval(self, level: float) -> tuple[float, float]:
        """Wilson's (1927), which takes a size that is no whole number as well."""
        z, n, p = statistics.z_of(level), self.effective, self.value
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))


def split(mapping: ColumnMapping, config: Mapping[str, Any]) -> tuple[dict[str, Any] | None, Apart]:
    """The configuration for the measured attributes, None if none is asked for, and for the others.

    With `intersections` each estimated attribute that is compared is crossed with all measured ones.

    Raises:
        Invalid: a grouping crosses two estimated attributes, or one that is not collected; it names
            an attribute that the mapping does not.
    """
    proxied, absent = (
        [one.name for one in part] for part in (mapping.proxied, mapping.not_collected)
    )
    measured = [one.name for one in mapping.sensitive]
    given = list(config.get("groupings") or [])
    own: list[Any] = []
    asked: list[tuple[str, ...]] = []
    for index, one in enumerate(given):
        names = [one] if isinstance(one, str) else list(one) if isinstance(one, list) else []
        if not any(name in (*proxied, *absent) for name in names):
            own.append(one)
            continue
        where = f"config.groupings[{index}]"
        if len(set(names)) != len(names):
            raise Invalid("expected an attribute or a list of different attributes", field=where)
        refuse_crossing(names, proxied, absent, where)
        for name in names:
            if name not in (*measured, *proxied, *absent):
                raise Invalid(f"{name!r} is no sensitive attribute of the mapping", field=where)
        asked.append(tuple(names))
    if not given:
        asked = [(name,) for name in (*proxied, *absent)]
    if config.get("intersections") and measured:
        compared = [name for name in proxied if any(name in grouping for grouping in asked)]
        crossed = [(*measured, name) for name in compared]
        asked += [grouping for grouping in crossed if grouping not in asked]
    minimum, level = config.get("minimum") or {}, config.get("level") or 0.95
    apart = Apart(tuple(asked), minimum, float(level))
    nothing = not own if given else not measured
    if nothing:
        return None, apart
    return {**config, **({"groupings": own} if own else {})}, apart


def measure(
    mapping: ColumnMapping, estimated: Mapping[str, Contingency], apart: Apart
) -> CheckResult:
    """Rates and comparisons of each estimated attribute, and why there are none of the others."""
    found = CheckResult([])
    _refuse_too_many(mapping, estimated, apart)
    for one in mapping.proxied:
        groupings = apart.of(one.name)
        for grouping in groupings:
            found = joined(found, _estimated(_About(one, grouping), estimated[one.name], apart))
        if groupings:
            found.notes.append(_note(one, groupings))
    for absent in mapping.not_collected:
        if apart.of(absent.name):
            found = joined(found, _not_collected(absent))
    if mapping.label is None:
        kept = [one for one in found.measurements if one.metric in _UNLABELLED]
        found = replace(found, measurements=kept)
    return found


def _refuse_too_many(
    mapping: ColumnMapping, estimated: Mapping[str, Contingency], apart: Apart
) -> None:
    parts: Counter[str] = Counter()
    for one in mapping.proxied:
        for grouping in apart.of(one.name):
            groups = len(estimated[one.name].by(grouping).groups())
            field = "config.groupings" if len(grouping) > 1 else "mapping.sensitive"
            parts[field] += groups * (len(_RATES) + len(COMPARISONS))
    refuse_too_many(parts)


def _note(one: ProxiedAttribute, groupings: Sequence[tuple[str, ...]]) -> Note:
    text = (
        f"groups of {one.name} are estimated by the registered model version {one.version}; no "
        "interval covers what that gets wrong"
    )
    others = sorted({name for grouping in groupings for name in grouping} - {one.name})
    if others:
        text += f", nor that it may be wrong more often for some groups of {' or '.join(others)}"
    return Note("estimated_groups", text)


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


def _estimated(about: _About, cube: Contingency, apart: Apart) -> CheckResult:
    cells: dict[Group, list[Cell]] = {}
    for cell in cube.by(about.attributes).cells:
        if cell.prediction is not None:
            cells.setdefault(cell.group, []).append(cell)
    rates = {
        metric: {group: _rate(metric, cells[group], cube.scale) for group in sorted(cells)}
        for metric in _RATES
    }
    measured = [
        _shown(about, metric, group, rate, apart)
        for metric in _RATES
        for group, rate in rates[metric].items()
    ]
    between = [
        _difference(about, name, [metric], rates, apart) for name, metric in _DIFFERENCES.items()
    ]
    between.insert(1, _ratio(about, rates, apart))
    odds = ["true_positive_rate", "false_positive_rate"]
    between.append(_difference(about, _ODDS, odds, rates, apart))
    by = " and ".join(about.attributes).replace("_", " ")
    shown = [
        (", ".join(found.slice.values()), found)
        for found in measured
        if found.metric == "selection_rate"
    ]
    name = f"selection_rate_by_{'_'.join(about.attributes)}"
    return CheckResult(
        [*measured, *between, *_left_out(between)],
        [interval_plot(name, f"Selection rate by {by}, estimated", shown)],
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


def _reason(group: Group, rate: _Rate | None, metric: str, apart: Apart) -> str | None:
    """Why a group is kept out of a comparison."""
    if UNKNOWN in group:
        return MISSING_GROUP
    if rate is None:
        return NO_DENOMINATOR
    return None if rate.enough(apart.least(metric)) else INSUFFICIENT


def _shown(
    about: _About, metric: str, group: Group, rate: _Rate | None, apart: Apart
) -> MeasurementValue:
    n = 0 if rate is None else int(rate.rows)
    base = MeasurementValue(
        metric,
        about.slice(group),
        None,
        n=n,
        undefined_reason=NO_DENOMINATOR if rate is None else INSUFFICIENT,
        method=_METHOD,
        unit="rate",
        detail=about.detail(minimum=apart.least(metric)),
    )
    if rate is None or not rate.enough(apart.least(metric)):
        return base
    lower, upper = rate.interval(apart.level)
    return replace(
        base,
        value=rate.value,
        lower=lower,
        upper=upper,
        level=apart.level,
        undefined_reason=None,
        detail=about.detail(effective_n=round(rate.effective, 3)),
    )


_Rates = Mapping[str, Mapping[Group, _Rate | None]]


def _kept(metric: str, rates: _Rates, apart: Apart) -> dict[Group, _Rate]:
    return {
        group: rate
        for group, rate in rates[metric].items()
        if rate is not None and _reason(group, rate, metric, apart) is None
    }


def _excluded(
    about: _About, metrics: Sequence[str], rates: _Rates, apart: Apart
) -> list[dict[str, Any]]:
    found = []
    for group in rates[metrics[0]]:
        for metric in metrics:
            rate = rates[metric][group]
            reason = _reason(group, rate, metric, apart)
            if reason is not None:
                n = 0 if rate is None else int(rate.rows)
                found.append({"group": about.slice(group), "reason": reason, "n": n})
                break
    return found


def _difference(
    about: _About, name: str, metrics: Sequence[str], rates: _Rates, apart: Apart
) -> MeasurementValue:
    """The largest difference between two groups, of the worst of the rates.

    Newcombe's (1998) hybrid of Wilson's intervals for every pair at once, after Bonferroni: the
    largest difference lies between the largest lower and the largest upper end.
    """
    excluded = _excluded(about, metrics, rates, apart)
    away = {tuple(left["group"].values()) for left in excluded}
    kept = {
        metric: {
            group: rate for group, rate in _kept(metric, rates, apart).items() if group not in away
        }
        for metric in metrics
    }
    if len(kept[metrics[0]]) < 2:
        return _too_few(about, name, kept[metrics[0]], excluded, "rate")
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
        about.between(),
        value,
        max(found[1] for found in spread),
        max(found[2] for found in spread),
        apart.level,
        int(sum(rate.rows for rate in kept[worst].values())),
        method="estimated by proxy, newcombe at kish's effective size, bonferroni",
        unit="rate",
        detail=about.detail(
            highest=about.slice(ordered[0]),
            lowest=about.slice(ordered[1]),
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


def _ratio(about: _About, rates: _Rates, apart: Apart) -> MeasurementValue:
    """The lowest selection rate over the highest, with Katz's (1978) interval of its logarithm."""
    metric = "selection_rate"
    excluded = _excluded(about, [metric], rates, apart)
    kept = _kept(metric, rates, apart)
    if len(kept) < 2:
        return _too_few(about, _RATIO, kept, excluded, "ratio")
    highest = max(kept, key=lambda group: kept[group].value)
    lowest = min(kept, key=lambda group: kept[group].value)
    high, low = kept[highest], kept[lowest]
    if not high.value:
        few = _too_few(about, _RATIO, kept, excluded, "ratio")
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
        about.between(),
        value,
        min(value, base / shift) if value else 0.0,
        max(value, base * shift),
        apart.level,
        int(sum(rate.rows for rate in kept.values())),
        method="estimated by proxy, katz at kish's effective size, bonferroni",
        unit="ratio",
        detail=about.detail(
            highest=about.slice(highest),
            lowest=about.slice(lowest),
            excluded=excluded,
            groups=len(kept),
        ),
    )


def _too_few(
    about: _About,
    name: str,
    kept: Mapping[Group, _Rate],
    excluded: list[dict[str, Any]],
    unit: str,
) -> MeasurementValue:
    return MeasurementValue(
        name,
        about.between(),
        None,
        n=int(sum(rate.rows for rate in kept.values())),
        undefined_reason=INSUFFICIENT,
        unit=unit,
        detail=about.detail(excluded=excluded, groups=len(kept)),
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
