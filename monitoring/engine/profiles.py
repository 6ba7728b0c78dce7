"""What a column looks like: profiles that add up.

A profile keeps counts and DECIMAL sums over fixed bins, never a single number of a person. Values
are named only for columns declared categorical and only where at least `FLOOR` rows share one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    whole = bool(table.value.type().is_integer())
    parts, missing = [np.empty(0)], 0
    for batch in source.batches(table.select(value=table.value.cast("float64")), 1 << 20):
        values = batch.column(0)
        missing += values.null_count
        parts.append(values.drop_null().to_numpy(zero_copy_only=False))
    return counted(np.concatenate(parts), missing, whole=whole)


def counted(values: Floats, missing: int = 0, *, whole: bool = False) -> Numbers:
    """The different values of a sample and how often each occurs, by one sort."""
    values = np.sort(values)
    start, end, known = np.searchsorted(values, [-np.inf, np.inf, np.nan], "left")
    start = int(np.searchsorted(values, -np.inf, "right"))
    finite = values[start:end]
    place = np.flatnonzero(np.append(len(finite) > 0, finite[1:] != finite[:-1])[: len(finite)])
    counts = np.diff(np.append(place, len(finite))).astype(np.int64)
    # Several spellings of one number (-0.0 and 0.0) are one value.
    kept = finite[place] + 0.0
    infinite = start + int(known - end)
    return Numbers(kept, counts, missing + len(values) - int(known), infinite, whole)


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

    Profiles over the same edges add up: see `column_profiles`.
    """
    stops = _stops(column, edges)
    near = np.abs(column.values) < LARGEST
    kept = np.where(near, column.values, 0.0)
    whole = np.trunc(kept)
    # The rest of a truncation is exact; a sum of integers does not depend on its order.
    parts = np.rint((kept - whole) * 10.0**SCALE).astype(np.int64)
    sums = [
        _scaled(*pair)
        for pair in zip(
            _sums(whole, column.counts, stops), _sums(parts, column.counts, stops), strict=True
        )
    ]
    return {
        "kind": "numeric",
        "n": column.n,
        "missing": column.missing,
        "infinite": column.infinite,
        "extreme": int(column.counts[~near].sum()),
        "distinct": len(column.values),
        "least": float(column.values[0]) if len(column.values) else None,
        "most": float(column.values[-1]) if len(column.values) else None,
        "scale": SCALE,
        "edges": [float(edge) for edge in edges],
        "counts": [int(count) for count in _counts(column, stops)],
        "sums": [str(total) for total in sums],
        "squares": str(_squares(kept, column.counts)),
    }


def _squares(values: Floats, counts: Counts) -> Decimal:
    """The sum of the squares, each rounded once to the scale, so that sums add up exactly."""
    squared = values * values
    whole = np.trunc(squared)
    parts = np.rint((squared - whole) * 10.0**SCALE).astype(np.int64)
    high = np.floor(whole / 2.0**60)
    whole -= high * 2.0**60
    middle = np.floor(whole / 2.0**30)
    low = whole - middle * 2.0**30
    # Powers of two are taken off without rounding; each limb's sum fits into 63 bits.
    total = 0
    for limb in (high, middle, low):
        total = (total << 30) + _total(limb, counts)
    return _scaled(total, _total(parts, counts))


def _total(amounts: NDArray[Any], counts: Counts) -> int:
    return _sums(amounts, counts, np.asarray([len(counts)], np.intp))[0]


def _stops(column: Numbers, edges: Sequence[float]) -> NDArray[np.intp]:
    """Where each bin ends among the rising values."""
    found = np.searchsorted(column.values, np.asarray(edges, float), side="right")
    return np.append(found, len(column.values))


def bin_counts(column: Numbers, edges: Sequence[float]) -> Counts:
    """Count the values at most each edge, and those above the last."""
    return _counts(column, _stops(column, edges))


def _counts(column: Numbers, stops: NDArray[np.intp]) -> Counts:
    ranks = np.concatenate(([0], np.cumsum(column.counts)))
    return np.diff(ranks[stops], prepend=0)


def _sums(amounts: NDArray[Any], counts: Counts, stops: NDArray[np.intp]) -> list[int]:
    """Sum whole amounts, each as often as it counts, bin by bin; exact however large."""
    most = float(np.abs(amounts).max(initial=0.0)) * float(counts.sum())
    if most < 2**62:
        running = np.cumsum(amounts.astype(np.int64) * counts)
    else:
        running = np.cumsum(np.array([int(one) for one in amounts.tolist()], object) * counts)
    at = np.concatenate(([0], running))[stops]
    return [int(one) for one in np.diff(at, prepend=0).tolist()]


def _scaled(whole: int, parts: int) -> Decimal:
    return _EXACT.quantize(_EXACT.add(Decimal(whole), Decimal(parts).scaleb(-SCALE)), _UNIT)
