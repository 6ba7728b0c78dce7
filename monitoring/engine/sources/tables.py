"""A table or query of a named source: counted where it is, or pulled as a file to be scored."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.errors import Conflict, Invalid, Unprocessable
from monitoring.engine.sources import blinds
from monitoring.engine.sources.data import DataFile, DataTable
from monitoring.engine.sources.filters import filtered, kind_of
from monitoring.engine.sources.opened import Source, stream
from registry.datafiles import MOST_COLUMNS, is_reserved
from registry.sources import backends, catalogue, rowdigest

if TYPE_CHECKING:
    import ibis.expr.types as ir

MOST_PULLED = 5_000_000
"""Rows that are pulled to be scored; a larger table's model is scored on a file of a sample."""
_ORDER = "countersign_order"


def open_table(data: DataTable, *, field: str = "dataset") -> Source:
    """Connect, verify the rows against the dataset's digest, filter.

    Everything that is then asked of the source is answered from the same snapshot of PostgreSQL.

    Raises:
        Invalid: the source, the relation or a filter's column is not there.
        Conflict: the operator changed the query since the dataset was registered.
        Unprocessable: the rows are not those of the digest.
        Unavailable: the source cannot be reached.
    """
    named = catalogue.current().find(data.relation, field)
    if data.relation.query and named.query_digest(data.relation.query) != data.query_digest:
        raise Conflict(
            f"query {data.relation.query} of source {named.name} is another one than when the "
            "dataset was registered",
            field=f"{field}.query",
        )
    backend = backends.connect(named)
    try:
        table = backends.table_of(backend, named, data.relation, field)
        with backends.translated(named, field):
            if len(table.columns) > MOST_COLUMNS:
                raise Invalid(f"more than {MOST_COLUMNS} columns are not read", field=field)
            own = next(filter(is_reserved, table.columns), None)
            if own is not None:
                raise Invalid(
                    f"column {own!r} has a name that is the service's own: rename it", field=field
                )
            if data.pinned:
                _verify(data, backend, table, field)
            schema = {name: kind_of(dtype) for name, dtype in table.schema().items()}
            table = filtered(table, data.filters, schema, field)
            rows = int(table.count().to_pyarrow().as_py())
    except BaseException:
        backends.disconnect(backend)
        raise
    return Source(table, schema, rows, data.identity(), backend)


def _verify(data: DataTable, backend: Any, table: "ir.Table", field: str) -> None:
    if backend.name not in rowdigest.SUPPORTED:
        raise Invalid(
            f"rows of {backend.name} have no digest that others could compute again; register the "
            "relation without one",
            field=f"{field}.digest_of",
        )
    found = rowdigest.digest(backend, table)
    if found.digest != data.digest:
        raise Unprocessable(
            f"the rows of {data.relation} changed since the dataset was registered: their digest "
            f"is {found.digest}, not {data.digest}",
            field=f"{field}.digest",
        )
    blinds.keep(data.digest, found.blind)


def blind_of(data: DataTable) -> str | None:
    """A number that only who has the rows can know; None before they were verified, or unpinned."""
    return blinds.kept(data.digest) if data.pinned else None


def snapshot(source: Source, path: Path, *, most: int | None = None) -> DataFile:
    """Write a source's rows into a parquet file in the order of their digests, and digest it.

    With `most`, only so many rows: those with the least digests, which anybody can choose again.
    """
    import pyarrow.parquet as pq

    from monitoring.engine.sources.files import digest_of

    names = [name for name in source.table.columns if kind_of(source.table[name].type()) != "other"]
    narrow = source.table.select(names)
    order = {_ORDER: rowdigest.row_digest(source.backend, narrow)}
    table = narrow.mutate(**order).order_by(_ORDER)
    if most is not None:
        table = table.limit(most)
    batches = stream(source.backend, table.select(names))
    with pq.ParquetWriter(path, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return DataFile(path, digest_of(path))
