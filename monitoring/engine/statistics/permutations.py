"""Tests of no difference between groups, by dealing the groups to the rows at random.

Permuting the groups of rows is a multivariate hypergeometric draw of the successes. A statistic is
the largest of several differences, each in its error under that hypothesis, else a few people in
one group would hide what is plain between large ones. Whatever the statistic, the test holds its
level if all groups are alike (Fisher 1935); the figure that is compared decides what it finds.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import numpy as np

from monitoring.engine.statistics import base
from monitoring.engine.statistics.base import Counts, Floats
from monitoring.engine.statistics.resampling import dealt
from monitoring.engine.statistics.samples import SHARE, Shape

Layer = tuple[Sequence[int], Sequence[int]]

_PLAIN = 10.0
"""Errors that no replicate of a few tens of thousands reaches."""
_ENOUGH = 25
"""Expected successes and failures of each group from which on that is so."""


class Dealt:
    """Successes of groups, and what they would be if the groups were dealt at random.

    Each layer holds the successes and the sizes of the same groups. The share of several layers,
    which rest on different rows, is the mean of theirs. Draws are made once, where they are needed.
    """

    def __init__(self, layers: Sequence[Layer], rng: np.random.Generator) -> None:
        self._layers = [(np.asarray(k, np.int64), np.asarray(n, np.int64)) for k, n in layers]
        self._rng = rng
        pooled = [float(k.sum() / n.sum()) for k, n in self._layers]
        parts = [p * (1 - p) / n for p, (_, n) in zip(pooled, self._layers, strict=True)]
        self._variance = np.sum(parts, axis=0) / len(parts) ** 2
        self._share = sum(pooled) / len(pooled)

    def between(self, shape: Shape = SHARE) -> float:
        """P of a difference of the figure `shape` between two groups as large as the largest."""
        variance = self._variance

        def largest(figures: Floats) -> Floats:
            found = np.zeros(figures.shape[1])
            for place in range(1, len(variance)):
                scale = 1 / np.sqrt(variance[place] + variance[:place])
                gaps = np.abs(figures[:place] - figures[place]) * scale[:, np.newaxis]
                np.maximum(found, gaps.max(axis=0), out=found)
            return found

        return self._p(largest, shape)

    def to_overall(self, places: Sequence[int], shape: Shape = SHARE) -> float:
        """P of a difference of one of the groups at `places` to all groups together. One layer."""
        ((k, n),) = self._layers
        chosen = np.asarray(places, np.intp)
        together = np.asarray([float(k.sum())]), np.asarray([float(n.sum())])
        everybody = float(shape.value(_share(*together, shape))[0])
        # Of each group the part that is not in the figure of all together.
        scale = 1 / np.sqrt(self._variance[chosen] * (1 - n[chosen] / n.sum()))

        def largest(figures: Floats) -> Floats:
            gaps = np.abs(figures[chosen] - everybody) * scale[:, np.newaxis]
            return np.asarray(gaps.max(axis=0))

        return self._p(largest, shape)

    def under_the_best(self, place: int, shape: Shape = SHARE) -> float:
        """P of the group at `place` lying as far under one of the others."""
        others = np.delete(np.arange(len(self._variance)), place)
        scale = 1 / np.sqrt(self._variance[others] + self._variance[place])

        def furthest(figures: Floats) -> Floats:
            gaps = (figures[others] - figures[place]) * scale[:, np.newaxis]
            return np.asarray(gaps.max(axis=0))

        return self._p(furthest, shape)

    def _p(self, statistic: Callable[[Floats], Floats], shape: Shape) -> float:
        if not self._variance.any():
            return 1.0
        seen = float(statistic(_mean_of_layers(self._layers, shape))[0])
        slope = float(shape.slope(np.asarray([self._share]))[0])
        if self._many and seen > _PLAIN * slope:
            return 1 / (base.replicates(len(self._variance)) + 1)
        drawn = zip(self._draws, (n for _, n in self._layers), strict=True)
        found = statistic(_mean_of_layers(drawn, shape))
        # Equal gaps may differ in the last bit.
        at_least = int(np.count_nonzero(found >= seen - 1e-12 * abs(seen) - 1e-12))
        return (1 + at_least) / (len(found) + 1)

    @property
    def _many(self) -> bool:
        expected = (
            float(n.min()) * min(int(k.sum()), int((n - k).sum())) / int(n.sum())
            for k, n in self._layers
        )
        return min(expected) >= _ENOUGH

    @cached_property
    def _draws(self) -> list[Floats]:
        """Of each layer, the successes dealt, shape (groups, replicates)."""
        return [dealt(n, int(k.sum()), self._rng).T for k, n in self._layers]


def permutation_p(
    successes: Sequence[int], sizes: Sequence[int], rng: np.random.Generator
) -> float:
    """P of a gap between two groups' rates this large, in its errors, if groups were dealt at random."""
    return Dealt([(successes, sizes)], rng).between()


def _mean_of_layers(layers: Iterable[tuple[Counts | Floats, Counts]], shape: Shape) -> Floats:
    """The figure of each group, shape (groups, 1 or replicates)."""
    shares = [_share(k.reshape(len(n), -1), n[:, np.newaxis], shape) for k, n in layers]
    return shape.value(sum(shares[1:], shares[0]) / len(shares))


def _share(k: Counts | Floats, n: Counts | Floats, shape: Shape) -> Floats:
    return np.asarray((k + 0.5) / (n + 1) if shape.odd else k / n, np.float64)
