"""A digest of a table's rows that any database computes alike, whatever their order.

Each row is written as one text: its columns in the order of their names, each as the number of its
characters, a colon and the characters, or `-` for none. The text of a value is the same everywhere:

    integer    its digits
    boolean    true, false
    text       itself
    time       as ISO writes it, an instant in UTC
    decimal    its digits without zeros at the end
    float      its sign, its whole part, and 106 bits after the point as two integers: exact for
               values of 2^-53 to 2^62; larger ones are scaled by 2^-62 first

A row's digest is the SHA-256 of that text. Rows are put into 4,096 drawers by the first three digits
of their digests; a drawer's digest is the SHA-256 of its rows' digests in rising order. All of it is
done where the rows are; the drawers alone come here. So nobody can swap, repeat or leave out rows
unseen, which a sum of short digests would let a determined person do.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import kernel.canonical as canonical

if TYPE_CHECKING:
    import ibis.expr.types as ir

SCHEMA = "countersign.rows/1"
SUPPORTED = ("duckdb", "postgres", "pyspark")
"""The backends whose digests are tested to be equal."""
_LARGE = 2.0**62
_HUGE = 2.0**124
_BITS = 2.0**53


@dataclass(frozen=True)
class Rows:
    """What a relation holds: the digest of its rows, their number, and its columns by type."""

    digest: str
    rows: int
    columns: tuple[tuple[str, str], ...]


def digest(backend: Any, table: "ir.Table") -> Rows:
    """Digest a relation on its backend, which must be one of `SUPPORTED`."""
    schema = table.schema()
    columns = tuple((name, kind(schema[name])) for name in sorted(schema.names))
    hashed = table.select(row=row_digest(backend, table))
    drawers = hashed.group_by(drawer=hashed.row.substr(0, 3)).agg(
        rows=hashed.count(), digest=_drawer(backend, hashed.row)
    )
    hasher, count = hashlib.sha256(), 0
    found = sorted(drawers.to_pyarrow().to_pylist(), key=lambda one: str(one["drawer"]))
    for one in found:
        hasher.update(f"{one['drawer']}:{one['rows']}:{one['digest']}\n".encode())
        count += int(one["rows"])
    document = {
        "schema": SCHEMA,
        "columns": [list(one) for one in columns],
        "rows": count,
        "drawers": hasher.hexdigest(),
    }
    return Rows(canonical.digest(document), count, columns)


def row_digest(backend: Any, table: "ir.Table") -> "ir.Value":
    """The SHA-256 of each row as a column, in hexadecimal."""
    import ibis

    parts = [_part(table[name]) for name in sorted(table.columns)]
    return sha256(backend, ibis.literal("").concat(*parts))


def kind(dtype: Any) -> str:
    """The type of a column in words that databases share."""
    for name in ("boolean", "integer", "floating", "decimal", "string", "date", "timestamp"):
        if getattr(dtype, f"is_{name}")():
            return {"floating": "float", "string": "text"}.get(name, name)
    return "other"


def sha256(backend: Any, text: "ir.Value") -> "ir.Value":
    """The SHA-256 of a text column as hexadecimal, in the backend's own words."""
    if backend.name != "postgres":
        return text.hexdigest("sha256")
    f = _postgres_functions()
    hashed: ir.Value = f["encode"](f["sha256"](f["convert_to"](text, "UTF8")), "hex")
    return hashed


def _drawer(backend: Any, rows: "ir.Column") -> "ir.Value":
    if backend.name == "pyspark":
        # Spark joins a list in no order of its own; sorted it is the same text.
        joined = rows.collect().sort().join("")
    else:
        joined = rows.group_concat("", order_by=rows)
    return sha256(backend, joined)


def _part(column: "ir.Value") -> "ir.Value":
    import ibis

    text = _text(column)
    whole = text.length().cast("string") + ibis.literal(":") + text
    return ibis.ifelse(column.isnull(), ibis.literal("-"), whole)


def _text(column: "ir.Value") -> "ir.Value":
    import ibis

    dtype = column.type()
    if dtype.is_boolean():
        return ibis.cases((column, "true"), else_="false")
    if dtype.is_floating():
        return float_text(column.cast("float64"))
    if dtype.is_decimal():
        text = column.cast("string")
        shorter = text.re_replace(r"0+$", "").re_replace(r"\.$", "")
        return ibis.ifelse(text.contains("."), shorter, text)
    return column.cast("string")


def float_text(value: "ir.Value") -> "ir.Value":
    """An exact text of a 64-bit float by arithmetic alone, since texts of floats differ."""
    import ibis

    size = value.abs()
    sign = ibis.ifelse(value < 0, ibis.literal("-"), ibis.literal(""))
    # The branch that is not taken is computed as well by some: its value must have room.
    small = ibis.ifelse(size < _LARGE, size, 0.0)
    large = ibis.ifelse((size >= _LARGE) & (size < _HUGE), size * 2.0**-62, 0.0)
    return ibis.cases(
        (value.isnan(), "nan"),
        (value.isinf() & (value > 0), "inf"),
        (value.isinf(), "-inf"),
        (size < _LARGE, sign + _digits(small)),
        (size < _HUGE, sign + "large " + _digits(large)),
        else_=sign + "huge",
    )


def _digits(size: "ir.Value") -> "ir.Value":
    import ibis

    whole = size.floor()
    first = (size - whole) * _BITS
    second = (first - first.floor()) * _BITS
    parts = [part.floor().cast("int64").cast("string") for part in (whole, first, second)]
    text: ir.Value = ibis.literal(".").join(parts)
    return text


def _postgres_functions() -> dict[str, Any]:
    import ibis

    # Ibis reads the signatures and never calls the bodies.
    def convert_to(text: str, encoding: str) -> bytes:
        raise NotImplementedError

    def sha256(data: bytes) -> bytes:
        raise NotImplementedError

    def encode(data: bytes, form: str) -> str:
        raise NotImplementedError

    known = (convert_to, sha256, encode)
    return {one.__name__: ibis.udf.scalar.builtin(one) for one in known}
