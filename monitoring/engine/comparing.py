"""The comparison of two samples of a column: everything that drift is computed from.

All of it follows from the different values of both samples and their counts (`profiles.Numbers`,
`profiles.Categories`), so a column is read and sorted once. `sketching` makes the same comparison
from bins alone, for columns too long to be sorted.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.engine.profiles import (
    CHUNK,
    FLOOR,
    Categories,
    Counts,
    Floats,
    Numbers,
    quantile_edges,
)

FEW = 20
"""A reference with at most this many different numbers is compared value by value, as by Evidently."""
ANSWERS = ("score", "prediction", "label")
"""What a model says, and the outcome: columns of theirs are named so, and a feature may be too."""
KEPT = 1_000
"""Categories of a column that a cube holds each by itself. Figures count all of them."""
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
    larger. `binning` says what `bins` are. An `answer` is of the
    model, or the outcome, and no feature. `imprecise` ones are of integers that a float does not hold:
    nothing but their missing values is told. `chance` is the mean and the standard deviation that `distance` has if both samples
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
    answer: bool = False
    imprecise: bool = False

    @property
    def reference_n(self) -> int:
        return sum(self.bins.reference)

    @property
    def current_n(self) -> int:
        return sum(self.bins.current)

    @property
    def pooled(self) -> int:
        """Categories that a cube holds as one, after the most frequent ones."""
        return max(0, len(self.bins.names) - KEPT)

    def to_json(self) -> dict[str, Any]:
        """The comparison, with values that fewer than `FLOOR` rows share left unnamed.

        Of more than `KEPT` categories the most frequent in both samples together are kept, of
        equally frequent ones the first by name; the last bin is all others, `pooled` of them.
        """
        bins = _most_frequent(self.bins).to_json()
        if self.bins.names:
            counts = zip(bins["reference"], bins["current"], strict=True)
            bins["names"] = [
                name if name is not None and max(pair) >= FLOOR else None
                for name, pair in zip_longest(bins["names"], counts)
            ]
        if self.pooled:
            bins["pooled"] = self.pooled
        feature = {"feature": True} if self.column in ANSWERS and not self.answer else {}
        return {
            "column": self.column,
            **feature,
            "kind": self.kind,
            "missing": [self.reference_missing, self.current_missing],
            "bins": bins,
            "deciles": self.deciles.to_json() if self.deciles else None,
            "spread": self.spread.to_json() if self.spread else None,
            "distance": _finite(self.distance),
            "deviation": _finite(self.deviation),
            # The fraction's parts may be larger than an integer of JSON.
            "gap": [str(part) for part in self.gap] if self.gap else None,
            "bounds": [self.distance_bound, self.gap_bound],
            "unseen": self.unseen,
            "p_exact": self.p_exact,
            **({"imprecise": True} if self.imprecise else {}),
        }


def _most_frequent(bins: Histogram) -> Histogram:
    """The bins as a cube holds them: one more than names if some are pooled."""
    if len(bins.names) <= KEPT:
        return bins
    table = np.asarray([bins.reference, bins.current], np.int64)
    # Names rise: a stable sort leaves equally frequent ones in their order.
    kept = np.sort(np.argsort(-table.sum(axis=0), kind="stable")[:KEPT])
    rest = table.sum(axis=1) - table[:, kept].sum(axis=1)
    before, after = np.column_stack((table[:, kept], rest)).tolist()
    return Histogram(tuple(before), tuple(after), names=tuple(bins.names[one] for one in kept))


def _finite(figure: float | None) -> float | None:
    return figure if figure is not None and math.isfinite(figure) else None


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
    pooled = _pool(reference, current)
    return Comparison(
        column,
        "numeric",
        *missing,
        _evidently_bins(reference, current),
        _decile_bins(reference, current),
        pooled.distance,
        _deviation(reference),
        pooled.gap,
        p_exact=_exact_p(reference, current),
        spread=_spread_bins(reference, current, pooled.different),
        chance=pooled.chance,
    )


def _between(column: Numbers, edges: Floats) -> tuple[int, ...]:
    """Counts of [a, b) for each bin, of [a, b] for the last: numpy's histogram."""
    place = np.searchsorted(column.values, edges, "left")
    place[-1] = np.searchsorted(column.values, edges[-1], "right")
    return _whole(np.diff(column.ranks(place)))


