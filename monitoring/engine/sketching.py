"""The comparison of columns too long to be sorted: counted into bins in one pass, in flat memory.

Evidently's bins and the deciles are counted exactly (the deciles' edges come from a part of the
reference, every k-th row). The two distances between distribution functions lie within the bounds
that counts and sums of about 256 bins leave, which the comparison states. Evidently's Hellinger
distance looks at bins of different values, which nobody counts here: it is that of `bins`.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.engine import column_profiles, profiles
from monitoring.engine.column_profiles import NumericProfile
from monitoring.engine.comparing import (
    FEW,
    Comparison,
    Histogram,
    sturges_edges,
)
from monitoring.engine.profiles import Floats
from monitoring.engine.sources import ROW, Source

PART: Final = 50_000
"""Rows of the reference that the edges of bins are taken from."""
CHUNK: Final = 1 << 17
LARGEST: Final = float(1 << 34)
"""Sums of whole numbers up to this size over a chunk are exact in a double."""
DIGITS: Final = 12


@dataclass(frozen=True)
class _Ends:
    """What one look at a column says."""

    n: int
    missing: int
    infinite: int
    least: float
    most: float


@dataclass
class _Bins:
    """A column of one sample as it is counted. `cuts` rise; a value is at most its bin's cut."""

    cuts: Floats
    counts: NDArray[np.int64] = field(init=False)
    whole: list[int] = field(init=False)
    parts: list[int] = field(init=False)
    total: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = len(self.cuts) + 1
        self.counts = np.zeros(size, np.int64)
        self.whole, self.parts = [0] * size, [0] * size

    def add(self, column: Any) -> None:
        """Count a chunk, an Arrow array of doubles."""
        values = column.drop_null().to_numpy(zero_copy_only=False)
        values = values[np.isfinite(values)]
        size = len(self.cuts) + 1
        place = np.searchsorted(self.cuts, values, "left")
        self.counts += np.bincount(place, minlength=size)
        whole = np.trunc(values)
        parts = np.rint((values - whole) * 10.0**profiles.SCALE)
        for sums, amounts in ((self.whole, whole), (self.parts, parts)):
            found = np.bincount(place, amounts, size).tolist()
            sums[:] = [known + int(one) for known, one in zip(sums, found, strict=True)]
        self.total.append(float(values.sum()))
        self.squares.append(float((values * values).sum()))

    def deviation(self) -> float:
        """Of the values as a population, to so many digits as no order of summing changes."""
        n = int(self.counts.sum())
        mean = math.fsum(self.total) / n
        variance = max(0.0, math.fsum(self.squares) / n - mean * mean)
        return float(f"{math.sqrt(variance):.{DIGITS}g}")

    def grouped(self, edges: Floats) -> tuple[list[int], list[Decimal]]:
        """Counts and sums of the values at most each of some of the cuts, and above the last."""
        starts = np.append(0, np.searchsorted(self.cuts, edges, "right"))
        counts = np.add.reduceat(np.append(self.counts, 0), starts).tolist()
        stops = [*starts[1:].tolist(), len(self.counts)]
        sums = [
            Decimal(sum(self.whole[a:b])) + Decimal(sum(self.parts[a:b])).scaleb(-profiles.SCALE)
            for a, b in zip(starts.tolist(), stops, strict=True)
        ]
        return counts, sums


def sketched(
    reference: Source, current: Source, names: Sequence[str]
) -> dict[str, tuple[NumericProfile, NumericProfile, Comparison]]:
    """Profiles and comparisons of those numeric columns that can be counted into bins.

    Left out are columns of few different values, of very large ones, and of an empty sample: they
    are compared as always.
    """
    if not names or any(ROW not in one.table.columns for one in (reference, current)):
        return {}
    ends = [_ends(one, names) for one in (reference, current)]
    edges = {
        name: found
        for name, found in _edges(reference, names).items()
        if len(found) > FEW and all(_fits(one[name]) for one in ends)
    }
    equal = {
        name: sturges_edges(
            min(one[name].least for one in ends),
            max(one[name].most for one in ends),
            sum(one[name].n for one in ends),
            whole=all(_whole(source, name) for source in (reference, current))
            and not any(one[name].missing for one in ends),
        )
        for name in edges
    }
    # [a, b) ends where (a, b] of the double before b does.
    cuts = {
        name: np.unique(np.append(edges[name], np.nextafter(equal[name][1:-1], -np.inf)))
        for name in edges
    }
    counted = [_count(one, cuts) for one in (reference, current)]
    return {
        name: _compared(name, edges[name], equal[name], ends, [one[name] for one in counted])
        for name in edges
    }


