"""The interval of a largest difference, which a percentile interval of a bootstrap never gives.

The largest of several estimated differences is too large on average: where there is no difference
at all it is above 0 in every replicate. Here the figure is the maximum over contrasts, each an
estimate with an error, and the interval is found from its two sides.

Below, the largest lower end of the contrasts counts, at a critical value for their joint
deviation: of all contrasts for the question whether there is any difference (a max-t test at the
whole error), and else of those alone that the data leave in question as the largest (moment
selection; Andrews and Soares 2010). Above, the largest upper end counts, with the critical value
that a bootstrap of the whole configuration needs, and never less than the one-sided normal one.
Close to 0 the upper end cannot fail, so that there the lower one has all of the error (the
unified approach of Feldman and Cousins 1998 does so for one normal mean).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitoring.engine.statistics.base import Floats, Interval, z_of
from monitoring.engine.statistics.samples import Sample

Places = NDArray[np.intp]

_IN_QUESTION = 2.0
"""Errors by which a contrast may lie behind the largest and still be in question."""
_BLOCK = 64
"""Contrasts whose replicates are in memory at once."""
_TINIEST = 1e-12
_FAR = 10.0
"""Errors under all groups at which nothing is in question."""


@dataclass(frozen=True)
class Contrasts:
    """Differences within one sample: between its groups, or of each to all together.

    `first` and `second` are places of groups; a second place of -1 stands for all together, and
    no second place for 0.
    `both` is true if a difference counts whichever its sign.
    """

    sample: Sample
    first: Places
    second: Places
    both: bool = True

    def estimates(self) -> tuple[Floats, Floats]:
        """The contrasts and their errors."""
        one = self.sample
        if self._whole:
            estimate, together = one.estimate[self.first] - one.overall, self._shared(one.variance)
            return estimate, np.sqrt(together[self.first])
        if len(self.second) == 0:
            return one.estimate[self.first], np.sqrt(one.variance[self.first])
        estimate = one.estimate[self.first] - one.estimate[self.second]
        return estimate, np.sqrt(one.variance[self.first] + one.variance[self.second])

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Studentised deviations of a few contrasts at a time, shape (replicates, few)."""
        one = self.sample
        noise, variance = one.noise, one.noise_variance
        if self._whole:
            shared = (noise * one.pull).sum(axis=1, keepdims=True)
            yield slice(None), ((noise - shared) / np.sqrt(self._shared(variance)))[:, self.first]
            return
        if len(self.second) == 0:
            yield slice(None), (noise / np.sqrt(variance))[:, self.first]
            return
        for start in range(0, len(self.first), _BLOCK):
            part = slice(start, start + _BLOCK)
            i, j = self.first[part], self.second[part]
            yield part, (noise[:, i] - noise[:, j]) / np.sqrt(variance[:, i] + variance[:, j])

    @property
    def _whole(self) -> bool:
        return len(self.second) > 0 and int(self.second[0]) == -1

    def _shared(self, variance: Floats) -> Floats:
        """Variance of each group's difference to all together, of which it is a part."""
        pull = self.sample.pull
        own = variance * (1 - 2 * pull)
        return np.asarray(own + (variance * pull**2).sum(axis=-1, keepdims=True))


def between(sample: Sample) -> Contrasts:
    first, second = np.triu_indices(sample.groups, 1)
    return Contrasts(sample, first, second)


def to_overall(sample: Sample, places: Sequence[int]) -> Contrasts:
    """Of the groups at `places` to all groups of the sample together."""
    return Contrasts(sample, np.asarray(places, np.intp), np.full(len(places), -1))


def under_the_best(sample: Sample, place: int) -> Contrasts:
    """How far each other group lies above the one at `place` (comparison with the best, Hsu 1984)."""
    others = np.delete(np.arange(sample.groups), place)
    return Contrasts(sample, others, np.full(len(others), place), both=False)


def greatest(sample: Sample, level: float) -> Interval:
    """The interval of the greatest figure of the groups, of which the seen one is too great."""
    base = float((sample.estimate - _FAR * np.sqrt(sample.variance)).min())
    shifted = replace(sample, estimate=sample.estimate - base)
    places = np.arange(sample.groups)
    interval = largest([Contrasts(shifted, places, places[:0], both=False)], level)
    return Interval(base + interval.lower, base + interval.upper)


def least(sample: Sample, level: float) -> Interval:
    """The interval of the least figure of the groups."""
    turned = replace(sample, estimate=-sample.estimate, noise=-sample.noise)
    interval = greatest(turned, level)
    return Interval(-interval.upper, -interval.lower)


def largest(families: list[Contrasts], level: float) -> Interval:
    """The interval of the largest contrast of all families, which is at least 0.

    The lower end is 0 if and only if the joint test of no difference is kept at `1 - level`.
    """
    parts = [family.estimates() for family in families]
    estimates = np.concatenate([one for one, _ in parts])
    errors = np.concatenate([error for _, error in parts])
    both = np.concatenate([np.full(len(one.first), one.both) for one in families])
    size = np.where(both, np.abs(estimates), estimates)
    seen = max(0.0, float(size.max()))
    floor = max(0.0, float((size - _IN_QUESTION * errors).max()))
    forward = size + _IN_QUESTION * errors >= floor
    backward = both & (-size + _IN_QUESTION * errors >= floor)
    jointly, questioned, needed = _deviations(families, size, estimates, errors, forward, backward)
    error = 1 - level
    upper_z = max(float(np.quantile(needed, 1 - error / 2)), z_of(1 - 2 * error))
    upper = max(0.0, float((size + upper_z * errors).max()))
    if float((size / errors).max()) <= float(np.quantile(jointly, level)):
        return Interval(0.0, max(upper, seen))
    whole, half = np.quantile(questioned, [1 - error, 1 - error / 2])
    never_missed = upper_z * float(errors.max())
    lower = float((size - whole * errors).max())
    if lower >= never_missed:
        lower = max(never_missed, float((size - half * errors).max()))
    return Interval(min(max(lower, _TINIEST), seen), max(upper, seen))


def _deviations(
    families: list[Contrasts],
    size: Floats,
    estimates: Floats,
    errors: Floats,
    forward: np.ndarray,
    backward: np.ndarray,
) -> tuple[Floats, Floats, Floats]:
    """For each replicate: the largest deviation of all contrasts and of those in question, and
    the critical value with which the largest upper end would have reached the truth."""
    replicates = len(families[0].sample.noise)
    jointly, questioned = np.full(replicates, -np.inf), np.full(replicates, -np.inf)
    needed = np.full(replicates, np.inf)
    truth = max(0.0, float(size.max()))
    start = 0
    for family in families:
        for part, deviation in family.blocks():
            here = slice(start, start + deviation.shape[1])
            if part.start is not None:
                here = slice(start + part.start, start + part.start + deviation.shape[1])
            one = np.abs(deviation) if family.both else deviation
            np.maximum(jointly, one.max(axis=1), out=jointly)
            towards = deviation * np.where(family.both & (estimates[here] < 0), -1.0, 1.0)
            for which, sign in ((forward[here], 1.0), (backward[here], -1.0)):
                if which.any():
                    found = (sign * towards[:, which]).max(axis=1)
                    np.maximum(questioned, found, out=questioned)
            again = size[here] + towards * errors[here]
            if family.both:
                again = np.abs(again)
            np.minimum(needed, ((truth - again) / errors[here]).min(axis=1), out=needed)
        start += len(family.first)
    return jointly, questioned, needed
