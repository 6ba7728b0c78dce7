"""The comparison of columns too long to be sorted: counted into bins, in flat memory.

A column is read twice: for its ends and a part of it, then for the counts. Evidently's bins and the
deciles are counted exactly (the deciles' edges come from a part of the reference, every k-th row).
The two distances between distribution functions lie within the bounds that counts and sums of about
256 bins leave, which the comparison states. Evidently's Hellinger distance looks at bins of
different values, which nobody counts here: it is that of `bins`.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from monitoring.engine import column_profiles, profiles
from monitoring.engine.column_profiles import NumericProfile
from monitoring.engine.comparing import FEW, Comparison, Histogram, sturges_edges
from monitoring.engine.profiles import BATCH, CHUNK, LARGEST, Counts, Floats
from monitoring.engine.sources import ROW, Source

TOGETHER: Final = 2
"""Columns read at a time: what a file holds of each may be read ahead."""
SHORT: Final = 1_000_000
"""Values that are read at a time all the same, of more columns if these are short."""
PART: Final = 50_000
"""Rows of the reference that the edges of bins are taken from."""


@dataclass(frozen=True)
class Sketch:
    """Profiles of a column of both samples, and their comparison."""

    before: NumericProfile
    after: NumericProfile
    comparison: Comparison


def sketched(
    reference: Source, current: Source, names: Sequence[str]
) -> Iterator[tuple[str, Sketch]]:
    """Compare those numeric columns that can be counted into bins.

    Left out are columns of few different values, of very large ones, and of an empty sample: they
    are compared as always.
    """
    if any(ROW not in one.table.columns for one in (reference, current)):
        return
    size = max(TOGETHER, SHORT // max(1, reference.rows, current.rows))
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(names), size):
            yield from _sketch(pool, (reference, current), names[start : start + size])


def _sketch(
    pool: Executor, sources: tuple[Source, Source], names: Sequence[str]
) -> Iterator[tuple[str, Sketch]]:
    step = max(1, sources[0].rows // PART)
    ends = [{name: _Ends(step) for name in names}, {name: _Ends() for name in names}]
    _look(pool, sources, ends)
    cuts = {name: _cuts(sources, name, [side[name] for side in ends]) for name in names}
    known = {name: one for name, one in cuts.items() if one is not None}
    bins = [{name: _Bins(one.all, one.edges) for name, one in known.items()} for _ in sources]
    if known:
        _look(pool, sources, bins)
    for name, one in known.items():
        yield (
            name,
            _compared(name, one, [side[name] for side in ends], [side[name] for side in bins]),
        )


@dataclass(frozen=True)
class _Cuts:
    """Where the bins of a profile end, and Evidently's equal bins."""

    edges: Floats
    equal: Floats

    @property
    def inner(self) -> Floats:
        """[a, b) ends where (a, b] of the double before b does."""
        return np.nextafter(self.equal[1:-1], -np.inf)

    @property
    def all(self) -> Floats:
        return np.unique(np.append(self.edges, self.inner))


def _cuts(sources: Sequence[Source], name: str, ends: Sequence["_Ends"]) -> _Cuts | None:
    if not all(one.fits for one in ends):
        return None
    part = profiles.counted(np.concatenate(ends[0].part))
    edges = np.asarray(column_profiles.profile_edges(part), float)
    if len(edges) <= FEW:
        return None
    equal = sturges_edges(
        min(one.least for one in ends),
        max(one.most for one in ends),
        sum(one.n for one in ends),
        whole=all(source.table[name].type().is_integer() for source in sources)
        and not any(one.missing for one in ends),
    )
    return _Cuts(edges, equal)


def _compared(name: str, cuts: _Cuts, ends: Sequence["_Ends"], bins: Sequence["_Bins"]) -> Sketch:
    before, after = (one.profile(each) for one, each in zip(bins, ends, strict=True))
    found = column_profiles.compare(name, before, after)
    assert found is not None
    both = [tuple(one.grouped(cuts.inner).tolist()) for one in bins]
    histogram = Histogram(both[0], both[1], edges=tuple(map(float, cuts.equal.tolist())))
    return Sketch(before, after, replace(found, bins=histogram, binning="evidently's bins"))


