"""Coverage of what the check of fairness tells from scores, and of groups that a proxy estimates."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from scipy import integrate, optimize, stats

from bench.checks.coverage import BOUNDS, register
from bench.checks.coverage_performance import UNKNOWN_BINS, WHERE, score_cube
from monitoring.engine.checks import fairness, groups
from monitoring.engine.cube import Cell, Contingency, Moments, ScoreCell, ScoreCube
from monitoring.engine.cube.estimated import SCALE
from monitoring.engine.cube.medians import AboveMedian
from monitoring.engine.cube.scores import SCORE_BINS
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.statistics import Interval
from monitoring.engine.unmeasured import ProxiedAttribute

Rng = np.random.Generator
SIZES = {"a": 700, "b": 500, "c": 300}
SHIFTS = {"a": 0.0, "b": 0.04, "c": -0.06}
"""By how much more often than its score says a group's people are positive."""
COUNTED = Contingency(("group",), tuple(Cell((g,), 1, 1, n) for g, n in SIZES.items()))


def _rate(score: Any, group: str) -> Any:
    return np.clip(score + SHIFTS[group], 0, 1)


def _intervals(result) -> Mapping[tuple[str, str], Interval]:
    return {
        (one.metric, one.slice["group"]): Interval(one.lower, one.upper)
        for one in result.measurements
        if one.lower is not None
    }


@cache
def calibrated(run: int) -> Mapping[tuple[str, str], Interval]:
    rng = np.random.default_rng([13, run])
    cells: list[ScoreCell] = []
    moments: list[Moments] = []
    for group, n in SIZES.items():
        score = rng.beta(3, 3, n)
        one = score_cube((rng.random(n) < _rate(score, group)).astype(int), score)
        cells += [ScoreCell((group,), c.label, c.bin, c.n, c.score_sum) for c in one.cells]
        sums = one.moments[0]
        moments.append(Moments((group,), n, sums.squared, sums.squared_2, sums.log, sums.log_2))
    scores = ScoreCube(("group",), SCORE_BINS, tuple(cells), tuple(moments))
    config = {"metrics": ["selection_rate"], "calibration": True}
    return _intervals(fairness.measure(COUNTED, config, run, scores=scores))


def _gaps(group: str) -> list[float]:
    """In each of ten bins, mean score less rate of positives, times the share of people."""

    def gap(score: float) -> float:
        return float((score - _rate(score, group)) * stats.beta.pdf(score, 3, 3))

    return [integrate.quad(gap, k / 10, (k + 1) / 10)[0] for k in range(10)]


def _case(
    method: str,
    source: Any,
    metric: str,
    group: str,
    true: float,
    bounds: tuple[float, float] = BOUNDS,
    why: str = "",
) -> None:
    about = metric if group == "*" else f"{metric}, group {group}"

    @register(method, about, true, bounds=bounds, why=why, source=source.__name__)
    def draw(rng: Rng, run: int) -> Interval:
        return source(run)[metric, group]


LARGES = {group: sum(_gaps(group)) for group in SIZES}
for _group in SIZES:
    _ece = sum(abs(gap) for gap in _gaps(_group))
    _case(
        "calibration error within groups",
        calibrated,
        "group_calibration_error",
        _group,
        _ece,
        UNKNOWN_BINS,
        WHERE,
    )
    _large = LARGES[_group]
    _case("calibration within groups", calibrated, "calibration_in_the_large", _group, _large)
_case(
    "calibration within groups",
    calibrated,
    "calibration_in_the_large_difference",
    "*",
    max(LARGES.values()) - min(LARGES.values()),
)


# Above the median of all: New York City's Local Law 144

MEANS = {"a": 0.3, "b": 0.0, "c": -0.2}


@cache
def scored(run: int) -> Mapping[tuple[str, str], Interval]:
    rng = np.random.default_rng([17, run])
    drawn = {group: rng.normal(MEANS[group], 1, n) for group, n in SIZES.items()}
    median = float(np.median(np.concatenate(list(drawn.values()))))
    cells = tuple(((g,), int((drawn[g] > median).sum()), n) for g, n in SIZES.items())
    above = AboveMedian(("group",), median, cells)
    config = {"metrics": ["selection_rate"], "ll144": {"mode": "scoring"}}
    return _intervals(fairness.measure(COUNTED, config, run, above_median=above))


def _above(group: str) -> float:
    total = sum(SIZES.values())

    def excess(median: float) -> float:
        return sum(n * stats.norm.sf(median - MEANS[g]) for g, n in SIZES.items()) / total - 0.5

    return float(stats.norm.sf(optimize.brentq(excess, -2, 2) - MEANS[group]))


WIDER = (0.93, 1.0)
MOVES = "half of all people are above the median of the sample, which binomial counts do not know"
for _group in SIZES:
    _case(
        "Local Law 144, scoring", scored, "ll144_scoring_rate", _group, _above(_group), WIDER, MOVES
    )
for _group in ("b", "c"):
    _ratio = _above(_group) / _above("a")
    _case("Local Law 144, scoring", scored, "ll144_impact_ratio", _group, _ratio, WIDER, MOVES)


# Groups by probability

LEVELS = {0.1: 600, 0.4: 200, 0.7: 150, 0.95: 250}
"""Rows by the probability of group x; the rest is y."""
CHOSEN = {0.1: 0.5, 0.4: 0.45, 0.7: 0.4, 0.95: 0.3}
PROXIED = ProxiedAttribute("group", "made", (("x", "x"), ("y", "y")))


@cache
def proxied(run: int) -> Mapping[tuple[str, str], Interval]:
    rng = np.random.default_rng([19, run])
    levels = rng.choice(list(LEVELS), sum(LEVELS.values()), p=[n / 1200 for n in LEVELS.values()])
    chosen = rng.random(len(levels)) < np.vectorize(CHOSEN.get)(levels)
    cells = []
    for group, weights in (("x", levels), ("y", 1 - levels)):
        parts = np.round(weights * SCALE).astype(int)
        for side in (0, 1):
            here = parts[chosen == side]
            cells.append(Cell((group,), 1, side, int(here.sum()), int((here**2).sum())))
    cube = Contingency(("group",), tuple(cells), SCALE)
    mapping = ColumnMapping(proxied=(PROXIED,))
    _, apart = groups.split(mapping, {})
    return _intervals(groups.measure(mapping, {"group": cube}, apart))


def _weighted(group: str) -> float:
    weights = {p: n * (p if group == "x" else 1 - p) for p, n in LEVELS.items()}
    return sum(w * CHOSEN[p] for p, w in weights.items()) / sum(weights.values())


SHARED = (0.93, 0.995)
ROWS = "both groups share rows, as if they were apart"
for _group in ("x", "y"):
    _case("groups by probability", proxied, "selection_rate", _group, _weighted(_group))
_case(
    "groups by probability",
    proxied,
    "demographic_parity_difference",
    "*",
    _weighted("y") - _weighted("x"),
    SHARED,
    ROWS,
)
_case(
    "groups by probability",
    proxied,
    "demographic_parity_ratio",
    "*",
    _weighted("x") / _weighted("y"),
    SHARED,
    ROWS,
)
