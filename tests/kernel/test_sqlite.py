"""Waiting for the one writer's turn."""

import sqlite3
import threading

import pytest
from django.db import DatabaseError, OperationalError
from django.db.utils import ConnectionHandler

from config.databases import database


@pytest.fixture
def path(tmp_path, django_db_blocker):
    path = tmp_path / "x.sqlite3"
    with sqlite3.connect(path) as setup:
        setup.execute("PRAGMA journal_mode = WAL")
        setup.execute("CREATE TABLE t (n INTEGER)")
    with django_db_blocker.unblock():
        yield path


def _insert(path, number, timeout=20.0):
    """Insert in a transaction of a connection of its own."""
    settings = database(f"sqlite:///{path}")
    settings["OPTIONS"]["timeout"] = timeout
    connection = ConnectionHandler({"default": settings})["default"]
    try:
        connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO t VALUES (%s)", [number])
            cursor.execute("PRAGMA busy_timeout")
            left = cursor.fetchone()[0]
        connection.commit()
    finally:
        connection.close()
    return left


def _numbers(path):
    with sqlite3.connect(path) as reader:
        return sorted(number for (number,) in reader.execute("SELECT n FROM t"))


def test_a_transaction_begins_once_the_other_has_ended(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits = threading.Thread(target=_insert, args=(path, 1))
    waits.start()
    waits.join(0.05)
    assert waits.is_alive()
    other.execute("ROLLBACK")
    waits.join(20)
    assert _numbers(path) == [1]


def test_a_transaction_gives_up_after_its_timeout(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        _insert(path, 1, timeout=0.05)
    other.execute("ROLLBACK")
    assert _numbers(path) == []


def test_another_error_is_not_waited_for(path):
    for name in ("x.sqlite3-wal", "x.sqlite3-shm"):
        path.with_name(name).unlink(missing_ok=True)
    path.write_bytes(b"no database at all" * 1_000)
    with pytest.raises(DatabaseError, match="not a database"):
        _insert(path, 1)


def test_statements_within_a_transaction_wait_as_configured(path):
    assert _insert(path, 1, timeout=3.0) == 3_000


def test_all_of_many_writers_get_their_turn(path):
    writers = [threading.Thread(target=_insert, args=(path, number)) for number in range(24)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert _numbers(path) == list(range(24))
