"""The quick half of a verification: does a run of entries hold? What does not is looked at slowly.

One query for a run, no models, and it can be done by several processes, each with its own connection.
"""

import hmac
import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db.models import CharField
from django.db.models.functions import Cast

from audit import merkle, tiles
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
    texts = {f"{name}_text": Cast(f"entry__{name}", CharField()) for name in _UUIDS}
    rows = (
        Leaf.objects.filter(epoch_id=epoch, index__gte=start, index__lt=stop)
        .order_by("index")
        .annotate(**texts)
        .values_list("index", *_COLUMNS, *texts)
    )
    hashes: list[bytes] = []
    gone: list[str] = []
    payloads = 0
    for place, row in enumerate(rows, start):
        computed = _entry(place, row)
        if computed is None:
            return None
        hashes.append(computed)
        if row[8] is not None:
            payloads += 1
        elif b'"private"' in bytes(row[2]) and "private" in json.loads(bytes(row[2])):
            gone.append(row[10])
    joined = b"".join(hashes)
    if len(hashes) != stop - start or joined != _stored(epoch, start, stop):
        return None
    if gone and len(erased_among([UUID(one) for one in gone])) != len(set(gone)):
        return None
    return Held(joined, payloads, len(gone))


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
