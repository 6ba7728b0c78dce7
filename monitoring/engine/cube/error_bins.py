"""How large errors are, in bins that are the same for all rows of all days, so that they add up.

Between two powers of two there are `PARTS` equal bins, so a bin is at most 1/`PARTS` of its numbers
wide: what is read from it is certain to within half of that.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid
from monitoring.engine.cube.expressions import Group

if TYPE_CHECKING:
    import ibis.expr.types as ir

PARTS = 128
_LEAST = -512
"""Sizes under 2 to this are as good as none and share a bin."""
NONE = (_LEAST - 1) * PARTS
"""The bin of sizes that are as good as none."""


@dataclass(frozen=True)
class SizeBin:
    """`n` rows of a group whose errors' sizes lie in one bin."""

    group: Group
    bin: int
    n: int


@dataclass(frozen=True)
class ErrorBins:
    attributes: tuple[str, ...]
    cells: tuple[SizeBin, ...]

    def by(self, attributes: Sequence[str]) -> "ErrorBins":
        places = [self.attributes.index(name) for name in attributes]
        return _added(
            tuple(attributes),
            ((tuple(one.group[at] for at in places), one.bin, one.n) for one in self.cells),
        )

    def of(self, group: Group) -> "SortedSizes":
        found = [(one.bin, one.n) for one in self.cells if one.group == group]
        return SortedSizes(tuple(sorted(found)))

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": list(self.attributes),
            "parts": PARTS,
            "cells": [[list(one.group), one.bin, one.n] for one in self.cells],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ErrorBins":
        if value["parts"] != PARTS:
            raise Invalid("bins of another width do not add up", field="parts")
        cells = (SizeBin(tuple(group), place, n) for group, place, n in value["cells"])
        return cls(tuple(value["attributes"]), tuple(cells))


@dataclass(frozen=True)
class SortedSizes:
    """The sizes of a group's errors in order, each known by its bin."""

    bins: tuple[tuple[int, int], ...]

    def at(self, rank: int) -> tuple[float, float]:
        """Between which two numbers the size of a rank, from 1, lies."""
        before = 0
        for place, n in self.bins:
            before += n
            if rank <= before:
                return edges(place)
        raise ValueError(f"there is no rank {rank}")


def edges(place: int) -> tuple[float, float]:
    """The least size of a bin, and that of the next one."""
    if place == NONE:
        return 0.0, math.ldexp(1.0, _LEAST)
    power, part = divmod(place, PARTS)
    return math.ldexp(1 + part / PARTS, power), math.ldexp(1 + (part + 1) / PARTS, power)


def bin_of_size(size: "ir.Value") -> "ir.Value":
    """The bin of a size as an expression.

    A database's logarithm may be off by a digit next to a power of two: what it says is corrected by
    the size itself, so that every database finds the same bin.
    """
    import ibis

    kept = ibis.greatest(size, 2.0**_LEAST)
    guess = (kept.ln() / math.log(2)).floor().cast("int32")
    part = kept * (ibis.literal(2.0) ** (-guess).cast("float64"))
    power = guess + ibis.ifelse(part < 1, -1, ibis.ifelse(part >= 2, 1, 0))
    part = ibis.ifelse(part < 1, part * 2, ibis.ifelse(part >= 2, part / 2, part))
    place = power * PARTS + ((part - 1) * float(PARTS)).floor().cast("int32")
    return ibis.ifelse(size < 2.0**_LEAST, NONE, place).cast("int32")


def error_bins(attributes: Sequence[str], table: "ir.Table") -> ErrorBins:
    """Count rows by groups, the columns `group_0` and so on, and the bin of the size of `e`."""
    groups = [f"group_{place}" for place in range(len(attributes))]
    table = table.select(*groups, bin=bin_of_size(table.e.abs()))
    counted = table.group_by([*groups, "bin"]).agg(n=table.count())
    found = (
        (tuple(row[name] for name in groups), row["bin"], row["n"])
        for row in counted.to_pyarrow().to_pylist()
    )
    return _added(tuple(attributes), found)


def merge_error_bins(parts: Sequence[ErrorBins]) -> ErrorBins:
    """Add up the bins of rows that were counted apart."""
    if any(one.attributes != parts[0].attributes for one in parts):
        raise Invalid("bins of different attributes do not add up", field="attributes")
    cells = ((one.group, one.bin, one.n) for part in parts for one in part.cells)
    return _added(parts[0].attributes, cells)


def _added(attributes: tuple[str, ...], cells: Iterable[tuple[Group, int, int]]) -> ErrorBins:
    totals: dict[tuple[Group, int], int] = {}
    for group, place, n in cells:
        totals[group, place] = totals.get((group, place), 0) + n
    found = (SizeBin(*key, totals[key]) for key in sorted(totals))
    return ErrorBins(attributes, tuple(found))
