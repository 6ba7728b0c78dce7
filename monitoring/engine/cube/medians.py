"""How many rows of each group have a score above the median of all.

The median of more rows does not follow from medians of some. Where scores take few values (points of
a test, grades) the rows of each group with each value are kept too, and from these it does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.cube.expressions import Group, group_of, score_of
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.sources import Source

MOST_VALUES = 1_000
"""How many different scores are few. Rows with one score each would be the data themselves."""


@dataclass(frozen=True)
class AboveMedian:
    """Counts by group: `above` of `n` scored rows lie strictly above `median`, that of all rows.

    `values` are a group's rows with one score each; None if there are more than `MOST_VALUES`
    different scores.
    """

    attributes: tuple[str, ...]
    median: float | None
    cells: tuple[tuple[Group, int, int], ...]
    values: tuple[tuple[Group, float, int], ...] | None = None

    @classmethod
    def counted(
        cls, attributes: tuple[str, ...], rows: Iterable[tuple[Group, float, int]]
    ) -> "AboveMedian":
        """From the number of a group's rows with each score."""
        totals: dict[tuple[Group, float], int] = {}
        scores: dict[float, int] = {}
        for group, score, n in rows:
            totals[group, score] = totals.get((group, score), 0) + n
            scores[score] = scores.get(score, 0) + n
        if not totals:
            return cls(attributes, None, (), ())
        median = _median(sorted(scores.items()))
        cells: dict[Group, tuple[int, int]] = {}
        for (group, score), n in totals.items():
            above, known = cells.get(group, (0, 0))
            cells[group] = above + n * (score > median), known + n
        return cls(
            attributes,
            median,
            tuple((group, *cells[group]) for group in sorted(cells)),
            tuple((*key, totals[key]) for key in sorted(totals))
            if len(scores) <= MOST_VALUES
            else None,
        )

    def by(self, attributes: Sequence[str]) -> dict[Group, tuple[int, int]]:
        """(above, n) of each group of fewer attributes."""
        places = [self.attributes.index(name) for name in attributes]
        totals: dict[Group, tuple[int, int]] = {}
        for group, above, n in self.cells:
            key = tuple(group[place] for place in places)
            known = totals.get(key, (0, 0))
            totals[key] = (known[0] + above, known[1] + n)
        return {group: totals[group] for group in sorted(totals)}

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": list(self.attributes),
            "median": self.median,
            "cells": [[list(group), above, n] for group, above, n in self.cells],
            "values": None
            if self.values is None
            else [[list(group), score, n] for group, score, n in self.values],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "AboveMedian":
        return cls(
            tuple(value["attributes"]),
            value["median"],
            tuple((tuple(group), above, n) for group, above, n in value["cells"]),
            None
            if value.get("values") is None
            else tuple((tuple(group), score, n) for group, score, n in value["values"]),
        )


def _median(scores: Sequence[tuple[float, int]]) -> float:
    """Of rows counted by score, in order; between two, their middle."""
    total, before = sum(n for _, n in scores), 0
    middle = []
    for rank in ((total + 1) // 2, total // 2 + 1):
        before = 0
        for score, n in scores:
            before += n
            if rank <= before:
                middle.append(score)
                break
    return middle[0] / 2 + middle[1] / 2


def merge_above_median(parts: Sequence[AboveMedian]) -> AboveMedian | None:
    """Those of all rows together; None if the scores of some take too many values to be kept."""
    if any(one.attributes != parts[0].attributes for one in parts):
        raise Invalid("medians of different attributes do not add up", field="attributes")
    if any(one.values is None for one in parts):
        return None
    return AboveMedian.counted(
        parts[0].attributes, [row for one in parts for row in one.values or ()]
    )


def above_median(source: Source, mapping: ColumnMapping) -> AboveMedian:
    """Count the rows of each group whose score lies above the median of all scored rows.

    Scores may be on any scale. The median of an even number of rows lies in the middle of two.

    Raises:
        Invalid: there is no column of scores.
    """
    import ibis

    score = score_of(source, mapping)
    if score is None:
        raise Invalid("the scoring mode needs scores", field="mapping.score")
    columns: dict[str, Any] = {
        f"group_{place}": group_of(source, one) for place, one in enumerate(mapping.sensitive)
    }
    table = source.table.select(**columns, score=score)
    table = table.filter(table.score.notnull(), ~table.score.isnan())
    names = tuple(one.name for one in mapping.sensitive)
    told = table.agg(
        values=table.score.nunique(), endless=ibis.ifelse(table.score.isinf(), 1, 0).sum()
    ).to_pyarrow().to_pylist()[0]  # fmt: skip
    if told["values"] <= MOST_VALUES and not told["endless"]:
        by_value = table.group_by([*columns, "score"]).agg(n=table.count())
        return AboveMedian.counted(
            names,
            [
                (tuple(row[name] for name in columns), float(row["score"]), int(row["n"]))
                for row in by_value.to_pyarrow().to_pylist()
            ],
        )
    median = float(table.agg(median=table.score.median()).to_pyarrow().to_pylist()[0]["median"])
    counted = table.group_by(list(columns)).agg(
        above=ibis.ifelse(table.score > median, 1, 0).sum(), n=table.count()
    )
    cells = [
        (tuple(row[name] for name in columns), int(row["above"]), int(row["n"]))
        for row in counted.to_pyarrow().to_pylist()
    ]
    return AboveMedian(names, median, tuple(sorted(cells)))
