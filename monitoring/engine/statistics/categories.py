"""Tests of categories."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def chi_square_two_sample(first: Sequence[int], second: Sequence[int]) -> float | None:
    """P of Pearson's test that two samples of categories come from one distribution.

    The library's one-sample form takes the reference for the exact truth and alarms far too
    often. None if fewer than two categories occur or one sample is empty.
    """
    from scipy.stats import chi2_contingency

    table: Any = np.asarray([first, second], float)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        return None
    return float(chi2_contingency(table, correction=False).pvalue)