def _up_to(column: Numbers, edges: Floats) -> tuple[int, ...]:
    """Counts of the values at most each edge, and of those above the last."""
    place = np.searchsorted(column.values, edges, "right")
    return _whole(np.diff(column.ranks(np.concatenate(([0], place, [len(column.values)])))))


def _at(column: Numbers, values: Floats) -> tuple[int, ...]:
    """How often each of `values` occurs."""
    low = np.searchsorted(column.values, values, "left")
    high = np.searchsorted(column.values, values, "right")
    return _whole(column.ranks(high) - column.ranks(low))


def _whole(counts: Counts) -> tuple[int, ...]:
    found: list[int] = counts.tolist()
    return tuple(found)


def _evidently_bins(reference: Numbers, current: Numbers) -> Histogram:
    if len(reference.values) <= FEW:
        values = np.union1d(reference.values, current.values)
        return Histogram(
            _at(reference, values), _at(current, values), names=tuple(map(repr, values.tolist()))
        )
    edges = sturges_edges(
        min(reference.values[0], current.values[0]),
        max(reference.values[-1], current.values[-1]),
        reference.n + current.n,
        whole=_integers(reference, current),
    )
    return _binned(reference, current, edges)


def _spread_bins(reference: Numbers, current: Numbers, different: int) -> Histogram:
    low = min(reference.values[0], current.values[0])
    high = max(reference.values[-1], current.values[-1])
    edges = sturges_edges(low, high, different, whole=_integers(reference, current))
    return _binned(reference, current, edges)


def _binned(reference: Numbers, current: Numbers, edges: Floats) -> Histogram:
    return Histogram(
        _between(reference, edges), _between(current, edges), tuple(map(float, edges.tolist()))
    )


def _integers(reference: Numbers, current: Numbers) -> bool:
    """Are both columns of integers to a library that has no missing integer?"""
    return all(one.whole and not one.missing for one in (reference, current))


def sturges_edges(low: float, high: float, n: int, *, whole: bool) -> Floats:
    """numpy's equal bins from `low` to `high` for `n` values by Sturges' rule (1926)."""
    low, high = float(low), float(high)
    if math.isinf(high - low):
        # A range that has no double: half of it, twice.
        return 2.0 * sturges_edges(low / 2, high / 2, n, whole=whole)
    width = (high - low) / (math.log2(n) + 1.0)
    if whole:
        # numpy's rule: integers get bins at least 1 wide.
        width = max(width, 1.0)
    count = math.ceil((high - low) / width) if width else 1
    return np.linspace(low, high, max(count, 1) + 1)


def _decile_bins(reference: Numbers, current: Numbers) -> Histogram:
    edges = np.asarray(quantile_edges(reference, 10), float)
    return Histogram(_up_to(reference, edges), _up_to(current, edges), tuple(edges.tolist()))


@dataclass(frozen=True)
class _Pool:
    """What both samples together say: how many `different` values there are, and see `Comparison`."""

    different: int
    distance: float
    gap: tuple[int, int]
    chance: tuple[float, float]


def _pool(first: Numbers, second: Numbers) -> _Pool:
    """Walk through both samples' values, rising, with both distribution functions at each."""
    m, n = first.n, second.n
    areas = np.empty(len(first.values) + len(second.values))
    grid = _Grid(m, n)
    different, gap = 0, 0
    a = b = 0
    left, height = np.empty(0), np.empty(0)
    for values, before, after in _merged(first, second):
        before, after = before + a, after + b
        a, b = int(before[-1]), int(after[-1])
        signed = _apart(before, n, after, m)
        gap = max(gap, int(signed.max()))
        # The last value of the part before reaches to the first of this one.
        ends = np.concatenate((left, values))
        heights = np.concatenate((height, signed.astype(float)))
        with np.errstate(over="ignore"):
            areas[different - len(left) : different + len(values) - 1] = heights[:-1] * np.diff(
                ends
            )
        different += len(values)
        left, height = ends[-1:], heights[-1:]
        grid.look(values, before + after)
    with np.errstate(over="ignore"):
        distance = float(np.sum(areas[: different - 1])) / (m * n)
    return _Pool(different, distance, (gap, m * n), grid.chance())


