"""Connections to named sources: read-only, bounded in time, in one snapshot where there is one.

Ibis is imported when a connection is made. PostgreSQL and DuckDB are tested on the real thing, Spark
by `make test-spark`; any other database that Ibis knows by a URL is opened by Ibis as it is, and its
account must be one that may only read.
"""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kernel.errors import CountersignError, Invalid, Unavailable
from registry.sources.catalogue import NamedSource, Relation

if TYPE_CHECKING:
    import ibis.expr.types as ir

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10
DUCKDB_MEMORY = "1GiB"
_TIMED_OUT = ("QueryCanceled", "InterruptException")
_NOT_THERE = (
    "TableNotFound",
    "UndefinedTable",
    "InvalidSchemaName",
    "CatalogException",
    "InsufficientPrivilege",
)


@contextlib.contextmanager
def connection(source: NamedSource, environ: Mapping[str, str] | None = None) -> Iterator[Any]:
    """`connect`, closed at the end."""
    backend = connect(source, environ)
    try:
        yield backend
    finally:
        disconnect(backend)


def connect(source: NamedSource, environ: Mapping[str, str] | None = None) -> Any:
    """An Ibis backend on the source.

    Raises:
        Unavailable: it cannot be reached, or a secret is missing. What the driver said stays out of
            the message, since it may quote the URL.
    """
    address = source.address(os.environ if environ is None else environ)
    openers = {"postgresql": _postgres, "postgres": _postgres, "duckdb": _duckdb}
    try:
        return openers.get(source.backend, _any)(address, source)
    except CountersignError:
        raise
    except Exception as error:
        logger.warning("source %s cannot be reached: %s", source.name, type(error).__name__)
        raise Unavailable(
            f"source {source.name} cannot be reached ({type(error).__name__})"
        ) from None


def disconnect(backend: Any) -> None:
    with contextlib.suppress(Exception):  # a connection that is lost already is closed enough
        backend.disconnect()


def table_of(
    backend: Any, source: NamedSource, relation: Relation, path: str = "location"
) -> "ir.Table":
    """The relation as an Ibis table. It must have been found in the catalogue.

    Raises:
        Invalid: naming the field: it is not there, or the account may not read it.
    """
    field = f"{path}.{'table' if relation.table else 'query'}"
    with translated(source, field):
        if relation.table is None:
            text = source.queries[relation.query or ""]
            known = _SCHEMAS.get(backend.name)
            schema = known(backend, text) if known else None
            query: ir.Table = backend.sql(text, schema=schema)
            return query
        *database, name = relation.table.split(".")
        place: Any = tuple(database) if len(database) > 1 else (database[0] if database else None)
        table: ir.Table = backend.table(name, database=place)
        return table


@contextlib.contextmanager
def translated(source: NamedSource, field: str) -> Iterator[None]:
    """Turn what a driver raises into an error of ours, which never quotes SQL, data or a URL."""
    try:
        yield
    except CountersignError:
        raise
    except Exception as error:
        raise refusal(error, source, field) from None


def refusal(error: Exception, source: NamedSource, field: str) -> CountersignError:
    """What to say of an error of a source's driver."""
    # Ibis closes a cursor of PostgreSQL that went with its transaction: the cause stands behind.
    kinds = [type(one).__name__ for one in _chain(error)]
    kind = next((one for one in kinds if one != "InvalidCursorName"), kinds[0])
    if kind in _TIMED_OUT:
        return Invalid(
            f"source {source.name} did not answer within {source.timeout_seconds} seconds, the "
            "limit that its operator set",
            field=field,
        )
    if kind in _NOT_THERE:
        return Invalid(
            f"source {source.name} has no such relation, or its account may not read it",
            field=field,
        )
    if kind in ("OperationalError", "AdminShutdown", "InterfaceError"):
        return Unavailable(f"the connection to source {source.name} was lost", field=field)
    logger.warning("source %s refused a query: %s", source.name, kind)
    return Invalid(f"source {source.name} refused the query ({kind})", field=field)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _postgres(address: str, source: NamedSource) -> Any:
    import ibis
    import psycopg

    milliseconds = source.timeout_seconds * 1000
    link = psycopg.connect(
        address,
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT,
        application_name="countersign",
        options=f"-c default_transaction_read_only=on -c statement_timeout={milliseconds}",
    )
    try:
        backend = ibis.postgres.from_connection(link)
        # All questions of a check are answered from one snapshot; Ibis's own transactions become
        # savepoints in this one. Digits beyond the shortest text of a float would say nothing new.
        link.execute("SET extra_float_digits = 1")
        link.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # The first question takes the snapshot; after it no statement may make the transaction write.
        link.execute("SELECT 1")
    except BaseException:
        link.close()
        raise
    return backend


def _duckdb(address: str, source: NamedSource) -> Any:
    import ibis

    path = Path(urlsplit(address).path)
    if not path.is_file():
        raise Unavailable(f"source {source.name} cannot be reached (there is no such file)")
    # A file that is opened itself can be open once in a process; attached, a check reads two tables
    # of it, its data and their reference.
    backend = ibis.duckdb.connect()
    quoted = str(path).replace("'", "''")
    backend.raw_sql(f"ATTACH '{quoted}' AS source (TYPE duckdb, READ_ONLY)")
    backend.raw_sql("USE source")
    for setting in (
        f"memory_limit = '{DUCKDB_MEMORY}'",
        "temp_directory = ''",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "TimeZone = 'UTC'",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        backend.raw_sql(f"SET {setting}")
    return backend


def _any(address: str, source: NamedSource) -> Any:
    import ibis

    return ibis.connect(address)


def _schema_of(backend: Any, text: str) -> Any:
    """The columns of a query. Ibis would make a view to find out, and this transaction only reads."""
    import ibis

    link = backend.con
    with link.cursor() as cursor, link.transaction():
        described = cursor.execute(f"SELECT * FROM ({text}) AS query LIMIT 0").description
        kinds = [
            cursor.execute(
                "SELECT pg_catalog.format_type(%s::oid, %s::integer)",
                (column.type_code, _modifier(column)),
            ).fetchone()[0]
            for column in described
        ]
    read = backend.compiler.type_mapper.from_string
    return ibis.schema(
        {column.name: read(kind) for column, kind in zip(described, kinds, strict=True)}
    )


def _schema_of_duckdb(backend: Any, text: str) -> Any:
    """The columns of a query. Ibis asks for them by a method that DuckDB 2.0 has no longer."""
    import ibis

    read = backend.compiler.type_mapper.from_string
    described = backend.con.execute(f"DESCRIBE ({text})").fetchall()
    return ibis.schema({name: read(kind) for name, kind, *_ in described})


_SCHEMAS = {"postgres": _schema_of, "duckdb": _schema_of_duckdb}


def _modifier(column: Any) -> int | None:
    """PostgreSQL's type modifier of a decimal column, which tells its digits."""
    if column.precision is None or column.scale is None:
        return None
    return int((column.precision << 16 | column.scale) + 4)
