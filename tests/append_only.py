"""Fixtures that every test with a database needs, since the audit log is append-only on purpose."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import TransactionTestCase


def drop_triggers() -> None:
    from audit import triggers

    with connection.cursor() as cursor:
        for name, (table, _) in triggers._expected(connection.vendor).items():
            on = f" ON {table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")


@pytest.fixture(autouse=True, scope="session")
def flush_past_the_triggers() -> Iterator[None]:
    """A transactional test ends with a flush, which the triggers refuse; migrating restores them."""
    flush = TransactionTestCase._fixture_teardown

    def teardown(self: Any) -> None:
        for alias in self._databases_names(include_mirrors=False):
            if connections[alias].connection is not None:
                drop_triggers()
        flush(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield


@pytest.fixture(autouse=True)
def own_sequencer_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a database of its own, so it needs a high-water file of its own."""
    from audit import sequencer

    folder = tmp_path / "sequencer"
    monkeypatch.setattr(sequencer, "folder", lambda: folder)
    return folder
