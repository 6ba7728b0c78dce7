"""Intervals of the largest difference and of the smallest ratio between groups."""

import math
from collections.abc import Sequence

import numpy as np

from monitoring.engine.statistics.base import REPLICATES, Floats, Interval, z_of
from monitoring.engine.statistics.proportions import newcombe


def spread_interval(
    successes: Sequence[int], sizes: Sequence[int], level: float, rng: np.random.Generator
) -> tuple[Interval, str]:
    """Interval of max(p) - min(p) over groups, and the name of its method.

    A percentile interval of a bootstrapped maximum minus minimum never contains 0, whatever the
    truth. For two groups this is Newcombe's interval of the signed difference, taken from the
    higher to the lower group, so that it contains 0 if they may be alike. For more, all pairwise
    differences are covered at once (bootstrap of the largest studentised deviation), and the
    spread lies between the largest lower and the largest upper end.
    """
    if len(successes) == 2:
        pairs = sorted(zip(successes, sizes, strict=True), key=lambda pair: pair[0] / pair[1])
        interval = newcombe(pairs[1], pairs[0], level)
        return Interval(interval.lower, max(interval.upper, -interval.lower)), "newcombe"
    lower, upper = _simultaneous(
        np.asarray(successes, float), np.asarray(sizes, float), level, rng, logarithm=False
    )
    return Interval(
        max(0.0, float(lower.max())), float(upper.max())
    ), "bootstrap within groups, max-t"


def ratio_interval(
    successes: Sequence[int], sizes: Sequence[int], level: float, rng: np.random.Generator
) -> tuple[Interval, str]:
    """Interval of min(p) / max(p) over groups; the same construction on logarithms.

    Half a success and one trial are added for the interval alone, so that 0 has one (Katz with
    the correction of Walter).
    """
    k, n = np.asarray(successes, float), np.asarray(sizes, float)
    if len(successes) == 2:
        p, q = (k + 0.5) / (n + 0.5)
        spread = z_of(level) * math.sqrt(float(np.sum(1 / (k + 0.5) - 1 / (n + 0.5))))
        centre = -abs(math.log(p / q))
        low, high = centre - spread, centre + spread
        return Interval(math.exp(low), min(1.0, math.exp(high))), "katz log"
    lower, upper = _simultaneous(k, n, level, rng, logarithm=True)
    # exp(-spread): the widest pairwise log ratio decides, in either direction.
    low, high = math.exp(-float(upper.max())), math.exp(-max(0.0, float(lower.max())))
    return Interval(low, min(1.0, high)), "bootstrap within groups, max-t on logarithms"


def _simultaneous(
    k: Floats, n: Floats, level: float, rng: np.random.Generator, *, logarithm: bool
) -> tuple[Floats, Floats]:
    """Ends of the intervals of all ordered pairwise differences, covered together."""
    centre, error = _rates(k, n, logarithm)
    true = (k + 1) / (n + 2)
    draws = rng.binomial(n.astype(np.int64), true, size=(REPLICATES, len(k))).astype(float)
    drawn, drawn_error = _rates(draws, n, logarithm)
    expected, _ = _rates(true * n, n, logarithm)
    first, second = np.triu_indices(len(k), 1)
    deviation = (drawn - expected)[:, first] - (drawn - expected)[:, second]
    scale = np.hypot(drawn_error[:, first], drawn_error[:, second])
    critical = float(np.quantile(np.abs(deviation / scale).max(axis=1), level))
    difference = np.subtract.outer(centre, centre)
    width = critical * np.hypot.outer(error, error)
    off = ~np.eye(len(k), dtype=bool)
    return (difference - width)[off], (difference + width)[off]


def _rates(k: Floats, n: Floats, logarithm: bool) -> tuple[Floats, Floats]:
    """Rates, or their logarithms, with standard errors that are never 0."""
    if logarithm:
        return np.log((k + 0.5) / (n + 0.5)), np.sqrt(1 / (k + 0.5) - 1 / (n + 1.0))
    smoothed = (k + 1) / (n + 2)
    return k / n, np.sqrt(smoothed * (1 - smoothed) / (n + 2))
