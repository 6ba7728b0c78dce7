"""The comparison of two samples of a column: everything that drift is computed from.

All of it follows from the different values of both samples and their counts (`profiles.Numbers`,
`profiles.Categories`), so a column is read and sorted once. `sketching` makes the same comparison
from bins alone, for columns too long to be sorted.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.engine.profiles import FLOOR, Categories, Counts, Floats, Numbers, quantile_edges

FEW = 20
"""A reference with at most this many different numbers is compared value by value, as by Evidently."""
EXACT_P = 10_000
"""Up to so many rows a side the Kolmogorov-Smirnov test is exact, as SciPy chooses."""


@dataclass(frozen=True)
class Histogram:
    """Counts of two samples over the same bins or categories, and what the bins are."""

    reference: tuple[int, ...]
    current: tuple[int, ...]
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": list(self.reference),
            "current": list(self.current),
            "edges": list(self.edges),
            "names": list(self.names),
        }


@dataclass(frozen=True)
class Comparison:
    """Two samples of one column.

    `bins` are Evidently's: equal ones by Sturges' rule over both samples, or the values themselves
    if the reference has at most 20. `deciles` are those of the reference. `spread` are equal bins
    by Sturges' rule over the different values, which Evidently's Hellinger distance looks at.
    `distance` is the area between the distribution functions, `gap` the largest distance between
    them as a fraction; of a sketch, the true ones are at most `distance_bound` and `gap_bound`
    larger. `binning` says what `bins` are. `chance` is the mean and the standard deviation that `distance` has if both samples
    are drawn from one distribution.
    """

    column: str
    kind: str
    reference_missing: int
    current_missing: int
    bins: Histogram
    deciles: Histogram | None = None
    distance: float | None = None
    deviation: float | None = None
    gap: tuple[int, int] | None = None
    unseen: int = 0
    p_exact: float | None = None
    spread: Histogram | None = None
    chance: tuple[float, float] | None = None
    distance_bound: float = 0.0
    gap_bound: float = 0.0
    binning: str = "evidently's bins"

    @property
    def reference_n(self) -> int:
        return sum(self.bins.reference)

    @property
    def current_n(self) -> int:
        return sum(self.bins.current)

    def to_json(self) -> dict[str, Any]:
        """The comparison, with values that fewer than `FLOOR` rows share left unnamed."""
        bins = self.bins.to_json()
        if self.bins.names:
            counts = zip(self.bins.reference, self.bins.current, strict=True)
            bins["names"] = [
                name if max(pair) >= FLOOR else None
                for name, pair in zip(self.bins.names, counts, strict=True)
            ]
        return {
            "column": self.column,
            "kind": self.kind,
            "missing": [self.reference_missing, self.current_missing],
            "bins": bins,
            "deciles": self.deciles.to_json() if self.deciles else None,
            "spread": self.spread.to_json() if self.spread else None,
            "distance": self.distance,
            "deviation": self.deviation,
            # The fraction's parts may be larger than an integer of JSON.
            "gap": [str(part) for part in self.gap] if self.gap else None,
            "bounds": [self.distance_bound, self.gap_bound],
            "unseen": self.unseen,
            "p_exact": self.p_exact,
        }


def compare_categories(column: str, reference: Categories, current: Categories) -> Comparison:
    names = tuple(sorted(set(reference.counts) | set(current.counts)))
    bins = Histogram(
        tuple(reference.counts.get(name, 0) for name in names),
        tuple(current.counts.get(name, 0) for name in names),
        names=names,
    )
    unseen = sum(n for name, n in current.counts.items() if name not in reference.counts)
    return Comparison(
        column, "categorical", reference.missing, current.missing, bins, unseen=unseen
    )


def compare_numbers(column: str, reference: Numbers, current: Numbers) -> Comparison:
    """Compare two samples of numbers.

    Infinite values count as missing, as in Evidently.
    """
    missing = (reference.missing + reference.infinite, current.missing + current.infinite)
    if not reference.n or not current.n:
        empty = Histogram((reference.n,), (current.n,))
        return Comparison(column, "numeric", *missing, empty)
    first, second = _Ranked(reference), _Ranked(current)
    pooled = _pool(first, second)
    return Comparison(
        column,
        "numeric",
        *missing,
        _evidently_bins(first, second),
        _decile_bins(first, second),
        pooled.distance,
        _deviation(reference),
        pooled.gap,
        p_exact=_exact_p(reference, current),
        spread=_spread_bins(first, second, len(pooled.values)),
        chance=pooled.chance(),
    )


class _Ranked:
    """A sample's different values with the number of rows before each, for counts of any bins."""

    def __init__(self, column: Numbers) -> None:
        self.column, self.values = column, column.values
        self.before = np.concatenate(([0], np.cumsum(column.counts)))

    @property
    def n(self) -> int:
        return int(self.before[-1])

    def between(self, edges: Floats) -> tuple[int, ...]:
        """Counts of [a, b) for each bin, of [a, b] for the last: numpy's histogram."""
        place = np.searchsorted(self.values, edges, "left")
        place[-1] = np.searchsorted(self.values, edges[-1], "right")
        return _whole(np.diff(self.before[place]))

    def up_to(self, edges: Floats) -> tuple[int, ...]:
        """Counts of the values at most each edge, and of those above the last."""
        place = np.searchsorted(self.values, edges, "right")
        return _whole(np.diff(self.before[np.concatenate(([0], place, [len(self.values)]))]))

    def at(self, values: Floats) -> tuple[int, ...]:
        """How often each of `values` occurs."""
        low = np.searchsorted(self.values, values, "left")
        high = np.searchsorted(self.values, values, "right")
        return _whole(self.before[high] - self.before[low])


