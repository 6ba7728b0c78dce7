"""Which rows of a dataset are meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid
from monitoring.engine.documents import Fields, scalar
from monitoring.engine.mapping import Scalar

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Filter:
    """Keep the rows whose `column` equals `equals`, or lies in [`least`, `below`).

    A row with a missing value is not kept. With `instants` the column must be one of time: texts that
    look like times are in another order than the times.
    """

    column: str
    equals: Scalar | None = None
    least: float | str | None = None
    below: float | str | None = None
    instants: bool = False

    @classmethod
    def from_json(cls, value: object, path: str) -> "Filter":
        fields = Fields(value, path, ("column", "equals", "least", "below", "instants"))
        column = fields.text("column")
        instants = fields.flag("instants", False)
        given = {
            key: scalar(fields.raw(key), fields.name(key))
            for key in ("equals", "least", "below")
            if fields.has(key)
        }
        if not given or ("equals" in given and len(given) > 1):
            raise Invalid("give either equals, or least and/or below", field=path)
        if isinstance(given.get("least"), bool) or isinstance(given.get("below"), bool):
            raise Invalid("a range needs numbers or texts", field=path)
        return cls(column, **given, instants=instants)

    @classmethod
    def all_from_json(cls, fields: Fields) -> tuple["Filter", ...]:
        """Those of an object's field `filters`."""
        return tuple(
            cls.from_json(one, f"{fields.name('filters')}[{index}]")
            for index, one in enumerate(fields.items("filters"))
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "equals": self.equals,
            "least": self.least,
            "below": self.below,
            **({"instants": True} if self.instants else {}),
        }


def kind_of(dtype: Any) -> str:
    """`numeric`, `boolean`, `text`, `time` or `other` for an Ibis type."""
    if dtype.is_boolean():
        return "boolean"
    if dtype.is_numeric():
        return "numeric"
    if dtype.is_string():
        return "text"
    if dtype.is_temporal():
        return "time"
    return "other"


def filtered(
    table: "ir.Table", filters: tuple[Filter, ...], schema: Mapping[str, str], field: str
) -> "ir.Table":
    """The rows that all filters keep.

    Raises:
        Invalid: naming the filter that does not fit the columns.
    """
    for index, one in enumerate(filters):
        where = f"{field}.filters[{index}]"
        if one.column not in schema:
            raise Invalid(f"the data has no column {one.column!r}", field=where)
        column, kind = table[one.column], schema[one.column]
        if one.instants and kind != "time":
            raise Invalid(f"column {one.column!r} is {kind}, and holds no times", field=where)
        for value in (one.equals, one.least, one.below):
            if value is not None and not _fits(kind, value):
                raise Invalid(f"column {one.column!r} is {kind}, not like {value!r}", field=where)
        if column.type().is_floating() and one.equals is None:
            # Not-a-number is above every number to some databases and beside them to others.
            table = table.filter(~column.isnan())
        if one.equals is not None:
            table = table.filter(column == one.equals)
        if one.least is not None:
            table = table.filter(column >= one.least)
        if one.below is not None:
            table = table.filter(column < one.below)
    return table


def _fits(kind: str, value: Scalar) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return kind in (("text", "time") if isinstance(value, str) else ("numeric",))
