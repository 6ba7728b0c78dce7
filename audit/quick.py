"""The quick half of a verification: does a run of entries hold? What does not is looked at slowly.

One query for a run, no models, and it can be done by several processes, each with its own connection.
"""

import hmac
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import CharField
from django.db.models.functions import Cast

from audit import merkle, tiles
from audit.direct import call
from audit.models import Leaf, Tile
from audit.selection import erased_among
from kernel.moments import rfc3339

CHUNK = 8 * tiles.WIDTH
_COLUMNS = (
    "hash",
    "entry__leaf",
    "entry__at",
    "entry__type",
    "entry__actor_kind",
    "entry__object_type",
    "entry__object_id",
    "entry__private_payload__salt",
    "entry__private_payload__data",
)
_UUIDS = ("uuid", "actor", "scope")


@dataclass(frozen=True)
class Held:
    """A run in which everything holds: its leaf hashes, one after the other, and what was counted."""

    hashes: bytes
    payloads: int
    erased: int


def check(epoch: int, start: int, stop: int) -> Held | None:
    """Check the entries [start, stop): bytes, columns, leaf rows, lowest tiles, payloads.

    `start` is where a tile begins. None says that something does not hold, or needs a closer look.
    """
    database = transaction.get_connection()
    found = _Found([], [], 0)
    if database.vendor == "postgresql":
        rows = call(database, _ROWS, (epoch, start, stop))
        places = _compared(rows, start, found)
    else:
        places = _parsed(_read(epoch, index__gte=start, index__lt=stop), start, found)
    if places is None:
        return None
    # What is written in another way than most entries: by the system, with quotation marks.
    for at in range(0, len(places), 500):
        some, again = places[at : at + 500], _Found([], [], 0)
        rows = list(_read(epoch, index__in=some))
        if len(rows) != len(some):
            return None
        for place, row in zip(some, rows, strict=True):
            if _parsed([row], place, again) is None:
                return None
        found.gone.extend(again.gone)
        found.payloads += again.payloads
    joined = b"".join(found.hashes)
    if len(found.hashes) != stop - start or joined != _stored(epoch, start, stop):
        return None
    gone = found.gone
    if gone and len(erased_among([UUID(one) for one in gone])) != len(set(gone)):
        return None
    return Held(joined, found.payloads, len(gone))


@dataclass
class _Found:
    """Hashes in their order, uuids of entries whose payload is not there, number of payloads."""

    hashes: list[bytes]
    gone: list[str]
    payloads: int


# The server writes what most leaves have before and behind their public facts out of the columns, so that
# comparing bytes compares all columns at once. A quotation mark in a column would make that ambiguous.
_ROWS = """
SELECT place."index", place.hash, entry.leaf, payload.salt, payload.data, convert_to(
    '{"actor":{"kind":"' || entry.actor_kind || '","ref":"' || entry.actor || '"},"at":"'
    || replace(to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '')
    || 'Z","id":"' || entry.uuid || '","object":{"id":"' || entry.object_id || '","type":"'
    || entry.object_type || '"},"p', 'UTF8'
), convert_to(
    coalesce('},"scope":"' || entry.scope || '"', '}') || ',"type":"' || entry.type || '","v":1}', 'UTF8'
)
FROM audit_leaf AS place
JOIN audit_entry AS entry ON entry.id = place.entry_id
LEFT JOIN audit_privatepayload AS payload ON payload.entry_id = place.entry_id
WHERE place.epoch_id = %s AND place."index" >= %s AND place."index" < %s
ORDER BY place."index"
"""
_MARKS = (29, (6, 10))


def _compared(rows: list[Any], start: int, found: _Found) -> list[int] | None:
    """Check rows of `_ROWS`; return the places of those whose columns have to be compared one by one,
    or None if something does not hold. Adds to `found`."""
    closely: list[int] = []
    hashes, digest = found.hashes, hmac.digest
    for place, row in enumerate(rows, start):
        index, stored, leaf, salt, data, head, tail = row
        computed = sha256(b"\x00" + leaf).digest()
        if index != place or computed != stored:
            return None
        hashes.append(computed)
        if (
            not leaf.startswith(head)
            or not leaf.endswith(tail)
            or head.count(b'"') != _MARKS[0]
            or tail.count(b'"') not in _MARKS[1]
        ):
            closely.append(place)
        elif leaf.startswith(b'rivate":"', len(head)):
            at = len(head) + 9
            if salt is None:
                found.gone.append(json.loads(leaf)["id"])
            elif digest(salt, data, "sha256").hex().encode() != leaf[at : at + 64]:
                return None
            else:
                found.payloads += 1
        elif salt is not None:
            return None
    return closely


