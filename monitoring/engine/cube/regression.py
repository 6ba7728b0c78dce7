"""The cube of a regression: exact sums of residuals and outcomes by group, and a few sorted values.

A number may be of any size, so sums are of numbers brought into [-1, 1] first: an outcome less a
number near the middle of all outcomes, over a power of two; a residual (prediction less outcome)
over one of its own. The cube declares both, its frame. Dividing by a power of two changes no digit,
so what days of different frames sum up to can be added in a frame that holds them all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid, Unprocessable
from monitoring.engine.cube.error_bins import ErrorBins, error_bins
from monitoring.engine.cube.expressions import SCORE, Group, group_of
from monitoring.engine.cube.sums import (
    BITS,
    added,
    brought,
    limbs,
    of_units,
    power_of_two,
    read_limbs,
    squared,
    units,
)
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.sources import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

RESIDUALS = {"e": 1, "size": 1, "e2": 2, "e4": 4}
"""Sums of residuals alone, and of which power of them."""
OUTCOMES = ("y", "y2", "y3", "y4")
PRODUCTS = ("e2", "e2y", "e2y2")
SUMS = (*RESIDUALS, *OUTCOMES, *PRODUCTS[1:])
TOO_LARGE = 1e150
"""The square of a number of this size is none that a double holds."""
_UNUSABLE = ("infinite", "too_large")


@dataclass(frozen=True)
class Frame:
    """`middle` is taken from outcomes, which then are over 2**`power`; residuals over 2**`unit`."""

    middle: float
    power: int
    unit: int

    @classmethod
    def around(cls, low: float, high: float, most: float) -> "Frame":
        """A frame for outcomes from `low` to `high` and residuals up to `most` in size."""
        half = (high - low) / 2
        middle = low + half
        if half:
            # Of few digits, so that an outcome less the middle has hardly more than the outcome.
            step = math.ldexp(1.0, power_of_two(half) - 4)
            middle = round(middle / step) * step
        return cls(middle, power_of_two(max(high - middle, middle - low)), power_of_two(most))

    @classmethod
    def holding(cls, frames: Sequence["Frame"]) -> "Frame":
        """A frame for whatever several frames hold."""
        if len({(one.middle, one.power) for one in frames}) == 1:
            around = frames[0]
        else:
            ends = [(math.ldexp(1.0, one.power), one.middle) for one in frames]
            low, high = min(m - half for half, m in ends), max(m + half for half, m in ends)
            around = cls.around(low, high, 0.0)
        return cls(around.middle, around.power, max(one.unit for one in frames))

    def to_json(self) -> dict[str, Any]:
        return {"middle": self.middle, "power": self.power, "unit": self.unit}


@dataclass(frozen=True)
class ResidualSums:
    """Sums over a group's rows, in the frame: of residuals (e), their sizes, squares and fourth
    powers, of outcomes (y) up to the fourth power, and of e squared times y and y squared. Whole
    numbers of units of 2**-`BITS`."""

    group: Group
    n: int
    sums: Mapping[str, int]

    def of(self, name: str) -> Fraction:
        return of_units(self.sums[name])


@dataclass(frozen=True)
class RegressionCube:
    """`rows` had an outcome and a prediction or not; those without are not in the sums.

    Nor are rows with a number that is `infinite`, or `too_large` (`TOO_LARGE` and more in size).
    """

    attributes: tuple[str, ...]
    rows: int
    frame: Frame
    groups: tuple[ResidualSums, ...]
    infinite: int = 0
    too_large: int = 0

    def by(self, attributes: Sequence[str]) -> "RegressionCube":
        places = [self.attributes.index(name) for name in attributes]
        totals = added(
            (
                tuple(one.group[place] for place in places),
                (one.n, *(one.sums[name] for name in SUMS)),
            )
            for one in self.groups
        )
        groups = (
            ResidualSums(group, n, dict(zip(SUMS, sums, strict=True)))
            for group, (n, *sums) in sorted(totals.items())
        )
        return replace(self, attributes=tuple(attributes), groups=tuple(groups))

    def within(self, frame: Frame) -> "RegressionCube":
        """The same sums in a frame that holds this one."""
        groups = (
            ResidualSums(one.group, one.n, _moved(one, self.frame, frame)) for one in self.groups
        )
        return replace(self, frame=frame, groups=tuple(groups))

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": list(self.attributes),
            "rows": self.rows,
            "bits": BITS,
            "frame": self.frame.to_json(),
            "sums": list(SUMS),
            "groups": [
                [list(one.group), one.n, *(str(one.sums[name]) for name in SUMS)]
                for one in self.groups
            ],
            # Told where there are any: few data have such numbers.
            **{name: n for name in _UNUSABLE if (n := getattr(self, name))},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RegressionCube":
        """Raises Unprocessable if the sums are of another form than this release writes."""
        if value.get("bits") != BITS or tuple(value["sums"]) != SUMS:
            raise Unprocessable("the sums of a regression are of another form", field="made_of")
        groups = (
            ResidualSums(tuple(group), n, dict(zip(SUMS, map(int, sums), strict=True)))
            for group, n, *sums in value["groups"]
        )
        frame = Frame(**value["frame"])
        unusable = {name: int(value.get(name, 0)) for name in _UNUSABLE}
        return cls(tuple(value["attributes"]), value["rows"], frame, tuple(groups), **unusable)


def merge_regressions(parts: Sequence[RegressionCube]) -> RegressionCube:
    """Add up the sums of rows that were counted apart, in the frame that holds them all."""
    first = parts[0]
    if any(one.attributes != first.attributes for one in parts):
        raise Invalid("sums of different attributes do not add up", field="attributes")
    frame = Frame.holding([one.frame for one in parts])
    groups = [group for one in parts for group in one.within(frame).groups]
    totals = {name: sum(getattr(one, name) for one in parts) for name in ("rows", *_UNUSABLE)}
    whole = RegressionCube(first.attributes, frame=frame, groups=tuple(groups), **totals)
    return whole.by(first.attributes)


def _moved(one: ResidualSums, old: Frame, new: Frame) -> dict[str, int]:
    if old == new:
        return dict(one.sums)
    smaller = Fraction(2) ** (old.unit - new.unit)
    found = {name: one.of(name) * smaller**degree for name, degree in RESIDUALS.items()}
    shift = Fraction(old.middle) - Fraction(new.middle)
    moments = [Fraction(one.n), *(one.of(name) for name in OUTCOMES)]
    found |= dict(zip(OUTCOMES, _shifted(moments, shift, old, new)[1:], strict=True))
    products = [one.of(name) * smaller**2 for name in PRODUCTS]
    found |= dict(zip(PRODUCTS, _shifted(products, shift, old, new), strict=True))
    return {name: units(found[name]) for name in SUMS}


def _shifted(
    moments: Sequence[Fraction], shift: Fraction, old: Frame, new: Frame
) -> list[Fraction]:
    """Sums of weights times powers 0, 1, ... of y, taken from another middle and over another
    power: by the binomial theorem."""
    scale, power = Fraction(2) ** old.power, Fraction(2) ** new.power
    return [
        sum(
            (
                math.comb(degree, part) * moments[part] * scale**part * shift ** (degree - part)
                for part in range(degree + 1)
            ),
            Fraction(0),
        )
        / power**degree
        for degree in range(len(moments))
    ]


def residuals(source: Source, mapping: ColumnMapping) -> "ir.Table":
    """The rows whose outcome and prediction are finite: groups, `y` and `e`.

    Raises:
        Invalid: the mapping names no outcome, or there is no prediction.
    """
    table = _numbers(source, mapping)
    return table.filter(table.known).drop("known", "p", *_UNUSABLE)


def _numbers(source: Source, mapping: ColumnMapping) -> "ir.Table":
    """All rows: groups, `y`, `p` and `e`, null where a row cannot be used, and why it cannot."""
    import ibis

    if mapping.label is None:
        raise Invalid("performance needs the column of the outcome", field="mapping.label")
    predicted = SCORE if SCORE in source.table.columns else mapping.prediction
    if predicted is None:
        raise Invalid("a regression needs the column of the prediction", field="mapping.prediction")
    groups = {
        f"group_{place}": group_of(source, one) for place, one in enumerate(mapping.sensitive)
    }
    table = source.table.select(
        **groups,
        y=source.table[mapping.label].cast("float64"),
        p=source.table[predicted].cast("float64"),
    )
    known = finite(table.y) & finite(table.p)
    both = table.y.notnull() & table.p.notnull() & ~table.y.isnan() & ~table.p.isnan()
    infinite = both & (table.y.isinf() | table.p.isinf())
    # DuckDB may work an expression out for rows that a filter left out: there it must be null.
    table = table.mutate(
        known=known,
        infinite=ibis.ifelse(infinite, 1, 0),
        too_large=ibis.ifelse(both & ~infinite & ~known, 1, 0),
        y=ibis.ifelse(known, table.y, None),
        p=ibis.ifelse(known, table.p, None),
    )
    return table.mutate(e=table.p - table.y)


def regression_cube(source: Source, mapping: ColumnMapping) -> tuple[RegressionCube, ErrorBins]:
    """Sum up residuals and outcomes, and count the sizes of residuals in bins.

    Raises:
        Invalid: as `residuals`, or no row has both an outcome and a prediction that can be used.
    """
    every = _numbers(source, mapping)
    ends = every.agg(
        low=every.y.min(),
        high=every.y.max(),
        least=every.e.min(),
        most=every.e.max(),
        infinite=every.infinite.sum(),
        too_large=every.too_large.sum(),
    ).to_pyarrow()
    low, high, least, most = (ends[name][0].as_py() for name in ("low", "high", "least", "most"))
    unusable = {name: int(ends[name][0].as_py() or 0) for name in _UNUSABLE}
    if low is None:
        raise Invalid(_none_usable(unusable), field="mapping.prediction")
    table = residuals(source, mapping)
    frame = Frame.around(low, high, max(abs(least), abs(most)))
    names = tuple(one.name for one in mapping.sensitive)
    bins = error_bins(names, table)
    groups = [f"group_{place}" for place in range(len(mapping.sensitive))]
    table = table.mutate(
        y=brought(table.y - frame.middle, frame.power), e=brought(table.e, frame.unit)
    )
    table = table.mutate(e2=squared(table.e), y2=squared(table.y))
    parts = {
        "e": table.e, "size": table.e.abs(), "e2": table.e2, "e4": squared(table.e2),
        "y": table.y, "y2": table.y2, "y3": table.y2 * table.y, "y4": squared(table.y2),
        "e2y": table.e2 * table.y, "e2y2": table.e2 * table.y2,
    }  # fmt: skip
    wanted = {key: one for name in SUMS for key, one in limbs(name, parts[name]).items()}
    summed = table.group_by(groups or [table.y.isnull().name("all")]).agg(n=table.count(), **wanted)
    found = (
        ResidualSums(
            tuple(row[name] for name in groups),
            row["n"],
            {name: read_limbs(name, row) for name in SUMS},
        )
        for row in summed.to_pyarrow().to_pylist()
    )
    ordered = tuple(sorted(found, key=lambda one: one.group))
    return RegressionCube(names, source.rows, frame, ordered, **unusable), bins


def _none_usable(unusable: Mapping[str, int]) -> str:
    text = "no row has both an outcome and a prediction"
    if not any(unusable.values()):
        return text
    return (
        f"{text} that can be used: {unusable['infinite']} rows have an infinite one, "
        f"{unusable['too_large']} one of {TOO_LARGE:g} or more in size"
    )


def sorted_sizes(
    source: Source,
    mapping: ColumnMapping,
    attributes: Sequence[str],
    ranks: Mapping[Group, Sequence[int]],
) -> dict[Group, dict[int, float]]:
    """For each group the sizes of residuals at some ranks, from 1, of the sorted sizes."""
    import ibis

    table = residuals(source, mapping)
    named = [one.name for one in mapping.sensitive]
    groups = [f"group_{named.index(name)}" for name in attributes]
    table = table.select(*groups, size=table.e.abs())
    window = ibis.window(group_by=[table[name] for name in groups], order_by=table.size)
    table = table.mutate(rank=ibis.row_number().over(window) + 1)
    wanted = [
        ibis.and_(
            *(table[name] == value for name, value in zip(groups, group, strict=True)),
            table.rank.isin(sorted(places)),
        )
        for group, places in sorted(ranks.items())
        if places
    ]
    found: dict[Group, dict[int, float]] = {group: {} for group in ranks}
    if wanted:
        for row in table.filter(ibis.or_(*wanted)).to_pyarrow().to_pylist():
            group = tuple(row[name] for name in groups)
            found[group][int(row["rank"])] = float(row["size"])
    return found


def finite(column: "ir.Value") -> "ir.Value":
    """Is it a number, and of a size whose square is one?"""
    return column.notnull() & ~column.isnan() & (column.abs() < TOO_LARGE)
