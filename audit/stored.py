"""The tree as it is stored: tiles read from the database in one query for a whole proof."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db import connection

from audit import merkle, tiles

T = TypeVar("T")
_TILES = "SELECT level, n, hashes FROM audit_tile WHERE epoch_id = %s"
_AT_ONCE = 200


def load(epoch: int, wanted: Iterable[tiles.Tile]) -> dict[tiles.Tile, bytes]:
    """Return the wanted tiles that are there."""
    places = list(wanted)
    found: dict[tiles.Tile, bytes] = {}
    for start in range(0, len(places), _AT_ONCE):
        chunk = places[start : start + _AT_ONCE]
        conditions = " OR ".join(["(level = %s AND n = %s)"] * len(chunk))
        numbers = [number for place in chunk for number in place]
        with connection.cursor() as cursor:
            cursor.execute(f"{_TILES} AND ({conditions})", [epoch, *numbers])
            found |= {(level, n): bytes(hashes) for level, n, hashes in cursor.fetchall()}
    return found


class StoredTree:
    """Answers proofs over one epoch. Keeps the tiles that it has read, up to `keep` of them."""

    def __init__(self, epoch: int, *, keep: int = 4096) -> None:
        self.epoch = epoch
        self._keep = keep
        self._tiles: dict[tiles.Tile, bytes] = {}

    def read(self, prove: Callable[[merkle.NodeReader], T]) -> T:
        """Call `prove` with a reader whose tiles were all fetched before.

        Raises:
            tiles.TileError: if a tile is missing or too short.
        """
        nodes = merkle.needed_nodes(prove)
        needed = tiles.tiles_for(nodes)
        reader = tiles.TileReader(self._tiles)
        # A partial tile that was read before may have grown since.
        stale = {tiles.tile_of(*node)[0] for node in nodes if not self._holds(node)}
        if stale:
            if len(self._tiles) + len(stale) > self._keep:
                self._tiles.clear()
                stale = needed
            self._tiles.update(load(self.epoch, stale))
        return prove(reader)

    def _holds(self, node: merkle.Node) -> bool:
        tile, first, count = tiles.tile_of(*node)
        return len(self._tiles.get(tile, b"")) >= (first + count) * merkle.HASH_SIZE

    def root(self, size: int) -> bytes:
        return self.read(lambda read: merkle.root_from_nodes(read, size))

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return self.read(lambda read: merkle.prove_inclusion(read, index, size))

    def consistency(self, old: int, new: int) -> list[bytes]:
        return self.read(lambda read: merkle.prove_consistency(read, old, new))