def _whole(counts: Counts) -> tuple[int, ...]:
    found: list[int] = counts.tolist()
    return tuple(found)


def _evidently_bins(reference: _Ranked, current: _Ranked) -> Histogram:
    if len(reference.values) <= FEW:
        values = np.union1d(reference.values, current.values)
        return Histogram(
            reference.at(values), current.at(values), names=tuple(map(repr, values.tolist()))
        )
    edges = sturges_edges(
        min(reference.values[0], current.values[0]),
        max(reference.values[-1], current.values[-1]),
        reference.n + current.n,
        whole=_integers(reference, current),
    )
    return _binned(reference, current, edges)


def _spread_bins(reference: _Ranked, current: _Ranked, different: int) -> Histogram:
    low = min(reference.values[0], current.values[0])
    high = max(reference.values[-1], current.values[-1])
    edges = sturges_edges(low, high, different, whole=_integers(reference, current))
    return _binned(reference, current, edges)


def _binned(reference: _Ranked, current: _Ranked, edges: Floats) -> Histogram:
    return Histogram(
        reference.between(edges), current.between(edges), tuple(map(float, edges.tolist()))
    )


def _integers(reference: _Ranked, current: _Ranked) -> bool:
    """Are both columns of integers to a library that has no missing integer?"""
    columns = reference.column, current.column
    return all(one.whole and not one.missing for one in columns)


def sturges_edges(low: float, high: float, n: int, *, whole: bool) -> Floats:
    """numpy's equal bins from `low` to `high` for `n` values by Sturges' rule (1926)."""
    low, high = float(low), float(high)
    width = (high - low) / (math.log2(n) + 1.0)
    if whole:
        # numpy's rule: integers get bins at least 1 wide.
        width = max(width, 1.0)
    if not math.isfinite(width):
        return np.array([low, high])
    count = math.ceil((high - low) / width) if width else 1
    return np.linspace(low, high, max(count, 1) + 1)


def _decile_bins(reference: _Ranked, current: _Ranked) -> Histogram:
    edges = np.asarray(quantile_edges(reference.column, 10), float)
    return Histogram(reference.up_to(edges), current.up_to(edges), tuple(edges.tolist()))


