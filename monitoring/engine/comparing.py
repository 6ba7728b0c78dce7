"""The comparison of two samples of a column: everything that drift is computed from."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.engine.profiles import (
    FLOOR,
    Categories,
    Floats,
    Numbers,
    number_profile,
    quantile_edges,
)


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
    """Two samples of one column: everything that drift is computed from.

    `bins` are Evidently's: equal ones by Sturges' rule over both samples, or the values themselves
    if the reference has at most 20. `deciles` are those of the reference. `distance` is the area
    between the distribution functions, `gap` the largest distance between them as a fraction.
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
            "distance": self.distance,
            "deviation": self.deviation,
            # The fraction's parts may be larger than an integer of JSON.
            "gap": [str(part) for part in self.gap] if self.gap else None,
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
    distance, gap = _distances(reference, current)
    unseen = int(current.counts[~np.isin(current.values, reference.values)].sum())
    return Comparison(
        column,
        "numeric",
        *missing,
        _evidently_bins(reference, current),
        _decile_bins(reference, current),
        distance,
        _deviation(reference),
        gap,
        unseen,
        _exact_p(reference, current),
    )


def _evidently_bins(reference: Numbers, current: Numbers) -> Histogram:
    if len(reference.values) <= 20:
        values = np.union1d(reference.values, current.values)
        return Histogram(
            _at(reference, values), _at(current, values), names=tuple(map(repr, values.tolist()))
        )
    low = min(reference.values[0], current.values[0])
    high = max(reference.values[-1], current.values[-1])
    width = (high - low) / (math.log2(reference.n + current.n) + 1.0)
    if reference.whole and current.whole and not (reference.missing or current.missing):
        # numpy's rule: integers get bins at least 1 wide.
        width = max(width, 1.0)
    count = math.ceil((high - low) / width) if width else 1
    edges = np.linspace(low, high, count + 1)
    return Histogram(
        _histogram(reference, edges), _histogram(current, edges), tuple(map(float, edges))
    )


def _histogram(column: Numbers, edges: Floats) -> tuple[int, ...]:
    counts, _ = np.histogram(column.values, edges, weights=column.counts)
    return tuple(int(count) for count in counts)


def _at(column: Numbers, values: Floats) -> tuple[int, ...]:
    known = dict(zip(column.values.tolist(), column.counts.tolist(), strict=True))
    return tuple(int(known.get(value, 0)) for value in values.tolist())


def _decile_bins(reference: Numbers, current: Numbers) -> Histogram:
    edges = quantile_edges(reference, 10)
    return Histogram(
        tuple(number_profile(reference, edges)["counts"]),
        tuple(number_profile(current, edges)["counts"]),
        tuple(edges),
    )


def _distances(reference: Numbers, current: Numbers) -> tuple[float, tuple[int, int]]:
    """Area between the distribution functions, and the largest gap as an exact fraction."""
    values = np.union1d(reference.values, current.values)
    first = np.cumsum(_at(reference, values), dtype=np.int64)
    second = np.cumsum(_at(current, values), dtype=np.int64)
    m, n = reference.n, current.n
    wide = m * n >= 2**62
    a, b = (first.astype(object), second.astype(object)) if wide else (first, second)
    gaps = np.abs(a * n - b * m)
    area = math.fsum((gaps[:-1].astype(float) * np.diff(values)).tolist()) / (m * n)
    return area, (int(gaps.max()), m * n)


def _deviation(column: Numbers) -> float:
    """Standard deviation of the population of values."""
    weights = column.counts.astype(float)
    mean = math.fsum((column.values * weights).tolist()) / column.n
    squares = math.fsum((weights * (column.values - mean) ** 2).tolist())
    return math.sqrt(squares / column.n)


def _exact_p(reference: Numbers, current: Numbers) -> float | None:
    """P of the Kolmogorov-Smirnov test for up to 10,000 rows a side, else None (see `drift`)."""
    if max(reference.n, current.n) > 10_000:
        return None
    from scipy.stats import ks_2samp

    first = np.repeat(reference.values, reference.counts)
    second = np.repeat(current.values, current.counts)
    return float(ks_2samp(first, second).pvalue)
