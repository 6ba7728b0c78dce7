"""What all of the statistics share: intervals, streams of random numbers, quantiles."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

REPLICATES = 10_000


@dataclass(frozen=True)
class Interval:
    lower: float
    upper: float


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
