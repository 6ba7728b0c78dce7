"""How many rows of each group have a score above the median of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.cube.expressions import Group, group_of, score_of
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.sources import Source


@dataclass(frozen=True)
class AboveMedian:
    """Counts by group: `above` of `n` scored rows lie strictly above `median`, that of all rows.

    It does not add up with that of other rows, which have a median of their own.
    """

    attributes: tuple[str, ...]
    median: float | None
    cells: tuple[tuple[Group, int, int], ...]

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
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "AboveMedian":
        return cls(
            tuple(value["attributes"]),
            value["median"],
            tuple((tuple(group), above, n) for group, above, n in value["cells"]),
        )


def above_median(source: Source, mapping: ColumnMapping) -> AboveMedian:
    """Count the rows of each group whose score lies above the median of all scored rows.

    Scores may be on any scale. The median of an even number of rows lies in the middle of two.

    Raises:
        Invalid: there is no column of scores.
    """
    score = score_of(source, mapping)
    if score is None:
        raise Invalid("the scoring mode needs scores", field="mapping.score")
    columns: dict[str, Any] = {
        f"group_{place}": group_of(source, one) for place, one in enumerate(mapping.sensitive)
    }
    table = source.table.select(**columns, score=score)
    table = table.filter(table.score.notnull(), ~table.score.isnan())
    found = table.agg(median=table.score.median()).to_pyarrow().to_pylist()[0]["median"]
    names = tuple(one.name for one in mapping.sensitive)
    if found is None:
        return AboveMedian(names, None, ())
    median = float(found)
    counted = table.group_by(list(columns)).agg(
        above=(table.score > median).cast("int64").sum(), n=table.count()
    )
    cells = [
        (tuple(row[name] for name in columns), int(row["above"]), int(row["n"]))
        for row in counted.to_pyarrow().to_pylist()
    ]
    return AboveMedian(names, median, tuple(sorted(cells)))
