"""The area under a ROC curve from counts by score, or bin of scores, with DeLong's error (1988)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Area:
    """The area under a ROC curve from binned scores; the true one is within `bound` of it."""

    value: float
    bound: float
    error: float


def area_under_curve(
    positives: Sequence[int], negatives: Sequence[int], loose: Sequence[bool] | None = None
) -> Area | None:
    """AUC with ties inside a bin counted as half, its certified bound and DeLong's error.

    `positives` and `negatives` are the counts of each bin, from the lowest score up. None if
    either is absent. Two rows of one `loose` bin may be ordered either way, so the exact area
    differs by at most half of the pairs that share one; the others hold one score each. Without
    `loose` all are.
    """
    p, n = np.asarray(positives, float), np.asarray(negatives, float)
    all_p, all_n = p.sum(), n.sum()
    if all_p == 0 or all_n == 0:
        return None
    beaten = (np.cumsum(n) - n / 2) / all_n
    unbeaten = (all_p - np.cumsum(p) + p / 2) / all_p
    value = float((p * beaten).sum() / all_p)
    open_ = np.ones(len(p)) if loose is None else np.asarray(loose, float)
    bound = float((p * n * open_).sum() / (2 * all_p * all_n))
    variance = 0.0
    if all_p > 1:
        variance += float((p * (beaten - value) ** 2).sum() / (all_p - 1) / all_p)
    if all_n > 1:
        variance += float((n * (unbeaten - value) ** 2).sum() / (all_n - 1) / all_n)
    return Area(value, bound, math.sqrt(variance))
