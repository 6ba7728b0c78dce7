"""What the scores say the model's performance is, before labels come: an estimate, never measured.

If scores are calibrated, a selected row with score p is right with probability p. From the sums of
p and p squared of the selected and the others follow each figure's expectation and its spread once
the labels are there; the interval is one for that figure. Nobody can tell from scores alone whether
they are calibrated still, so each name begins with `estimated`. (NannyML calls it CBPE.)
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.engine import intervals
from monitoring.engine.checks.performance.scope import Scope
from monitoring.engine.cube import Group
from monitoring.engine.cube.expected import ExpectedCube
from monitoring.engine.results import MeasurementValue
from monitoring.engine.statistics import Interval

PREFIX = "estimated_"
ACCURACY, PRECISION, RECALL, SPECIFICITY, F1, BASE_RATE, AUC = ESTIMATES = tuple(
    PREFIX + name
    for name in ("accuracy", "precision", "recall", "specificity", "f1", "base_rate", "auc")
)
METHOD = "expected from scores"
DETAIL: Mapping[str, Any] = {"estimated": True, "assumes": "calibrated scores"}


@dataclass(frozen=True)
class _Side:
    """The rows that were selected, or the others: their number, expected positives, variance."""

    n: int
    positives: float
    variance: float


def estimates(cube: ExpectedCube, group: Group, scope: Scope) -> list[MeasurementValue]:
    """The figures of one group with the intervals in which they will be when labels come."""
    cells = [cell for cell in cube.cells if cell.group == group]
    chosen, others = (
        _Side(
            sum(c.n for c in cells if c.prediction == side),
            float(sum(c.total for c in cells if c.prediction == side)),
            float(sum(c.total - c.squares for c in cells if c.prediction == side)),
        )
        for side in (1, 0)
    )
    n = chosen.n + others.n
    found = _figures(chosen, others)
    measured = []
    for name in ESTIMATES[:-1]:
        known = found.get(name)
        if known is None or not scope.enough(name, n):
            measured.append(scope.too_few(name, n if known else 0, "rate"))
            continue
        value, variance = known
        interval = intervals.on_logits(value, math.sqrt(max(0.0, variance)), scope.level)
        measured.append(scope.value(name, value, interval, n, METHOD, "rate", DETAIL))
    return [*measured, _auc(cube, group, n, scope)]


def _figures(chosen: _Side, others: _Side) -> dict[str, tuple[float, float]]:
    """Each figure's expectation and variance, those of ratios by the delta method."""
    n, tp, fn = chosen.n + others.n, chosen.positives, others.positives
    fp, tn = chosen.n - tp, others.n - fn
    found: dict[str, tuple[float, float]] = {}
    if n:
        spread = (chosen.variance + others.variance) / n**2
        found[ACCURACY] = (tp + tn) / n, spread
        found[BASE_RATE] = (tp + fn) / n, spread
    if chosen.n:
        found[PRECISION] = tp / chosen.n, chosen.variance / chosen.n**2
    for name, right, wrong, variances in (
        (RECALL, tp, fn, (chosen.variance, others.variance)),
        (SPECIFICITY, tn, fp, (others.variance, chosen.variance)),
    ):
        whole = right + wrong
        if whole > 0:
            spread = (wrong**2 * variances[0] + right**2 * variances[1]) / whole**4
            found[name] = right / whole, spread
    whole = chosen.n + tp + fn
    if whole > 0:
        slope = (chosen.n + fn) ** 2 * chosen.variance + tp**2 * others.variance
        found[F1] = 2 * tp / whole, 4 * slope / whole**4
    return found


def _auc(cube: ExpectedCube, group: Group, n: int, scope: Scope) -> MeasurementValue:
    rows, positives, variance = (np.zeros(cube.bins) for _ in range(3))
    for cell in cube.cells:
        if cell.group == group:
            rows[cell.bin] += cell.n
            positives[cell.bin] += float(cell.total)
            variance[cell.bin] += float(cell.total - cell.squares)
    negatives = np.maximum(rows - positives, 0.0)
    all_p, all_n = float(positives.sum()), float(negatives.sum())
    if not scope.enough(AUC, min(all_p, all_n)) or not all_p or not all_n:
        return scope.too_few(AUC, int(min(all_p, all_n)), "rate")
    beaten = np.cumsum(negatives) - negatives / 2
    unbeaten = all_p - np.cumsum(positives) + positives / 2
    value = float((positives * beaten).sum() / (all_p * all_n))
    # What one more positive in a bin, and one negative less, does to the area.
    slope = (beaten - unbeaten) / (all_p * all_n) - value * (1 / all_p - 1 / all_n)
    error = math.sqrt(max(0.0, float((variance * slope**2).sum())))
    bound = float((positives * negatives).sum() / (2 * all_p * all_n))
    found = intervals.on_logits(value, error, scope.level)
    interval = found and Interval(max(0.0, found.lower - bound), min(1.0, found.upper + bound))
    detail = {**DETAIL, "certified_error": bound}
    return scope.value(AUC, value, interval, n, METHOD, "rate", detail)
