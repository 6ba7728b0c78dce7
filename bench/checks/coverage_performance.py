"""Coverage of performance's intervals, formed by the check itself from cubes of drawn rows."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from scipy import integrate, stats

from bench.checks.coverage import BOUNDS, register
from monitoring.engine.checks import performance
from monitoring.engine.checks.performance import Compared
from monitoring.engine.checks.performance.regression import ranks_wanted
from monitoring.engine.cube import Cell, Contingency, Moments, ScoreCell, ScoreCube
from monitoring.engine.cube.error_bins import ErrorBins, SizeBin
from monitoring.engine.cube.expected import ExpectedCell, ExpectedCube
from monitoring.engine.cube.paired import (
    PAIRED_BINS,
    PairedCell,
    PairedCube,
    PairedMoments,
    PairedScores,
)
from monitoring.engine.cube.paired_errors import SUMS as PAIRED_SUMS
from monitoring.engine.cube.paired_errors import PairedErrors, PairedErrorSums
from monitoring.engine.cube.regression import SUMS, Frame, RegressionCube, ResidualSums
from monitoring.engine.cube.scores import LOG_FLOOR, SCORE_BINS
from monitoring.engine.cube.sums import units
from monitoring.engine.results import CheckResult
from monitoring.engine.statistics import Interval

Rng = np.random.Generator
NOBODY = Contingency((), ())
CELLS = (0.12, 0.06, 0.74, 0.08)
"""Shares of true and false positives, true and false negatives."""
COSTS = {"false_positive": 20, "false_negative": 200, "true_positive": -50}


def told(
    source: str,
    drawn: Callable[[Rng, int], CheckResult],
    truths: Mapping[str, float],
    bounds: tuple[float, float] = BOUNDS,
    why: str = "",
) -> None:
    """A case for each metric whose truth is given, read off the same results of drawn data."""

    @cache
    def found(run: int) -> Mapping[str, Interval]:
        result = drawn(np.random.default_rng([run, *source.encode()]), run)
        return {
            one.metric: Interval(one.lower, one.upper)
            for one in result.measurements
            if one.lower is not None
        }

    for metric, truth in truths.items():

        @register(metric, source, truth, bounds=bounds, why=why, source=source)
        def draw(rng: Rng, run: int, metric: str = metric) -> Interval:
            return found(run)[metric]


def _table(counts) -> Contingency:
    labels = ((1, 1), (0, 1), (0, 0), (1, 0))
    pairs = zip(labels, map(int, counts), strict=True)
    return Contingency((), tuple(Cell((), label, decided, n) for (label, decided), n in pairs if n))


tp, fp, tn, fn = CELLS
DECIDED = {
    "accuracy": tp + tn,
    "precision": tp / (tp + fp),
    "recall": tp / (tp + fn),
    "specificity": tn / (tn + fp),
    "selection_rate": tp + fp,
    "base_rate": tp + fn,
    "f1": 2 * tp / (2 * tp + fp + fn),
    "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
    "matthews_correlation": (tp * tn - fp * fn)
    / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
    "negative_predictive_value": tn / (tn + fn),
    "expected_cost": 20 * fp + 200 * fn - 50 * tp,
}
for _rows in (400, 2_000):
    told(
        f"{_rows:,} rows, a fifth positive",
        lambda rng, run, n=_rows: performance.measure(
            _table(rng.multinomial(n, CELLS)), None, {"costs": COSTS}, run
        ),
        DECIDED,
    )


# Scores


def score_cube(label, score) -> ScoreCube:
    """The cube that the engine would count, for everybody."""
    place = np.minimum((score * SCORE_BINS).astype(int), SCORE_BINS - 1)
    cells = []
    for side in (0, 1):
        rows = np.bincount(place[label == side], minlength=SCORE_BINS)
        sums = np.bincount(place[label == side], score[label == side], SCORE_BINS)
        cells += [
            ScoreCell((), side, int(at), int(rows[at]), Decimal(float(sums[at])))
            for at in np.flatnonzero(rows)
        ]
    squared = (score - label) ** 2
    kept = np.clip(np.where(label == 1, score, 1 - score), LOG_FLOOR, 1)
    log = -np.log(kept)
    sums = (Decimal(float(one.sum())) for one in (squared, squared**2, log, log**2))
    return ScoreCube((), SCORE_BINS, tuple(cells), (Moments((), len(label), *sums),))


def _binormal(rng: Rng, n: int = 400, share: float = 0.2, apart: float = 1.2):
    label = (rng.random(n) < share).astype(int)
    return label, stats.norm.cdf(rng.normal(0, 1, n) + apart * label - 0.6)


@cache
def _precision_of(share: float, apart: float) -> float:
    def at(x: float) -> float:
        hit, false = share * stats.norm.sf(x - apart), (1 - share) * stats.norm.sf(x)
        return stats.norm.pdf(x - apart) * hit / (hit + false)

    return integrate.quad(at, -8, 10, limit=200)[0]


def _scored(drawn: Callable[[Rng], tuple[Any, Any]]) -> Callable[[Rng, int], CheckResult]:
    return lambda rng, run: performance.measure(NOBODY, score_cube(*drawn(rng)), {}, run)


told(
    "400 rows with scores, a fifth positive",
    _scored(_binormal),
    {
        "auc": float(stats.norm.cdf(1.2 / math.sqrt(2))),
        "average_precision": _precision_of(0.2, 1.2),
    },
)


def _calibrated(rng: Rng, n: int = 400):
    score = rng.beta(2, 3, n)
    return (rng.random(n) < score).astype(int), score


def _mean(function) -> float:
    return integrate.quad(lambda p: function(p) * stats.beta.pdf(p, 2, 3), 0, 1)[0]


told(
    "400 rows, calibrated scores",
    _scored(_calibrated),
    {
        "brier_score": _mean(lambda p: p * (1 - p)),
        "log_loss": _mean(
            lambda p: -p * math.log(p) - (1 - p) * math.log(1 - p) if 0 < p < 1 else 0
        ),
        "calibration_bias": 0.0,
        "expected_calibration_error": 0.0,
    },
)


def _hard(rng: Rng, n: int, sure: float, wrong: float = 0.02):
    """Scores of `sure` or the rest of 1, a few of them on the wrong side."""
    label = rng.integers(0, 2, n)
    right = np.where(label == 1, sure, 1 - sure)
    return label, np.where(rng.random(n) < wrong, 1 - right, right)


for _rows, _sure in ((100, 1.0), (400, 1.0), (100, 0.99)):
    told(
        f"{_rows} rows, scores of {_sure:g} or {1 - _sure:g}, 2 % of them wrong",
        _scored(lambda rng, n=_rows, sure=_sure: _hard(rng, n, sure)),
        {"brier_score": 0.02 * _sure**2 + 0.98 * (1 - _sure) ** 2},
    )


def _off(rng: Rng, n: int, rate: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Scores of which `rate` says the true rate of positives."""
    score = rng.beta(2, 3, n)
    return (rng.random(n) < rate(score)).astype(int), score


