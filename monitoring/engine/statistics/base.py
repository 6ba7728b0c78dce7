"""What all of the statistics share: intervals, streams of random numbers, quantiles."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

REPLICATES = 10_000
LEAST_REPLICATES = 2_000
_PAIRED = 50_000_000
"""Differences of pairs of groups that are drawn at most, as long as there are replicates enough."""


@dataclass(frozen=True)
class Interval:
    lower: float
    upper: float


def replicates(groups: int) -> int:
    """How many are drawn of so many groups, whose pairs are compared: of 100 and fewer all."""
    pairs = max(1, groups * (groups - 1) // 2)
    return min(REPLICATES, max(LEAST_REPLICATES, _PAIRED // pairs))


def generator(seed: int, *names: object) -> np.random.Generator:
    """A stream of random numbers of its own for each named purpose under one seed."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return np.random.Generator(
        np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))
    )


def z_of(level: float) -> float:
    """The two-sided standard normal quantile of a confidence level."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))
