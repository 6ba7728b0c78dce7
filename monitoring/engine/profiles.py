"""What a column looks like: profiles that add up.

A profile keeps counts and DECIMAL sums over fixed bins, never a single number of a person. Values
are named only for columns declared categorical and only where at least `FLOOR` rows share one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernel.errors import TooLarge
from monitoring.engine.sources import Source, category_of

FLOOR = 11
BINS = 256
SCALE = 9
SQUARES = 18
"""Digits after the point of sums of squares, which are of small differences."""
LARGEST = 1e18
"""Numbers of this size and more count as extreme: a DECIMAL sum has no room for them."""

CHUNK = 1 << 15
"""Values worked on at a time: what is made of them on the way stays in a core's cache."""
BATCH = 1 << 17
"""Rows of one batch that a column is read by."""

MOST_SORTED = 40_000_000
"""Rows of a sample up to which a column is sorted in memory: a small file can hold any number."""
MOST_DIFFERENT = 1_000_000
"""Different numbers up to which a column of more rows is counted value by value."""

_EXACT = Context(prec=80, rounding=ROUND_HALF_EVEN)

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

    @cached_property
    def alone(self) -> bool:
        """Does each value occur once?"""
        return int(self.counts.max(initial=1)) == 1

    @cached_property
    def n(self) -> int:
        return len(self.values) if self.alone else int(self.counts.sum())

    @cached_property
    def _before(self) -> Counts:
        return np.concatenate(([0], np.cumsum(self.counts)))

    def ranks(self, places: NDArray[np.intp]) -> Counts:
        """How many rows are of the first so many different values."""
        return places.astype(np.int64) if self.alone else self._before[places]

    def places(self, ranks: Floats) -> NDArray[np.intp]:
        """The first value by which so many rows (more than 0) are reached."""
        if self.alone:
            return np.ceil(ranks).astype(np.intp) - 1
        return np.searchsorted(self._before[1:], ranks, side="left")


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
    return numbers_of(source, [column])[0]


def numbers_of(source: Source, columns: Sequence[str]) -> list[Numbers]:
    """Count the values of several numeric columns in one pass: each takes 8 bytes a row.

    Of more than `MOST_SORTED` rows they are counted where the data are, one by one.

    Raises:
        TooLarge: then a column has more than `MOST_DIFFERENT` different values.
    """
    table = source.table
    if source.rows > MOST_SORTED:
        return [_counted_there(source, name) for name in columns]
    gathered = [_Gathered(source.rows) for _ in columns]
    floats = {name: table[name].cast("float64") for name in columns}
    for batch in source.batches(table.select(**floats), BATCH):
        for one, part in zip(gathered, batch.columns, strict=True):
            one.add(part)
    return [
        one.counted(whole=bool(table[name].type().is_integer()))
        for name, one in zip(columns, gathered, strict=True)
    ]


def _counted_there(source: Source, name: str) -> Numbers:
    column = source.table[name]
    kept = column.cast("float64")
    table = source.table.select(value=kept)
    if int(table.value.approx_nunique().to_pyarrow().as_py()) <= MOST_DIFFERENT:
        counted = table.group_by("value").agg(n=table.count()).limit(2 * MOST_DIFFERENT)
        found = counted.to_pyarrow()
        known = found.drop_null()
        values = known["value"].to_numpy()
        counts = known["n"].to_numpy().astype(np.int64)
        missing = source.rows - int(counts.sum())
        numbered = np.isnan(values)
        missing += int(counts[numbered].sum())
        infinite = int(counts[np.isinf(values)].sum())
        finite = np.isfinite(values)
        values, place = np.unique(values[finite] + 0.0, return_inverse=True)
        summed = np.zeros(len(values), np.int64)
        np.add.at(summed, place, counts[finite])
        return Numbers(values, summed, missing, infinite, bool(column.type().is_integer()))
    raise TooLarge(
        f"column {name!r} has {source.rows} rows and more than {MOST_DIFFERENT} different numbers; "
        f"of more than {MOST_SORTED} rows no such column is sorted (see docs/drift.md): filter the "
        "rows, or leave the column out",
        field="dataset",
    )


