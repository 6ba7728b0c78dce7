"""Profiles of columns that add up, and the comparison of two of them without any rows.

A profile of a numeric column holds, for each bin of fixed edges, how many values lie in it and
their exact sum; of a categorical column, the count of each value. Profiles over the same edges add
up, day by day, to what one count over all days gives. The profile of a reference stands in for its
rows: population stability by deciles and the distances over stored bins follow from counts alone,
and the two distances between distribution functions lie between bounds that the sums make narrow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from kernel.errors import Invalid
from monitoring.engine import profiles
from monitoring.engine.comparing import (
    Comparison,
    Histogram,
    bridge_moments,
    compare_categories,
)
from monitoring.engine.profiles import Categories, Numbers, quantile_edges

FEW = 20
"""A column of at most so many different numbers has a bin for each."""
PARTS = 16
"""Bins of the indices over a profile: a divisor of `profiles.BINS`, so that their edges are stored."""
CATEGORIES = 10_000
"""A column of more different values than these is not named value by value: it identifies rows."""
ROUNDING = 1e-9
"""How far the sums of a profile can be from those of the values themselves, a row."""
PRECISION = 1e-13
"""How far a distance can be from itself written down as a float, as a part of the values' range."""


@dataclass(frozen=True)
class NumericProfile:
    """`counts` and `sums` of the values at most each of `edges`, and of those above the last.

    `squares` is the sum of the squared differences from `center`, None in documents of before.
    `extreme` values are counted and are in no sum.
    """

    n: int
    missing: int
    infinite: int
    extreme: int
    least: float | None
    most: float | None
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    sums: tuple[Decimal, ...]
    squares: Decimal | None = None
    center: float = 0.0

    @property
    def absent(self) -> int:
        """Missing and infinite values: what drift counts as missing."""
        return self.missing + self.infinite

    def alone(self, place: int) -> bool:
        """Are all values of a bin equal to its edge?"""
        if place == len(self.edges):
            return not self.counts[place]
        edge = _exact(self.edges[place])
        return self.sums[place] == edge * self.counts[place]

    def deviation(self) -> float | None:
        """Standard deviation of the values as a population."""
        if not self.n or self.squares is None or self.extreme:
            return None
        with localcontext(prec=80):
            mean = sum(self.sums, Decimal(0)) / self.n - Decimal(self.center)
            variance = self.squares / self.n - mean * mean
            return float(max(variance, Decimal(0)).sqrt())

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "numeric",
            "n": self.n,
            "missing": self.missing,
            "infinite": self.infinite,
            "extreme": self.extreme,
            "least": self.least,
            "most": self.most,
            "scale": profiles.SCALE,
            "edges": list(self.edges),
            "counts": list(self.counts),
            "sums": [str(one) for one in self.sums],
            "squares": None if self.squares is None else str(self.squares),
            "center": self.center,
        }


@dataclass(frozen=True)
class CategoryProfile:
    """How often each value occurs; `values` is None if there are more than `CATEGORIES`."""

    n: int
    missing: int
    values: Mapping[str, int] | None

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "categorical",
            "n": self.n,
            "missing": self.missing,
            "values": None if self.values is None else dict(sorted(self.values.items())),
        }


ColumnProfile = NumericProfile | CategoryProfile


def profile_edges(column: Numbers) -> list[float]:
    """Edges for the profile of a reference: its values if they are few, else 256 parts and deciles."""
    if len(column.values) <= FEW:
        return [float(value) for value in column.values]
    return sorted({*quantile_edges(column), *quantile_edges(column, 10)})


def of_numbers(column: Numbers, edges: Sequence[float]) -> NumericProfile:
    found = read(profiles.number_profile(column, edges), "profile")
    assert isinstance(found, NumericProfile)
    return found


def of_categories(column: Categories) -> CategoryProfile:
    named = dict(column.counts) if len(column.counts) <= CATEGORIES else None
    return CategoryProfile(column.n, column.missing, named)


def read(value: Mapping[str, Any], path: str) -> ColumnProfile:
    """Read a profile as a cube holds it.

    Raises:
        Invalid: naming the part that is missing or malformed.
    """
    try:
        if value["kind"] == "categorical":
            named = value["values"]
            counts = None if named is None else {str(k): int(n) for k, n in named.items()}
            if counts is not None and sum(counts.values()) != value["n"]:
                raise Invalid("the counts of its values do not add up", field=f"{path}.values")
            return CategoryProfile(int(value["n"]), int(value["missing"]), counts)
        found = NumericProfile(
            n=int(value["n"]),
            missing=int(value["missing"]),
            infinite=int(value["infinite"]),
            extreme=int(value["extreme"]),
            least=_float(value["least"]),
            most=_float(value["most"]),
            edges=tuple(float(edge) for edge in value["edges"]),
            counts=tuple(int(count) for count in value["counts"]),
            sums=tuple(Decimal(one) for one in value["sums"]),
            squares=None if value.get("squares") is None else Decimal(value["squares"]),
            center=float(value.get("center") or 0.0),
        )
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise Invalid(f"not a profile of a column ({type(error).__name__})", field=path) from error
    sizes = {len(found.counts), len(found.sums), len(found.edges) + 1}
    if len(sizes) != 1 or sum(found.counts) != found.n:
        raise Invalid("its bins do not add up", field=f"{path}.counts")
    return found