def overconfident(score: Any) -> Any:
    """Of which the odds are drawn towards a half."""
    odds = (score / (1 - score)) ** 0.6
    return odds / (1 + odds)


def off_in_one_bin(score: Any) -> Any:
    return score + 0.3 * ((score >= 0.3) & (score < 0.4))


def calibration_error_of(rate: Callable[[Any], Any]) -> float:
    def gap(p: float) -> float:
        return (p - rate(p)) * stats.beta.pdf(p, 2, 3)

    return sum(abs(integrate.quad(gap, k / 10, (k + 1) / 10)[0]) for k in range(10))


told(
    "5,000 rows, calibrated scores",
    _scored(lambda rng: _calibrated(rng, 5_000)),
    {"expected_calibration_error": 0.0},
)
UNKNOWN_BINS = (0.93, 0.99)
WHERE = "how the error lies over the bins is unknown"
for _rate, _about, _rows in (
    (overconfident, "overconfident scores", 200),
    (overconfident, "overconfident scores", 2_000),
    (off_in_one_bin, "scores off in one of ten bins", 1_000),
):
    told(
        f"{_rows:,} rows, {_about}",
        _scored(lambda rng, n=_rows, rate=_rate: _off(rng, n, rate)),
        {"expected_calibration_error": calibration_error_of(_rate)},
        UNKNOWN_BINS,
        WHERE,
    )


