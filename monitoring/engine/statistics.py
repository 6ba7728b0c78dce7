"""Intervals and tests over counts. Everything here is deterministic given its seed.

Sources: Wilson (1927) and Newcombe (1998, method 10) for proportions and their difference; Katz
(1978) for a ratio; DeLong (1988) for the area under a curve; Holm (1979); Benjamini and Hochberg
(1995). A bootstrap of rows, for a function of counts, is a multinomial draw of the counts.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


def wilson(successes: int, n: int, level: float) -> Interval:
    """Wilson's score interval of a proportion. `n` is at least 1."""
    z = z_of(level)
    p = successes / n
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    centre = p + z * z / (2 * n)
    scale = 1 + z * z / n
    lower = 0.0 if successes == 0 else (centre - spread) / scale
    upper = 1.0 if successes == n else (centre + spread) / scale
    return Interval(max(0.0, lower), min(1.0, upper))


def newcombe(first: tuple[int, int], second: tuple[int, int], level: float) -> Interval:
    """Interval of p1 - p2 for two independent proportions, each (successes, n)."""
    one, two = wilson(*first, level), wilson(*second, level)
    p, q = first[0] / first[1], second[0] / second[1]
    down = math.hypot(p - one.lower, two.upper - q)
    up = math.hypot(one.upper - p, q - two.lower)
    return Interval(p - q - down, p - q + up)


def spread_interval(
    successes: Sequence[int], sizes: Sequence[int], level: float, rng: np.random.Generator
) -> tuple[Interval, str]:
    """Interval of max(p) - min(p) over groups, and the name of its method.

    A percentile interval of a bootstrapped maximum minus minimum never contains 0, whatever the
    truth. For two groups this is Newcombe's interval of the signed difference, taken from the
    higher to the lower group, so that it contains 0 if they may be alike. For more, all pairwise
    differences are covered at once (bootstrap of the largest studentised deviation), and the
    spread lies between the largest lower and the largest upper end.
    """
    if len(successes) == 2:
        pairs = sorted(zip(successes, sizes, strict=True), key=lambda pair: pair[0] / pair[1])
        interval = newcombe(pairs[1], pairs[0], level)
        return Interval(interval.lower, max(interval.upper, -interval.lower)), "newcombe"
    lower, upper = _simultaneous(
        np.asarray(successes, float), np.asarray(sizes, float), level, rng, logarithm=False
    )
    return Interval(
        max(0.0, float(lower.max())), float(upper.max())
    ), "bootstrap within groups, max-t"


def ratio_interval(
    successes: Sequence[int], sizes: Sequence[int], level: float, rng: np.random.Generator
) -> tuple[Interval, str]:
    """Interval of min(p) / max(p) over groups; the same construction on logarithms.

    Half a success and one trial are added for the interval alone, so that 0 has one (Katz with
    the correction of Walter).
    """
    k, n = np.asarray(successes, float), np.asarray(sizes, float)
    if len(successes) == 2:
        p, q = (k + 0.5) / (n + 0.5)
        spread = z_of(level) * math.sqrt(float(np.sum(1 / (k + 0.5) - 1 / (n + 0.5))))
        centre = -abs(math.log(p / q))
        low, high = centre - spread, centre + spread
        return Interval(math.exp(low), min(1.0, math.exp(high))), "katz log"
    lower, upper = _simultaneous(k, n, level, rng, logarithm=True)
    # exp(-spread): the widest pairwise log ratio decides, in either direction.
    low, high = math.exp(-float(upper.max())), math.exp(-max(0.0, float(lower.max())))
    return Interval(low, min(1.0, high)), "bootstrap within groups, max-t on logarithms"


def _simultaneous(
    k: Floats, n: Floats, level: float, rng: np.random.Generator, *, logarithm: bool
) -> tuple[Floats, Floats]:
    """Ends of the intervals of all ordered pairwise differences, covered together."""
    centre, error = _rates(k, n, logarithm)
    true = (k + 1) / (n + 2)
    draws = rng.binomial(n.astype(np.int64), true, size=(REPLICATES, len(k))).astype(float)
    drawn, drawn_error = _rates(draws, n, logarithm)
    expected, _ = _rates(true * n, n, logarithm)
    first, second = np.triu_indices(len(k), 1)
    deviation = (drawn - expected)[:, first] - (drawn - expected)[:, second]
    scale = np.hypot(drawn_error[:, first], drawn_error[:, second])
    critical = float(np.quantile(np.abs(deviation / scale).max(axis=1), level))
    difference = np.subtract.outer(centre, centre)
    width = critical * np.hypot.outer(error, error)
    off = ~np.eye(len(k), dtype=bool)
    return (difference - width)[off], (difference + width)[off]


def _rates(k: Floats, n: Floats, logarithm: bool) -> tuple[Floats, Floats]:
    """Rates, or their logarithms, with standard errors that are never 0."""
    if logarithm:
        return np.log((k + 0.5) / (n + 0.5)), np.sqrt(1 / (k + 0.5) - 1 / (n + 1.0))
    smoothed = (k + 1) / (n + 2)
    return k / n, np.sqrt(smoothed * (1 - smoothed) / (n + 2))


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


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values: reject those at or under the level, family-wise error held."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values under which the false discovery rate is held."""
    count = len(p_values)
    order = sorted(range(count), key=lambda index: p_values[index], reverse=True)
    adjusted = [1.0] * count
    lowest = 1.0
    for place, index in enumerate(order):
        lowest = min(lowest, p_values[index] * count / (count - place))
        adjusted[index] = lowest
    return adjusted


@dataclass(frozen=True)
class Area:
    """The area under a ROC curve from binned scores; the true one is within `bound` of it."""

    value: float
    bound: float
    error: float


def area_under_curve(positives: Sequence[int], negatives: Sequence[int]) -> Area | None:
    """AUC with ties inside a bin counted as half, its certified bound and DeLong's error.

    `positives` and `negatives` are the counts of each bin, from the lowest score up. None if
    either is absent. Two rows of one bin may be ordered either way, so the exact area differs by
    at most half of the pairs that share a bin.
    """
    p, n = np.asarray(positives, float), np.asarray(negatives, float)
    all_p, all_n = p.sum(), n.sum()
    if all_p == 0 or all_n == 0:
        return None
    beaten = (np.cumsum(n) - n / 2) / all_n
    unbeaten = (all_p - np.cumsum(p) + p / 2) / all_p
    value = float((p * beaten).sum() / all_p)
    bound = float((p * n).sum() / (2 * all_p * all_n))
    variance = 0.0
    if all_p > 1:
        variance += float((p * (beaten - value) ** 2).sum() / (all_p - 1) / all_p)
    if all_n > 1:
        variance += float((n * (unbeaten - value) ** 2).sum() / (all_n - 1) / all_n)
    return Area(value, bound, math.sqrt(variance))


def mean_interval(total: float, squares: float, n: int, level: float) -> Interval | None:
    """Normal interval of a mean from the sums of values and of their squares."""
    if n < 2:
        return None
    mean = total / n
    variance = max(0.0, (squares - n * mean * mean) / (n - 1))
    width = z_of(level) * math.sqrt(variance / n)
    return Interval(mean - width, mean + width)


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
