"""The rows and columns of a data file, from its footer or by streaming; no row is kept."""

import re
from pathlib import Path
from typing import Any

from kernel.errors import Unprocessable
from registry import datafiles

PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
RELATION = "application/vnd.countersign.rows"
"""Rows of a named source, which are no file of any type."""
_BLOCK = 4 * 1024**2


def guess_media_type(name: str) -> str:
    """The media type that a file's name tells."""
    lowered = name.lower()
    if lowered.endswith((".parquet", ".pq")):
        return PARQUET
    return CSV if lowered.endswith(".csv") else "application/octet-stream"


def read(path: Path, media_type: str) -> tuple[int | None, list[dict[str, str]]]:
    """Return how many rows there are and `[{"name", "type"}]`, types as Arrow calls them.

    A type of file that is not read gives (None, []).

    Raises:
        Unprocessable: naming `file`, if it is not what its media type says.
    """
    if media_type not in (PARQUET, CSV):
        return None, []
    # Not at the head: only uploads of data pay for it.
    import pyarrow as pa

    try:
        if media_type == PARQUET:
            datafiles.check_parquet(path)
            return _parquet(path)
        datafiles.check_csv(path)
        return _csv(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        # Arrow quotes the line that it stumbled over.
        reason = re.sub(r"(got \d+):.*", r"\1", str(error).split("\n", 1)[0])[:200]
        raise Unprocessable(f"this is not {media_type}: {reason}", field="file") from None


def _parquet(path: Path) -> tuple[int, list[dict[str, str]]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        datafiles.check_names(file.schema_arrow.names)
        return int(file.metadata.num_rows), _columns(file.schema_arrow)


def _csv(path: Path) -> tuple[int, list[dict[str, str]]]:
    import pyarrow as pa

    try:
        return _stream_csv(path, None)
    except pa.ArrowInvalid:
        # Types are taken from the first block; where a later one disagrees, all is text.
        names = _csv_names(path)
        return _stream_csv(path, {name: pa.string() for name in names})


def _csv_names(path: Path) -> list[str]:
    from pyarrow import csv

    with csv.open_csv(path, read_options=csv.ReadOptions(block_size=_BLOCK)) as reader:
        return list(reader.schema.names)


def _stream_csv(path: Path, types: dict[str, Any] | None) -> tuple[int, list[dict[str, str]]]:
    import pyarrow as pa
    from pyarrow import csv

    with csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=_BLOCK),
        convert_options=csv.ConvertOptions(column_types=types),
    ) as reader:
        if any(pa.types.is_binary(field.type) for field in reader.schema):
            raise datafiles.Malformed("it is not text in UTF-8")
        return sum(batch.num_rows for batch in reader), _columns(reader.schema)


def _columns(schema: Any) -> list[dict[str, str]]:
    return [{"name": field.name, "type": str(field.type)} for field in schema]