def _merged(first: Numbers, second: Numbers) -> Iterator[tuple[Floats, Counts, Counts]]:
    """Both samples' different values, rising, in parts: with the rows of each up to there."""
    stop, end = 0, 0
    while stop < len(first.values) or end < len(second.values):
        start, begin = stop, end
        stop = min(start + CHUNK, len(first.values))
        end = len(second.values)
        if stop < len(first.values):
            end = int(np.searchsorted(second.values, first.values[stop - 1], "right"))
        values = np.concatenate((first.values[start:stop], second.values[begin:end]))
        # A stable sort merges two runs that are each sorted.
        order = np.argsort(values, kind="stable")
        values, ours = values[order], order < stop - start
        if first.alone and second.alone:
            before: Counts = np.cumsum(ours)
            after = np.arange(1, len(ours) + 1) - before
        else:
            rows = np.concatenate((first.counts[start:stop], second.counts[begin:end]))[order]
            before = np.cumsum(np.where(ours, rows, 0))
            after = np.cumsum(rows) - before
        last = np.append(values[1:] != values[:-1], True)
        if last.all():
            yield values, before, after
        else:
            yield values[last], before[last], after[last]


def _apart(before: NDArray[Any], n: int, after: NDArray[Any], m: int) -> NDArray[Any]:
    """How far two distribution functions are apart, in units of 1/(m n)."""
    if m * n >= 2**62:
        before, after = before.astype(object), after.astype(object)
    apart: NDArray[Any] = np.abs(before * n - after * m)
    return apart


class _Grid:
    """Quantiles of both samples together, denser towards both ends, found part by part."""

    def __init__(self, m: int, n: int) -> None:
        self.m, self.n = m, n
        fine = 2.0 ** -np.arange(6, math.ceil(math.log2(m + n)) + 2)
        levels = np.unique(np.concatenate((np.linspace(0, 1, 65), fine, 1 - fine)))
        self.wanted = levels * (m + n)
        self.found: list[tuple[Floats, Counts, Counts]] = []
        self.done = 0

    def look(self, values: Floats, together: Counts) -> None:
        """Take the quantiles that lie in a part; `together` counts the rows up to each value."""
        stop = int(np.searchsorted(self.wanted, together[-1], "right"))
        place = np.searchsorted(together, self.wanted[:stop], "left")
        place = np.unique(place)
        below = np.append(self.done, together)[place]
        self.found.append((values[place], together[place], below))
        self.wanted, self.done = self.wanted[stop:], int(together[-1])

    def chance(self) -> tuple[float, float]:
        """Mean and deviation of the distance under one distribution, the pooled one.

        The scaled difference of two distribution functions is then a Brownian bridge B(F(x)); the
        moments of the integral of its absolute value are those of correlated normals, summed over
        this grid.
        """
        values, upto, below = (np.concatenate(parts) for parts in zip(*self.found, strict=True))
        if len(values) < 2:
            return 0.0, 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            widths = np.diff(values)
            # Between two places the distribution function rises from the first to before the last.
            height = (upto[:-1] + below[1:]) / (2 * (self.m + self.n))
            return bridge_moments(height, widths, self.m, self.n)


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


def _deviation(column: Numbers) -> float:
    """Standard deviation of the population of values; infinite if their squares have no double."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = column.values if column.alone else column.values * column.counts
        squares = column.values - float(np.sum(total)) / column.n
        squares *= squares
        if not column.alone:
            squares *= column.counts
        return math.sqrt(float(np.sum(squares)) / column.n)


def _exact_p(reference: Numbers, current: Numbers) -> float | None:
    """P of the Kolmogorov-Smirnov test for up to 10,000 rows a side, else None (see `drift`)."""
    if max(reference.n, current.n) > EXACT_P:
        return None
    from scipy.stats import ks_2samp

    first = np.repeat(reference.values, reference.counts)
    second = np.repeat(current.values, current.counts)
    return float(ks_2samp(first, second).pvalue)
