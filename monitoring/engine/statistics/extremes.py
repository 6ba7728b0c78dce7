"""The interval of a largest difference, which a percentile interval of a bootstrap never gives.

The largest of several estimated differences is too large on average: where there is no difference
at all it is above 0 in every replicate. Here the figure is the maximum over contrasts, each an
estimate with an error, and the interval is found from its two sides.

Below, the largest lower end of the contrasts counts, at a critical value for their joint
deviation: of all contrasts for the question whether there is any difference (a max-t test at the
whole error), and else of those alone that the data leave in question as the largest (moment
selection; Andrews and Soares 2010). Above, the largest upper end counts, with a critical value
halfway between the two-sided normal one and the one that a bootstrap of the whole configuration
needs, which is too small for differences that nearly tie.

Where several contrasts tie the upper end hardly ever fails: all of them would have to be too small
at once. The lower end then has the error that this leaves, but never more than half of it for the
leading contrast by itself, which alone may be the largest. Close to 0 the upper end cannot fail,
so that there the lower one has all of the error (the unified approach of Feldman and Cousins 1998
does so for one normal mean).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitoring.engine.statistics.base import Floats, Interval, z_of
from monitoring.engine.statistics.samples import Sample

Places = NDArray[np.intp]
Flags = NDArray[np.bool_]

_IN_QUESTION = 2.0
"""Errors by which a contrast may lie behind the largest and still be in question."""
_PLAIN = 10.0
"""Errors that chance does not reach: of a share of 0 in 30 it makes hardly 4."""
_FEW = 500
"""Contrasts of which none is that far off by chance."""
_UNSTEADY = 0.75
"""Of its seen error, what a group's error may be by chance: under this part the seen errors neither
tell from where on the upper end cannot fail, nor does the bootstrap its critical value."""
_SOME = 1_000
"""Replicates that are enough to see that."""
_TINIEST = 1e-12
_AT_ONCE = 50_000
"""Deviations worked out together: few enough to stay near the processor."""
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

    def deviations(self) -> Callable[[Places], Floats]:
        """A function that gives the studentised deviations of the contrasts at some places, shape
        (places, replicates)."""
        one, first, second = self.sample, self.first, self.second
        noise, variance = one.noise, one.noise_variance
        if self._whole:
            together = (noise * one.pull[:, np.newaxis]).sum(axis=0)
            spread = self._shared(variance)
            return lambda at: np.asarray((noise[first[at]] - together) / np.sqrt(spread[first[at]]))
        if len(second) == 0:
            return lambda at: np.asarray(noise[first[at]] / np.sqrt(variance[first[at]]))

        def pair(at: Places) -> Floats:
            i, j = first[at], second[at]
            return np.asarray((noise[i] - noise[j]) / np.sqrt(variance[i] + variance[j]))

        return pair

    @property
    def _whole(self) -> bool:
        return len(self.second) > 0 and int(self.second[0]) == -1

    def _shared(self, variance: Floats) -> Floats:
        """Variance of each group's difference to all together, of which it is a part."""
        pull = self.sample.pull.reshape(-1, *[1] * (variance.ndim - 1))
        return np.asarray(variance * (1 - 2 * pull) + (variance * pull**2).sum(axis=0))


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
    asked = _question(families)
    drawn = _deviations(families, asked)
    size, errors, seen = asked.size, asked.errors, asked.truth
    error = 1 - level
    upper_z = z_of(1 - 2 * error)
    if seen > 0:
        upper_z = max(upper_z, float(np.quantile(drawn.needed, 1 - error / 2)))
        upper_z = max(upper_z, (upper_z + z_of(level)) / 2)
    upper = max(seen, float((size + upper_z * errors).max()))
    if not asked.plain and float((size / errors).max()) <= float(np.quantile(drawn.jointly, level)):
        return Interval(0.0, upper)
    steady = min(_steadiness(family.sample, error) for family in families)
    never_missed = upper_z * float(errors.max()) * (steady if steady < _UNSTEADY else 1.0)
    lower = float((size - np.quantile(drawn.questioned, level) * errors).max())
    if lower >= never_missed:
        critical = _critical(drawn, upper_z, error)
        if steady < _UNSTEADY:
            critical = max(critical, z_of(level))
        lower = max(never_missed, float((size - critical * errors).max()))
    return Interval(min(max(lower, _TINIEST), seen), upper)


