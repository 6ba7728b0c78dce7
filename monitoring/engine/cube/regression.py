"""The cube of a regression: exact sums of residuals and outcomes by group, and a few sorted values.

A number may be of any size, so sums are of numbers brought into [-1, 1] first: an outcome less the
middle of all outcomes, over a power of ten; a residual (prediction less outcome) over one of its
own. The cube declares both.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid
from monitoring.engine.cube.expressions import SCORE, Group, group_of
from monitoring.engine.cube.sums import added, exact_sum, read_sum
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.sources import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

SCALE = 15
"""Units of 1e-15: a double between -1 and 1 has hardly more digits."""
SUMS = ("e", "size", "e2", "e4", "y", "y2", "y3", "y4", "e2y", "e2y2")


@dataclass(frozen=True)
class Frame:
    """`middle` is taken from outcomes, which then are over 10**`power`; residuals over 10**`unit`."""

    middle: float
    power: int
    unit: int

    def to_json(self) -> dict[str, Any]:
        return {"middle": self.middle, "power": self.power, "unit": self.unit}


@dataclass(frozen=True)
class ResidualSums:
    """Sums over a group's rows, in the frame: of residuals (e), their sizes, squares and fourth
    powers, of outcomes (y) up to the fourth power, and of e squared times y and y squared."""

    group: Group
    n: int
    sums: Mapping[str, Decimal]


@dataclass(frozen=True)
class RegressionCube:
    """`rows` had an outcome and a prediction or not; those without are not in the sums."""

    attributes: tuple[str, ...]
    rows: int
    frame: Frame
    groups: tuple[ResidualSums, ...]

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
        return RegressionCube(tuple(attributes), self.rows, self.frame, tuple(groups))

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": list(self.attributes),
            "rows": self.rows,
            "scale": SCALE,
            "frame": self.frame.to_json(),
            "sums": list(SUMS),
            "groups": [
                [list(one.group), one.n, *(str(one.sums[name]) for name in SUMS)]
                for one in self.groups
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "RegressionCube":
        groups = (
            ResidualSums(tuple(group), n, dict(zip(SUMS, map(Decimal, sums), strict=True)))
            for group, n, *sums in value["groups"]
        )
        frame = Frame(**value["frame"])
        return cls(tuple(value["attributes"]), value["rows"], frame, tuple(groups))


def residuals(source: Source, mapping: ColumnMapping) -> "ir.Table":
    """The rows whose outcome and prediction are finite: groups, `y` and `e`.

    Raises:
        Invalid: the mapping names no outcome, or there is no prediction.
    """
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
    known = _finite(table.y) & _finite(table.p)
    # DuckDB may work an expression out for rows that a filter left out: there it must be null.
    table = table.mutate(
        known=known, y=ibis.ifelse(known, table.y, None), p=ibis.ifelse(known, table.p, None)
    )
    return table.filter(table.known).drop("known").mutate(e=lambda kept: kept.p - kept.y)


def regression_cube(source: Source, mapping: ColumnMapping) -> RegressionCube:
    """Sum up residuals and outcomes.

    Raises:
        Invalid: as `residuals`, or no row has both an outcome and a prediction.
    """
    table = residuals(source, mapping)
    ends = table.agg(
        low=table.y.min(), high=table.y.max(), least=table.e.min(), most=table.e.max()
    ).to_pyarrow()
    low, high, least, most = (ends[name][0].as_py() for name in ("low", "high", "least", "most"))
    if low is None:
        raise Invalid("no row has both an outcome and a prediction", field="mapping.prediction")
    middle = low + (high - low) / 2
    frame = Frame(
        middle, _power(max(high - middle, middle - low)), _power(max(abs(least), abs(most)))
    )
    groups = [f"group_{place}" for place in range(len(mapping.sensitive))]
    y = (table.y - frame.middle) / 10.0**frame.power
    e = table.e / 10.0**frame.unit
    table = table.mutate(y=y, e=e)
    y, e = table.y, table.e
    parts = {
        "e": e, "size": e.abs(), "e2": e * e, "e4": e * e * e * e,
        "y": y, "y2": y * y, "y3": y * y * y, "y4": y * y * y * y,
        "e2y": e * e * y, "e2y2": e * e * y * y,
    }  # fmt: skip
    summed = table.group_by(groups or [table.y.isnull().name("all")]).agg(
        n=table.count(), **{name: exact_sum(parts[name], SCALE) for name in SUMS}
    )
    found = (
        ResidualSums(
            tuple(row[name] for name in groups),
            row["n"],
            {name: read_sum(row[name], SCALE) for name in SUMS},
        )
        for row in summed.to_pyarrow().to_pylist()
    )
    names = tuple(one.name for one in mapping.sensitive)
    return RegressionCube(
        names, source.rows, frame, tuple(sorted(found, key=lambda one: one.group))
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


def _finite(column: "ir.Value") -> "ir.Value":
    return column.notnull() & ~column.isnan() & (column.abs() < 1e150)


def _power(most: float) -> int:
    """The least power of ten that is not exceeded."""
    return math.ceil(math.log10(most)) if most > 0 else 0
