"""Intervals of one proportion, of the difference of two, and of a mean.

Sources: Wilson (1927); Newcombe (1998, method 10).
"""

import math

from monitoring.engine.statistics.base import Interval, z_of


def wilson(successes: int, n: int, level: float) -> Interval:
    """Wilson's score interval of a proportion. `n` is at least 1."""
    z = z_of(level)
    p = successes / n
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    centre = p + z * z / (2 * n)
    scale = 1 + z * z / n
    lower = 0.0 if successes == 0 else (centre - spread) / scale
    upper = 1.0 if successes == n else (centre + spread) / scale
    return Interval(max(0.0, lower), min(1.0, upper))


def newcombe(first: tuple[int, int], second: tuple[int, int], level: float) -> Interval:
    """Interval of p1 - p2 for two independent proportions, each (successes, n)."""
    one, two = wilson(*first, level), wilson(*second, level)
    p, q = first[0] / first[1], second[0] / second[1]
    down = math.hypot(p - one.lower, two.upper - q)
    up = math.hypot(one.upper - p, q - two.lower)
    return Interval(p - q - down, p - q + up)


def mean_interval(total: float, squares: float, n: int, level: float) -> Interval | None:
    """Normal interval of a mean from the sums of values and of their squares."""
    if n < 2:
        return None
    mean = total / n
    variance = max(0.0, (squares - n * mean * mean) / (n - 1))
    width = z_of(level) * math.sqrt(variance / n)
    return Interval(mean - width, mean + width)
