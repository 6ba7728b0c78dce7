"""The contingency cube: how many rows of each group had which label and which prediction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid
from monitoring.engine.cube.expressions import (
    Group,
    group_name,
    group_of,
    is_named_late,
    label_of,
    prediction_of,
)
from monitoring.engine.mapping import ColumnMapping, SensitiveAttribute
from monitoring.engine.sources import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

MOST_CELLS = 200_000


@dataclass(frozen=True)
class Cell:
    """`n` rows of one group with one label and one prediction; None where it is missing.

    Of estimated groups `n` is the sum of the rows' weights and `squares` that of their squares.
    """

    group: Group
    label: int | None
    prediction: int | None
    n: int
    squares: int = 0


@dataclass(frozen=True)
class Contingency:
    """Counts by sensitive groups, label and prediction. `attributes` names a group's places.

    If membership is estimated, a row counts for each group by the probability that it belongs there:
    weights are whole numbers, `scale` to a row, and sum exactly.
    """

    attributes: tuple[str, ...]
    cells: tuple[Cell, ...]
    scale: int = 1

    @property
    def estimated(self) -> bool:
        return self.scale != 1

    @property
    def rows(self) -> int:
        return sum(cell.n for cell in self.cells) // self.scale

    def by(self, attributes: Sequence[str]) -> "Contingency":
        """The same counts over fewer attributes."""
        places = [self.attributes.index(name) for name in attributes]
        parts = [
            replace(cell, group=tuple(cell.group[place] for place in places)) for cell in self.cells
        ]
        return Contingency(tuple(attributes), added(parts), self.scale)

    def groups(self) -> list[Group]:
        return sorted({cell.group for cell in self.cells})

    def to_json(self) -> dict[str, Any]:
        if self.estimated:
            # Weights may sum to more than an integer of JSON holds.
            return {
                "attributes": list(self.attributes),
                "scale": self.scale,
                "cells": [
                    [list(c.group), c.label, c.prediction, str(c.n), str(c.squares)]
                    for c in self.cells
                ],
            }
        return {
            "attributes": list(self.attributes),
            "cells": [[list(c.group), c.label, c.prediction, c.n] for c in self.cells],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Contingency":
        return cls(
            tuple(value["attributes"]),
            tuple(Cell(tuple(g), y, p, *map(int, ns)) for g, y, p, *ns in value["cells"]),
            value.get("scale", 1),
        )


def contingency(
    source: Source, mapping: ColumnMapping, controls: Sequence[SensitiveAttribute] = ()
) -> Contingency:
    """Count rows by sensitive groups, and strata of `controls`, x label x prediction.

    A missing sensitive value is the group `unknown`; a missing label or prediction is None. The
    prediction is the re-scored one if the source was opened with predictions.
    """
    import ibis

    attributes = (*mapping.sensitive, *controls)
    columns: dict[str, Any] = {
        f"key_{place}": source.table[one.column]
        if is_named_late(source, one)
        else group_of(source, one)
        for place, one in enumerate(attributes)
    }
    nothing = ibis.null("int32")
    label = label_of(source, mapping)
    columns["label"] = nothing if label is None else label
    predicted = prediction_of(source, mapping)
    columns["prediction"] = nothing if predicted is None else predicted
    table = source.table.select(**columns)
    counted = table.group_by(list(columns)).agg(n=table.count())
    named = {
        f"group_{place}": group_name(source, one, counted[f"key_{place}"])
        if is_named_late(source, one)
        else counted[f"key_{place}"]
        for place, one in enumerate(attributes)
    }
    counted = counted.select(**named, label="label", prediction="prediction", n="n")
    cells = [
        Cell(
            tuple(row[f"group_{place}"] for place in range(len(attributes))),
            row["label"],
            row["prediction"],
            int(row["n"]),
        )
        for row in bounded(counted)
    ]
    return Contingency(tuple(one.name for one in attributes), added(cells))


def bounded(counted: "ir.Table") -> list[dict[str, Any]]:
    """The rows of a grouping by attributes, which are people's groups and never an identifier."""
    rows: list[dict[str, Any]] = counted.limit(MOST_CELLS + 1).to_pyarrow().to_pylist()
    if len(rows) > MOST_CELLS:
        raise Invalid(
            f"the sensitive attributes make more than {MOST_CELLS} groups; give a number edges, and "
            "name no identifier",
            field="mapping.sensitive",
        )
    if any(isinstance(one, str) and "\x00" in one for row in rows for one in row.values()):
        raise Invalid("a group's name has a null character", field="mapping.sensitive")
    return rows


def merge(first: Contingency, *others: Contingency) -> Contingency:
    """Add up contingency cubes of the same attributes, of several days for instance."""
    if any((one.attributes, one.scale) != (first.attributes, first.scale) for one in others):
        raise Invalid("cubes of different attributes do not add up", field="attributes")
    cells = (cell for one in (first, *others) for cell in one.cells)
    return Contingency(first.attributes, added(cells), first.scale)


def added(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """One cell for each group, label and prediction, in order."""
    totals: dict[tuple[Group, int | None, int | None], list[int]] = {}
    for cell in cells:
        known = totals.setdefault((cell.group, cell.label, cell.prediction), [0, 0])
        known[0] += cell.n
        known[1] += cell.squares
    return tuple(Cell(*key, *totals[key]) for key in sorted(totals, key=_order))


def _order(key: tuple[Group, int | None, int | None]) -> tuple[Group, int, int]:
    group, label, prediction = key
    return group, -1 if label is None else label, -1 if prediction is None else prediction
