"""How well scores rank and how well they are calibrated, from the score cube."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from monitoring.engine import curves, intervals, statistics
from monitoring.engine.checks.performance.scope import Scope
from monitoring.engine.cube import Group, ScoreCell, ScoreCube
from monitoring.engine.results import NOT_AVAILABLE, MeasurementValue
from monitoring.engine.statistics import Area, Interval

AUC, BRIER, LOSS, ECE = SCORES = (
    "auc",
    "brier_score",
    "log_loss",
    "expected_calibration_error",
)
PRECISION, BIAS = MORE_SCORES = ("average_precision", "calibration_bias")
UNITS = {LOSS: "nats"}
CALIBRATION_BINS = 10
CALIBRATION_METHOD = "ten equal bins, hybrid resampling"
_DRAWS = 2_000


class Bins:
    """One group's rows: counts by bin for each label, and the cells they come from."""

    def __init__(self, scores: ScoreCube, group: Group) -> None:
        self.bins = scores.bins
        self.cells = [cell for cell in scores.cells if cell.group == group]
        self.positives, self.negatives = [0] * scores.bins, [0] * scores.bins
        for cell in self.cells:
            (self.positives if cell.label else self.negatives)[cell.bin] += cell.n
        self.moments = next((one for one in scores.moments if one.group == group), None)

    @property
    def n(self) -> int:
        return sum(self.positives) + sum(self.negatives)

    def ranked(self) -> curves.Ranked:
        return curves.Ranked.of(self.positives, self.negatives)

    def ordered(self) -> "Ordered":
        """The same rows by score where it is known, which is as good as all rows' own order."""
        scores: dict[int, dict[float | None, list[int]]] = {}
        for cell in self.cells:
            sides = scores.setdefault(cell.bin, {}).setdefault(cell.value, [0, 0])
            sides[cell.label] += cell.n
        found: list[tuple[int, int, bool]] = []
        for bin_ in sorted(scores):
            of_bin = scores[bin_]
            if None in of_bin:
                negatives, positives = (
                    sum(counts) for counts in zip(*of_bin.values(), strict=True)
                )
                found.append((positives, negatives, True))
            else:
                known = sorted((value or 0.0, sides) for value, sides in of_bin.items())
                found += [(sides[1], sides[0], False) for _, sides in known]
        return Ordered(
            [one[0] for one in found], [one[1] for one in found], [one[2] for one in found]
        )


class Ordered(NamedTuple):
    """Counts by score, or by bin where that is not known (`loose`), from the lowest up."""

    positives: list[int]
    negatives: list[int]
    loose: list[bool]


def scored(bins: Bins | None, scope: Scope) -> list[MeasurementValue]:
    """Area under the ROC curve, Brier score, log loss, expected calibration error."""
    if bins is None:
        return [_absent(name, scope) for name in SCORES]
    measured = [_auc(bins, scope)]
    if not scope.enough(BRIER, bins.n) or bins.moments is None:
        return measured + [_too_few(name, bins.n, scope) for name in SCORES[1:]]
    sums = bins.moments
    for name, total, squares, form, method in (
        (BRIER, sums.squared, sums.squared_2, intervals.share_interval, "wilson by variance"),
        (LOSS, sums.log, sums.log_2, intervals.mean_interval, "student"),
    ):
        interval = form(float(total), float(squares), bins.n, scope.level)
        value = float(total) / bins.n
        measured.append(scope.value(name, value, interval, bins.n, method, _unit(name)))
    return [*measured, _calibration(bins, scope)]


def more_scored(bins: Bins | None, scope: Scope) -> list[MeasurementValue]:
    """Average precision, and the mean score less the rate of positives."""
    if bins is None:
        return [_absent(name, scope) for name in MORE_SCORES]
    return [_average_precision(bins, scope), _bias(bins, scope)]


def _unit(metric: str) -> str:
    return UNITS.get(metric, "rate")


def _absent(metric: str, scope: Scope) -> MeasurementValue:
    return scope.undefined(metric, NOT_AVAILABLE, None, _unit(metric))


def _too_few(metric: str, n: int, scope: Scope) -> MeasurementValue:
    return scope.too_few(metric, n, _unit(metric))


