"""What chance alone does to the figures of drift: tests of two samples, and what is seen without drift.

Sources: Pearson's two-sample chi-square test with rare bins put together (Cochran 1954); the
population stability index times mn/(m+n) is a chi-square with bins - 1 degrees of freedom in the
limit (Yurdakul 2018), and so are 8 times the squares of the Jensen-Shannon and Hellinger
distances; where bins are too thinly filled for a limit, rows are dealt to the two samples anew
(permutation of a histogram is a multivariate hypergeometric draw). All of it is deterministic
given the seed.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from monitoring.engine.checks.drift import indices
from monitoring.engine.comparing import Comparison, Histogram
from monitoring.engine.statistics import z_of

ENOUGH = 5
"""Rows that a bin must be expected to have in the smaller sample."""
FULL = 100
"""The same for the indices, whose logarithms are slower to reach their limit."""
DRAWS = 500
_CELLS = 2_000_000
SMOOTH = 10_000
"""From so many rows terms of Smirnov's sum need not all be added."""
SUMMED = 1_000_000
"""Up to so many rows SciPy adds them all."""
TAIL = 2.2
"""From this n x^2 on SciPy takes twice the one-sided chance."""
NOTHING = 370
"""From this n x^2 on the chance is 0 to SciPy: it is below 1e-300."""

Dealt = tuple[Any, Any]
"""Counts of both samples together, of shape (bins,), and of the current one, (draws, bins)."""

_INDICES: Mapping[str, Callable[[Any, Any], Any]] = {
    "psi": indices.stability_index,
    "psi_deciles": indices.stability_index,
    "jensen_shannon": indices.jensen_shannon,
    "hellinger": indices.hellinger,
}


@dataclass(frozen=True)
class Test:
    """A test of two samples. Figures that rest on the same test share its `key`."""

    key: str
    name: str
    p: float


def bins_test(bins: Histogram, key: str) -> Test | None:
    """Pearson's test that both samples come from one distribution over the bins.

    None if so few rows or so few different values cannot tell, which both samples' sum says.
    """
    table, together = _enough(bins)
    name = "two-sample chi-square" + (", rare bins together" if together else "")
    if table.shape[1] < 2:
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return Test(key, name, float(special.chdtrc(table.shape[1] - 1, statistic)))


def _enough(bins: Histogram) -> tuple[Any, bool]:
    """The bins with neighbours put together until each has enough rows; of categories the rarest.

    Bins are chosen by both samples' sum, which says nothing about their difference.
    """
    table = np.asarray([bins.reference, bins.current], float)
    table = table[:, table.sum(axis=0) > 0]
    if not bins.edges:
        table = table[:, np.argsort(-table.sum(axis=0), kind="stable")]
    if _dense(bins):
        return table, False
    sizes = table.sum(axis=1)
    expected = table.sum(axis=0) * sizes.min() / sizes.sum()
    starts, filled = [], math.inf
    for place, rows in enumerate(expected.tolist()):
        if filled >= ENOUGH:
            starts.append(place)
            filled = 0.0
        filled += rows
    if filled < ENOUGH and len(starts) > 1:
        starts.pop()
    return np.add.reduceat(table, starts, axis=1), True


def _dense(bins: Histogram) -> bool:
    """Cochran's rule: no expected count under 1, at most one in five under 5."""
    m, n = sum(bins.reference), sum(bins.current)
    pooled = np.asarray(bins.reference) + np.asarray(bins.current)
    expected = pooled[pooled > 0] * min(m, n) / (m + n)
    return bool(expected.min() >= 1 and np.mean(expected < ENOUGH) <= 0.2)


