"""Fixtures that tests of every layer use."""

from collections.abc import Iterator

import pytest
from django.conf import settings

from tests import servers, stores
from tests.append_only import flush_past_the_triggers, own_sequencer_folder

__all__ = ["flush_past_the_triggers", "own_sequencer_folder"]


def pytest_configure() -> None:
    # A strong hash takes a tenth of a second on purpose; thousands of tests need none.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    database = settings.DATABASES["default"]
    if database["ENGINE"] == "kernel.sqlite":
        # As for Django's own backend, of whose name pytest-django knows.
        database.setdefault("TEST", {})["NAME"] = ":memory:"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start the whole product come first: another process does all the rest meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("stack") is None)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.Postgres]:
    """A real PostgreSQL for the session of one test process."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A real Valkey for the session of one test process."""
    with servers.valkey() as url:
        yield url


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A real S3 server for the session of one test process: `tests.stores.new_bucket(s3_url)`."""
    with stores.s3() as url:
        yield url
