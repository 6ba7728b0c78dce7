"""Bootstrap and permutation of counts.

A bootstrap of rows, for a function of counts, is a multinomial draw of the counts.
"""

from collections.abc import Sequence

import numpy as np

from monitoring.engine.statistics import base, draws
from monitoring.engine.statistics.base import Counts, Floats


def dealt(sizes: Counts, total: int, rng: np.random.Generator) -> Floats:
    """Successes of each group if `total` of them are dealt to all at random, a row a replicate.

    Group after group, each from what the ones before it left.
    """
    drawn = np.empty((len(sizes), base.replicates(len(sizes))))
    left, people = np.full(drawn.shape[1], float(total)), int(sizes.sum())
    for place, size in enumerate(sizes[:-1]):
        drawn[place] = draws.hypergeometric(left, people, int(size), rng)
        left -= drawn[place]
        people -= int(size)
    drawn[-1] = left
    return drawn.T


def multinomial(counts: Sequence[int], rng: np.random.Generator) -> Counts:
    """Bootstrap replicates of a table of counts, shape (replicates, cells)."""
    table = np.asarray(counts, np.int64)
    total = int(table.sum())
    return np.asarray(rng.multinomial(total, table / total, size=base.REPLICATES), np.int64)
