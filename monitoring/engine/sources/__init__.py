"""A file of rows opened in DuckDB through Ibis, locked so that a query reaches nothing else.

Rows stay in the file: checks ask for aggregates. A CSV file is read once into a parquet file in
the work directory, so that each row has one number that never changes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid, Unprocessable
from kernel.identifiers import parse_digest
from monitoring.engine.documents import Fields, scalar
from monitoring.engine.mapping import Scalar

if TYPE_CHECKING:
    import ibis.expr.types as ir

FORMATS = ("parquet", "csv")
ROW = "countersign_row"
_HASH_BLOCK = 1 << 20


@dataclass(frozen=True)
class Filter:
    """Keep the rows whose `column` equals `equals`, or lies in [`least`, `below`).

    A row with a missing value is not kept.
    """

    column: str
    equals: Scalar | None = None
    least: float | str | None = None
    below: float | str | None = None

    @classmethod
    def from_json(cls, value: object, path: str) -> "Filter":
        fields = Fields(value, path, ("column", "equals", "least", "below"))
        column = fields.text("column")
        given = {
            key: scalar(fields.raw(key), fields.name(key))
            for key in ("equals", "least", "below")
            if fields.has(key)
        }
        if not given or ("equals" in given and len(given) > 1):
            raise Invalid("give either equals, or least and/or below", field=path)
        if isinstance(given.get("least"), bool) or isinstance(given.get("below"), bool):
            raise Invalid("a range needs numbers or texts", field=path)
        return cls(column, **given)

    def to_json(self) -> dict[str, Any]:
        return {
            "column": self.column,
            "equals": self.equals,
            "least": self.least,
            "below": self.below,
        }


@dataclass(frozen=True)
class DataFile:
    """A dataset's file: where its bytes are, their SHA-256, and which rows of it are meant."""

    path: Path
    digest: str
    format: str = "parquet"
    filters: tuple[Filter, ...] = ()

    @classmethod
    def from_json(cls, value: object, path: str) -> "DataFile":
        fields = Fields(value, path, ("path", "digest", "format", "filters"))
        return cls(
            path=Path(fields.text("path")),
            digest=parse_digest(fields.raw("digest"), fields.name("digest")),
            format=fields.choice("format", FORMATS, "parquet"),
            filters=tuple(
                Filter.from_json(one, f"{fields.name('filters')}[{index}]")
                for index, one in enumerate(fields.items("filters"))
            ),
        )

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), **self.identity(), "format": self.format}

    def identity(self) -> dict[str, Any]:
        """What the rows are, wherever the bytes lie."""
        return {"digest": self.digest, "filters": [one.to_json() for one in self.filters]}


@dataclass(frozen=True)
class EngineLimits:
    """Bounds of one DuckDB connection. `memory` is in MiB."""

    memory: int = 1024
    threads: int = 2


@dataclass(frozen=True)
class Source:
    """The rows of one dataset. `table` has the file's columns and `ROW`, the row's number."""

    table: "ir.Table"
    schema: Mapping[str, str]
    rows: int
    identity: Mapping[str, Any]
    backend: Any = field(repr=False)

    def batches(self, table: "ir.Table", chunk: int = 65_536) -> Any:
        """Stream an expression over this source: an Arrow record batch reader with a schema."""
        return _stream(self.backend, table, chunk)

    def close(self) -> None:
        self.backend.disconnect()


def _stream(backend: Any, table: "ir.Table", chunk: int = 65_536) -> Any:
    # Ibis 12's own to_pyarrow_batches asks DuckDB for a method that DuckDB 2 no longer has.
    return backend.con.sql(backend.compile(table)).to_arrow_reader(chunk)


def verify_digest(path: Path, digest: str, field: str) -> None:
    """Hash the file.

    Raises:
        Invalid: if there is no such file.
        Unprocessable: if its bytes are not those of `digest`.
    """
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_HASH_BLOCK):
                hasher.update(block)
    except OSError as error:
        raise Invalid("the file cannot be read", field=f"{field}.path") from error
    if hasher.hexdigest() != digest:
        raise Unprocessable(
            f"the file's SHA-256 is {hasher.hexdigest()}, not {digest}", field=f"{field}.digest"
        )


