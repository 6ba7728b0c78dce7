"""A file of rows opened in DuckDB, locked so that a query reaches nothing else.

Rows stay in the file: checks ask for aggregates. A CSV file is read once into a parquet file in the
work directory, so that each row has one number that never changes.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.errors import CountersignError, Invalid, Unprocessable
from monitoring.engine.sources import blinds, csv_faults
from monitoring.engine.sources.data import DataFile
from monitoring.engine.sources.filters import filtered, kind_of, typed
from monitoring.engine.sources.opened import ROW, EngineLimits, Source, stream
from registry import datafiles

if TYPE_CHECKING:
    import ibis.expr.types as ir

_HASH_BLOCK = 1 << 20
_MOST_ROWS = 2**40
_NUMBER = "file_row_number"
"""What DuckDB calls the number of a row."""
_CLASHING = "countersign_renamed"


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, read block by block."""
    hasher = hashlib.sha256()
    _hash(path, hasher)
    return hasher.hexdigest()


def verify_digest(path: Path, digest: str, field: str, *more: "hashlib._Hash") -> None:
    """Hash the file, and into `more` too.

    Raises:
        Invalid: if there is no such file.
        Unprocessable: if its bytes are not those of `digest`.
    """
    hasher = hashlib.sha256()
    try:
        _hash(path, hasher, *more)
    except OSError as error:
        raise Invalid("the file cannot be read", field=f"{field}.path") from error
    found = hasher.hexdigest()
    if found != digest:
        raise Unprocessable(f"the file's SHA-256 is {found}, not {digest}", field=f"{field}.digest")


def _hash(path: Path, *hashers: "hashlib._Hash") -> None:
    with path.open("rb") as stream_:
        while block := stream_.read(_HASH_BLOCK):
            for hasher in hashers:
                hasher.update(block)


def blind_of(data: DataFile, field: str = "dataset") -> str:
    """A digest of the file's bytes that only who has them can compute; see `blinds`."""
    return blinds.kept(data.digest) or _verify(data, field)


def _verify(data: DataFile, field: str) -> str:
    blind = hashlib.sha256(blinds.PREFIX)
    verify_digest(data.path, data.digest, field, blind)
    return blinds.keep(data.digest, blind.hexdigest())


def open_file(
    data: DataFile,
    workdir: Path,
    *,
    field: str = "dataset",
    limits: EngineLimits | None = None,
    predictions: Path | None = None,
) -> Source:
    """Open a data file, verified against its digest, filtered, in a locked DuckDB.

    Raises:
        Invalid: the file is not of its format, or a filter names an unknown column.
        Unprocessable: its bytes are not those of its digest.
    """
    limits = limits or EngineLimits()
    given = data.path.resolve()
    path = workdir / f"{data.digest}.parquet" if data.format == "csv" else given
    renamed = workdir / f"{data.digest}.renamed.parquet"
    paths = [path, renamed, *([predictions.resolve()] if predictions else [])]
    with ThreadPoolExecutor(max_workers=1) as beside:
        # Hashing waits for nothing, and starting DuckDB for a core.
        verified = beside.submit(_verify, data, field)
        backend = connect_locked(paths, limits)
    try:
        verified.result()
        _check_format(given, data.format, field)
        if data.format == "csv":
            _csv_to_parquet(given, path, field, limits)
        table, rows = _read(backend, path, renamed, field, is_own=data.is_own)
        table = typed(table, data.declared)
        schema = {name: kind_of(dtype) for name, dtype in table.schema().items() if name != ROW}
        if not schema:
            raise Invalid("the file has no columns", field=field)
        table = filtered(table, data.filters, schema, field)
        if predictions is not None:
            scored = backend.read_parquet(str(paths[2]))
            table = table.inner_join(scored, ROW)
        if data.filters or predictions is not None:
            rows = int(table.count().to_pyarrow().as_py())
    except CountersignError:
        backend.disconnect()
        raise
    except Exception as error:
        backend.disconnect()
        raise unreadable(error, field) from error
    return Source(table, schema, rows, data.identity(), backend)


def _check_format(path: Path, format: str, field: str) -> None:
    check = datafiles.check_csv if format == "csv" else datafiles.check_parquet
    try:
        check(path)
    except datafiles.Malformed as error:
        raise Invalid(f"the file cannot be read: {error}", field=field) from None


