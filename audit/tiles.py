"""C2SP tlog-tiles: how the tree is cut into tiles of 256 hashes, their paths, and entry bundles.

A tile (level, n) holds up to 256 hashes: the nodes (8 * level, 256 n .. 256 n + 255) of the tree.
Only the tiles on the right edge are partial; they grow by appending and never change otherwise.
Source: https://c2sp.org/tlog-tiles
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from audit.merkle import HASH_SIZE, CompactRange, Node, fold, node_hash, subtrees

HEIGHT = 8
WIDTH = 1 << HEIGHT
MAX_LEAF = 65_535

Tile = tuple[int, int]

_INDEX = re.compile(r"(?:x\d{3}/)*\d{3}")


class TileError(ValueError):
    """A path, tile or bundle that the format does not admit, or a tile that is not there."""


def index_path(n: int) -> str:
    """Return `n` as tlog-tiles writes it: 1234067 as `x001/x234/067`."""
    parts = [f"{n % 1000:03d}"]
    while n >= 1000:
        n //= 1000
        parts.append(f"x{n % 1000:03d}")
    return "/".join(reversed(parts))


def tile_path(level: int | str, n: int, width: int = WIDTH) -> str:
    """Return the path of a tile; `level` is `entries` for a bundle."""
    suffix = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{index_path(n)}{suffix}"


def parse_index(path: str) -> tuple[int, int]:
    """Read `<N>[.p/<W>]` and return (n, width).

    Raises:
        TileError: if the path is not the only right way to write them.
    """
    encoded, dot, partial = path.partition(".p/")
    if not _INDEX.fullmatch(encoded):
        raise TileError(f"{path!r} is no tile index")
    n = int(encoded.replace("x", "").replace("/", ""))
    width = WIDTH
    if dot:
        if not re.fullmatch(r"[1-9]\d{0,2}", partial) or int(partial) >= WIDTH:
            raise TileError(f"{partial!r} is no width of a partial tile")
        width = int(partial)
    if index_path(n) != encoded:
        raise TileError(f"{path!r} is not the canonical form of {n}")
    return n, width


def tile_of(level: int, index: int) -> tuple[Tile, int, int]:
    """Return (tile, first, count): the hashes in the tile that fold to the node (level, index)."""
    height = level % HEIGHT
    first = index << height
    return (level // HEIGHT, first // WIDTH), first % WIDTH, 1 << height


def widths(size: int) -> dict[Tile, int]:
    """Return the partial or full rightmost tile of each level, with its width in hashes."""
    found: dict[Tile, int] = {}
    level, count = 0, size
    while count:
        n = (count - 1) // WIDTH
        found[level, n] = count - n * WIDTH
        level, count = level + 1, count // WIDTH
    return found


def layout(size: int) -> dict[int, int]:
    """Return the number of hashes at each tile level of a tree of `size`."""
    counts: dict[int, int] = {}
    level, count = 0, size
    while count:
        counts[level] = count
        level, count = level + 1, count // WIDTH
    return counts


class TileReader:
    """Reads tree nodes out of tiles that were fetched before."""

    def __init__(self, tiles: Mapping[Tile, bytes]) -> None:
        self._tiles = tiles

    def __call__(self, level: int, index: int) -> bytes:
        tile, first, count = tile_of(level, index)
        data = self._tiles.get(tile, b"")
        if len(data) < (first + count) * HASH_SIZE:
            raise TileError(f"tile {tile[0]}/{tile[1]} is missing or too short")
        if tile[0] or len(data) < WIDTH * HASH_SIZE:
            # Above the lowest level, and on the right edge, one tile serves the proofs of many leaves.
            return inner_nodes(data)[level % HEIGHT][first // count]
        return fold(split(data[first * HASH_SIZE : (first + count) * HASH_SIZE]))


@lru_cache(maxsize=128)
def inner_nodes(data: bytes) -> tuple[tuple[bytes, ...], ...]:
    """Return the nodes at the heights 0 to 7 above a tile's hashes, as far as they are complete."""
    heights = [split(data)]
    while len(heights) < HEIGHT:
        pairs = iter(heights[-1])
        # Of an odd number the last one is left over.
        heights.append([node_hash(a, b) for a, b in zip(pairs, pairs, strict=False)])
    return tuple(map(tuple, heights))


def split(data: bytes) -> list[bytes]:
    """Cut a tile's bytes into its hashes."""
    return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]


def tiles_for(nodes: Iterable[Node]) -> set[Tile]:
    """Return the tiles that hold `nodes`."""
    return {tile_of(level, index)[0] for level, index in nodes}


def edge_nodes(size: int) -> list[Node]:
    """Return the nodes on the right edge, from which the root is recomputed."""
    return subtrees(0, size)


def edge_tiles(size: int) -> set[Tile]:
    """Return the tiles that an append to a tree of `size` reads: those that hold the right edge.

    A tile that is full at `size` is read for the root; the partial ones also because they grow.
    """
    return tiles_for(edge_nodes(size)) | {
        tile for tile, width in widths(size).items() if width < WIDTH
    }


def append(
    tiles: Mapping[Tile, bytes], size: int, leaves: Sequence[bytes]
) -> tuple[dict[Tile, bytes], bytes]:
    """Append leaf hashes to a tree of `size` whose `edge_tiles(size)` are given.

    Returns the tiles that changed, whole, and the new root.

    Raises:
        TileError: if a tile of the right edge is missing or too short.
    """
    reader = TileReader(tiles)
    tree = CompactRange(size, [reader(*node) for node in edge_nodes(size)])
    changed: dict[Tile, bytes] = {}
    fresh = list(leaves)
    tree.extend(fresh)
    level, count = 0, size
    while fresh:
        completed: list[bytes] = []
        at = 0
        while at < len(fresh):
            n, used = divmod(count, WIDTH)
            # What a stored tile holds beyond the tree's size was never signed and is not kept.
            held = tiles.get((level, n), b"")[: used * HASH_SIZE]
            if len(held) < used * HASH_SIZE:
                raise TileError(f"tile {level}/{n} is missing or too short")
            taken = fresh[at : at + WIDTH - used]
            data = held + b"".join(taken)
            changed[level, n] = data
            if used + len(taken) == WIDTH:
                completed.append(fold(split(data)))
            count += len(taken)
            at += len(taken)
        level, count, fresh = level + 1, (size >> (HEIGHT * (level + 1))), completed
    return changed, tree.root()


def bundle(leaves: Iterable[bytes]) -> bytes:
    """Return an entry bundle: each leaf with its length as two bytes before it, big endian.

    Raises:
        TileError: if a leaf is longer than 65,535 bytes.
    """
    parts: list[bytes] = []
    for leaf in leaves:
        if len(leaf) > MAX_LEAF:
            raise TileError(f"a leaf of {len(leaf)} bytes does not fit; {MAX_LEAF} do")
        parts += [len(leaf).to_bytes(2, "big"), leaf]
    return b"".join(parts)


def unbundle(data: bytes) -> list[bytes]:
    """Read an entry bundle.

    Raises:
        TileError: if it is cut short.
    """
    leaves: list[bytes] = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        leaf = data[at + 2 : at + 2 + length]
        if at + 2 > len(data) or len(leaf) < length:
            raise TileError("the entry bundle is cut short")
        leaves.append(leaf)
        at += 2 + length
    return leaves
