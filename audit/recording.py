"""Recording: one entry, its private payload, its place in the queues, in the open transaction."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from audit import catalogue
from audit.actor import Actor
from audit.models import Entry, OutboxMessage, Pending, PrivatePayload
from audit.tiles import MAX_LEAF
from kernel import canonical
from kernel.errors import TooLarge
from kernel.identifiers import uuid7
from kernel.moments import rfc3339

LEAF_VERSION = 1
SALT_SIZE = 32


def commitment(salt: bytes, data: bytes) -> str:
    """HMAC-SHA256 of the private bytes under their salt, in hex: binding, and silent without it."""
    return hmac.new(salt, data, hashlib.sha256).hexdigest()


def record(
    type: str,
    *,
    actor: Actor,
    at: datetime,
    object_type: str,
    object_id: str,
    public: Mapping[str, Any],
    private: Mapping[str, Any] | None = None,
    scope: UUID | None = None,
) -> Entry:
    """Write one entry inside the open write.

    `public` is kept for ever and holds ids, digests, numbers and states; names, addresses and free
    text go into `private`, which can be erased. `scope` lets a timeline gather entries (a model's,
    say). `at` is the one instant of the transaction.

    Raises:
        RuntimeError: if no write is open.
        CatalogueError: if the type is unknown or `public` is not what the type has.
        TooLarge: if the leaf would exceed 65,535 bytes.
    """
    from audit.writing import in_write

    in_write()
    facts = catalogue.get(type).check(public)
    identity = uuid7()
    salt = data = b""
    leaf: dict[str, Any] = {
        "v": LEAF_VERSION,
        "id": str(identity),
        "at": rfc3339(at),
        "type": type,
        "actor": {"kind": actor.kind, "ref": str(actor.pseudonym)},
        "object": {"type": object_type, "id": str(object_id)},
        "public": facts,
    }
    if actor.kind == "system":
        leaf["actor"]["name"] = actor.name
    if scope is not None:
        leaf["scope"] = str(scope)
    if private:
        salt, data = secrets.token_bytes(SALT_SIZE), canonical.dumps(dict(private))
        leaf["private"] = commitment(salt, data)
    encoded = canonical.dumps(leaf)
    if len(encoded) > MAX_LEAF:
        raise TooLarge(f"an entry holds {MAX_LEAF} bytes; attach what is larger by its digest")
    entry = Entry(
        uuid=identity,
        leaf=encoded,
        at=at,
        type=type,
        actor_kind=actor.kind,
        actor=actor.pseudonym,
        object_type=object_type,
        object_id=str(object_id),
        scope=scope,
    )
    if connection.vendor == "postgresql":
        _insert_at_once(entry, salt, data)
    else:
        _insert(entry, salt, data)
    return entry


def _insert(entry: Entry, salt: bytes, data: bytes) -> None:
    entry.save(force_insert=True)
    if salt:
        PrivatePayload.objects.create(entry=entry, salt=salt, data=data)
    Pending.objects.create(entry=entry)
    OutboxMessage.objects.create(entry=entry)


def _insert_at_once(entry: Entry, salt: bytes, data: bytes) -> None:
    """The same in one call (`audit.triggers`): a write waits for the server once, not four times."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT countersign_record(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                entry.uuid, bytes(entry.leaf), entry.at, entry.type, entry.actor_kind, entry.actor,
                entry.object_type, entry.object_id, entry.scope, salt or None, data or None,
            ],
        )  # fmt: skip
        (entry.id,) = cursor.fetchone()
    entry._state.adding, entry._state.db = False, connection.alias
