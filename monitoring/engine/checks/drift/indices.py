"""How far two histograms lie apart: Evidently's figures of counts, and Cramér's V.

Each function takes counts of shape (bins,) or (replicates, bins) and gives one figure a row.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.engine.comparing import Histogram

Floats = NDArray[np.float64]
Table = Sequence[int] | NDArray[Any]
RARE = 1e-4


def stability_index(reference: Table, current: Table) -> Floats:
    """Population stability index with Evidently's substitute for empty bins."""
    p, q = _filled(reference), _filled(current)
    found: Floats = np.sum((p - q) * np.log(p / q), axis=-1)
    return found


def _filled(counts: Table) -> Floats:
    shares = _shares(counts)
    least = np.min(np.where(shares > 0, shares, np.inf), axis=-1, keepdims=True)
    substitute = np.where(least <= RARE, least / 10**6, RARE)
    return np.where(shares == 0, substitute, shares)


def _shares(counts: Table) -> Floats:
    table = np.asarray(counts, float)
    found: Floats = table / table.sum(axis=-1, keepdims=True)
    return found


def jensen_shannon(reference: Table, current: Table) -> Floats:
    """Jensen-Shannon distance in natural logarithms, as SciPy computes it."""
    from scipy.special import rel_entr

    p, q = _shares(reference), _shares(current)
    middle = (p + q) / 2
    divergence = rel_entr(p, middle).sum(axis=-1) + rel_entr(q, middle).sum(axis=-1)
    # Equal samples may come out as the root of a rounding error below zero.
    found: Floats = np.sqrt(np.maximum(divergence, 0.0) / 2)
    return found


def hellinger(reference: Table, current: Table) -> Floats:
    """Hellinger distance from 0 to 1."""
    overlap = np.sqrt(_shares(reference) * _shares(current)).sum(axis=-1)
    found: Floats = np.sqrt(1 - np.clip(overlap, 0, 1))
    return found


def cramers_v(bins: Histogram) -> float:
    """Cramér's V (1946) of sample by category; 0 if only one category occurs."""
    table = np.asarray([bins.reference, bins.current], float)
    table = table[:, table.sum(axis=0) > 0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return math.sqrt(float(((table - expected) ** 2 / expected).sum() / table.sum()))
