"""The interval of an expected calibration error, of which the estimate is too large.

The error is the sum over bins of the rows' share times the distance of mean score and rate of
positives. Chance adds to every such distance, so that even calibrated scores have an error above 0
in any sample, and a bootstrap of the rows adds the same once more. Here an error is in the interval
if it would give the estimate seen often enough (hybrid resampling: Chuang and Lai 2000). How such an
error lies over the bins is unknown. For errors under the estimate it is taken from the distances
seen, shrunk so that those within chance vanish first (the garrote; Breiman 1995); for greater ones
each distance has the same number of its standard errors, which leaves chance the least to add.

The interval is made to reach up to the estimate itself. Where it does so for that reason alone the
upper end fails less often, and the lower end has the error that this leaves.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from monitoring.engine.statistics.base import Floats, Interval

DRAWS = 2_000
_FAR = 12.0
"""Errors beyond the distances seen at which nothing would give the estimate."""
_STEPS = 18
"""Halvings of a stretch of so many errors: what is left of it is far finer than the draws."""


def calibration_interval(
    table: Sequence[tuple[int, float, float]], level: float, rng: np.random.Generator
) -> tuple[Interval, float]:
    """The interval and the error for which the estimate lies in the middle of what chance gives.

    `table` holds rows, mean score and rate of positives of each bin that has any.
    """
    bins = _Bins(table, rng)
    seen, error = bins.seen, 1 - level

    def not_too_small(shrunk: float) -> bool:
        true, found = bins.estimates(shrunk)
        missed_above = min(error / 2, float(np.mean(found < true)))
        return float(np.mean(found >= seen)) >= error - missed_above

    def not_too_large(shrunk: float) -> bool:
        true, found = bins.estimates(shrunk)
        return true <= seen or float(np.mean(found <= seen)) >= error / 2

    def in_the_middle(shrunk: float) -> bool:
        return float(np.mean(bins.estimates(shrunk)[1] >= seen)) >= 0.5

    lower = bins.last(not_too_small, 0.0, bins.farthest)
    upper = bins.last(not_too_large, 0.0, -_FAR)
    corrected = bins.last(in_the_middle, 0.0, bins.farthest)
    return Interval(min(lower, seen), max(upper, seen)), min(corrected, seen)


class _Bins:
    """Bins with the distances seen, and what chance makes of others."""

    def __init__(self, table: Sequence[tuple[int, float, float]], rng: np.random.Generator) -> None:
        rows, self._mean, rate = (np.asarray(one, np.float64) for one in zip(*table, strict=True))
        self._mean = np.clip(self._mean, 0.0, 1.0)
        self._rows, self._n = rows, float(rows.sum())
        self._share = rows / self._n
        distance = self._share * (self._mean - rate)
        self._size, self._sign = np.abs(distance), np.where(distance < 0, -1.0, 1.0)
        edge = 0.25 / (rows + 1)
        near = np.clip((rows * rate + self._mean) / (rows + 1), edge, 1 - edge)
        self._error = np.sqrt(self._share * near * (1 - near) / self._n)
        self.seen = float(self._size.sum())
        self._apart = np.maximum(self._size / self._error, 1e-9)
        self.farthest = float(self._apart.max())
        noise = rng.standard_normal((len(rows) + 1, DRAWS))
        self._deviates, self._mix = noise[:-1], noise[-1]
        self._bent = (self._deviates**2 - 1) / 6

    def estimates(self, shrunk: float) -> tuple[float, Floats]:
        """The error if distances of so many of their standard errors vanish, and estimates of it.
        If that is below 0, the error has grown by so many standard errors of each distance.

        Positives of a bin are drawn as in `draws.binomial`; how many rows a bin has varies too,
        which matters little.
        """
        if shrunk < 0:
            size = self._error * (self.seen / self._error.sum() - shrunk)
        else:
            size = self._size * np.maximum(0.0, 1 - (shrunk / self._apart) ** 2)
        rate = np.clip(self._mean - self._sign * size / self._share, 0.0, 1.0)
        apart = np.abs(self._mean - rate)
        true = float((self._share * apart).sum())
        expected, spread = self._rows * rate, np.sqrt(self._rows * rate * (1 - rate))
        skewness = np.divide(1 - 2 * rate, spread, out=np.zeros_like(rate), where=spread > 0)
        positives = self._deviates + skewness[:, np.newaxis] * self._bent
        positives *= spread[:, np.newaxis]
        positives += expected[:, np.newaxis]
        np.clip(np.rint(positives, out=positives), 0, self._rows[:, np.newaxis], out=positives)
        positives -= (self._rows * self._mean)[:, np.newaxis]
        found = np.abs(positives, out=positives).sum(axis=0) / self._n
        mixed = max(0.0, float((self._share * apart**2).sum()) - true**2)
        return true, np.asarray(found + math.sqrt(mixed / self._n) * self._mix)

    def last(self, holds: Callable[[float], bool], near: float, far: float) -> float:
        """The error at the last point on the way from `near` to `far` where `holds` does."""
        if holds(far):
            return self.estimates(far)[0]
        for _ in range(_STEPS):
            middle = (near + far) / 2
            near, far = (middle, far) if holds(middle) else (near, middle)
        return self.estimates(near)[0]
