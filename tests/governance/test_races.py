"""What happens while the gate decides. On PostgreSQL: SQLite lets one writer in at a time."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.db import connection, connections

from audit.actor import Actor
from audit.writing import write
from governance.models import GateDecision
from governance.services import gate
from governance.services.suspensions import start_suspension
from registry.services import lock_version, tick
from tests.governance import world as worlds
from tests.governance.asking import ask
from tests.servers import Postgres

ROOT = Path(__file__).resolve().parents[2]
_THERE = ("races", "asking", "fast_paths", "gate_record", "costs", "standing_over_rest")
on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="needs a database with concurrent writers"
)


def until_somebody_waits_for_a_lock() -> None:
    with connection.cursor() as cursor:
        for _ in range(200):
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone() != (0,):
                return
            time.sleep(0.01)


@on_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_suspension_that_is_being_written_is_waited_for(monkeypatch):
    """It began before the answer, so no allow may be on record beside it."""
    world = worlds.make_world()
    worlds.approve(world)
    held, threads = threading.Event(), []

    @write
    def suspend(*, actor: Actor) -> None:
        version = lock_version(world.version.pk)
        start_suspension(
            version,
            use=world.use,
            environment=world.environment,
            effect="stop",
            reason="harm",
            at=tick(version),
            actor=actor,
        )
        held.set()
        until_somebody_waits_for_a_lock()

    def meanwhile() -> None:
        try:
            suspend(actor=Actor.system("tests"))
        finally:
            connections.close_all()

    real = gate._signed

    def signed(*args):
        if not threads:
            threads.append(threading.Thread(target=meanwhile))
            threads[0].start()
            assert held.wait(10)
        return real(*args)

    monkeypatch.setattr(gate, "_signed", signed)
    body = ask(world).json()
    threads[0].join()
    assert (body["decision"], body["standing"]) == ("deny", "suspended")
    assert list(GateDecision.objects.values_list("answer", flat=True)) == ["deny"]


@pytest.mark.slow
@pytest.mark.postgres
def test_the_gate_on_postgresql(postgres_server: Postgres) -> None:
    """The races above, and that the gate answers there as it does on SQLite."""
    env = {**os.environ, "COUNTERSIGN_TEST_DATABASE_URL": postgres_server.create("gate_tests")}
    chosen = [f"tests/governance/test_{name}.py" for name in _THERE]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-m", "not slow", *chosen],
        cwd=ROOT,
        env=env,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert "skipped" not in run.stdout