class _Gathered:
    """The values of a column as they come, batch by batch."""

    def __init__(self, rows: int) -> None:
        self.values = np.empty(rows)
        self.n = self.missing = 0

    def add(self, column: Any) -> None:
        self.missing += column.null_count
        known = column.drop_null() if column.null_count else column
        end = self.n + len(known)
        if end > len(self.values):
            # A table of a database may have grown since its rows were counted.
            self.values = np.append(self.values[: self.n], np.empty(end))
        self.values[self.n : end] = known.to_numpy(zero_copy_only=False)
        self.n = end

    def counted(self, *, whole: bool) -> Numbers:
        values = self.values[: self.n]
        values.sort()
        return _of_sorted(values, self.missing, whole=whole)


def counted(values: Floats, missing: int = 0, *, whole: bool = False) -> Numbers:
    """The different values of a sample and how often each occurs, by one sort."""
    return _of_sorted(np.sort(values), missing, whole=whole)


def _of_sorted(values: Floats, missing: int, *, whole: bool) -> Numbers:
    """`counted` of values that rise, which it may change."""
    start = int(np.searchsorted(values, -np.inf, "right"))
    end, known = map(int, np.searchsorted(values, [np.inf, np.nan], "left"))
    finite = values[start:end]
    missing, infinite = missing + len(values) - known, start + known - end
    new = finite[1:] != finite[:-1]
    # Several spellings of one number (-0.0 and 0.0) are one value.
    if new.all():
        finite += 0.0
        return Numbers(finite, np.broadcast_to(np.int64(1), len(finite)), missing, infinite, whole)
    place = np.flatnonzero(np.append(True, new))
    counts = np.diff(place, append=len(finite)).astype(np.int64, copy=False)
    return Numbers(finite[place] + 0.0, counts, missing, infinite, whole)


def categories(source: Source, column: str) -> Categories:
    """Count the values of any column as texts."""
    table = source.table.select(value=category_of(source.backend, source.table[column]))
    found = table.group_by("value").agg(n=table.count()).to_pyarrow()
    pairs = zip(found["value"].to_pylist(), found["n"].to_pylist(), strict=True)
    counts = {value: int(n) for value, n in pairs}
    missing = counts.pop(None, 0)
    return Categories(dict(sorted(counts.items())), missing)


def quantile_edges(column: Numbers, bins: int = BINS) -> list[float]:
    """Rising edges that cut the sample into about equal parts; the ends are open in use.

    Fewer come back for a column with few different values.
    """
    if not column.n:
        return []
    wanted = np.arange(1, bins) * column.n / bins
    chosen = column.values[column.places(wanted)]
    return sorted({float(value) for value in chosen})


def number_profile(column: Numbers, edges: Sequence[float]) -> dict[str, Any]:
    """Counts and sums of the values at most each edge, and of those above the last.

    Profiles over the same edges add up: see `column_profiles`.
    """
    stops = _stops(column, edges)
    sums = Sums(column.n, len(stops), middle := center(edges))
    for start in range(0, len(column.values), CHUNK):
        values = column.values[start : start + CHUNK]
        counts = None if column.alone else column.counts[start : start + CHUNK]
        sums.add(values, counts, np.clip(stops - start, 0, len(values)))
    return {
        "kind": "numeric",
        "n": column.n,
        "missing": column.missing,
        "infinite": column.infinite,
        "extreme": sums.extreme,
        "distinct": len(column.values),
        "least": float(column.values[0]) if len(column.values) else None,
        "most": float(column.values[-1]) if len(column.values) else None,
        "scale": SCALE,
        "edges": [float(edge) for edge in edges],
        "counts": [int(count) for count in _counts(column, stops)],
        "sums": [str(total) for total in sums.totals()],
        "squares": str(sums.of_squares()),
        "center": middle,
    }


