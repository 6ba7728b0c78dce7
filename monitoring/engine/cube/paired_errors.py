"""The paired cube of a regression: by how much two models miss the outcomes of the same rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kernel.errors import Invalid, Unprocessable
from monitoring.engine.cube.expressions import SCORE, Group, group_of
from monitoring.engine.cube.paired import OTHER_SCORE
from monitoring.engine.cube.regression import TOO_LARGE, finite
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

_DEGREES = {"a": 1, "b": 1, "d2": 2, "a2": 2, "b2": 2, "a4": 4, "b4": 4, "a2b2": 4}
SUMS = tuple(_DEGREES)


@dataclass(frozen=True)
class PairedErrorSums:
    """Over a group's rows, with `a` the size of this model's error and `b` that of the other's: sums of
    both, of their squares and fourth powers, of the squared difference of the sizes and of the
    product of the squares. Whole numbers of units of 2**-`BITS`, errors being over 2**`unit`."""

    group: Group
    n: int
    sums: Mapping[str, int]

    def of(self, name: str) -> float:
        return float(of_units(self.sums[name]))


@dataclass(frozen=True)
class PairedErrors:
    """Rows with a finite outcome and a finite prediction of both models."""

    attributes: tuple[str, ...]
    unit: int
    groups: tuple[PairedErrorSums, ...]

    def by(self, attributes: Sequence[str]) -> "PairedErrors":
        places = [self.attributes.index(name) for name in attributes]
        totals = added(
            (tuple(one.group[at] for at in places), (one.n, *(one.sums[name] for name in SUMS)))
            for one in self.groups
        )
        groups = (
            PairedErrorSums(group, n, dict(zip(SUMS, sums, strict=True)))
            for group, (n, *sums) in sorted(totals.items())
        )
        return PairedErrors(tuple(attributes), self.unit, tuple(groups))

    def to_json(self) -> dict[str, Any]:
        return {
            "attributes": list(self.attributes),
            "bits": BITS,
            "unit": self.unit,
            "sums": list(SUMS),
            "groups": [
                [list(one.group), one.n, *(str(one.sums[name]) for name in SUMS)]
                for one in self.groups
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "PairedErrors":
        if value["bits"] != BITS or tuple(value["sums"]) != SUMS:
            raise Unprocessable("the sums of a pair are of another form", field="made_of")
        groups = (
            PairedErrorSums(tuple(group), n, dict(zip(SUMS, map(int, sums), strict=True)))
            for group, n, *sums in value["groups"]
        )
        return cls(tuple(value["attributes"]), value["unit"], tuple(groups))


def paired_errors(source: Source, mapping: ColumnMapping) -> PairedErrors:
    """Sum up both models' errors; the other's prediction is the column `OTHER_SCORE`.

    Raises:
        Invalid: no row has an outcome and both predictions.
    """
    import ibis

    ours = SCORE if SCORE in source.table.columns else mapping.prediction
    if mapping.label is None or ours is None or OTHER_SCORE not in source.table.columns:
        raise Invalid(
            "a comparison needs outcomes and the predictions of both", field="config.compare_with"
        )
    columns = {
        f"group_{place}": group_of(source, one) for place, one in enumerate(mapping.sensitive)
    }
    y, p, q = (source.table[name].cast("float64") for name in (mapping.label, ours, OTHER_SCORE))
    known = finite(y) & finite(p) & finite(q)
    # What a filter leaves out may be worked out all the same: there it must be null.
    table = source.table.select(
        **columns,
        known=known,
        a=ibis.ifelse(known, (p - y).abs(), None),
        b=ibis.ifelse(known, (q - y).abs(), None),
    )
    table = table.filter(table.known).drop("known")
    most = table.agg(most=ibis.greatest(table.a, table.b).max()).to_pyarrow()["most"][0].as_py()
    if most is None:
        raise Invalid(
            "no row has an outcome and a prediction of both that are finite and under "
            f"{TOO_LARGE:g} in size",
            field="config.compare_with",
        )
    unit = power_of_two(most)
    table = table.mutate(a=brought(table.a, unit), b=brought(table.b, unit))
    table = table.mutate(a2=squared(table.a), b2=squared(table.b))
    parts = {
        "a": table.a, "b": table.b, "d2": squared(table.b - table.a), "a2": table.a2,
        "b2": table.b2, "a4": squared(table.a2), "b4": squared(table.b2),
        "a2b2": table.a2 * table.b2,
    }  # fmt: skip
    wanted = {key: one for name in SUMS for key, one in limbs(name, parts[name]).items()}
    summed = table.group_by([*columns] or [table.a.isnull().name("all")]).agg(
        n=table.count(), **wanted
    )
    groups = (
        PairedErrorSums(
            tuple(row[name] for name in columns),
            row["n"],
            {name: read_limbs(name, row) for name in SUMS},
        )
        for row in summed.to_pyarrow().to_pylist()
    )
    names = tuple(one.name for one in mapping.sensitive)
    return PairedErrors(names, unit, tuple(sorted(groups, key=lambda one: one.group)))


def merge_paired_errors(parts: Sequence[PairedErrors]) -> PairedErrors:
    """Add up the sums of rows that were counted apart."""
    if any(one.attributes != parts[0].attributes for one in parts):
        raise Invalid("sums of different attributes do not add up", field="attributes")
    unit = max(one.unit for one in parts)
    groups = (
        PairedErrorSums(one.group, one.n, _over(one, part.unit - unit))
        for part in parts
        for one in part.groups
    )
    return PairedErrors(parts[0].attributes, unit, tuple(groups)).by(parts[0].attributes)


def _over(one: PairedErrorSums, power: int) -> dict[str, int]:
    """The sums of errors that are over a higher power of two."""
    return {
        name: units(of_units(one.sums[name]) * Fraction(2) ** (power * degree))
        for name, degree in _DEGREES.items()
    }