def _estimated(rng: Rng, seed: int) -> CheckResult:
    """The truth is what the labels will say, so intervals are taken less that."""
    label, score = _calibrated(rng, 600)
    chosen = (score >= 0.45).astype(int)
    place = np.minimum((score * SCORE_BINS).astype(int), SCORE_BINS - 1)
    cells = tuple(
        ExpectedCell((), int(d), int(at), 1, Decimal(float(s)), Decimal(float(s * s)))
        for d, at, s in zip(chosen, place, score, strict=True)
    )
    expected = ExpectedCube((), SCORE_BINS, cells)
    result = performance.measure(NOBODY, None, {}, seed, expected=expected)
    counts = [np.sum((label == a) & (chosen == b)) for a, b in ((1, 1), (0, 1), (0, 0), (1, 0))]
    true = performance.measure(_table(counts), score_cube(label, score), {}, seed)
    shown = {one.metric: one.value for one in true.measurements}
    return CheckResult(
        [
            replace(one, lower=one.lower - value, upper=one.upper - value)
            for one in result.measurements
            if (value := shown.get(one.metric.removeprefix("estimated_"))) is not None
            and one.lower is not None
            and one.metric.startswith("estimated_")
        ]
    )


ESTIMATED = ("accuracy", "precision", "recall", "specificity", "f1", "base_rate", "auc")
told("600 calibrated rows", _estimated, {f"estimated_{name}": 0.0 for name in ESTIMATED})


# Two models


def _pair(rng: Rng, n: int = 500) -> Compared:
    """Two scores of the same rows that share most of their noise."""
    label = (rng.random(n) < 0.3).astype(int)
    common = rng.normal(0, 1, n)
    scores = [
        stats.norm.cdf(apart * label + 0.8 * common + 0.6 * rng.normal(0, 1, n) - 0.8)
        for apart in (1.4, 1.0)
    ]
    places = [np.minimum((s * PAIRED_BINS).astype(int), PAIRED_BINS - 1) for s in scores]
    decided = [(s >= 0.5).astype(int) for s in scores]
    rows = list(zip(label, *places, *decided, strict=True))
    gap = (scores[0] - label) ** 2 - (scores[1] - label) ** 2
    total, squares = Decimal(float(gap.sum())), Decimal(float((gap**2).sum()))
    cube = PairedCube(
        (),
        PAIRED_BINS,
        tuple(PairedCell((), int(y), int(a), int(b), 1) for y, _, _, a, b in rows),
        tuple(PairedScores((), int(y), int(a), int(b), 1) for y, a, b, _, _ in rows),
        (PairedMoments((), n, total, squares),),
    )
    return Compared(cube, *(score_cube(label, score) for score in scores))


def _brier(apart: float) -> float:
    total = 0.0
    for label, share in ((1, 0.3), (0, 0.7)):
        at = stats.norm(apart * label - 0.8, 1)
        total += share * at.expect(lambda x, y=label: (stats.norm.cdf(x) - y) ** 2)
    return total


def _rates(apart: float) -> tuple[float, float]:
    return float(stats.norm.cdf(apart - 0.8)), float(stats.norm.cdf(0.8))


def _agreement() -> float:
    """Both scores are above a half, or neither: a pair of normal deviates correlated at 0.64."""
    total = 0.0
    for label, share in ((1, 0.3), (0, 0.7)):
        ends = [0.8 - apart * label for apart in (1.4, 1.0)]
        both = stats.multivariate_normal.cdf(ends, cov=[[1, 0.64], [0.64, 1]])
        total += share * (1 - sum(stats.norm.cdf(ends)) + 2 * both)
    return float(total)


