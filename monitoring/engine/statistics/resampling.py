"""Bootstrap and permutation of counts.

A bootstrap of rows, for a function of counts, is a multinomial draw of the counts.
"""

import math
from collections.abc import Sequence

import numpy as np

from monitoring.engine.statistics import base, draws
from monitoring.engine.statistics.base import Counts, Floats, Interval


def permutation_p(
    successes: Sequence[int], sizes: Sequence[int], rng: np.random.Generator
) -> float:
    """P of a gap between two groups' rates this large, in its errors, if groups were dealt at random.

    Permuting the groups of rows is a multivariate hypergeometric draw of the successes. Gaps are
    compared in units of their error, else a few people in one group would hide what is plain
    between large ones.
    """
    n = np.asarray(sizes, np.int64)
    total = int(sum(successes))
    if _beyond_chance(np.asarray(successes), n):
        return 1 / (base.REPLICATES + 1)
    largest = _largest_gap(dealt(n, total, rng).T / n[:, np.newaxis], n)
    seen = float(_largest_gap((np.asarray(successes) / n)[:, np.newaxis], n)[0])
    # Equal gaps may differ in the last bit.
    at_least = int(np.count_nonzero(largest >= seen * (1 - 1e-12) - 1e-12))
    return (1 + at_least) / (base.REPLICATES + 1)


def dealt(sizes: Counts, total: int, rng: np.random.Generator) -> Floats:
    """Successes of each group if `total` of them are dealt to all at random, a row a replicate.

    Group after group, each from what the ones before it left.
    """
    drawn = np.empty((len(sizes), base.REPLICATES))
    left, people = np.full(base.REPLICATES, float(total)), int(sizes.sum())
    for place, size in enumerate(sizes[:-1]):
        drawn[place] = draws.hypergeometric(left, people, int(size), rng)
        left -= drawn[place]
        people -= int(size)
    drawn[-1] = left
    return drawn.T


def _beyond_chance(k: Counts, n: Counts) -> bool:
    """Is a gap so many errors wide that no replicate of this many reaches it?"""
    share = int(k.sum()) / int(n.sum())
    if float(n.min()) * min(share, 1 - share) < 25:
        return False
    gap = float(_largest_gap((k / n)[:, np.newaxis], n)[0])
    return gap > 10 * math.sqrt(share * (1 - share))


def _largest_gap(rates: Floats, sizes: Counts) -> Floats:
    """For each column of rates the largest difference of two, over its error but for a constant."""
    largest = np.zeros(rates.shape[1])
    for place in range(1, len(sizes)):
        scale = 1 / np.sqrt(1 / sizes[place] + 1 / sizes[:place])
        gaps = np.abs(rates[:place] - rates[place]) * scale[:, np.newaxis]
        np.maximum(largest, gaps.max(axis=0), out=largest)
    return largest


def multinomial(counts: Sequence[int], rng: np.random.Generator) -> Counts:
    """Bootstrap replicates of a table of counts, shape (replicates, cells)."""
    table = np.asarray(counts, np.int64)
    total = int(table.sum())
    return np.asarray(rng.multinomial(total, table / total, size=base.REPLICATES), np.int64)


def percentile(replicates: Floats, level: float) -> Interval | None:
    """Percentile interval; None if more than 1 in 100 replicates is undefined."""
    finite = replicates[np.isfinite(replicates)]
    if len(finite) < 0.99 * len(replicates):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
