"""Bootstrap and permutation of counts.

A bootstrap of rows, for a function of counts, is a multinomial draw of the counts.
"""

from collections.abc import Sequence

import numpy as np

from monitoring.engine.statistics.base import REPLICATES, Counts, Floats, Interval


def permutation_p(
    successes: Sequence[int], sizes: Sequence[int], rng: np.random.Generator
) -> float:
    """P of a spread of rates this large if groups were dealt at random.

    Permuting the groups of rows is a multivariate hypergeometric draw of the successes.
    """
    n = np.asarray(sizes, np.int64)
    total = int(sum(successes))
    # "marginals" stays exact and fast for any size of the groups.
    draws = rng.multivariate_hypergeometric(n, total, size=REPLICATES, method="marginals")
    rates = draws / n
    spread = rates.max(axis=1) - rates.min(axis=1)
    seen = np.asarray(successes) / n
    # Equal spreads may differ in the last bit.
    at_least = int(np.count_nonzero(spread >= seen.max() - seen.min() - 1e-12))
    return (1 + at_least) / (REPLICATES + 1)


def multinomial(counts: Sequence[int], rng: np.random.Generator) -> Counts:
    """Bootstrap replicates of a table of counts, shape (replicates, cells)."""
    table = np.asarray(counts, np.int64)
    total = int(table.sum())
    return np.asarray(rng.multinomial(total, table / total, size=REPLICATES), np.int64)


def percentile(replicates: Floats, level: float) -> Interval | None:
    """Percentile interval; None if more than 1 in 100 replicates is undefined."""
    finite = replicates[np.isfinite(replicates)]
    if len(finite) < 0.99 * len(replicates):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))
