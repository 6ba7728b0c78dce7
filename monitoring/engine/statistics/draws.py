"""Draws of counts: exact where they are few, else normal ones that nothing tells from exact ones."""

import math

import numpy as np

from monitoring.engine.statistics.base import Floats

_WIDE = 100.0
"""Variance of a count from which on it is drawn as a normal one. There the distribution functions of a
binomial count and of its stand-in differ by less than 0.00015."""
_MANY = 1_000_000_000
"""People of whom the library draws no exact hypergeometric sample."""


def binomial(n: int, share: float, count: int, rng: np.random.Generator) -> Floats:
    """`count` draws of how many of `n` there are, each of whom is there with probability `share`."""
    variance = n * share * (1 - share)
    if variance < _WIDE:
        return rng.binomial(n, share, count).astype(np.float64)
    skewness = (1 - 2 * share) / math.sqrt(variance)
    drawn = n * share + math.sqrt(variance) * _bent(rng.standard_normal(count), skewness)
    return np.asarray(np.clip(np.rint(drawn, out=drawn), 0, n, out=drawn))


def hypergeometric(left: Floats, people: int, size: int, rng: np.random.Generator) -> Floats:
    """How many of the `left` are among `size` of `people`, one draw for each element of `left`."""
    if 2 * size > people:
        return left - hypergeometric(left, people, people - size, rng)
    share, fraction = left / people, size / people
    variance = size * share * (1 - share) * (1 - fraction)
    if variance.min() >= _WIDE:
        error = np.sqrt(variance)
        skewness = (1 - 2 * share) * (1 - 2 * fraction) / error
        drawn = size * share + error * _bent(rng.standard_normal(len(left)), skewness)
        least, most = np.maximum(0, size - people + left), np.minimum(size, left)
        return np.asarray(np.clip(np.rint(drawn, out=drawn), least, most, out=drawn))
    if people >= _MANY:
        return _of_many(left, people, size, rng)
    good = left.astype(np.int64)
    return rng.hypergeometric(good, people - good, size).astype(np.float64)


def _of_many(left: Floats, people: int, size: int, rng: np.random.Generator) -> Floats:
    """The same where one of the three numbers is small beside all people, so that drawing without
    replacement is drawing with it."""
    others = people - left
    few = min(size, left.max(), others.max())
    if few == size:
        return rng.binomial(size, left / people).astype(np.float64)
    if few == left.max():
        return rng.binomial(left.astype(np.int64), size / people).astype(np.float64)
    return size - rng.binomial(others.astype(np.int64), size / people).astype(np.float64)


def _bent(z: Floats, skewness: Floats | float) -> Floats:
    """A normal deviate with this skewness: the first term of Cornish and Fisher's expansion (1938)."""
    return np.asarray(z + skewness * (z * z - 1) / 6)
