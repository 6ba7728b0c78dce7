"""Fixtures that tests of every layer use."""

from collections.abc import Iterator

import pytest

from tests import servers


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
