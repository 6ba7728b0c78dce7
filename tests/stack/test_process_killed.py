"""Each process of the embedded mode is killed with -9 while it waits: another takes its place, and works."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.stack.product import Product, tree, until

CHECKS = "models/lending/versions/1/checks/"


@pytest.mark.stack
@pytest.mark.slow
def test_a_killed_process_is_replaced(tmp_path: Path) -> None:
    product = Product(tmp_path / "data")
    product.token = json.loads(product.python("-m", "tests.stack.prepare").splitlines()[-1])[
        "token"
    ]

    def succeeds(kind: str) -> None:
        status, asked = product.ask("POST", CHECKS, {"kind": kind, "dataset": "loans"})
        assert status == 201, asked

        def state() -> Any:
            return product.ask("GET", f"check-runs/{asked['id']}/")[1]["state"]

        until(
            f"{kind} ends\n{product.said()}",
            lambda: state() not in ("queued", "running"),
            seconds=90,
        )
        assert state() == "succeeded", product.said()

    with product.up() as process:
        succeeds("data_quality")
        for name, kind in (
            ("work", "performance"),
            ("loops", "data_quality"),
            ("work", "fairness"),
        ):
            running = _running(process.pid, name)
            assert running, name
            for one in running:
                os.kill(one, signal.SIGKILL)
            succeeds(kind)
        until(
            "the log holds it",
            lambda: product.ask("GET", "audit/status/")[1]["pending"] == 0,
            seconds=30,
        )
        status = product.ask("GET", "audit/status/")[1]
    assert status["ok"], status
    assert "malformed" not in product.log.read_text(errors="replace")
    assert product.python("manage.py", "audit_verify")


def _running(supervisor: int, name: str) -> list[int]:
    """The processes of the supervisor's that run this command."""
    return [
        pid
        for pid in tree(supervisor)
        if name in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    ]
