"""Many writers and dying sequencers as real processes: entries = leaves, no gap, none twice, none lost."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.servers import Postgres

ROOT = Path(__file__).resolve().parents[2]
# How long the writers and sequencers race: 30 in full.
SECONDS = os.environ.get("HAMMER_SECONDS", "4")


def environment(data_dir: Path, database: str | None) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}
    own["COUNTERSIGN_DATA_DIR"] = str(data_dir)
    own["PYTHONPATH"] = str(ROOT)
    if database:
        own["COUNTERSIGN_DATABASE_URL"] = database
    return own


def start(env: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=dict(env), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    return output


def hammer(env: Mapping[str, str], stop: Path, *, writers: int, seconds: str) -> None:
    """Let writers write while two sequencers race, each killed at every statement of its step."""
    finish(start(env, "manage.py", "migrate", "-v0", "audit"))
    finish(start(env, "manage.py", "audit_sequencer", "--once"))
    crowd = start(env, "-m", "tests.audit.hammer", "crowd", str(writers), str(stop))
    dying = [start(env, "-m", "tests.audit.hammer", "die", seconds) for _ in range(2)]
    places: set[int] = set()
    try:
        for process in dying:
            killed = re.findall(r"(\d+):\d+", finish(process))
            places |= set(map(int, killed))
    finally:
        stop.touch()
    written = int(finish(crowd).split()[-1])
    finish(start(env, "manage.py", "audit_sequencer", "--once"))
    report = finish(start(env, "manage.py", "audit_verify", "--processes", "2"))
    assert "the log is whole" in report
    assert re.match(rf"{written:,} entries", report), report
    assert "0 entries wait" in report
    # At each statement of the step, and between commit and high-water file.
    assert set(range(10)) <= places, places


@pytest.mark.slow
def test_writers_and_sequencers_killed_at_each_statement_on_sqlite(tmp_path: Path) -> None:
    env = environment(tmp_path / "data", None)
    hammer(env, tmp_path / "stop", writers=3, seconds=SECONDS)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_sixteen_writers_and_sequencers_killed_at_each_statement(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    env = environment(tmp_path / "data", postgres_server.create("audit_hammer"))
    hammer(env, tmp_path / "stop", writers=16, seconds=SECONDS)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_the_log_s_own_tests_pass_on_postgresql(postgres_server: Postgres) -> None:
    names = ("writing", "sequencer", "verification", "tamper_matrix", "export", "outbox")
    env = {**os.environ, "COUNTERSIGN_TEST_DATABASE_URL": postgres_server.create("audit_tests")}
    done = subprocess.run(
        # Tables made at once and not by a history of migrations, which takes longer than most of the tests.
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--nomigrations",
         *[f"tests/audit/test_{name}.py" for name in names]],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
