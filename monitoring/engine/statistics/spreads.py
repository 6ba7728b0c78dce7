"""Intervals of the largest difference and of the smallest ratio between groups."""

import math
from collections.abc import Sequence

import numpy as np

from monitoring.engine.statistics import extremes
from monitoring.engine.statistics.base import Interval, z_of
from monitoring.engine.statistics.extremes import Contrasts
from monitoring.engine.statistics.proportions import newcombe
from monitoring.engine.statistics.samples import LOGARITHM, sample

WITHIN = "bootstrap within groups, max-t"
ON_LOGARITHMS = f"{WITHIN} on logarithms"


def spread_interval(
    successes: Sequence[int], sizes: Sequence[int], level: float, rng: np.random.Generator
) -> tuple[Interval, str]:
    """Interval of max(p) - min(p) over groups, and the name of its method.

    For two groups this is Newcombe's interval of the signed difference, taken from the higher to
    the lower group, so that it contains 0 if they may be alike. For more see `extremes`.
    """
    if len(successes) == 2:
        pairs = sorted(zip(successes, sizes, strict=True), key=lambda pair: pair[0] / pair[1])
        interval = newcombe(pairs[1], pairs[0], level)
        return Interval(interval.lower, max(interval.upper, -interval.lower)), "newcombe"
    interval = extremes.largest([extremes.between(sample(successes, sizes, rng))], level)
    return Interval(interval.lower, min(1.0, interval.upper)), WITHIN


def ratio_interval(
    successes: Sequence[int], sizes: Sequence[int], level: float, rng: np.random.Generator
) -> tuple[Interval, str]:
    """Interval of min(p) / max(p) over groups; the same construction on logarithms.

    Half a success and one trial are added for the interval alone, so that 0 has one (Katz with
    the correction of Walter). A ratio of 0 has 0 for its lower end.
    """
    rates = [k / n for k, n in zip(successes, sizes, strict=True)]
    value = min(rates) / max(rates) if any(rates) else 1.0
    if len(successes) == 2:
        low, high = sorted(zip(successes, sizes, strict=True), key=lambda pair: pair[0] / pair[1])
        interval, method = katz(low, high, level), "katz log"
    else:
        contrasts = extremes.between(sample(successes, sizes, rng, LOGARITHM))
        interval, method = of_logarithms([contrasts], level), ON_LOGARITHMS
    return around(interval, value), method


def of_logarithms(families: list[Contrasts], level: float) -> Interval:
    """The interval of the smallest ratio, at most 1, of contrasts of logarithms."""
    interval = extremes.largest(families, level)
    return Interval(math.exp(-interval.upper), math.exp(-interval.lower))


def katz(first: tuple[int, int], second: tuple[int, int], level: float) -> Interval:
    """Interval of p1 / p2, each (successes, n), on logarithms with Walter's correction."""
    (k, n), (base, size) = first, second
    centre = math.log((k + 0.5) / (n + 0.5) * (size + 0.5) / (base + 0.5))
    variance = 1 / (k + 0.5) - 1 / (n + 0.5) + 1 / (base + 0.5) - 1 / (size + 0.5)
    width = z_of(level) * math.sqrt(variance)
    return Interval(math.exp(centre - width) if k else 0.0, math.exp(centre + width))


def around(interval: Interval, value: float) -> Interval:
    """The interval of a ratio that is at most 1, widened to contain its own estimate."""
    return Interval(min(interval.lower, value), max(min(1.0, interval.upper), value))


def of_sum(parts: Sequence[tuple[float, Interval]]) -> Interval:
    """The interval of a sum of independent figures from theirs (MOVER, Zou and Donner 2008)."""
    total = math.fsum(value for value, _ in parts)
    down = math.hypot(*(value - one.lower for value, one in parts))
    up = math.hypot(*(one.upper - value for value, one in parts))
    return Interval(total - down, total + up)
