"""The cube of expectations: scored, decided rows by group, decision and bin, labelled or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.cube.expressions import Group, group_of, prediction_of, score_of
from monitoring.engine.cube.scores import SCORE_BINS, SCORE_SCALE
from monitoring.engine.cube.sums import added, bin_of, exact_sum, need_probabilities, read_sum
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.sources import Source


@dataclass(frozen=True)
class ExpectedCell:
    """Rows of one group, decision and score bin: their number, the sums of scores and squares."""

    group: Group
    prediction: int
    bin: int
    n: int
    total: Decimal
    squares: Decimal


@dataclass(frozen=True)
class ExpectedCube:
    attributes: tuple[str, ...]
    bins: int
    cells: tuple[ExpectedCell, ...]

    def by(self, attributes: Sequence[str]) -> "ExpectedCube":
        places = [self.attributes.index(name) for name in attributes]
        cells = added(
            (
                (tuple(c.group[place] for place in places), c.prediction, c.bin),
                (c.n, c.total, c.squares),
            )
            for c in self.cells
        )
        found = tuple(ExpectedCell(*key, *cells[key]) for key in sorted(cells))
        return ExpectedCube(tuple(attributes), self.bins, found)

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": list(self.attributes),
            "bins": self.bins,
            "scale": SCORE_SCALE,
            "cells": [
                [list(c.group), c.prediction, c.bin, c.n, str(c.total), str(c.squares)]
                for c in self.cells
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ExpectedCube":
        cells = (
            ExpectedCell(tuple(group), decision, place, n, Decimal(total), Decimal(squares))
            for group, decision, place, n, total, squares in value["cells"]
        )
        return cls(tuple(value["attributes"]), value["bins"], tuple(cells))


def expected_cube(source: Source, mapping: ColumnMapping) -> ExpectedCube | None:
    """Reduce scored and decided rows; None without score or prediction.

    Raises:
        Invalid: naming the score if one lies outside [0, 1].
    """
    score, decided = score_of(source, mapping), prediction_of(source, mapping)
    if score is None or decided is None:
        return None
    columns: dict[str, Any] = {
        f"group_{place}": group_of(source, one) for place, one in enumerate(mapping.sensitive)
    }
    table = source.table.select(**columns, prediction=decided, score=score)
    table = table.filter(table.prediction.notnull(), table.score.notnull(), ~table.score.isnan())
    need_probabilities(table, "score", "mapping.score")
    table = table.mutate(bin=bin_of(table.score, SCORE_BINS))
    counted = table.group_by([*columns, "prediction", "bin"]).agg(
        n=table.count(),
        total=exact_sum(table.score, SCORE_SCALE),
        squares=exact_sum(table.score * table.score, SCORE_SCALE),
    )
    cells = (
        ExpectedCell(
            tuple(row[name] for name in columns),
            row["prediction"],
            row["bin"],
            row["n"],
            read_sum(row["total"], SCORE_SCALE),
            read_sum(row["squares"], SCORE_SCALE),
        )
        for row in counted.to_pyarrow().to_pylist()
    )
    names = tuple(one.name for one in mapping.sensitive)
    ordered = sorted(cells, key=lambda cell: (cell.group, cell.prediction, cell.bin))
    return ExpectedCube(names, SCORE_BINS, tuple(ordered))


def merge_expected(first: ExpectedCube, *others: ExpectedCube) -> ExpectedCube:
    """Add up cubes of expectations of the same attributes and bins."""
    if any((one.attributes, one.bins) != (first.attributes, first.bins) for one in others):
        raise Invalid("expectations of different shapes do not add up", field="attributes")
    cells = tuple(cell for one in (first, *others) for cell in one.cells)
    return ExpectedCube(first.attributes, first.bins, cells).by(first.attributes)
