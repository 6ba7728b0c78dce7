"""A digest of a table's rows that any database computes alike, whatever their order.

Each row is written as one text: its columns in the order of their names, each as the number of its
characters, a colon and the characters, or `-` for none. The text of a value is the same everywhere:

    integer    its digits
    boolean    true, false
    text       itself
    time       as ISO writes it, an instant in UTC
    decimal    its digits without zeros at the end
    float      17 significant digits and an exponent, as C's %.16e: no two floats have the same

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
_BLIND = b"countersign blind rows\0"
SUPPORTED = ("duckdb", "postgres")
"""The backends whose digests are tested to be equal."""


@dataclass(frozen=True)
class Rows:
    """What a relation holds: the digest of its rows, their number, and its columns by type.

    `blind` is a number that only who has the rows can know.
    """

    digest: str
    blind: str
    rows: int
    columns: tuple[tuple[str, str], ...]


def digest(backend: Any, table: "ir.Table") -> Rows:
    """Digest a relation on its backend, which must be one of `SUPPORTED`."""
    schema = table.schema()
    columns = tuple((name, kind(schema[name])) for name in sorted(schema.names))
    hashed = table.select(row=row_digest(backend, table))
    drawers = hashed.group_by(drawer=hashed.row.substr(0, 3)).agg(
        rows=hashed.count(),
        digest=sha256(backend, hashed.row.group_concat("", order_by=hashed.row)),
    )
    hasher, blind, count = hashlib.sha256(), hashlib.sha256(_BLIND), 0
    found = sorted(drawers.to_pyarrow().to_pylist(), key=lambda one: str(one["drawer"]))
    for one in found:
        line = f"{one['drawer']}:{one['rows']}:{one['digest']}\n".encode()
        hasher.update(line)
        blind.update(line)
        count += int(one["rows"])
    document = {
        "schema": SCHEMA,
        "columns": [list(one) for one in columns],
        "rows": count,
        "drawers": hasher.hexdigest(),
    }
    return Rows(canonical.digest(document), blind.hexdigest(), count, columns)


def row_digest(backend: Any, table: "ir.Table") -> "ir.Value":
    """The SHA-256 of each row as a column, in hexadecimal."""
    import ibis

    parts = [_part(backend, table[name]) for name in sorted(table.columns)]
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
    f = _functions()
    hashed: ir.Value = f["encode"](f["sha256"](f["convert_to"](text, "UTF8")), "hex")
    return hashed


def _part(backend: Any, column: "ir.Value") -> "ir.Value":
    import ibis

    text = _text(backend, column)
    whole = text.length().cast("string") + ibis.literal(":") + text
    return ibis.ifelse(column.isnull(), ibis.literal("-"), whole)


def _text(backend: Any, column: "ir.Value") -> "ir.Value":
    import ibis

    dtype = column.type()
    if dtype.is_boolean():
        return ibis.cases((column, "true"), else_="false")
    if dtype.is_floating():
        return _float_text(backend, column.cast("float64"))
    if dtype.is_decimal():
        text = column.cast("string")
        shorter = text.re_replace(r"0+$", "").re_replace(r"\.$", "")
        return ibis.ifelse(text.contains("."), shorter, text)
    return column.cast("string")


def _float_text(backend: Any, value: "ir.Value") -> "ir.Value":
    import ibis

    f = _functions()
    if backend.name == "postgres":
        text = f["to_char"](value, "9.9999999999999999EEEE").lstrip()
    else:
        text = f["printf"]("%.16e", value)
    # Not-a-number first: to some databases it is above every number.
    return ibis.cases(
        (value.isnan(), "nan"),
        (value.isinf() & (value > 0), "inf"),
        (value.isinf(), "-inf"),
        (value == 0, "0"),
        else_=text,
    )


def _functions() -> dict[str, Any]:
    import ibis

    # Ibis reads the signatures and never calls the bodies.
    def convert_to(text: str, encoding: str) -> bytes:
        raise NotImplementedError

    def sha256(data: bytes) -> bytes:
        raise NotImplementedError

    def encode(data: bytes, form: str) -> str:
        raise NotImplementedError

    def to_char(value: float, form: str) -> str:
        raise NotImplementedError

    def printf(form: str, value: float) -> str:
        raise NotImplementedError

    known = (convert_to, sha256, encode, to_char, printf)
    return {one.__name__: ibis.udf.scalar.builtin(one) for one in known}
