"""Tiles: paths, layout, growth in pieces, entry bundles."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import merkle, tiles
from tests.audit.vectors import load, needs_vectors

HASHES = [merkle.leaf_hash(b"%d" % i) for i in range(66_000)]


@needs_vectors
def test_layout_vectors() -> None:
    block = load("c2sp/tlog_vectors.json")["tlog_tiles_layout"]
    for n, path in block["index_path"].items():
        assert tiles.index_path(int(n)) == path
        assert tiles.parse_index(path) == (int(n), 256)
    counts = tiles.layout(70_000)
    want = block["size_70000"]
    assert divmod(counts[0], 256) == (want["L0_full"], want["L0_partial"])
    assert divmod(counts[1], 256) == (want["L1_full"], want["L1_partial"])
    assert counts[2] == want["L2_partial"]
    assert tiles.layout(256) == {0: 256, 1: 1}


def test_paths() -> None:
    assert tiles.tile_path(0, 0) == "tile/0/000"
    assert tiles.tile_path(1, 273, 112) == "tile/1/273.p/112"
    assert tiles.tile_path("entries", 1000) == "tile/entries/x001/000"


@given(st.integers(0, 10**15), st.integers(1, 256))
def test_index_paths_are_read_back(n: int, width: int) -> None:
    path = tiles.tile_path(0, n, width).removeprefix("tile/0/")
    assert tiles.parse_index(path) == (n, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "1",
        "0001",
        "x000/001",
        "001.p/0",
        "001.p/256",
        "001.p/01",
        "x1/001",
        "001/002",
        "..",
        "001.p/",
    ],
)
def test_other_spellings_of_a_path_are_refused(path: str) -> None:
    with pytest.raises(tiles.TileError):
        tiles.parse_index(path)


def _grow(steps: list[int]) -> tuple[dict[tiles.Tile, bytes], bytes]:
    """Append in steps, giving each only the tiles of the right edge, as the sequencer does."""
    held: dict[tiles.Tile, bytes] = {}
    size, root = 0, merkle.EMPTY_ROOT
    for step in steps:
        edge = {tile: held[tile] for tile in tiles.edge_tiles(size)}
        changed, root = tiles.append(edge, size, HASHES[size : size + step])
        for tile, data in changed.items():
            assert data.startswith(held.get(tile, b"")), "a tile only grows"
        held.update(changed)
        size += step
    return held, root


@settings(max_examples=40)
@given(st.lists(st.integers(0, 700), max_size=6))
def test_growing_in_steps_gives_the_same_tiles_as_at_once(steps: list[int]) -> None:
    held, root = _grow(steps)
    at_once, same_root = tiles.append({}, 0, HASHES[: sum(steps)])
    assert (held, root) == (at_once, same_root)
    assert root == merkle.tree_root(HASHES[: sum(steps)])


@pytest.mark.parametrize("start", [255, 256, 257, 65_279, 65_280, 65_534, 65_535, 65_536, 65_537])
@pytest.mark.parametrize("more", [1, 2, 256])
def test_growing_over_the_borders_of_tiles(start: int, more: int) -> None:
    held, root = _grow([start, more])
    assert root == merkle.tree_root(HASHES[: start + more])
    counts: dict[int, int] = {}
    for (level, _), data in held.items():
        counts[level] = counts.get(level, 0) + len(data) // 32
    assert counts == tiles.layout(start + more)


def test_a_missing_or_short_tile_is_an_error() -> None:
    held, _ = tiles.append({}, 0, HASHES[:300])
    with pytest.raises(tiles.TileError, match="missing"):
        tiles.append({}, 300, HASHES[300:301])
    held[0, 1] = held[0, 1][:-32]
    with pytest.raises(tiles.TileError):
        tiles.append(held, 300, HASHES[300:301])


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_are_read_back(leaves: list[bytes]) -> None:
    assert tiles.unbundle(tiles.bundle(leaves)) == leaves


def test_bundle_limits() -> None:
    assert tiles.unbundle(tiles.bundle([b"x" * 65_535])) == [b"x" * 65_535]
    with pytest.raises(tiles.TileError):
        tiles.bundle([b"x" * 65_536])
    for cut in (b"\x00", b"\x00\x05abc"):
        with pytest.raises(tiles.TileError):
            tiles.unbundle(cut)