def open_source(
    data: DataFile,
    workdir: Path,
    *,
    field: str = "dataset",
    limits: EngineLimits | None = None,
    predictions: Path | None = None,
) -> Source:
    """Open a data file, verified against its digest, filtered, in a locked DuckDB.

    `predictions` is a parquet file with `ROW`, `countersign_score` and `countersign_prediction`,
    joined by the row's number.

    Raises:
        Invalid: the file is not of its format, or a filter names an unknown column.
        Unprocessable: its bytes are not those of its digest.
    """
    verify_digest(data.path, data.digest, field)
    limits = limits or EngineLimits()
    path = data.path.resolve()
    if data.format == "csv":
        path = _csv_to_parquet(path, workdir / f"{data.digest}.parquet", field, limits)
    paths = [path, *([predictions.resolve()] if predictions else [])]
    backend = _connect(paths, limits)
    try:
        table = _read(backend, path, field)
        schema = {name: kind_of(dtype) for name, dtype in table.schema().items() if name != ROW}
        if not schema:
            raise Invalid("the file has no columns", field=field)
        table = _filtered(table, data.filters, schema, field)
        if predictions is not None:
            scored = backend.read_parquet(str(paths[1]))
            table = table.inner_join(scored, ROW)
        rows = int(table.count().to_pyarrow().as_py())
    except Invalid:
        backend.disconnect()
        raise
    except Exception as error:
        backend.disconnect()
        raise _unreadable(error, field) from error
    return Source(table, schema, rows, data.identity(), backend)


def kind_of(dtype: Any) -> str:
    """`numeric`, `boolean`, `text`, `time` or `other` for an Ibis type."""
    if dtype.is_boolean():
        return "boolean"
    if dtype.is_numeric():
        return "numeric"
    if dtype.is_string():
        return "text"
    if dtype.is_temporal():
        return "time"
    return "other"


def _connect(paths: list[Path], limits: EngineLimits) -> Any:
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
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        backend.raw_sql(f"SET {setting}")
    return backend


def _read(backend: Any, path: Path, field: str) -> "ir.Table":
    with path.open("rb") as stream:
        if stream.read(4) != b"PAR1":
            raise Invalid("the file is not a parquet file", field=field)
    table: ir.Table = backend.read_parquet(str(path), file_row_number=True)
    return table.rename({ROW: "file_row_number"})


def _filtered(
    table: "ir.Table", filters: tuple[Filter, ...], schema: Mapping[str, str], field: str
) -> "ir.Table":
    for index, one in enumerate(filters):
        where = f"{field}.filters[{index}]"
        if one.column not in schema:
            raise Invalid(f"the data has no column {one.column!r}", field=where)
        column, kind = table[one.column], schema[one.column]
        for value in (one.equals, one.least, one.below):
            if value is not None and not _fits(kind, value):
                raise Invalid(f"column {one.column!r} is {kind}, not like {value!r}", field=where)
        if one.equals is not None:
            table = table.filter(column == one.equals)
        if one.least is not None:
            table = table.filter(column >= one.least)
        if one.below is not None:
            table = table.filter(column < one.below)
    return table


def _fits(kind: str, value: Scalar) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return kind in (("text", "time") if isinstance(value, str) else ("numeric",))


def _csv_to_parquet(path: Path, target: Path, field: str, limits: EngineLimits) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if target.exists():
        return target
    backend = _connect([path], limits)
    part = target.with_suffix(".part")
    try:
        table = backend.read_csv(
            str(path), header=True, strict_mode=True, parallel=False, sample_size=-1
        )
        batches = _stream(backend, table)
        with pq.ParquetWriter(part, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    except (Exception, pa.ArrowException) as error:
        part.unlink(missing_ok=True)
        raise _unreadable(error, field) from error
    finally:
        backend.disconnect()
    part.replace(target)
    return target


def _unreadable(error: Exception, field: str) -> Invalid:
    # The engine's message may quote a value of the data: only its first line's kind is passed on.
    kind = type(error).__name__
    if "OutOfMemory" in kind or "memory" in str(error).lower()[:80]:
        return Invalid("reading the file needs more memory than a check may use", field=field)
    return Invalid(f"the file cannot be read as declared ({kind})", field=field)