def deal(bins: Histogram, rng: np.random.Generator) -> Dealt | None:
    """Rows of both samples dealt anew, often; None where bins are full enough for a limit."""
    m, n = sum(bins.reference), sum(bins.current)
    pooled = np.asarray(bins.reference, np.int64) + np.asarray(bins.current, np.int64)
    pooled = pooled[pooled > 0]
    if len(pooled) < 2 or (pooled * (min(m, n) / (m + n))).min() >= FULL:
        return None
    draws = int(min(DRAWS, max(40, _CELLS // len(pooled))))
    # A draw at a time: together they would take their memory twice over.
    dealt = np.empty((draws, len(pooled)), np.int32 if n < 2**31 else np.int64)
    for place in range(draws):
        dealt[place] = rng.multivariate_hypergeometric(pooled, n, method="marginals")
    return pooled, dealt


def index_chance(metric: str, bins: Histogram, level: float, dealt: Dealt | None) -> float:
    """The figure that a share `level` of pairs of samples stays under if nothing has changed."""
    if dealt is None:
        used = sum(1 for pair in zip(bins.reference, bins.current, strict=True) if any(pair))
        if used < 2:
            return 0.0
        scale = 1 / sum(bins.reference) + 1 / sum(bins.current)
        limit = float(special.chdtri(used - 1, 1 - level)) * scale
        return limit if metric.startswith("psi") else math.sqrt(limit / 8)
    pooled, current = dealt
    some = max(1, _CELLS // len(pooled))
    found = np.concatenate(
        [
            _INDICES[metric](pooled - part, part)
            for part in np.split(current, range(some, len(current), some))
        ]
    )
    if len(found) < DRAWS:
        return float(found.mean() + special.ndtri(level) * found.std())
    return float(np.quantile(found, level))


def association_chance(bins: Histogram, level: float) -> float:
    """The same for Cramér's V."""
    pairs = zip(bins.reference, bins.current, strict=True)
    used = sum(1 for pair in pairs if any(pair))
    if used < 2:
        return 0.0
    rows = sum(bins.reference) + sum(bins.current)
    return math.sqrt(float(special.chdtri(used - 1, 1 - level)) / rows)


def kolmogorov(one: Comparison, level: float) -> tuple[Test, float]:
    """The Kolmogorov-Smirnov test, exact up to 10,000 rows a side, and what chance gives."""
    m, n = one.reference_n, one.current_n
    p = one.p_exact
    if p is None:
        gap = one.gap or (0, 1)
        # SciPy's asymptotic p for large samples.
        p = _kolmogorov_tail(gap[0] / gap[1], round(m * n / (m + n)))
    limit = min(1.0, float(special.kolmogi(1 - level)) * math.sqrt(1 / m + 1 / n))
    return Test("kolmogorov", "two-sample Kolmogorov-Smirnov", p), limit


def _kolmogorov_tail(x: float, n: int) -> float:
    """SciPy's `kstwo.sf(x, n)`: the chance that the distance of n rows from their law exceeds x.

    Where SciPy takes twice the one-sided chance, a sum of n(1 - x) terms (Smirnov 1944) that takes
    a second for a million rows, every h-th term is summed here: they are so smooth that the rule's
    error is below that of rounding. Binomial terms are by Stirling's series (Loader 2000).
    """
    if n >= SMOOTH and n * x * x >= NOTHING:
        return 0.0
    if not SMOOTH <= n <= SUMMED or n * x * x < TAIL:
        from scipy.stats import kstwo

        return float(np.clip(kstwo.sf(x, n), 0, 1))
    shift, step = n * x, max(1, int(n * (1 - x)) // 4096)
    j = np.arange(step, int(n * (1 - x)), step, dtype=float)
    rest = n - j

    def stirling(k: Any) -> Any:
        return 1 / (12 * k) - 1 / (360 * k**3) + 1 / (1260 * k**5)

    exponent = j * np.log1p(shift / j) + rest * np.log1p(-shift / rest)
    exponent += stirling(n) - stirling(j) - stirling(rest)
    terms = np.exp(exponent) * np.sqrt(n / (2 * math.pi * j * rest)) / (x + j / n)
    return min(1.0, 2 * x * step * float(terms.sum()))


def area(one: Comparison, level: float) -> tuple[Test | None, float]:
    """A test of the area between distribution functions: a gamma law of its moments by chance.

    None if there is one value alone, or they are too large to have moments.
    """
    mean, deviation = one.chance or (0.0, 0.0)
    name = "area of a Brownian bridge"
    if not mean > 0 or not deviation > 0 or not math.isfinite(mean + deviation):
        return None, 0.0
    shape, scale = (mean / deviation) ** 2, deviation**2 / mean
    p = float(special.gammaincc(shape, (one.distance or 0.0) / scale))
    return Test("area", name, p), float(special.gammainccinv(shape, 1 - level)) * scale


def shares_test(after: tuple[int, int], before: tuple[int, int], key: str) -> Test | None:
    """A test that two shares, each (rows, of rows), are one: chi-square, or Fisher's if rare.

    None if no row of either, or each, is counted: there is nothing to be told.
    """
    (a, n), (b, m) = after, before
    if a + b in (0, m + n):
        return None
    if min(a + b, m + n - a - b) * min(m, n) < ENOUGH * (m + n):
        from scipy.stats import fisher_exact

        exact = float(fisher_exact([[a, n - a], [b, m - b]]).pvalue)
        return Test(key, "Fisher's exact", min(1.0, exact))
    pooled = (a + b) / (m + n)
    z = (a / n - b / m) / math.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))
    return Test(key, "two-sample chi-square", float(special.chdtrc(1, z * z)))


def share_chance(after: tuple[int, int], before: tuple[int, int], level: float) -> float:
    (a, n), (b, m) = after, before
    pooled = (a + b) / (m + n)
    return z_of(level) * math.sqrt(pooled * (1 - pooled) * (1 / m + 1 / n))


def unseen(bins: Histogram, count: int, level: float) -> tuple[Test, float]:
    """A test of the rows in categories that the reference lacks, and the share chance gives.

    If rows are dealt at random, all of a category's c rows are in the current sample with about
    the chance (n/(m+n))^c, which makes unseen categories likely where most are rare.
    """
    m, n = sum(bins.reference), sum(bins.current)
    share = n / (m + n)
    pairs = zip(bins.reference, bins.current, strict=True)
    sizes = Counter(sum(pair) for pair in pairs if any(pair))
    mean = sum(k * c * share**c for c, k in sizes.items())
    square = sum(k * c * c * share**c * (1 - share**c) for c, k in sizes.items())
    length = int(max(count, mean + 12 * math.sqrt(square) + 30)) + 1
    if length > 20_000 or not mean:
        deviation = math.sqrt(square)
        p = float(special.ndtr((mean - count) / deviation)) if deviation else float(not count)
        return Test("unseen", "dealing at random", p), (mean + z_of(level) * deviation) / n
    law = _law(sizes, share, length)
    cumulative = np.cumsum(law)
    p = float(max(0.0, 1 - cumulative[count - 1])) if count else 1.0
    limit = int(np.searchsorted(cumulative, level))
    return Test("unseen", "dealing at random", p), min(limit, n) / n


def _law(sizes: Mapping[int, int], share: float, length: int) -> Any:
    """Chances of 0, 1, ... rows in categories of one sample alone, each category for itself."""
    spectrum = np.ones(length, complex)
    turns = np.exp(-2j * math.pi * np.arange(length) / length)
    for c, k in sizes.items():
        chance = share**c
        if k * chance > 1e-15:
            # The characteristic function of c times a binomial.
            spectrum *= (1 - chance + chance * turns**c) ** k
    return np.clip(np.real(np.fft.ifft(spectrum)), 0.0, None)
