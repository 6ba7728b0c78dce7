"""Figures of several groups with what chance does to them: the input of intervals of their extremes.

A figure is a share k/n or a smooth function of one: its logarithm for ratios, F1 as a function of
the share of true positives among all but true negatives. A bootstrap of the rows within each group
is a binomial draw of k.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.engine.statistics import base, draws
from monitoring.engine.statistics.base import Floats


@dataclass(frozen=True)
class Shape:
    """A figure as a function of a share, with the derivative. `odd`: it grows without bound, so
    half a row is added to both sides of a count before it is taken."""

    value: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]
    odd: bool = False


SHARE = Shape(lambda share: share, np.ones_like)
LOGARITHM = Shape(np.log, lambda share: 1 / share, odd=True)
ODDS = Shape(lambda share: share / (1 - share), lambda share: (1 - share) ** -2, odd=True)
LOG_ODDS = Shape(
    lambda share: np.log(share / (1 - share)), lambda share: 1 / (share * (1 - share)), odd=True
)
F1 = Shape(lambda share: 2 * share / (1 + share), lambda share: 2 * (1 + share) ** -2)
LOG_F1 = Shape(
    lambda share: np.log(2 * share / (1 + share)), lambda share: 1 / (share * (1 + share)), odd=True
)


@dataclass(frozen=True)
class Sample:
    """Estimates of independent groups, shape (groups,), with replicates of their deviations.

    `noise` and `noise_variance`, shape (groups, replicates), are the deviation of each replicate
    from what it was drawn around and its own estimate of the variance. `pull` says how much of
    each group's deviation the figure of all groups together inherits; it sums to 1 for shares.
    """

    estimate: Floats
    variance: Floats
    noise: Floats
    noise_variance: Floats
    pull: Floats
    overall: float

    @property
    def groups(self) -> int:
        return len(self.estimate)


def sample(
    successes: Sequence[int],
    sizes: Sequence[int],
    rng: np.random.Generator,
    shape: Shape = SHARE,
    replicates: int | None = None,
) -> Sample:
    """Draw replicates of the figure `shape` of k/n for each group. Sizes are at least 1."""
    return of_draws(successes, sizes, drawn(successes, sizes, rng, replicates), shape)


def drawn(
    successes: Sequence[int],
    sizes: Sequence[int],
    rng: np.random.Generator,
    replicates: int | None = None,
) -> Floats:
    """Replicates of the successes of each group, shape (groups, replicates).

    They are drawn around (k + 1) / (n + 2), so that a share of 0 or 1 varies too.
    """
    count = replicates or base.replicates(len(sizes))
    return np.stack(
        [
            draws.binomial(n, (k + 1) / (n + 2), count, rng)
            for k, n in zip(successes, sizes, strict=True)
        ]
    )


def of_draws(
    successes: Sequence[int], sizes: Sequence[int], drawn: Floats, shape: Shape = SHARE
) -> Sample:
    """The figure `shape` of k/n for each group, with the replicates that were `drawn` of k."""
    k, n = np.asarray(successes, np.float64), np.asarray(sizes, np.float64)
    true = (k + 1) / (n + 2)
    estimate, variance = _figures(k, n, shape)
    noise, noise_variance = _figures(drawn, n[:, np.newaxis], shape)
    noise -= _figures(true * n, n, shape)[0][:, np.newaxis]
    together = float(k.sum() / n.sum()) if not shape.odd else float((k.sum() + 0.5) / (n.sum() + 1))
    whole = np.asarray([together])
    pull = n / n.sum() * shape.slope(whole) / shape.slope((k + 0.5) / (n + 1))
    return Sample(estimate, variance, noise, noise_variance, pull, float(shape.value(whole)[0]))


def average(first: Sample, second: Sample) -> Sample:
    """The mean of two figures of the same groups that rest on different rows."""
    return Sample(
        (first.estimate + second.estimate) / 2,
        (first.variance + second.variance) / 4,
        (first.noise + second.noise) / 2,
        (first.noise_variance + second.noise_variance) / 4,
        (first.pull + second.pull) / 2,
        math.nan,
    )


def logarithm(one: Sample) -> Sample:
    """The logarithm of a figure above 0, by the delta method."""
    inverse = 1 / one.estimate
    return Sample(
        np.log(one.estimate),
        one.variance * inverse**2,
        one.noise * inverse[:, np.newaxis],
        one.noise_variance * inverse[:, np.newaxis] ** 2,
        one.pull,
        math.nan,
    )


def normal(
    estimate: Sequence[float],
    variance: Sequence[float],
    sizes: Sequence[int],
    rng: np.random.Generator,
    replicates: int | None = None,
) -> Sample:
    """Means of groups, whose deviations are normal."""
    values, spread = np.asarray(estimate, np.float64), np.asarray(variance, np.float64)
    weights = np.asarray(sizes, np.float64) / sum(sizes)
    count = replicates or base.replicates(len(values))
    noise = rng.standard_normal((len(values), count)) * np.sqrt(spread)[:, np.newaxis]
    return Sample(
        values,
        spread,
        noise,
        np.broadcast_to(spread[:, np.newaxis], noise.shape),
        weights,
        float(weights @ values),
    )


def _figures(k: Floats, n: Floats, shape: Shape) -> tuple[Floats, Floats]:
    """The figure of each count and its variance by the delta method, which is never 0."""
    share = (k + 0.5) / (n + 1) if shape.odd else k / n
    smooth = (k + 1) / (n + 2)
    variance = smooth * (1 - smooth) / (n + 2)
    if shape is SHARE:
        return share, variance
    return shape.value(share), variance * shape.slope((k + 0.5) / (n + 1)) ** 2
