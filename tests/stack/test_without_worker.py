"""With broker and worker down a breach closes the gate at once; what follows comes later, once."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port
from tests.stack.product import Product

ONCE = {"Finding": 1, "Suspension": 1, "Incident": 1, "RetrainingRequest": 1}


def step(product: Product, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        product.python("-m", "tests.stack.breached", name).splitlines()[-1]
    )
    return found


@pytest.mark.stack
@pytest.mark.slow
def test_a_breach_closes_the_gate_without_broker_and_worker(tmp_path: Path) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    product = Product(tmp_path / "data", COUNTERSIGN_BROKER_URL=nobody)
    prepared = step(product, "prepare")
    product.token, question = prepared["token"], prepared["question"]

    def enforce() -> tuple[int, Any]:
        return product.ask("POST", "gate/enforce/", question)

    def stopped() -> list[str]:
        status, answer = enforce()
        assert status == 403, answer
        return [one["control"] for one in answer["reasons"] if one["status"] == "fail"]

    with product.up("web"):
        status, answer = enforce()
        assert (status, answer["decision"]) == (200, "allow"), answer
        step(product, "breach")
        assert "gate.no_open_breach" in stopped()
        assert product.rows("SELECT * FROM governance_suspension") == []
        assert product.rows("SELECT * FROM governance_incident") == []
        check = {"kind": "performance", "dataset": prepared["dataset"]}
        path = f"models/{prepared['model']}/versions/1/checks/"
        status, asked = product.ask("POST", path, check)
        assert (status, asked["state"]) == (201, "queued"), asked
        assert step(product, "sweep") == ONCE
        assert step(product, "sweep") == ONCE, "doing it again does nothing more"
        assert {"gate.no_open_breach", "gate.not_suspended"} <= set(stopped())
