"""The paired cube: two models' decisions and scores on the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.cube.expressions import Group, group_of, label_of, prediction_of, score_of
from monitoring.engine.cube.scores import SCORE_SCALE
from monitoring.engine.cube.sums import added, bin_of, exact_sum, need_probabilities, read_sum
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.sources import Source

OTHER_SCORE = "countersign_other_score"
OTHER_PREDICTION = "countersign_other_prediction"
PAIRED_BINS = 400
"""Equal bins over [0, 1] of each score: two scores share up to the square of it in cells."""


@dataclass(frozen=True)
class PairedCell:
    """`n` labelled rows of a group by both models' decisions."""

    group: Group
    label: int
    ours: int
    other: int
    n: int


@dataclass(frozen=True)
class PairedScores:
    """Labelled rows of a group by the bins of both scores."""

    group: Group
    label: int
    ours: int
    other: int
    n: int


@dataclass(frozen=True)
class PairedMoments:
    """Over a group's labelled rows the differences of squared errors, ours less the other's."""

    group: Group
    n: int
    total: Decimal
    squares: Decimal


@dataclass(frozen=True)
class PairedCube:
    """`scores` and `moments` are empty where either model gives no score."""

    attributes: tuple[str, ...]
    bins: int
    cells: tuple[PairedCell, ...]
    scores: tuple[PairedScores, ...] = ()
    moments: tuple[PairedMoments, ...] = ()

    def by(self, attributes: Sequence[str]) -> "PairedCube":
        places = [self.attributes.index(name) for name in attributes]

        def part(group: Group) -> Group:
            return tuple(group[place] for place in places)

        cells = added(((part(c.group), c.label, c.ours, c.other), (c.n,)) for c in self.cells)
        scores = added(((part(c.group), c.label, c.ours, c.other), (c.n,)) for c in self.scores)
        sums = added(((part(m.group),), (m.n, m.total, m.squares)) for m in self.moments)
        return PairedCube(
            tuple(attributes),
            self.bins,
            tuple(PairedCell(*key, *cells[key]) for key in sorted(cells)),
            tuple(PairedScores(*key, *scores[key]) for key in sorted(scores)),
            tuple(PairedMoments(*key, *sums[key]) for key in sorted(sums)),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": list(self.attributes),
            "bins": self.bins,
            "scale": SCORE_SCALE,
            "cells": [[list(c.group), c.label, c.ours, c.other, c.n] for c in self.cells],
            "scores": [[list(c.group), c.label, c.ours, c.other, c.n] for c in self.scores],
            "moments": [[list(m.group), m.n, str(m.total), str(m.squares)] for m in self.moments],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "PairedCube":
        return cls(
            tuple(value["attributes"]),
            value["bins"],
            tuple(PairedCell(tuple(group), *rest) for group, *rest in value["cells"]),
            tuple(PairedScores(tuple(group), *rest) for group, *rest in value["scores"]),
            tuple(
                PairedMoments(tuple(group), n, Decimal(total), Decimal(squares))
                for group, n, total, squares in value["moments"]
            ),
        )


def paired_cube(source: Source, mapping: ColumnMapping) -> PairedCube | None:
    """Reduce rows that both models decided and whose label is known; None if that cannot be.

    The other model's answers are the columns `OTHER_PREDICTION` and `OTHER_SCORE`.
    """
    label, ours = label_of(source, mapping), prediction_of(source, mapping)
    if label is None or ours is None or OTHER_PREDICTION not in source.table.columns:
        return None
    groups = {
        f"group_{place}": group_of(source, one) for place, one in enumerate(mapping.sensitive)
    }
    other = source.table[OTHER_PREDICTION].cast("int32")
    table = source.table.select(**groups, label=label, ours=ours, other=other)
    table = table.filter(table.label.notnull(), table.ours.notnull(), table.other.notnull())
    counted = table.group_by([*groups, "label", "ours", "other"]).agg(n=table.count())
    cells = sorted(
        (
            PairedCell(_group(row, groups), row["label"], row["ours"], row["other"], row["n"])
            for row in counted.to_pyarrow().to_pylist()
        ),
        key=lambda cell: (cell.group, cell.label, cell.ours, cell.other),
    )
    scores, moments = _scores(source, mapping, groups, label)
    names = tuple(one.name for one in mapping.sensitive)
    return PairedCube(names, PAIRED_BINS, tuple(cells), scores, moments)


def merge_paired(first: PairedCube, *others: PairedCube) -> PairedCube:
    """Add up paired cubes of the same attributes and bins."""
    if any((one.attributes, one.bins) != (first.attributes, first.bins) for one in others):
        raise Invalid("pairs of different shapes do not add up", field="attributes")
    parts = (first, *others)
    return PairedCube(
        first.attributes,
        first.bins,
        tuple(cell for one in parts for cell in one.cells),
        tuple(cell for one in parts for cell in one.scores),
        tuple(sums for one in parts for sums in one.moments),
    ).by(first.attributes)


def _scores(
    source: Source, mapping: ColumnMapping, groups: Mapping[str, Any], label: Any
) -> tuple[tuple[PairedScores, ...], tuple[PairedMoments, ...]]:
    ours = score_of(source, mapping)
    if ours is None or OTHER_SCORE not in source.table.columns:
        return (), ()
    other = source.table[OTHER_SCORE].cast("float64")
    table = source.table.select(**groups, label=label, ours=ours, other=other)
    known = [table.label.notnull()]
    for column in (table.ours, table.other):
        known += [column.notnull(), ~column.isnan()]
    table = table.filter(*known)
    need_probabilities(table, "ours", "mapping.score")
    first, second = (table[name] - table.label for name in ("ours", "other"))
    table = table.mutate(
        first=bin_of(table.ours, PAIRED_BINS),
        second=bin_of(table.other, PAIRED_BINS),
        gap=first * first - second * second,
    )
    counted = table.group_by([*groups, "label", "first", "second"]).agg(n=table.count())
    summed = table.group_by(list(groups) or [table.label.isnull().name("all")]).agg(
        n=table.count(),
        total=exact_sum(table.gap, SCORE_SCALE),
        squares=exact_sum(table.gap * table.gap, SCORE_SCALE),
    )
    cells = (
        PairedScores(_group(row, groups), row["label"], row["first"], row["second"], row["n"])
        for row in counted.to_pyarrow().to_pylist()
    )
    moments = (
        PairedMoments(
            _group(row, groups),
            row["n"],
            read_sum(row["total"], SCORE_SCALE),
            read_sum(row["squares"], SCORE_SCALE),
        )
        for row in summed.to_pyarrow().to_pylist()
    )
    return (
        tuple(sorted(cells, key=lambda one: (one.group, one.label, one.ours, one.other))),
        tuple(sorted(moments, key=lambda one: one.group)),
    )


def _group(row: Mapping[str, Any], groups: Mapping[str, Any]) -> Group:
    return tuple(row[name] for name in groups)