@dataclass(frozen=True)
class _Pool:
    """Both samples' different values, rising, with both distribution functions at each."""

    values: Floats
    first: Counts
    second: Counts

    @property
    def distance(self) -> float:
        gaps = np.abs(self._signed()[:-1]).astype(float)
        sizes = int(self.first[-1]) * int(self.second[-1])
        with np.errstate(over="ignore"):
            return float(np.sum(gaps * np.diff(self.values))) / sizes

    @property
    def gap(self) -> tuple[int, int]:
        sizes = int(self.first[-1]) * int(self.second[-1])
        return int(np.abs(self._signed()).max()), sizes

    def _signed(self) -> NDArray[Any]:
        m, n = int(self.first[-1]), int(self.second[-1])
        if m * n >= 2**62:
            wide: NDArray[Any] = self.first.astype(object) * n - self.second.astype(object) * m
            return wide
        return self.first * n - self.second * m

    def chance(self) -> tuple[float, float]:
        """Mean and deviation of `distance` under one distribution, the pooled one.

        The scaled difference of two distribution functions is then a Brownian bridge B(F(x)); the
        moments of the integral of its absolute value are those of correlated normals, summed over
        a grid of quantiles that grows denser towards both ends.
        """
        together = self.first + self.second
        total = int(together[-1])
        fine = 2.0 ** -np.arange(6, math.ceil(math.log2(total)) + 2)
        levels = np.unique(np.concatenate((np.linspace(0, 1, 65), fine, 1 - fine)))
        place = np.searchsorted(together, levels * total, "left").clip(0, len(together) - 1)
        place = np.unique(np.append(place, [0, len(together) - 1]))
        if len(place) < 2:
            return 0.0, 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            widths = np.diff(self.values[place])
            # Between two places the distribution function rises from the first to before the last.
            height = (together[place[:-1]] + together[place[1:] - 1]) / (2 * total)
            return bridge_moments(height, widths, int(self.first[-1]), int(self.second[-1]))


def bridge_moments(height: Floats, widths: Floats, m: int, n: int) -> tuple[float, float]:
    """Mean and deviation of the area between two samples' distribution functions by chance.

    `height` is the common distribution function over each stretch of `widths`.
    """
    height = np.clip(height, 0.5 / (m + n), 1 - 0.5 / (m + n))
    scale = math.sqrt(1 / m + 1 / n)
    sigma = np.sqrt(height * (1 - height)) * widths
    odds = np.sqrt(height / (1 - height))
    rho = np.clip(np.minimum.outer(odds, odds) / np.maximum.outer(odds, odds), 0, 1)
    product = (2 / math.pi) * (np.sqrt(1 - rho**2) + rho * np.arcsin(rho))
    mean = scale * math.sqrt(2 / math.pi) * float(sigma.sum())
    square = scale**2 * float(sigma @ product @ sigma)
    return mean, math.sqrt(max(0.0, square - mean * mean))


def _pool(first: _Ranked, second: _Ranked) -> _Pool:
    values = np.concatenate((first.values, second.values))
    # A stable sort merges two runs that are each sorted.
    order = np.argsort(values, kind="stable")
    values = values[order]
    last = np.append(values[1:] != values[:-1], True)
    none = np.zeros(len(second.values), np.int64), np.zeros(len(first.values), np.int64)
    before = np.concatenate((first.column.counts, none[0]))[order].cumsum()
    after = np.concatenate((none[1], second.column.counts))[order].cumsum()
    return _Pool(values[last], before[last], after[last])


def _deviation(column: Numbers) -> float:
    """Standard deviation of the population of values."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.sum(column.values * column.counts)) / column.n
        squares = float(np.sum(column.counts * (column.values - mean) ** 2))
    return math.sqrt(squares / column.n)


def _exact_p(reference: Numbers, current: Numbers) -> float | None:
    """P of the Kolmogorov-Smirnov test for up to 10,000 rows a side, else None (see `drift`)."""
    if max(reference.n, current.n) > EXACT_P:
        return None
    from scipy.stats import ks_2samp

    first = np.repeat(reference.values, reference.counts)
    second = np.repeat(current.values, current.counts)
    return float(ks_2samp(first, second).pvalue)