def _look(
    pool: Executor, sources: Sequence[Source], looks: Sequence[Mapping[str, "_Ends | _Bins"]]
) -> None:
    """Show each sample's columns to its looks: both at once if they come from two places."""
    apart = sources[0].backend is not sources[1].backend
    reading = []
    for source, by_name in zip(sources, looks, strict=True):
        columns = {name: source.table[name].cast("float64") for name in by_name}
        numbered = any(look.numbered for look in by_name.values())
        if numbered:
            columns[ROW] = source.table[ROW]
        # The question is asked here: Ibis knows nothing of threads.
        batches = source.batches(source.table.select(**columns), BATCH)
        reading.append(pool.submit(_show, batches, list(by_name.values()), numbered=numbered))
        if not apart:
            wait(reading)
    for one in reading:
        one.result()


def _show(batches: Any, looks: Sequence["_Ends | _Bins"], *, numbered: bool) -> None:
    """Columns of doubles, not-a-number where one is missing, and after them the rows' numbers."""
    for batch in batches:
        for start in range(0, batch.num_rows, CHUNK):
            part = batch.slice(start, CHUNK)
            rows = part.column(len(looks)).to_numpy() if numbered else None
            for look, column in zip(looks, part.columns, strict=False):
                look(column.to_numpy(zero_copy_only=False), rows)


class _Ends:
    """What one look at a column says, and every k-th row of it if `step` is k."""

    def __init__(self, step: int = 0) -> None:
        self.step, self.numbered = step, step > 0
        self.n = self.missing = self.infinite = 0
        self.least, self.most = np.inf, -np.inf
        self.part: list[Floats] = []
        self.room = 2 * PART

    def __call__(self, values: Floats, rows: Counts | None) -> None:
        if rows is not None:
            self.part.append(values[rows % self.step == 0][: self.room])
            self.room -= len(self.part[-1])
        least, most = values.min(initial=np.inf), values.max(initial=-np.inf)
        if not np.isfinite(least) or not np.isfinite(most):
            missing, finite = int(np.isnan(values).sum()), values[np.isfinite(values)]
            self.missing += missing
            self.infinite += len(values) - missing - len(finite)
            values = finite
            least, most = values.min(initial=np.inf), values.max(initial=-np.inf)
        self.n += len(values)
        self.least, self.most = min(self.least, float(least)), max(self.most, float(most))

    @property
    def fits(self) -> bool:
        return self.n > 0 and max(abs(self.least), abs(self.most)) < LARGEST


class _Bins:
    """A column of one sample as it is counted. `cuts` rise; a value is at most its bin's cut.

    `edges`, those of the cuts that a profile is over, say what squares are taken around.
    """

    numbered = False

    def __init__(self, cuts: Floats, edges: Floats) -> None:
        self.cuts, self.edges = cuts, edges
        self.counts = np.zeros(len(cuts) + 1, np.int64)
        self.middle = profiles.center(edges.tolist())
        self.sums = profiles.Sums(CHUNK, len(cuts) + 1, self.middle)

    def __call__(self, values: Floats, rows: Counts | None) -> None:
        # Few sorted values are counted sooner than a place is found for each.
        values = np.sort(values)
        start = np.searchsorted(values, -np.inf, "right")
        values = values[start : np.searchsorted(values, np.inf, "left")]
        stops = np.append(np.searchsorted(values, self.cuts, "right"), len(values))
        self.counts += np.diff(stops, prepend=0)
        self.sums.add(values, None, stops)

    def grouped(self, edges: Floats) -> Counts:
        """Counts of the values at most each of some of the cuts, and above the last."""
        found: Counts = np.add.reduceat(self.counts, self._starts(edges))
        return found

    def _starts(self, edges: Floats) -> list[int]:
        return [0, *np.searchsorted(self.cuts, edges, "right").tolist()]

    def profile(self, ends: _Ends) -> NumericProfile:
        return NumericProfile(
            n=ends.n,
            missing=ends.missing,
            infinite=ends.infinite,
            extreme=0,
            least=ends.least,
            most=ends.most,
            edges=tuple(map(float, self.edges.tolist())),
            counts=tuple(self.grouped(self.edges).tolist()),
            sums=tuple(self.sums.totals(self._starts(self.edges))),
            squares=self.sums.of_squares(),
            center=self.middle,
        )
