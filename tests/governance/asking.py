"""How a pipeline asks the gate in tests, and how somebody outside reads what it answered."""

import json
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.test import Client

from governance import attestations

DECISIONS = "/api/v1/gate/decisions/"
ENFORCE = "/api/v1/gate/enforce/"


def ask(
    world: Any, path: str = DECISIONS, headers: dict[str, str] | None = None, **more: Any
) -> Any:
    """Ask about the world's version; `more` changes the question."""
    return ask_raw(world, {**world.question(), **more}, path, headers)


def ask_raw(
    world: Any, question: Any, path: str = DECISIONS, headers: dict[str, str] | None = None
) -> Any:
    return Client().post(
        path, question, content_type="application/json", headers=headers or world.headers
    )


def denying(body: dict[str, Any]) -> set[str]:
    """The controls that stood in the way."""
    return {
        one["control"]
        for one in body["reasons"]
        if one["mode"] == "block" and one["status"] in ("fail", "insufficient")
    }


def published_pem() -> str:
    return Client().get("/.well-known/countersign/attestation.pem").content.decode()


def statement_of(body: dict[str, Any]) -> dict[str, Any]:
    """The verified statement, by the published key."""
    key = load_pem_public_key(published_pem().encode())
    found: dict[str, Any] = json.loads(attestations.verify(body["attestation"], [key]))
    return found