def _float(value: Any) -> float | None:
    """A large float is written as an integer."""
    return None if value is None else float(value)


def merge(first: ColumnProfile, second: ColumnProfile) -> ColumnProfile:
    """Add two profiles of a column: exact, in any order.

    Raises:
        Invalid: they are of different kinds, or over different edges.
    """
    if isinstance(first, CategoryProfile) and isinstance(second, CategoryProfile):
        return _merged_categories(first, second)
    if not (isinstance(first, NumericProfile) and isinstance(second, NumericProfile)):
        raise Invalid("profiles of numbers and of categories do not add up", field="kind")
    if first.edges != second.edges:
        raise Invalid("profiles over different edges do not add up", field="edges")
    low = [one.least for one in (first, second) if one.least is not None]
    high = [one.most for one in (first, second) if one.most is not None]
    with localcontext(prec=80):
        squares = (
            None
            if first.squares is None or second.squares is None or first.center != second.center
            else first.squares + second.squares
        )
        sums = tuple(a + b for a, b in zip(first.sums, second.sums, strict=True))
    return NumericProfile(
        n=first.n + second.n,
        missing=first.missing + second.missing,
        infinite=first.infinite + second.infinite,
        extreme=first.extreme + second.extreme,
        least=min(low, default=None),
        most=max(high, default=None),
        edges=first.edges,
        counts=tuple(a + b for a, b in zip(first.counts, second.counts, strict=True)),
        sums=sums,
        squares=squares,
        center=first.center,
    )


def _merged_categories(first: CategoryProfile, second: CategoryProfile) -> CategoryProfile:
    values: dict[str, int] | None = None
    if first.values is not None and second.values is not None:
        values = dict(first.values)
        for name, n in second.values.items():
            values[name] = values.get(name, 0) + n
        if len(values) > CATEGORIES:
            values = None
    return CategoryProfile(first.n + second.n, first.missing + second.missing, values)


def compare(column: str, reference: ColumnProfile, current: ColumnProfile) -> Comparison | None:
    """Compare two profiles of a column; None if neither of them names its values.

    The true distance between the distribution functions is at most `distance_bound` larger than
    `distance`, the true largest gap at most `gap_bound` larger than `gap`.

    Raises:
        Invalid: they are of different kinds, or over different edges.
    """
    if isinstance(reference, CategoryProfile) and isinstance(current, CategoryProfile):
        if reference.values is None or current.values is None:
            return None
        return compare_categories(
            column,
            Categories(dict(reference.values), reference.missing),
            Categories(dict(current.values), current.missing),
        )
    if not (isinstance(reference, NumericProfile) and isinstance(current, NumericProfile)):
        raise Invalid("the column was of another kind in the reference", field=column)
    if reference.edges != current.edges:
        raise Invalid("profiles over different edges are not compared", field=column)
    missing = reference.absent, current.absent
    if not reference.n or not current.n:
        empty = Histogram((reference.n,), (current.n,))
        return Comparison(column, "numeric", *missing, empty)
    bins = _bins(reference, current)
    distance, distance_bound = _distance(reference, current)
    gap, gap_bound = _gap(reference, current)
    return Comparison(
        column,
        "numeric",
        *missing,
        bins=bins,
        deciles=_parts(reference, current, 10),
        distance=distance,
        deviation=reference.deviation(),
        gap=gap,
        chance=_chance(reference, current),
        distance_bound=distance_bound,
        gap_bound=gap_bound,
        binning="evidently's bins" if bins.names else f"{PARTS} parts of the stored bins",
    )


def _chance(before: NumericProfile, after: NumericProfile) -> tuple[float, float] | None:
    """What the distance is by chance (see `Comparison.chance`), from the pooled counts and sums.

    A bin from l to r of c values with the sum S holds r c - S of the area under the counting
    function, whatever lies within, so the function's mean over the bin is known.
    """
    if before.extreme or after.extreme:
        return None
    pooled = np.add(before.counts, after.counts)
    low = min(one.least for one in (before, after) if one.least is not None)
    high = max(one.most for one in (before, after) if one.most is not None)
    ends = np.array([low, *before.edges, high])
    widths = np.maximum(np.diff(ends), 0.0)
    kept = widths > 0
    under = np.cumsum(pooled)[kept] - pooled[kept]
    # In decimals: of large numbers that lie close together a float's difference says nothing.
    areas = np.array(
        [
            sum(_under(one, place, right) * one.n for one in (before, after))
            for place, right in enumerate(ends[1:].tolist())
        ]
    )
    height = under + areas[kept] / widths[kept]
    return bridge_moments(height / int(pooled.sum()), widths[kept], before.n, after.n)