def _steadiness(sample: Sample, error: float) -> float:
    """The least part of its seen error that a group's error may be by chance. Of a share it is
    nearly all; that of a ratio of counts is small where the ratio is seen too small."""
    some = sample.noise_variance[:, :_SOME]
    least = np.quantile(some, error / 2, axis=1) / sample.variance
    return math.sqrt(min(1.0, float(least.min())))


def _critical(drawn: "_Drawn", upper_z: float, error: float) -> float:
    """Of the lower end: both ends together fail in `error` of cases where all contrasts in question
    tie, and the leading contrast by itself lies too high in half of that at most."""
    missed = min(float(np.mean(drawn.together < -upper_z)), error / 2)
    tied = float(np.quantile(drawn.questioned, 1 - error + missed))
    return max(tied, float(np.quantile(drawn.leading, 1 - error / 2)))


def _question(families: list[Contrasts]) -> "_Question":
    found = [family.estimates() for family in families]
    estimates = np.concatenate([one for one, _ in found])
    errors = np.concatenate([error for _, error in found])
    both = np.concatenate([np.full(len(one.first), one.both) for one in families])
    sign = np.where(both & (estimates < 0), -1.0, 1.0)
    size = estimates * sign
    floor = max(0.0, float((size - _IN_QUESTION * errors).max()))
    forward = size + _IN_QUESTION * errors >= floor
    backward = both & (-size + _IN_QUESTION * errors >= floor)
    return _Question(size, sign, errors, forward, backward)


@dataclass(frozen=True)
class _Question:
    """The contrasts of all families, turned so that most are above 0, and what is asked of them."""

    size: Floats
    sign: Floats
    errors: Floats
    forward: Flags
    backward: Flags

    @property
    def truth(self) -> float:
        return max(0.0, float(self.size.max()))

    @property
    def plain(self) -> bool:
        """Is there a difference beyond any chance, so that the joint test needs no replicates?"""
        return len(self.size) <= _FEW and float((self.size / self.errors).max()) > _PLAIN

    def near(self) -> Flags:
        """Contrasts that some replicate may turn into the largest."""
        return (self.truth - self.size) / self.errors < _PLAIN + 4


@dataclass(frozen=True)
class _Drawn:
    """Of each replicate, the largest deviation of all contrasts, of those in question in either
    direction, and of those in question in the direction seen; that of the contrast which leads;
    the critical value with which the largest upper end would have reached the truth."""

    jointly: Floats
    questioned: Floats
    together: Floats
    leading: Floats
    needed: Floats


def _deviations(families: list[Contrasts], asked: _Question) -> _Drawn:
    # Of more groups fewer replicates are drawn, and families may be of several numbers of groups.
    replicates = min(family.sample.noise.shape[1] for family in families)
    jointly, questioned = np.zeros(replicates), np.full(replicates, -np.inf)
    together, leading = np.full(replicates, -np.inf), np.zeros(replicates)
    needed = np.full(replicates, np.inf)
    truth, plain, near, start = asked.truth, asked.plain, asked.near(), 0
    leader = int(np.argmax(asked.size))
    for family in families:
        deviation = family.deviations()
        counted = np.arange(len(family.first))
        if plain:
            counted = counted[(near | asked.forward | asked.backward)[start + counted]]
        for at in np.array_split(counted, max(1, len(counted) * replicates // _AT_ONCE)):
            here = start + at
            towards = deviation(at)[:, :replicates] * asked.sign[here, np.newaxis]
            if leader in here:
                leading = towards[int(np.searchsorted(here, leader))]
            if not plain and len(at):
                largest = (np.abs(towards) if family.both else towards).max(axis=0)
                np.maximum(jointly, largest, out=jointly)
            if asked.forward[here].any():
                np.maximum(together, towards[asked.forward[here]].max(axis=0), out=together)
            if asked.backward[here].any():
                largest = -towards[asked.backward[here]].min(axis=0)
                np.maximum(questioned, largest, out=questioned)
            if near[here].any():
                close = here[near[here]]
                errors = asked.errors[close, np.newaxis]
                again = asked.size[close, np.newaxis] + towards[near[here]] * errors
                again = np.abs(again, out=again) if family.both else again
                np.minimum(needed, ((truth - again) / errors).min(axis=0), out=needed)
        start += len(family.first)
    np.maximum(questioned, together, out=questioned)
    return _Drawn(jointly, questioned, together, leading, needed)