def _auc(bins: Bins, scope: Scope) -> MeasurementValue:
    counts = sum(bins.positives), sum(bins.negatives)
    area = statistics.area_under_curve(*bins.ordered())
    if area is None or not scope.enough(AUC, min(counts)):
        return _too_few(AUC, min(counts), scope)
    found = intervals.area_interval(area.value, area.error, counts, scope.level)
    method = "binned, delong on logits"
    return scope.value(
        AUC, area.value, _widened(found, area), bins.n, method, "rate", _certified(area)
    )


def _average_precision(bins: Bins, scope: Scope) -> MeasurementValue:
    least = min(sum(bins.positives), sum(bins.negatives))
    area = curves.average_precision(*bins.ordered())
    if area is None or not scope.enough(PRECISION, least):
        return _too_few(PRECISION, least, scope)
    found = intervals.on_logits(area.value, area.error, scope.level)
    method = "binned, influence function on logits"
    return scope.value(
        PRECISION,
        area.value,
        _widened(found, area) if found else None,
        bins.n,
        method,
        "rate",
        _certified(area),
    )


def _widened(interval: Interval, area: Area) -> Interval:
    """By as much as the order within bins can change the figure."""
    return Interval(max(0.0, interval.lower - area.bound), min(1.0, interval.upper + area.bound))


def _certified(area: Area) -> Mapping[str, Any]:
    return {"certified_error": area.bound}


def _bias(bins: Bins, scope: Scope) -> MeasurementValue:
    if bins.moments is None or not scope.enough(BIAS, bins.n):
        return _too_few(BIAS, bins.n, scope)
    scores = sum((cell.score_sum for cell in bins.cells), Decimal(0))
    total = float(scores - sum(bins.positives))
    # The square of score less label is what the Brier score sums up.
    squares = float(bins.moments.squared)
    interval = intervals.mean_interval(total, squares, bins.n, scope.level)
    return scope.value(BIAS, total / bins.n, interval, bins.n, "student", "rate")


def _calibration(bins: Bins, scope: Scope) -> MeasurementValue:
    """The error of ten equal bins, which is biased upwards. The detail says what calibrated scores
    of this distribution give by chance, how often more, and the error less what chance adds."""
    table = calibration_table(bins.cells, bins.bins)
    error = _error_of(table)
    rows = np.array([n for n, _, _ in table], np.int64)
    mean = np.clip([score for _, score, _ in table], 0.0, 1.0)
    names = (ECE, *sorted(scope.slice.items()))
    stream = statistics.generator(scope.seed, *names)
    drawn = stream.binomial(rows, mean, size=(_DRAWS, len(rows)))
    by_chance = np.abs(drawn - rows * mean).sum(axis=1) / rows.sum()
    p = (1 + int(np.count_nonzero(by_chance >= error - 1e-12))) / (_DRAWS + 1)
    stream = statistics.generator(scope.seed, "interval", *names)
    interval, corrected = statistics.calibration_interval(table, scope.level, stream)
    detail = {"if_calibrated": float(by_chance.mean()), "p": p, "corrected": corrected}
    return scope.value(ECE, error, interval, bins.n, CALIBRATION_METHOD, "rate", detail)


def calibration_table(cells: Sequence[ScoreCell], bins: int) -> list[tuple[int, float, float]]:
    """For each non-empty of ten equal bins: rows, mean score, rate of positives."""
    width = bins // CALIBRATION_BINS
    rows, positives = [0] * CALIBRATION_BINS, [0] * CALIBRATION_BINS
    sums = [Decimal(0)] * CALIBRATION_BINS
    for cell in cells:
        place = cell.bin // width
        rows[place] += cell.n
        positives[place] += cell.n * cell.label
        sums[place] += cell.score_sum
    return [
        (n, float(total) / n, k / n) for n, k, total in zip(rows, positives, sums, strict=True) if n
    ]


def calibration_error(cells: Sequence[ScoreCell], bins: int) -> float:
    return _error_of(calibration_table(cells, bins))


def _error_of(table: Sequence[tuple[int, float, float]]) -> float:
    total = sum(n for n, _, _ in table)
    return math.fsum(n * abs(mean - rate) for n, mean, rate in table) / total
