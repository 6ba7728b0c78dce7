"""Values as texts that databases write alike."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ibis.expr.types as ir


def text_of(backend: Any, column: "ir.Value") -> "ir.Value":
    """The value as DuckDB writes it, but -0.0, which equals 0.0, as that.

    PostgreSQL writes a whole float without its `.0`, Spark a large one with an E.
    """
    import ibis

    if not column.type().is_floating():
        return column.cast("string")
    column = ibis.ifelse(column == 0, 0.0, column)
    text = column.cast("string")
    if backend.name == "duckdb":
        return text
    # Ibis makes an integer of a floor, and larger numbers have none.
    small = ibis.ifelse(column.abs() < 1e15, column, 0.5)
    whole = small == small.floor()
    return ibis.ifelse(whole, small.floor().cast("string") + ".0", text)