def _read(epoch: int, **chosen: Any) -> Iterable[tuple[Any, ...]]:
    texts = {f"{name}_text": Cast(f"entry__{name}", CharField()) for name in _UUIDS}
    return (
        Leaf.objects.filter(epoch_id=epoch, **chosen)
        .order_by("index")
        .annotate(**texts)
        .values_list("index", *_COLUMNS, *texts)
    )


def _parsed(rows: Iterable[tuple[Any, ...]], start: int, found: _Found) -> list[int] | None:
    """Check rows of `_read` by reading their leaves; return [] or, if something does not hold, None."""
    for place, row in enumerate(rows, start):
        computed = _entry(place, row)
        if computed is None:
            return None
        found.hashes.append(computed)
        if row[8] is not None:
            found.payloads += 1
        elif b'"private"' in bytes(row[2]) and "private" in json.loads(bytes(row[2])):
            found.gone.append(row[10])
    return []


def _entry(place: int, row: tuple[Any, ...]) -> bytes | None:
    """Return the hash of an entry if its place, bytes, columns and payload fit each other."""
    index, stored, leaf, at, kind, actor_kind, object_type, object_id, salt, data, *ids = row
    raw = bytes(leaf)
    computed = sha256(b"\x00" + raw).digest()
    if index != place or computed != bytes(stored):
        return None
    try:
        said = json.loads(raw)
        actor, about = said["actor"], said["object"]
        fits = (
            said["at"] == rfc3339(at)
            and said["type"] == kind
            and actor["kind"] == actor_kind
            and about["type"] == object_type
            and about["id"] == object_id
            and _same(said["id"], ids[0])
            and _same(actor["ref"], ids[1])
            and _same(said.get("scope"), ids[2])
        )
    except (ValueError, KeyError, TypeError):
        return None
    if salt is not None:
        fits = fits and hmac.digest(bytes(salt), bytes(data), "sha256").hex() == said.get("private")
    return computed if fits else None


def _same(said: str | None, stored: str | None) -> bool:
    # SQLite keeps a UUID without its hyphens.
    return said == stored or (said is not None and said.replace("-", "") == stored)


def _stored(epoch: int, start: int, stop: int) -> bytes:
    """Return the hashes that the lowest tiles hold for [start, stop)."""
    wide = tiles.WIDTH * merkle.HASH_SIZE
    found: list[bytes] = []
    rows = Tile.objects.filter(
        epoch_id=epoch, level=0, n__gte=start // tiles.WIDTH, n__lt=-(-stop // tiles.WIDTH)
    )
    for n, data in rows.order_by("n").values_list("n", "hashes"):
        if n != start // tiles.WIDTH + len(found):
            return b""
        width = min(stop - n * tiles.WIDTH, tiles.WIDTH) * merkle.HASH_SIZE
        found.append(bytes(data)[:width] if len(data) <= wide else b"")
    return b"".join(found)


def runs(epoch: int, size: int, pool: Executor | None) -> Iterator[tuple[int, int, Held | None]]:
    """Yield (start, stop, what holds) for each run of an epoch, in order."""
    places = ((start, min(start + CHUNK, size)) for start in range(0, size, CHUNK))
    if pool is None:
        for start, stop in places:
            yield start, stop, check(epoch, start, stop)
        return
    waiting: deque[tuple[int, int, Future[Held | None]]] = deque()
    for start, stop in places:
        waiting.append((start, stop, pool.submit(check, epoch, start, stop)))
        if len(waiting) > 2 * (os.cpu_count() or 1):
            first = waiting.popleft()
            yield first[0], first[1], first[2].result()
    while waiting:
        first = waiting.popleft()
        yield first[0], first[1], first[2].result()
