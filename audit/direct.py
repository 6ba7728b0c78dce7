"""Calls of the database's own functions (`audit.triggers`) with as little as possible in between.

PostgreSQL only. Past Django's cursor, which pastes the values into the statement, and with one psycopg
cursor for each statement that is kept while its connection lasts: it then knows how to send and read
these types. That is half the time of a call, and for a write that matters.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


def call(database: BaseDatabaseWrapper, statement: str, values: tuple[Any, ...]) -> list[Any]:
    """Run a statement on the open connection, inside its transaction if one is open; return the rows.

    Raises:
        django.db.Error: as Django's own cursor does.
    """
    from psycopg import Cursor

    database.ensure_connection()
    database.validate_no_broken_transaction()
    kept: dict[str, Cursor[Any]] = vars(database).setdefault("_countersign_cursors", {})
    cursor = kept.get(statement)
    if cursor is None or cursor.connection is not database.connection:
        kept[statement] = cursor = Cursor(database.connection)
    with database.wrap_database_errors:
        return cursor.execute(statement, values, binary=True).fetchall()
