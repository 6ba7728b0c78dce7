"""Everything is killed with -9 in the middle of checks and started again: nothing is lost or doubled."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.stack.product import Product, kill, until

CHECKS = "models/lending/versions/1/checks/"
KINDS = ("performance", "fairness", "data_quality")
ENDED = {"succeeded", "failed", "cancelled"}


@pytest.mark.stack
@pytest.mark.slow
def test_killed_in_the_middle_of_checks(tmp_path: Path) -> None:
    product = Product(tmp_path / "data")
    product.token = json.loads(product.python("-m", "tests.stack.prepare").splitlines()[-1])[
        "token"
    ]

    def run(identity: str) -> Any:
        return product.ask("GET", f"check-runs/{identity}/")[1]

    with product.up() as process:
        asked = [product.ask("POST", CHECKS, {"kind": kind, "dataset": "loans"}) for kind in KINDS]
        assert [status for status, _ in asked] == [201, 201, 201], asked
        runs = [answer["id"] for _, answer in asked]
        until(
            f"a check runs\n{product.said()}",
            lambda: any(run(one)["state"] == "running" for one in runs),
            seconds=60,
        )
        kill(process)
    states = Counter(state for (state,) in product.rows("SELECT state FROM monitoring_checkrun"))
    assert states["running"] >= 1, states
    with product.up():
        until(
            "all checks end",
            lambda: all(run(one)["state"] in ENDED for one in runs),
            seconds=150,
            pause=0.5,
        )
        found = [run(one) for one in runs]
        until(
            "the log holds it",
            lambda: product.ask("GET", "audit/status/")[1]["pending"] == 0,
            seconds=30,
        )
        status = product.ask("GET", "audit/status/")[1]
    assert [one["state"] for one in found] == ["succeeded"] * 3, found
    assert {one["grade"] for one in found} == {"re-performed"}
    assert max(one["attempt"] for one in found) >= 2, "what was cut short was done again"
    assert status["ok"], status
    _nothing_is_doubled(product, runs)
    assert product.python("manage.py", "audit_verify")


def _nothing_is_doubled(product: Product, runs: list[str]) -> None:
    rows = product.rows("SELECT object_id, type FROM audit_entry WHERE object_type = 'check_run'")
    entries = Counter(rows)
    for one in runs:
        assert entries[(one, "monitoring.check.requested")] == 1
        assert entries[(one, "monitoring.check.succeeded")] == 1
    ((measured, distinct),) = product.rows(
        "SELECT count(*), count(DISTINCT run_id || '/' || position) FROM monitoring_measurement"
    )
    assert measured == distinct > 0
    ((kept, leaves, sequenced),) = product.rows(
        "SELECT (SELECT count(*) FROM audit_entry), (SELECT count(*) FROM audit_leaf),"
        " (SELECT count(DISTINCT entry_id) FROM audit_leaf)"
    )
    assert kept == leaves == sequenced
