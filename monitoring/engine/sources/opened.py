"""The rows of a dataset, opened: an Ibis table that checks ask for aggregates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kernel.errors import Invalid

if TYPE_CHECKING:
    import ibis.expr.types as ir

ROW = "countersign_row"
NO_ROWS: Final = "no_rows"
"""The code of the error that there is nothing to count, which is no fault of the data."""


@dataclass(frozen=True)
class EngineLimits:
    """Bounds of one DuckDB connection. `memory` is in MiB."""

    memory: int = 1024
    threads: int = 2


@dataclass(frozen=True)
class Source:
    """The rows of one dataset. `table` has the data's columns.

    A file's table has `ROW` too, the row's number; in a table of a database no row has one.
    """

    table: "ir.Table"
    schema: Mapping[str, str]
    rows: int
    identity: Mapping[str, Any]
    backend: Any = field(repr=False)

    def need_rows(self, field: str = "dataset") -> None:
        """Raises Invalid with the code `NO_ROWS` if there are none."""
        if not self.rows:
            raise Invalid("no rows are left after filtering", field=field, code=NO_ROWS)

    def batches(self, table: "ir.Table", chunk: int = 65_536) -> Any:
        """Stream an expression over this source: an Arrow record batch reader with a schema."""
        return stream(self.backend, table, chunk)

    def close(self) -> None:
        self.backend.disconnect()


def stream(backend: Any, table: "ir.Table", chunk: int = 65_536) -> Any:
    if backend.name != "duckdb":
        return backend.to_pyarrow_batches(table, chunk_size=chunk)
    # Ibis 12's own to_pyarrow_batches asks DuckDB for a method that DuckDB 2 no longer has.
    return backend.con.sql(backend.compile(table)).to_arrow_reader(chunk)
