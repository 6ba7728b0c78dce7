"""The whole story of the demo on PostgreSQL and Valkey, with worker, beat and sequencer apart."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import Postgres
from tests.stack.product import ROOT, kill

SECONDS = 900


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(SECONDS + 60)
def test_the_story_on_postgresql_and_valkey(
    tmp_path: Path, postgres_server: Postgres, valkey_url: str
) -> None:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")
    }
    told = tmp_path / "told.txt"
    with told.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "demo", "--check", "--separate"],
            cwd=ROOT,
            env={
                **kept,
                "COUNTERSIGN_DATABASE_URL": postgres_server.create("story"),
                "COUNTERSIGN_BROKER_URL": valkey_url,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "client")]),
                "TMPDIR": str(tmp_path),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = demo.wait(SECONDS)
        except subprocess.TimeoutExpired:
            demo.send_signal(signal.SIGINT)
            code = None
        finally:
            kill(demo)
    text = told.read_text(errors="replace")
    assert code == 0, text[-6000:]
    assert "The story ended as told." in text