def _bins(reference: NumericProfile, current: NumericProfile) -> Histogram:
    """The values themselves if few and the same in both, as Evidently takes them; else 16 parts."""
    places = range(len(reference.counts))
    if len(reference.edges) <= FEW and all(
        one.alone(place) for one in (reference, current) for place in places
    ):
        names = tuple(repr(edge) for edge in reference.edges)
        return Histogram(reference.counts[:-1], current.counts[:-1], names=names)
    parts = _parts(reference, current, PARTS)
    ends = [one for one in (reference.least, current.least) if one is not None]
    tops = [one for one in (reference.most, current.most) if one is not None]
    # The outer bins are open; drawn, they end where the values do.
    first = min(*ends, *parts.edges) if parts.edges else min(ends)
    last = max(*tops, *parts.edges) if parts.edges else max(tops)
    return Histogram(parts.reference, parts.current, edges=(first, *parts.edges, last))


def _parts(reference: NumericProfile, current: NumericProfile, parts: int) -> Histogram:
    """Counts between those stored edges that cut the reference into about equal parts."""
    ranks = np.cumsum(reference.counts)[:-1]
    wanted = np.arange(1, parts) * reference.n / parts
    places = sorted({int(one) for one in np.searchsorted(ranks, wanted, side="left")})
    places = [place for place in places if place < len(reference.edges)]
    ends = [*places, len(reference.counts) - 1]

    def totals(counts: Sequence[int]) -> tuple[int, ...]:
        running = np.cumsum(counts)[ends].tolist()
        before = [0, *running[:-1]]
        return tuple(int(b - a) for a, b in zip(before, running, strict=True))

    edges = tuple(reference.edges[place] for place in places)
    return Histogram(totals(reference.counts), totals(current.counts), edges=edges)


def _distance(reference: NumericProfile, current: NumericProfile) -> tuple[float | None, float]:
    """A lower bound of the area between the distribution functions, and how far the upper one is.

    Over a bin from l to r that holds c of n values with sum S, the area under a distribution
    function F is (r - l) F(l) + (r c - S) / n, whatever lies between. So the area with its sign is
    known; the area without lies above its size, and below what the largest and the smallest
    difference that the edges admit allow for.
    """
    if reference.extreme or current.extreme:
        return None, 0.0
    lower, surplus = 0.0, 0.0
    for place, (left, right), f, g in _walk(reference, current):
        width = right - left
        if width <= 0:
            continue
        under = _under(reference, place, right) - _under(current, place, right)
        area = width * (f[0] - g[0]) + under
        lower += abs(area)
        high, low = f[1] - g[0], g[1] - f[0]
        if high > 0 and low > 0 and not _known(reference, current, place):
            share = min(max((area / width + low) / (high + low), 0.0), 1.0)
            most = width * (share * high + (1 - share) * low)
            surplus += max(0.0, most - abs(area))
    span = max(one.most or 0.0 for one in (reference, current)) - min(
        one.least or 0.0 for one in (reference, current)
    )
    return lower, surplus + 2 * ROUNDING + PRECISION * span


def _gap(reference: NumericProfile, current: NumericProfile) -> tuple[tuple[int, int], float]:
    """The largest gap at an edge as an exact fraction, and how much larger one between them can be."""
    m, n = reference.n, current.n
    a = b = at_edges = between = 0
    for place in range(len(reference.counts)):
        before = a, b
        a, b = a + reference.counts[place], b + current.counts[place]
        at_edges = max(at_edges, abs(a * n - b * m))
        if not _known(reference, current, place):
            between = max(between, a * n - before[1] * m, b * m - before[0] * n)
    return (at_edges, m * n), max(0, between - at_edges) / (m * n)


def _known(reference: NumericProfile, current: NumericProfile, place: int) -> bool:
    """Does nothing happen between a bin's edges, or to one of the two samples only?"""
    if not reference.counts[place] or not current.counts[place]:
        return not reference.counts[place] and not current.counts[place]
    return reference.alone(place) and current.alone(place)


def _walk(reference: NumericProfile, current: NumericProfile) -> Any:
    """Each bin with its ends and both distribution functions there."""
    ends = [one for one in (reference.least, current.least) if one is not None]
    tops = [one for one in (reference.most, current.most) if one is not None]
    cuts = [min(ends), *reference.edges, max(tops)]
    a = b = 0
    for place in range(len(reference.counts)):
        before = a, b
        a, b = a + reference.counts[place], b + current.counts[place]
        f = before[0] / reference.n, a / reference.n
        g = before[1] / current.n, b / current.n
        yield place, (cuts[place], cuts[place + 1]), f, g


def _under(one: NumericProfile, place: int, right: float) -> float:
    """The area that a bin's own values put under the distribution function, up to its right end."""
    with localcontext(prec=80):
        return float((_exact(right) * one.counts[place] - one.sums[place]) / one.n)


def _exact(value: float) -> Decimal:
    with localcontext(prec=80):
        return Decimal(value).quantize(Decimal(1).scaleb(-profiles.SCALE))
