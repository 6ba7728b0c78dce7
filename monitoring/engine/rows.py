"""Digests of rows: which rows are alike, and a sample that anybody can draw again."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from monitoring.engine.sources import ROW, Source, text_of, value_text_of
from registry.sources.rowdigest import sha256

if TYPE_CHECKING:
    import ibis.expr.types as ir

DIGEST = "countersign_digest"
_SEPARATOR, _NOTHING = "\x1f", "\x1e"


def with_digest(source: Source, columns: Sequence[str]) -> "ir.Table":
    """The source's table with the SHA-256 of each row's values in `columns`, as hexadecimal."""
    return _digested(source, columns, text_of)


def by_value(source: Source, columns: Sequence[str]) -> "ir.Table":
    """`with_digest` of values, whatever types hold them: 1 and 1.0 are one, and so are two rows."""
    return _digested(source, columns, value_text_of)


def _digested(
    source: Source, columns: Sequence[str], text: "Callable[[Any, ir.Value], ir.Value]"
) -> "ir.Table":
    import ibis

    table = source.table
    texts = [text(source.backend, table[name]).fill_null(_NOTHING) for name in columns]
    joined = ibis.literal(_SEPARATOR).join(texts)
    return table.mutate(**{DIGEST: sha256(source.backend, joined)})


def chosen(source: Source, columns: Sequence[str], size: int) -> "ir.Table":
    """The `size` whole rows with the least digests of `columns`: by content, not by place."""
    table = with_digest(source, columns)
    ties = [ROW] if ROW in source.table.columns else []
    return table.order_by([DIGEST, *ties]).limit(size)


def sample(source: Source, columns: Sequence[str], size: int) -> "ir.Table":
    """These columns of the `size` rows that `chosen` gives."""
    return chosen(source, columns, size).select(ROW, *columns)


def repeated(source: Source, columns: Sequence[str]) -> int:
    """How many rows have the same values as one before them."""
    table = by_value(source, columns)
    counted = table.aggregate(n=table.count(), different=table[DIGEST].nunique())
    row = counted.to_pyarrow().to_pylist()[0]
    return int(row["n"]) - int(row["different"])


def shared(source: Source, reference: Source, columns: Sequence[str]) -> int:
    """How many rows of `source` have the same values as some row of `reference`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = by_value(reference, columns).select(DIGEST).distinct().to_pyarrow()[DIGEST]
    values = pa.concat_arrays(known.chunks) if known.num_chunks else pa.array([], known.type)
    found = 0
    for batch in source.batches(by_value(source, columns).select(DIGEST)):
        hits = pc.is_in(batch.column(0), value_set=values)
        found += int(pc.sum(hits).as_py() or 0)
    return found