def _fits(one: _Ends) -> bool:
    return one.n > 0 and max(abs(one.least), abs(one.most)) < LARGEST


def _whole(source: Source, name: str) -> bool:
    return bool(source.table[name].type().is_integer())


def _ends(source: Source, names: Sequence[str]) -> dict[str, _Ends]:
    asked: dict[str, Any] = {}
    for index, name in enumerate(names):
        column = source.table[name].cast("float64")
        absent = (column.isnull() | column.isnan()).fill_null(True)
        endless = (~absent & column.isinf()).fill_null(False)
        finite = (~absent & ~endless).ifelse(column, None)
        asked[f"n{index}"] = finite.count()
        asked[f"missing{index}"] = absent.ifelse(1, 0).sum()
        asked[f"infinite{index}"] = endless.ifelse(1, 0).sum()
        asked[f"least{index}"], asked[f"most{index}"] = finite.min(), finite.max()
    row = source.table.aggregate(**asked).to_pyarrow().to_pylist()[0]
    return {
        name: _Ends(
            *(int(row[f"{part}{index}"] or 0) for part in ("n", "missing", "infinite")),
            *(float(row[f"{part}{index}"] or 0.0) for part in ("least", "most")),
        )
        for index, name in enumerate(names)
    }


def _edges(source: Source, names: Sequence[str]) -> dict[str, Floats]:
    """Edges of each column's bins, from every k-th row of the file."""
    step = max(1, source.rows // PART)
    table = source.table.filter(source.table[ROW] % step == 0).limit(2 * PART)
    drawn = table.select(**{name: table[name].cast("float64") for name in names}).to_pyarrow()
    found = {}
    for name in names:
        values = drawn[name].drop_null().to_numpy()
        column = profiles.counted(np.asarray(values, float))
        found[name] = np.asarray(column_profiles.profile_edges(column), float)
    return found


def _count(source: Source, cuts: Mapping[str, Floats]) -> dict[str, _Bins]:
    names = list(cuts)
    found = {name: _Bins(cuts[name]) for name in names}
    if not names:
        return found
    table = source.table
    stream = source.batches(
        table.select(**{name: table[name].cast("float64") for name in names}), CHUNK
    )
    with ThreadPoolExecutor(2) as pool:
        for batch in stream:
            for start in range(0, batch.num_rows, CHUNK):
                part = batch.slice(start, CHUNK)
                pairs = zip(names, part.columns, strict=True)
                list(pool.map(lambda pair: found[pair[0]].add(pair[1]), pairs))
    return found


def _compared(
    name: str,
    edges: Floats,
    equal: Floats,
    ends: Sequence[Mapping[str, _Ends]],
    counted: Sequence[_Bins],
) -> tuple[NumericProfile, NumericProfile, Comparison]:
    before, after = (
        _profile(one[name], edges, bins) for one, bins in zip(ends, counted, strict=True)
    )
    found = column_profiles.compare(name, before, after)
    assert found is not None
    inner = np.nextafter(equal[1:-1], -np.inf)
    both = [tuple(one.grouped(inner)[0]) for one in counted]
    bins = Histogram(both[0], both[1], edges=tuple(map(float, equal.tolist())))
    found = replace(found, bins=bins, deviation=counted[0].deviation(), binning="evidently's bins")
    return before, after, found


def _profile(ends: _Ends, edges: Floats, bins: _Bins) -> NumericProfile:
    counts, sums = bins.grouped(edges)
    return NumericProfile(
        n=ends.n,
        missing=ends.missing,
        infinite=ends.infinite,
        extreme=0,
        least=ends.least,
        most=ends.most,
        edges=tuple(map(float, edges.tolist())),
        counts=tuple(counts),
        sums=tuple(sums),
    )
