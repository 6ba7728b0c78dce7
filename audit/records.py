"""What an entry's own bytes say, compared with the columns beside them."""

import hmac
import json
from typing import Any
from uuid import UUID

from audit.models import Entry, PrivatePayload
from audit.recording import commitment
from kernel.moments import rfc3339


def content(entry: Entry) -> dict[str, Any] | None:
    """Return the leaf as JSON; None if it has become something else."""
    try:
        parsed = json.loads(bytes(entry.leaf))
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def differing_columns(entry: Entry) -> list[str]:
    """Return the names of the columns that do not repeat what the leaf says."""
    leaf = content(entry)
    if leaf is None:
        return ["leaf"]
    actor, about = leaf.get("actor") or {}, leaf.get("object") or {}
    said = {
        "uuid": leaf.get("id"),
        "at": leaf.get("at"),
        "type": leaf.get("type"),
        "actor_kind": actor.get("kind"),
        "actor": actor.get("ref"),
        "object_type": about.get("type"),
        "object_id": about.get("id"),
        "scope": leaf.get("scope"),
    }
    shown = {
        "uuid": str(entry.uuid),
        "at": rfc3339(entry.at),
        "type": entry.type,
        "actor_kind": entry.actor_kind,
        "actor": str(entry.actor),
        "object_type": entry.object_type,
        "object_id": entry.object_id,
        "scope": _text(entry.scope),
    }
    return [name for name, value in said.items() if value != shown[name]]


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def commitment_in(entry: Entry) -> str | None:
    """Return what the leaf is committed to; None if it has no private payload."""
    if b'"private"' not in bytes(entry.leaf):
        return None
    leaf = content(entry)
    value = None if leaf is None else leaf.get("private")
    return None if value is None else str(value)


def payload_fits(payload: PrivatePayload, committed: str | None) -> bool:
    """Say whether the private bytes are those that the leaf is committed to."""
    if committed is None:
        return False
    return hmac.compare_digest(commitment(bytes(payload.salt), bytes(payload.data)), committed)


def private_of(entry: Entry) -> dict[str, Any] | None:
    """Return the private payload as JSON; None if there never was one, or it was erased."""
    payload = PrivatePayload.objects.filter(entry=entry).first()
    if payload is None:
        return None
    data: dict[str, Any] = json.loads(bytes(payload.data))
    return data