RECALLS = _rates(1.4)[0], _rates(1.0)[0]
PAIRED = {
    "accuracy_gain": 0.3 * (RECALLS[0] - RECALLS[1]),
    "recall_gain": RECALLS[0] - RECALLS[1],
    "specificity_gain": 0.0,
    "auc_gain": float(stats.norm.cdf(1.4 / math.sqrt(2)) - stats.norm.cdf(1.0 / math.sqrt(2))),
    "brier_score_gain": _brier(1.0) - _brier(1.4),
    "selection_rate_change": 0.3 * (RECALLS[0] - RECALLS[1]),
    "prediction_agreement": _agreement(),
}
told(
    "500 rows scored by both",
    lambda rng, run: performance.measure(NOBODY, None, {}, run, compared=_pair(rng)),
    PAIRED,
)


# Numbers


def _regressed(rng: Rng, seed: int) -> CheckResult:
    n = 300
    y, e = rng.normal(0, 2, n), rng.normal(0.3, 1, n)
    # Within [-1, 1], as the engine's frame brings them.
    y, e = y / 128, e / 8
    parts = {
        "e": e, "size": abs(e), "e2": e**2, "e4": e**4, "y": y, "y2": y**2, "y3": y**3,
        "y4": y**4, "e2y": e**2 * y, "e2y2": e**2 * y**2,
    }  # fmt: skip
    sums = {name: units(Fraction(float(parts[name].sum()))) for name in SUMS}
    cube = RegressionCube((), n, Frame(0.0, 7, 3), (ResidualSums((), n, sums),))
    size = np.sort(abs(e)) * 8
    ranks = ranks_wanted(cube, {})[()][()]
    sizes = {(): {(): {rank: float(size[rank - 1]) for rank in ranks}}}
    return performance.measure_regression(cube, sizes, {}, seed)


ERROR = stats.foldnorm(0.3)
told(
    "300 rows, normal errors",
    _regressed,
    {
        "mean_absolute_error": float(ERROR.mean()),
        "root_mean_squared_error": math.sqrt(1.09),
        "mean_squared_error": 1.09,
        "mean_error": 0.3,
        "r2": 1 - 1.09 / 4,
        "median_absolute_error": float(ERROR.ppf(0.5)),
        "absolute_error_p90": float(ERROR.ppf(0.9)),
    },
)


def _number_gain(rng: Rng, seed: int) -> CheckResult:
    n = 300
    # What makes a row hard is hard for both: errors of the two models go together.
    shared = rng.normal(0, 0.8, n)
    a, b = (abs(shared + rng.normal(0, spread, n)) / 16 for spread in (0.6, 0.9))
    parts = {
        "a": a, "b": b, "d2": (b - a) ** 2, "a2": a**2, "b2": b**2, "a4": a**4, "b4": b**4,
        "a2b2": a**2 * b**2,
    }  # fmt: skip
    sums = {name: units(Fraction(float(parts[name].sum()))) for name in PAIRED_SUMS}
    paired = PairedErrors((), 4, (PairedErrorSums((), n, sums),))
    rest = RegressionCube((), n, Frame(0.0, 0, 0), (ResidualSums((), n, dict.fromkeys(SUMS, 0)),))
    bins = ErrorBins((), (SizeBin((), 0, n),))
    return performance.measure_regression(rest, None, {}, seed, bins=bins, paired=paired)


SPREADS = math.hypot(0.8, 0.6), math.hypot(0.8, 0.9)
told(
    "300 rows predicted by both",
    _number_gain,
    {
        "mean_absolute_error_gain": (SPREADS[1] - SPREADS[0]) * math.sqrt(2 / math.pi),
        "root_mean_squared_error_gain": SPREADS[1] - SPREADS[0],
    },
)
