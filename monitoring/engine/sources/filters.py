"""Which rows of a dataset are meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any, Final

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


_ADMITTED: Final[Mapping[str, tuple[str, ...]]] = {
    "float64": ("numeric", "boolean"),
    "boolean": ("boolean",),
    "string": ("text", "boolean", "numeric", "time"),
    "timestamp": ("time", "text", "numeric"),
}
"""The kinds of column that may be declared as each type."""


def typed(table: "ir.Table", declared: Mapping[str, str]) -> "ir.Table":
    """The table with its columns that have no value at all as the types that are declared of them.

    In parquet they may have no type, and in CSV they pass for text. Columns with values, and those of
    another known kind, stay as they are.
    """
    import ibis

    kinds = {name: kind_of(dtype) for name, dtype in table.schema().items() if name in declared}
    doubtful = [
        name
        for name, kind in kinds.items()
        if kind in ("other", "text") and kind not in _ADMITTED[declared[name]]
    ]
    if not doubtful:
        return table
    counts = {f"n{at}": table[name].count() for at, name in enumerate(doubtful)}
    found = table.aggregate(**counts).to_pyarrow().to_pylist()[0]
    empty = [name for at, name in enumerate(doubtful) if not found[f"n{at}"]]
    return table.mutate(**{name: ibis.null(declared[name]) for name in empty})


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
        equals, least, below = (
            _fitting(value, column.type(), f"{where}.{name}")
            for name, value in (("equals", one.equals), ("least", one.least), ("below", one.below))
        )
        if column.type().is_floating() and equals is None:
            # Not-a-number is above every number to some databases and beside them to others.
            table = table.filter(~column.isnan())
        if equals is not None:
            table = table.filter(column == equals)
        if least is not None:
            table = table.filter(column >= least)
        if below is not None:
            table = table.filter(column < below)
    return table


def _fitting(value: Scalar | None, dtype: Any, where: str) -> Any:
    """The value as it compares with a column of that type.

    Raises:
        Invalid: naming the field, if it does not.
    """
    if value is None:
        return None
    kind = kind_of(dtype)
    if not _fits(kind, value):
        raise Invalid(f"the column is {kind}, not like {value!r}", field=where)
    if kind != "time":
        return value
    if not (dtype.is_timestamp() or dtype.is_date()):
        raise Invalid("the column holds no instants", field=where)
    moment = instant(value, where)
    if dtype.is_date() and moment.time() == time():
        return moment.date()
    return moment.replace(tzinfo=UTC) if dtype.is_timestamp() and dtype.timezone else moment


def instant(value: Scalar, where: str) -> datetime:
    """An instant in UTC, without a zone; one that is given without an offset is in UTC already.

    Raises:
        Invalid: naming the field, if the text is none.
    """
    try:
        moment = datetime.fromisoformat(str(value))
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise Invalid("expected an instant, as 2026-11-20", field=where) from error


def _fits(kind: str, value: Scalar) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return kind in (("text", "time") if isinstance(value, str) else ("numeric",))