def center(edges: Sequence[float]) -> float:
    """What squares are taken around: the middle edge, so that they are of the values' own spread.

    Around 0 the squares of large numbers that lie close together would tell nothing of it.
    """
    return float(edges[len(edges) // 2]) if len(edges) else 0.0


def _stops(column: Numbers, edges: Sequence[float]) -> NDArray[np.intp]:
    """Where each bin ends among the rising values."""
    found = np.searchsorted(column.values, np.asarray(edges, float), side="right")
    return np.append(found, len(column.values))


def _counts(column: Numbers, stops: NDArray[np.intp]) -> Counts:
    return np.diff(column.ranks(stops), prepend=0)


class Sums:
    """The sums of a column's values bin by bin, that of all squares around `middle`, and how many
    are extreme.

    A value, and its square, are a whole number and a rest in units of the scale, each rounded once:
    sums of integers do not depend on their order, so sums add up exactly.
    """

    def __init__(self, n: int, bins: int, middle: float) -> None:
        """Of at most `n` values at a time."""
        self.extreme, self._middle = 0, middle
        self._whole, self._parts = _Tally(n, bins), _Tally(n, bins)
        self._squares, self._rests = _Tally(n, 1), _Tally(n, 1)

    def add(self, values: Floats, counts: Counts | None, stops: NDArray[np.intp]) -> None:
        """Add rising values, each as often as it counts; those of a bin end where `stops` says."""
        near = np.abs(values) < LARGEST
        apart = values - self._middle
        if not near.all():
            self.extreme += int((~near).sum() if counts is None else counts[~near].sum())
            values, apart = np.where(near, values, 0.0), np.where(near, apart, 0.0)
        for amounts, whole, rest, ends, scale in (
            (values, self._whole, self._parts, stops, SCALE),
            (apart * apart, self._squares, self._rests, stops[-1:], SQUARES),
        ):
            kept = np.trunc(amounts)
            whole.add(kept, counts, ends)
            # The rest of a truncation is exact.
            rest.add(np.rint((amounts - kept) * 10.0**scale), counts, ends)

    def totals(self, starts: Sequence[int] | None = None) -> list[Decimal]:
        """The sum of each bin, or of the bins from each of `starts` to the next."""
        whole, parts = self._whole.sums, self._parts.sums
        starts = range(len(whole)) if starts is None else starts
        ends = [*starts[1:], len(whole)]
        return [
            _scaled(sum(whole[start:end]), sum(parts[start:end]), SCALE)
            for start, end in zip(starts, ends, strict=True)
        ]

    def of_squares(self) -> Decimal:
        return _scaled(self._squares.sums[0], self._rests.sums[0], SQUARES)


class _Tally:
    """Sums of whole amounts bin by bin, chunk by chunk; exact however large (n below 2**32)."""

    def __init__(self, n: int, bins: int) -> None:
        self.most, self.sums = 2.0**62 / max(n, 1), [0] * bins

    def add(
        self, amounts: Floats, counts: Counts | None, stops: NDArray[np.intp], shift: int = 0
    ) -> None:
        """Add amounts, each as often as it counts, times 2**`shift`; a bin ends where `stops` says."""
        if float(np.abs(amounts).max(initial=0.0)) >= self.most:
            # A power of two is taken off without rounding.
            high = np.trunc(amounts / 2.0**30)
            self.add(high, counts, stops, shift + 30)
            amounts = amounts - high * 2.0**30
        integers = amounts.astype(np.int64)
        running = np.concatenate(
            ([0], np.cumsum(integers if counts is None else integers * counts))
        )
        for place, amount in enumerate(np.diff(running[stops], prepend=0).tolist()):
            self.sums[place] += amount << shift


def _scaled(whole: int, parts: int, scale: int) -> Decimal:
    unit = Decimal(1).scaleb(-scale)
    return _EXACT.quantize(_EXACT.add(Decimal(whole), Decimal(parts).scaleb(-scale)), unit)