def connect_locked(paths: list[Path], limits: EngineLimits) -> Any:
    """A DuckDB of its own that reads these files, and nothing else for as long as it lives."""
    import ibis

    for path in paths:
        if any(letter in str(path) for letter in "*?[]'\""):
            raise Invalid(
                "the path has a letter that a query would read as a pattern", field="path"
            )
    backend = ibis.duckdb.connect()
    allowed = ", ".join(f"'{path}'" for path in paths)
    for setting in (
        f"allowed_paths = [{allowed}]",
        f"memory_limit = '{limits.memory}MiB'",
        f"threads = {limits.threads}",
        "temp_directory = ''",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "TimeZone = 'UTC'",
        # Parquet's bounds of a column leave not-a-number out. DuckDB 2.0 concludes from them that
        # there is none: isnan() is false, NaN < 100 true, and such rows are skipped by filters.
        "disabled_optimizers = 'statistics_propagation,filter_pushdown'",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        backend.raw_sql(f"SET {setting}")
    return backend


def _read(
    backend: Any, path: Path, renamed: Path, field: str, *, is_own: bool
) -> tuple["ir.Table", int]:
    """The rows of a parquet file and how many they are.

    DuckDB numbers the rows in a column of a name that a file may have: it is then read from a copy,
    `renamed`, in which its own column has another.
    """
    try:
        rows = _check_footer(path, is_own=is_own)
        own = _clashing(path, renamed)
    except datafiles.Malformed as error:
        raise Invalid(f"the file cannot be read: {error}", field=field) from None
    table: ir.Table = backend.read_parquet(str(renamed if own else path), file_row_number=True)
    return table.rename({ROW: _NUMBER, **({own: _CLASHING} if own else {})}), rows


def _clashing(path: Path, target: Path) -> str | None:
    """The file's own column that is called as the rows' numbers, if it has one: `target` is then a copy
    without it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            own = [name for name in names if name.lower() == _NUMBER]
            if not own:
                return None
            if len(own) > 1:
                raise datafiles.Malformed(f"two columns are called {own[0]!r}")
            if not target.exists():
                part = target.with_suffix(".part")
                given = [_CLASHING if name == own[0] else name for name in names]
                schema = pa.schema(
                    [
                        one.with_name(name)
                        for one, name in zip(file.schema_arrow, given, strict=True)
                    ]
                )
                with pq.ParquetWriter(part, schema) as writer:
                    for batch in file.iter_batches():
                        writer.write_table(pa.Table.from_batches([batch]).rename_columns(given))
                part.replace(target)
            return str(own[0])
    except (pa.ArrowException, OSError) as error:
        raise datafiles.Malformed(f"its rows are malformed ({type(error).__name__})") from None


def _check_footer(path: Path, *, is_own: bool) -> int:
    """Arrow reads the footer first: it refuses a schema that is nested without end. Returns the rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            datafiles.check_names(file.schema_arrow.names, is_own=is_own)
            rows = int(file.metadata.num_rows)
            groups = (file.metadata.row_group(at) for at in range(file.metadata.num_row_groups))
            if not 0 <= rows <= _MOST_ROWS:
                raise datafiles.Malformed("it claims more rows than any file has")
            if rows != sum(group.num_rows for group in groups):
                raise datafiles.Malformed("its parts have not the rows that it claims")
            return rows
    except (pa.ArrowException, OSError) as error:
        raise datafiles.Malformed(f"its footer is malformed ({type(error).__name__})") from None


def _csv_to_parquet(path: Path, target: Path, field: str, limits: EngineLimits) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if target.exists():
        return
    backend = connect_locked([path], limits)
    part = target.with_suffix(".part")
    try:
        table = backend.read_csv(
            str(path),
            # The dialect is declared. Left to itself DuckDB skips rows until the rest is even.
            header=True,
            delim=",",
            quote='"',
            escape='"',
            skip=0,
            strict_mode=True,
            null_padding=False,
            ignore_errors=False,
            max_line_size=datafiles.LONGEST_LINE,
            parallel=False,
            # Types are taken from all rows: a letter in the last one makes a column text.
            sample_size=-1,
        )
        batches = stream(backend, table)
        with pq.ParquetWriter(part, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    except (Exception, pa.ArrowException) as error:
        part.unlink(missing_ok=True)
        raise unreadable(error, field, path) from error
    finally:
        backend.disconnect()
    part.replace(target)


def unreadable(error: Exception, field: str, path: Path | None = None) -> Invalid:
    """What to say of an error of the engine's: its kind and, of the CSV file at `path`, the line. Its
    message may quote data."""
    kind = type(error).__name__
    if "OutOfMemory" in kind or "memory" in str(error).lower()[:80]:
        return Invalid("reading the file needs more memory than a check may use", field=field)
    fault = csv_faults.fault_of(path, str(error)) if path else ""
    said = f"the file cannot be read as declared ({kind})"
    return Invalid(f"{said}: {fault}" if fault else said, field=field)
