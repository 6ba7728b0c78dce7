"""The contingency cube: how many rows of each group had which label and which prediction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.cube.expressions import Group, group_of, label_of, prediction_of
from monitoring.engine.mapping import ColumnMapping, SensitiveAttribute
from monitoring.engine.sources import Source


@dataclass(frozen=True)
class Cell:
    """`n` rows of one group with one label and one prediction; None where it is missing."""

    group: Group
    label: int | None
    prediction: int | None
    n: int


@dataclass(frozen=True)
class Contingency:
    """Counts by sensitive groups, label and prediction. `attributes` names a group's places."""

    attributes: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def rows(self) -> int:
        return sum(cell.n for cell in self.cells)

    def by(self, attributes: Sequence[str]) -> "Contingency":
        """The same counts over fewer attributes."""
        places = [self.attributes.index(name) for name in attributes]
        totals: dict[tuple[Group, int | None, int | None], int] = {}
        for cell in self.cells:
            key = (tuple(cell.group[place] for place in places), cell.label, cell.prediction)
            totals[key] = totals.get(key, 0) + cell.n
        return Contingency(tuple(attributes), _sorted_cells(totals))

    def groups(self) -> list[Group]:
        return sorted({cell.group for cell in self.cells})

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": list(self.attributes),
            "cells": [[list(c.group), c.label, c.prediction, c.n] for c in self.cells],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Contingency":
        return cls(
            tuple(value["attributes"]),
            tuple(Cell(tuple(g), y, p, n) for g, y, p, n in value["cells"]),
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
        f"group_{place}": group_of(source, one) for place, one in enumerate(attributes)
    }
    nothing = ibis.null("int32")
    label = label_of(source, mapping)
    columns["label"] = nothing if label is None else label
    predicted = prediction_of(source, mapping)
    columns["prediction"] = nothing if predicted is None else predicted
    table = source.table.select(**columns)
    counted = table.group_by(list(columns)).agg(n=table.count())
    totals: dict[tuple[Group, int | None, int | None], int] = {}
    for row in counted.to_pyarrow().to_pylist():
        group = tuple(row[f"group_{place}"] for place in range(len(attributes)))
        totals[group, row["label"], row["prediction"]] = int(row["n"])
    return Contingency(tuple(one.name for one in attributes), _sorted_cells(totals))


def merge(first: Contingency, second: Contingency) -> Contingency:
    """Add two contingency cubes of the same attributes, of two days for instance."""
    if first.attributes != second.attributes:
        raise Invalid("cubes of different attributes do not add up", field="attributes")
    totals = {(c.group, c.label, c.prediction): c.n for c in first.cells}
    for cell in second.cells:
        key = (cell.group, cell.label, cell.prediction)
        totals[key] = totals.get(key, 0) + cell.n
    return Contingency(first.attributes, _sorted_cells(totals))


def _sorted_cells(
    totals: Mapping[tuple[Group, int | None, int | None], int],
) -> tuple[Cell, ...]:
    def order(key: tuple[Group, int | None, int | None]) -> tuple[Group, int, int]:
        group, label, prediction = key
        return group, -1 if label is None else label, -1 if prediction is None else prediction

    return tuple(Cell(*key, totals[key]) for key in sorted(totals, key=order))
