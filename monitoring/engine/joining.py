"""Several files of rows as one: the batches of a window, in their order, become one parquet file.

Each is opened as a check would open it (verified, locked, CSV read strictly); a column that one of
them lacks, or has no value of, is missing in its rows, and a column of two types that do not fit is
an error.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.canonical import sha256_hex
from kernel.errors import Invalid
from monitoring.engine.sources import ROW, DataFile, open_source

if TYPE_CHECKING:
    import ibis.expr.types as ir


def join(files: Sequence[DataFile], target: Path, workdir: Path) -> DataFile:
    """Write the rows of `files` one after the other to `target`.

    The same files give the same bytes under the same version of the library that writes them.

    Raises:
        Invalid, Unprocessable: one of them cannot be read, or they do not fit together.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    sources = [
        open_source(one, workdir, field=f"batches[{place}]") for place, one in enumerate(files)
    ]
    try:
        tables = _without_empty([source.table.drop(ROW) for source in sources])
        try:
            schema = pa.unify_schemas(
                [table.schema().to_pyarrow() for table in tables], promote_options="permissive"
            )
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise Invalid(
                "the batches of the window have a column of different types", field="batches"
            ) from error
        with pq.ParquetWriter(target, schema) as writer:
            for source, table in zip(sources, tables, strict=True):
                for batch in source.batches(table):
                    writer.write_table(_fitted(pa.Table.from_batches([batch]), schema))
    finally:
        for source in sources:
            source.close()
    return DataFile(target, sha256_hex(target.read_bytes()))


def _without_empty(tables: Sequence["ir.Table"]) -> list["ir.Table"]:
    """The tables less the columns without any value that pass for text, where another's do not."""
    schemas = [table.schema() for table in tables]
    kept = []
    for table, schema in zip(tables, schemas, strict=True):
        doubtful = [
            name
            for name, type_ in schema.items()
            if type_.is_string()
            and any(name in other and not other[name].is_string() for other in schemas)
        ]
        if doubtful:
            counts = {f"n{at}": table[name].count() for at, name in enumerate(doubtful)}
            found = table.aggregate(**counts).to_pyarrow().to_pylist()[0]
            table = table.drop(*(n for at, n in enumerate(doubtful) if not found[f"n{at}"]))
        kept.append(table)
    return kept


def _fitted(table: Any, schema: Any) -> Any:
    """The columns of `schema` in its order, a column that is not there as nulls."""
    import pyarrow as pa

    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
