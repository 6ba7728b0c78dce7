"""What a column looks like: profiles that add up, and the comparison of two samples of a column.

A profile keeps counts and DECIMAL sums over fixed bins, never a single number of a person. Values
are named only for columns declared categorical and only where at least `FLOOR` rows share one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernel.errors import Invalid
from monitoring.engine.sources import Source

FLOOR = 11
BINS = 256
SCALE = 9
LARGEST = 1e18
"""Numbers of this size and more count as extreme: a DECIMAL sum has no room for them."""

_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_UNIT = Decimal(1).scaleb(-SCALE)

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Numbers:
    """A numeric column as its different values, rising, and how often each occurs."""

    values: Floats
    counts: Counts
    missing: int
    infinite: int
    whole: bool

    @property
    def n(self) -> int:
        return int(self.counts.sum())


@dataclass(frozen=True)
class Categories:
    """A categorical column as the count of each value."""

    counts: Mapping[str, int]
    missing: int

    @property
    def n(self) -> int:
        return sum(self.counts.values())


def numbers(source: Source, column: str) -> Numbers:
    """Count the values of a numeric column. Not-a-number counts as missing."""
    table = source.table.select(value=source.table[column])
    dtype = table.value.type()
    whole = bool(dtype.is_integer())
    counted = table.group_by("value").agg(n=table.count()).to_pyarrow()
    values = np.asarray(counted["value"].cast("float64").to_numpy(), np.float64)
    counts = np.asarray(counted["n"].to_numpy(), np.int64)
    absent, endless = np.isnan(values), np.isinf(values)
    finite = ~(absent | endless)
    # Several spellings of one number (-0.0 and 0.0) are one value.
    kept, place = np.unique(values[finite] + 0.0, return_inverse=True)
    totals = np.zeros(len(kept), np.int64)
    np.add.at(totals, place, counts[finite])
    return Numbers(kept, totals, int(counts[absent].sum()), int(counts[endless].sum()), whole)


def categories(source: Source, column: str) -> Categories:
    """Count the values of any column as texts."""
    table = source.table.select(value=source.table[column].cast("string"))
    counted = table.group_by("value").agg(n=table.count()).to_pyarrow().to_pylist()
    counts = {row["value"]: int(row["n"]) for row in counted if row["value"] is not None}
    missing = sum(int(row["n"]) for row in counted if row["value"] is None)
    return Categories(dict(sorted(counts.items())), missing)


def quantile_edges(column: Numbers, bins: int = BINS) -> list[float]:
    """Rising edges that cut the sample into about equal parts; the ends are open in use.

    Fewer come back for a column with few different values.
    """
    if not column.n:
        return []
    rank = np.cumsum(column.counts)
    wanted = np.arange(1, bins) * column.n / bins
    chosen = column.values[np.searchsorted(rank, wanted, side="left")]
    return sorted({float(value) for value in chosen})


def number_profile(column: Numbers, edges: Sequence[float]) -> dict[str, Any]:
    """Counts and sums of the values at most each edge, and of those above the last.

    Profiles over the same edges add up with `merge_profiles`.
    """
    size = len(edges) + 1
    place = np.searchsorted(np.asarray(edges, float), column.values, side="left")
    counts = np.zeros(size, np.int64)
    sums = [Decimal(0)] * size
    extreme = 0
    for value, n, where in zip(
        column.values.tolist(), column.counts.tolist(), place.tolist(), strict=True
    ):
        counts[where] += n
        if abs(value) >= LARGEST:
            extreme += n
            continue
        exact = _EXACT.quantize(Decimal(value), _UNIT)
        sums[where] = _EXACT.add(sums[where], _EXACT.multiply(exact, Decimal(n)))
    return {
        "kind": "numeric",
        "n": column.n,
        "missing": column.missing,
        "infinite": column.infinite,
        "extreme": extreme,
        "distinct": len(column.values),
        "least": float(column.values[0]) if len(column.values) else None,
        "most": float(column.values[-1]) if len(column.values) else None,
        "scale": SCALE,
        "edges": [float(edge) for edge in edges],
        "counts": [int(count) for count in counts],
        "sums": [str(_EXACT.quantize(total, _UNIT)) for total in sums],
    }


def category_profile(column: Categories, floor: int = FLOOR) -> dict[str, Any]:
    """Counts of the values that at least `floor` rows share; the rest is `other`."""
    named = {value: n for value, n in column.counts.items() if n >= floor}
    return {
        "kind": "categorical",
        "n": column.n,
        "missing": column.missing,
        "distinct": len(column.counts),
        "floor": floor,
        "values": named,
        "other": column.n - sum(named.values()),
    }


def merge_profiles(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Add two numeric profiles over the same edges; `distinct` of a sum is not known."""
    if first["kind"] != "numeric" or second["kind"] != "numeric":
        raise Invalid("only numeric profiles add up without their rows", field="kind")
    if first["edges"] != second["edges"] or first["scale"] != second["scale"]:
        raise Invalid("profiles over different edges do not add up", field="edges")
    ends = [one[end] for end in ("least", "most") for one in (first, second)]
    low = [end for end in ends[:2] if end is not None]
    high = [end for end in ends[2:] if end is not None]
    added = {name: first[name] + second[name] for name in ("n", "missing", "infinite", "extreme")}
    return {
        **first,
        **added,
        "distinct": None,
        "least": min(low, default=None),
        "most": max(high, default=None),
        "counts": [a + b for a, b in zip(first["counts"], second["counts"], strict=True)],
        "sums": [
            str(_EXACT.add(Decimal(a), Decimal(b)))
            for a, b in zip(first["sums"], second["sums"], strict=True)
        ],
    }


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
