"""The data that checks read: files by their digest, and tables of databases by a name.

`open_source` opens either as a `Source`, whose table is asked for aggregates through Ibis.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kernel.errors import CountersignError
from monitoring.engine.sources import files, tables
from monitoring.engine.sources.data import FORMATS, Data, DataFile, DataTable, data_from_json
from monitoring.engine.sources.files import digest_of, open_file, unreadable, verify_digest
from monitoring.engine.sources.filters import Filter, kind_of
from monitoring.engine.sources.instants import instants_of, within_calendar
from monitoring.engine.sources.opened import NO_ROWS, ROW, EngineLimits, Source
from monitoring.engine.sources.tables import MOST_PULLED, open_table, snapshot
from monitoring.engine.sources.texts import category_of, text_of, value_text_of
from registry.sources import backends, catalogue

__all__ = [
    "FORMATS",
    "MOST_PULLED",
    "NO_ROWS",
    "ROW",
    "Data",
    "DataFile",
    "DataTable",
    "EngineLimits",
    "Filter",
    "Source",
    "blind_of",
    "category_of",
    "data_from_json",
    "digest_of",
    "engine_of",
    "instants_of",
    "kind_of",
    "localized",
    "open_source",
    "said",
    "snapshot",
    "text_of",
    "value_text_of",
    "verify_digest",
    "within_calendar",
]


def open_source(
    data: Data,
    workdir: Path,
    *,
    field: str = "dataset",
    limits: EngineLimits | None = None,
    predictions: Path | None = None,
) -> Source:
    """Open a dataset's rows, verified against its digest and filtered.

    `predictions` is a parquet file with `ROW`, `countersign_score` and `countersign_prediction`,
    joined by the row's number; only a file's rows have one (see `localized`).

    Raises:
        Invalid: the data are not as declared, or a filter names an unknown column.
        Unprocessable: they are not those of the digest.
        Unavailable: the source cannot be reached.
    """
    if isinstance(data, DataFile):
        return open_file(data, workdir, field=field, limits=limits, predictions=predictions)
    assert predictions is None, "rows without numbers cannot be joined with predictions"
    return open_table(data, field=field)


def localized(
    data: Data, workdir: Path, *, field: str = "dataset", sample: int | None = None
) -> Data:
    """The rows as a file, to be scored: the data's own, or those of a table, verified, filtered and
    pulled. A table of more than `MOST_PULLED` rows stays where it is.

    With `sample` a table gives only so many rows, those with the least digests.
    """
    if isinstance(data, DataFile) or not data.pinned:
        return data
    source = open_table(data, field=field)
    try:
        if sample is None and source.rows > MOST_PULLED:
            return data
        with said(data, field):
            return snapshot(source, workdir / f"{field}.pulled.parquet", most=sample)
    finally:
        source.close()


def blind_of(data: Data) -> str | None:
    """A number that only who has the rows can know; None of rows that no digest pins."""
    return files.blind_of(data) if isinstance(data, DataFile) else tables.blind_of(data)


def engine_of(data: Data) -> str:
    """What counts the rows, by name: `duckdb` for a file."""
    if isinstance(data, DataFile):
        return "duckdb"
    return catalogue.current().find(data.relation, "dataset").backend


@contextlib.contextmanager
def said(data: Data, field: str = "dataset") -> Iterator[None]:
    """Turn what an engine raises while it counts into an error of ours that names the field.

    Only an engine's own errors: a mistake of ours stays what it is.
    """
    try:
        yield
    except CountersignError:
        raise
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("duckdb", "_duckdb", "psycopg", "py4j"):
            raise
        if isinstance(data, DataFile):
            raise unreadable(error, field) from error
        named = catalogue.current().find(data.relation, field)
        raise backends.refusal(error, named, field) from None
