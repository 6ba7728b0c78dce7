"""Values as texts that databases write alike."""

from typing import TYPE_CHECKING, Any, Final

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


def value_text_of(backend: Any, column: "ir.Value") -> "ir.Value":
    """The value as one text, whatever type holds it: for asking whether two rows are alike.

    `1`, `1.0` and the decimal 1.00 are `1`; a decimal that is a float's text is that float; a day is
    its first moment and an instant is in UTC. Not-a-number is none, as everywhere. A boolean is no
    number. The digests of datasets (`registry.sources.rowdigest`) tell types apart and stay so.
    """
    kind = column.type()
    if kind.is_floating():
        return _float_value(backend, column)
    if kind.is_decimal():
        return _decimal_value(backend, column)
    if kind.is_date() or (kind.is_timestamp() and kind.timezone):
        return column.cast("timestamp").cast("string")
    return text_of(backend, column)


def category_of(backend: Any, column: "ir.Value") -> "ir.Value":
    """The value as the name of a category: that of a number does not depend on its type."""
    kind = column.type()
    if kind.is_floating() or kind.is_decimal():
        return value_text_of(backend, column)
    return column.cast("string")


_WHOLE: Final = 9e18
"""Floats under this size have an integer of 64 bits if they are whole."""


def _float_value(backend: Any, column: "ir.Value") -> "ir.Value":
    import ibis

    within = ibis.ifelse(column.abs() < _WHOLE, column, 0.5)
    # A cast that yields no error: DuckDB looks at a column's statistics, whatever rows are asked of.
    cast = within.try_cast if backend.name == "duckdb" else within.cast
    branches = [(column.isnan(), ibis.null("string")), (within == within.floor(), _text(cast))]
    if backend.name == "duckdb":
        # Larger ones are whole; 38 digits hold those of unsigned integers and of wide decimals.
        large = column.try_cast("decimal(38, 0)").cast("string")
        branches.append((column.abs() >= _WHOLE, large.coalesce(column.cast("string"))))
    return ibis.cases(*branches, else_=text_of(backend, column))


def _text(cast: Any) -> "ir.Value":
    text: ir.Value = cast("int64").cast("string")
    return text


def _decimal_value(backend: Any, column: "ir.Value") -> "ir.Value":
    import ibis

    text = column.cast("string")
    shorter = text.re_replace(r"0+$", "").re_replace(r"\.$", "")
    digits = ibis.ifelse(text.contains("."), shorter, text)
    near = column.cast("float64")
    same = (near.cast(column.type()) == column) & digits.contains(".")
    return ibis.ifelse(same, _float_value(backend, near), digits)
