"""The score cube: scores by group, label and bin, and the sums that proper scores need."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal, localcontext
from operator import add
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid
from monitoring.engine.cube.expressions import Group, group_of, label_of, score_of
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.sources import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

SCORE_BINS = 4_000
"""Equal bins over [0, 1]; a multiple of 10 and 20, so that calibration bins are sums of them."""
SCORE_SCALE = 12
_UNITS = 10.0**SCORE_SCALE
_WIDE = Context(prec=60)
LOG_FLOOR = 2.220446049250313e-16
"""Scores are kept this far from 0 and 1 before a logarithm, as scikit-learn does for doubles."""


@dataclass(frozen=True)
class ScoreCell:
    """Rows of one group, label and score bin: their number and the sum of their scores.

    `value` is the score of all of them if they have the same one, so that nothing about their order
    is lost in the bin.
    """

    group: Group
    label: int
    bin: int
    n: int
    score_sum: Decimal
    value: float | None = None


@dataclass(frozen=True)
class Moments:
    """Sums over a group's labelled rows: squared errors and log losses, and their squares."""

    group: Group
    n: int
    squared: Decimal
    squared_2: Decimal
    log: Decimal
    log_2: Decimal


@dataclass(frozen=True)
class ScoreCube:
    """Scores by group, label and bin, with the sums that Brier score and log loss need.

    If it is `exact` all rows together had no more different scores than there are bins, and each
    cell holds the rows of one score; else there is one cell for each group, label and bin.
    """

    attributes: tuple[str, ...]
    bins: int
    cells: tuple[ScoreCell, ...]
    moments: tuple[Moments, ...]
    exact: bool = False

    def by(self, attributes: Sequence[str]) -> "ScoreCube":
        places = [self.attributes.index(name) for name in attributes]

        def part(group: Group) -> Group:
            return tuple(group[place] for place in places)

        cells = (replace(cell, group=part(cell.group)) for cell in self.cells)
        moments = added(
            ((part(m.group),), (m.n, m.squared, m.squared_2, m.log, m.log_2)) for m in self.moments
        )
        return ScoreCube(
            tuple(attributes),
            self.bins,
            _together(cells, self.exact),
            tuple(Moments(*key, *moments[key]) for key in sorted(moments)),
            self.exact,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": list(self.attributes),
            "bins": self.bins,
            "scale": SCORE_SCALE,
            "cells": [
                [
                    list(c.group),
                    c.label,
                    c.bin,
                    c.n,
                    str(c.score_sum),
                    *([] if c.value is None else [c.value]),
                ]
                for c in self.cells
            ],
            **({"exact": True} if self.exact else {}),
            "moments": [
                [list(m.group), m.n, *map(str, (m.squared, m.squared_2, m.log, m.log_2))]
                for m in self.moments
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ScoreCube":
        return cls(
            tuple(value["attributes"]),
            value["bins"],
            tuple(
                ScoreCell(tuple(g), y, b, n, Decimal(s), *map(float, one))
                for g, y, b, n, s, *one in value["cells"]
            ),
            tuple(Moments(tuple(g), n, *map(Decimal, sums)) for g, n, *sums in value["moments"]),
            value.get("exact", False),
        )


def score_cube(source: Source, mapping: ColumnMapping) -> ScoreCube | None:
    """Reduce labelled, scored rows to bins and moments; None without label or score.

    Raises:
        Invalid: naming the score if one lies outside [0, 1].
    """
    score, label = score_of(source, mapping), label_of(source, mapping)
    if score is None or label is None:
        return None
    columns: dict[str, Any] = {
        f"group_{place}": group_of(source, one) for place, one in enumerate(mapping.sensitive)
    }
    groups = list(columns)
    table = source.table.select(**columns, label=label, score=score)
    table = table.filter(table.label.notnull(), table.score.notnull(), ~table.score.isnan())
    within_unit(table)
    table = _with_losses(table)
    cells, exact = _cells(table, groups)
    # Without an attribute there is one group, the empty tuple, and nothing to group by.
    moments = table.group_by(groups or [table.label.isnull().name("all")]).agg(
        n=table.count(),
        squared=exact_sum(table.squared),
        squared_2=exact_sum(table.squared * table.squared),
        log=exact_sum(table.log),
        log_2=exact_sum(table.log * table.log),
    )
    return ScoreCube(
        tuple(one.name for one in mapping.sensitive),
        SCORE_BINS,
        cells,
        tuple(
            sorted(
                (
                    Moments(
                        _group(row, groups),
                        row["n"],
                        read_sum(row["squared"]),
                        read_sum(row["squared_2"]),
                        read_sum(row["log"]),
                        read_sum(row["log_2"]),
                    )
                    for row in moments.to_pyarrow().to_pylist()
                ),
                key=lambda one: one.group,
            )
        ),
        exact,
    )


def _cells(table: "ir.Table", groups: Sequence[str]) -> tuple[tuple[ScoreCell, ...], bool]:
    """Cells of labelled rows, and whether each holds the rows of one score."""

    def counted(*more: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (
            table.group_by([*groups, "label", "bin", *more])
            .agg(
                n=table.count(),
                total=exact_sum(table.score),
                least=table.score.min(),
                most=table.score.max(),
            )
            .to_pyarrow()
            .to_pylist()
        )
        return rows

    rows = counted()
    ends = {row[name] for row in rows for name in ("least", "most")}
    exact = len(ends) <= SCORE_BINS
    if exact and any(row["least"] != row["most"] for row in rows):
        exact = int(table.score.nunique().to_pyarrow().as_py()) <= SCORE_BINS
        rows = counted("score") if exact else rows
    cells = (
        ScoreCell(
            _group(row, groups),
            row["label"],
            row["bin"],
            row["n"],
            read_sum(row["total"]),
            # A zero below 0 is the same score.
            row["least"] + 0.0 if row["least"] == row["most"] else None,
        )
        for row in rows
    )
    return _together(cells, exact), exact


def _together(cells: Iterable[ScoreCell], exact: bool) -> tuple[ScoreCell, ...]:
    """One cell for each group, label and bin, and if they are to be `exact` for each score."""
    found: dict[tuple[Any, ...], ScoreCell] = {}
    # The default context rounds to 28 digits, and a sum must not depend on how it was cut.
    with localcontext(prec=60):
        for one in cells:
            key = (one.group, one.label, one.bin, one.value if exact else None)
            known = found.get(key)
            if known is not None:
                value = one.value if one.value == known.value else None
                total = known.score_sum + one.score_sum
                one = replace(known, n=known.n + one.n, score_sum=total, value=value)
            found[key] = one
    # Of cells that are not exact there is one to a key, which ends the comparison.
    return tuple(found[key] for key in sorted(found))


def merge_scores(first: ScoreCube, *others: ScoreCube) -> ScoreCube:
    """Add up score cubes of the same attributes and bins."""
    if any((one.attributes, one.bins) != (first.attributes, first.bins) for one in others):
        raise Invalid("score cubes of different shapes do not add up", field="attributes")
    parts = (first, *others)
    cells = tuple(cell for one in parts for cell in one.cells)
    exact = all(one.exact for one in parts)
    return ScoreCube(
        first.attributes,
        first.bins,
        cells,
        tuple(sums for one in parts for sums in one.moments),
        exact and len({cell.value for cell in cells}) <= first.bins,
    ).by(first.attributes)


def exact_sum(value: "ir.Value") -> "ir.Value":
    """The exact sum of the values in units of `SCORE_SCALE` digits, as text.

    Written as arithmetic on floats that rounds alike everywhere: what a cast to DECIMAL does with the
    digits past its scale is another thing in each database (PostgreSQL keeps 15 digits).
    """
    units = (value * _UNITS + 0.5).floor().cast("decimal(38, 0)")
    return units.sum().cast("decimal(38, 0)").cast("string")


def read_sum(text: str) -> Decimal:
    # The default context rounds to 28 digits.
    return _WIDE.scaleb(Decimal(text), -SCORE_SCALE)


def within_unit(table: "ir.Table") -> None:
    outside = int(table.filter((table.score < 0) | (table.score > 1)).count().to_pyarrow().as_py())
    if outside:
        raise Invalid(
            f"{outside} scores lie outside 0 to 1; a score is a probability", field="mapping.score"
        )


def _with_losses(table: "ir.Table") -> "ir.Table":
    import ibis

    # PostgreSQL refuses a square that is too small for a float; none of these counts in any digit kept.
    error = ibis.ifelse((table.score - table.label).abs() < 1e-20, 0.0, table.score - table.label)
    kept = ibis.greatest(ibis.least(table.score, 1 - LOG_FLOOR), LOG_FLOOR)
    return table.mutate(
        bin=ibis.least((table.score * SCORE_BINS).floor().cast("int32"), SCORE_BINS - 1),
        squared=error * error,
        log=-ibis.ifelse(table.label == 1, kept, 1 - kept).ln(),
    )


def _group(row: Mapping[str, Any], groups: Sequence[str]) -> Group:
    return tuple(row[name] for name in groups)


def added(items: Iterable[tuple[Any, tuple[Any, ...]]]) -> dict[Any, tuple[Any, ...]]:
    totals: dict[Any, tuple[Any, ...]] = {}
    # The default context rounds to 28 digits, and a sum must not depend on how it was cut.
    with localcontext(prec=60):
        for key, values in items:
            known = totals.get(key)
            totals[key] = values if known is None else tuple(map(add, known, values))
    return totals
