"""Recording: one entry, its private payload, its place in the queues, in the open transaction."""

import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from audit import catalogue
from audit.actor import Actor
from audit.direct import call
from audit.models import Entry, OutboxMessage, Pending, PrivatePayload
from audit.tiles import MAX_LEAF
from audit.writing import in_write
from kernel import canonical
from kernel.errors import TooLarge
from kernel.identifiers import uuid7
from kernel.moments import rfc3339

LEAF_VERSION = 1
SALT_SIZE = 32


def commitment(salt: bytes, data: bytes) -> str:
    """HMAC-SHA256 of the private bytes under their salt, in hex: binding, and silent without it."""
    return hmac.digest(salt, data, "sha256").hex()


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
    database = in_write()
    facts = catalogue.get(type).check(public)
    identity, about = uuid7(), str(object_id)
    salt = data = b""
    committed = ""
    if private:
        salt, data = secrets.token_bytes(SALT_SIZE), canonical.dumps(dict(private))
        committed = commitment(salt, data)
    encoded = _leaf(type, actor, at, (object_type, about), facts, committed, scope, identity)
    if len(encoded) > MAX_LEAF:
        raise TooLarge(f"an entry holds {MAX_LEAF} bytes; attach what is larger by its digest")
    row = (
        identity, encoded, at, type, actor.kind, actor.pseudonym, object_type, about, scope
    )  # fmt: skip
    if database.vendor == "postgresql":
        # In one call, so that a write waits for the server once, not four times.
        ((number,),) = call(database, _RECORD, (*row, salt or None, data or None))
        return Entry.from_db(database.alias, _COLUMNS, (number, *row))
    entry = Entry.from_db(database.alias, _COLUMNS, (None, *row))
    _insert(entry, salt, data)
    return entry


_text = json.encoder.encode_basestring


def _leaf(
    type: str,
    actor: Actor,
    at: datetime,
    about: tuple[str, str],
    facts: dict[str, Any],
    committed: str,
    scope: UUID | None,
    identity: UUID,
) -> bytes:
    """Return the leaf in canonical JSON: its keys are known, so they are written in their order here."""
    named = f',"name":{_text(actor.name)}' if actor.kind == "system" else ""
    private = f',"private":"{committed}"' if committed else ""
    scoped = f',"scope":"{scope}"' if scope is not None else ""
    start = (
        f'{{"actor":{{"kind":"{actor.kind}"{named},"ref":"{actor.pseudonym}"}},"at":"{rfc3339(at)}",'
        f'"id":"{identity}","object":{{"id":{_text(about[1])},"type":{_text(about[0])}}}{private},"public":'
    )
    end = f'{scoped},"type":{_text(type)},"v":{LEAF_VERSION}}}'
    return start.encode() + canonical.dumps(facts) + end.encode()


_COLUMNS = [field.attname for field in Entry._meta.concrete_fields]
_RECORD = "SELECT countersign_record(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


def _insert(entry: Entry, salt: bytes, data: bytes) -> None:
    entry.save(force_insert=True)
    if salt:
        PrivatePayload.objects.create(entry=entry, salt=salt, data=data)
    Pending.objects.create(entry=entry)
    OutboxMessage.objects.create(entry=entry)
