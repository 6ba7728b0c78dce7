"""What can be read off counts of positives and negatives by score bin: areas, curves, thresholds.

`positives` and `negatives` are the counts of each bin, from the lowest score up. Rows of one bin
may be ordered either way, so every figure comes with the most that this can change it.

Sources: average precision is the step sum of scikit-learn; its standard error is that of its
influence function (a von Mises expansion of the step sum over the bins); DeLong (1988) for areas.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from monitoring.engine.statistics import Area, Floats

CURVE_POINTS = 100


@dataclass(frozen=True)
class Ranked:
    """Counts at or above each bin's lower edge, from the highest bin down, beginning with none."""

    selected_positives: Floats
    selected_negatives: Floats

    @classmethod
    def of(cls, positives: Sequence[int], negatives: Sequence[int]) -> "Ranked":
        def falling(counts: Sequence[int]) -> Floats:
            return np.concatenate([[0.0], np.cumsum(np.asarray(counts, float)[::-1])])

        return cls(falling(positives), falling(negatives))

    @property
    def positives(self) -> float:
        return float(self.selected_positives[-1])

    @property
    def negatives(self) -> float:
        return float(self.selected_negatives[-1])

    def at(self, threshold: float) -> tuple[int, int, int, int]:
        """tp, fp, tn, fn if rows with a score of at least `threshold`, a bin's edge, are selected."""
        bins = len(self.selected_positives) - 1
        place = bins - round(threshold * bins)
        tp, fp = int(self.selected_positives[place]), int(self.selected_negatives[place])
        return tp, fp, int(self.negatives) - fp, int(self.positives) - tp


def average_precision(
    positives: Sequence[int], negatives: Sequence[int], loose: Sequence[bool] | None = None
) -> Area | None:
    """The step sum of precision over recall; None if either class is absent.

    Bins that are not `loose` hold one score each, and add nothing to the bound; without `loose` all
    are. In a loose bin with p positives after P positives and N negatives, each positive's precision is at
    most (P + p) / (P + p + N), and the i-th's at least (P + i) / (P + i + N + n).
    """
    from scipy.special import digamma

    p, n = (np.asarray(counts, float)[::-1] for counts in (positives, negatives))
    if not p.sum() or not n.sum():
        return None
    above, others = np.cumsum(p), np.cumsum(n)
    held = p > 0
    free = np.ones(len(p), bool) if loose is None else np.asarray(loose, bool)[::-1]
    p, n, above, others, free = p[held], n[held], above[held], others[held], free[held]
    each = p * above / (above + others)
    value = float(each.sum() / p.sum())
    most = float(np.where(free, p * above / (above + others - n), each).sum() / p.sum())
    # The sum of (P + i) / (P + i + N + n) over i, since the digamma function sums reciprocals.
    least_each = p - others * (digamma(above + others + 1) - digamma(above - p + others + 1))
    least = float(np.where(free, np.where(others > 0, least_each, p), each).sum() / p.sum())
    bound = max(0.0, most - value, value - least)
    return Area(value, bound, _precision_error(positives, negatives, value))


def _precision_error(positives: Sequence[int], negatives: Sequence[int], value: float) -> float:
    p, n = (np.asarray(counts, float) for counts in (positives, negatives))
    total, share = p.sum() + n.sum(), p.sum() / (p.sum() + n.sum())
    selected, wrongly = np.cumsum(p[::-1])[::-1], np.cumsum(n[::-1])[::-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(selected > 0, selected / (selected + wrongly), 0.0)
        # A row raises the counts at its own bin and at each below; only bins with positives count.
        up = np.where(p > 0, (p / total) * wrongly * total / (selected + wrongly) ** 2, 0.0)
        down = np.where(p > 0, (p / total) * selected * total / (selected + wrongly) ** 2, 0.0)
    of_positive = (precision + np.cumsum(up) - value) / share
    of_negative = -np.cumsum(down) / share
    variance = (p * of_positive**2 + n * of_negative**2).sum() / total
    return math.sqrt(float(variance) / (total - 1)) if total > 1 else 0.0


def roc_points(ranked: Ranked, points: int = CURVE_POINTS) -> list[tuple[float, float]]:
    """False and true positive rates, evenly spaced along the curve; empty if a class is absent."""
    if not ranked.positives or not ranked.negatives:
        return []
    across = ranked.selected_negatives / ranked.negatives
    up = ranked.selected_positives / ranked.positives
    return _spaced(across, up, across + up, points)


def precision_points(ranked: Ranked, points: int = CURVE_POINTS) -> list[tuple[float, float]]:
    """Recall and precision, from the highest score down; empty if there is no positive."""
    if not ranked.positives:
        return []
    across = ranked.selected_positives[1:] / ranked.positives
    selected = ranked.selected_positives[1:] + ranked.selected_negatives[1:]
    some = selected > 0
    precision = ranked.selected_positives[1:][some] / selected[some]
    return _spaced(across[some], precision, across[some], points)


def _spaced(across: Floats, up: Floats, length: Floats, points: int) -> list[tuple[float, float]]:
    """Some of the points of a curve, evenly spaced by `length`, both ends always."""
    start, end = float(length[0]), float(length[-1])
    wanted = np.searchsorted(length, np.linspace(start, end, points, endpoint=False))
    last = len(length) - 1
    kept = sorted({0, *(min(last, int(place)) for place in wanted), last})
    return [(float(across[place]), float(up[place])) for place in kept]


@dataclass(frozen=True)
class PairedAreas:
    """Two models' areas over the same rows. `error` is the standard error of first minus second."""

    first: float
    second: float
    error: float


def paired_areas(
    first: Floats, second: Floats, counts: Floats, labels: Floats, bins: int
) -> PairedAreas | None:
    """Areas of two scores of the same rows and DeLong's error of their difference.

    Each place of the arrays is a cell: the two bins, the number of rows and their label. None if a
    class is absent.
    """
    placements, areas = [], []
    positive = labels == 1
    sizes = float(counts[positive].sum()), float(counts[~positive].sum())
    if not all(sizes):
        return None
    for bin_of in (first.astype(int), second.astype(int)):
        p = np.bincount(bin_of[positive], counts[positive], bins)
        n = np.bincount(bin_of[~positive], counts[~positive], bins)
        beaten = (np.cumsum(n) - n / 2) / sizes[1]
        unbeaten = (sizes[0] - np.cumsum(p) + p / 2) / sizes[0]
        areas.append(float((p * beaten).sum() / sizes[0]))
        placements.append(np.where(positive, beaten[bin_of], unbeaten[bin_of]))
    gap, shift = placements[0] - placements[1], areas[0] - areas[1]
    variance = 0.0
    for chosen, size in ((positive, sizes[0]), (~positive, sizes[1])):
        if size > 1:
            squares = float((counts[chosen] * (gap[chosen] - shift) ** 2).sum())
            variance += squares / (size - 1) / size
    return PairedAreas(areas[0], areas[1], math.sqrt(variance))
