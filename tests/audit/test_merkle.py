"""The tree against RFC 6962's constants, the public probes, and a reference written naively."""

import functools
import hashlib
import json
import os
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle, tiles
from audit.merkle import CompactRange, ProofError, leaf_hash, node_hash
from tests.audit.vectors import files, load, needs_vectors

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LARGE = 65_538


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def numbered(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % i) for i in range(count)]


def stored(size: int) -> tiles.TileReader:
    changed, _ = tiles.append({}, 0, LARGE_HASHES[:size])
    return tiles.TileReader(changed)


LARGE_HASHES = numbered(LARGE)


@pytest.mark.parametrize("size", range(9))
def test_roots_of_rfc_6962(size: int) -> None:
    assert merkle.tree_root(leaf_hash(leaf) for leaf in LEAVES[:size]).hex() == ROOTS[size]


@needs_vectors
def test_leaf_and_node_hash_constants() -> None:
    block = load("c2sp/tlog_vectors.json")["rfc6962"]
    extra = block["extra_leaf"]
    assert leaf_hash(bytes.fromhex(extra["in"])).hex() == extra["leaf_hash"]
    node = block["extra_node"]
    assert node_hash(bytes.fromhex(node["l"]), bytes.fromhex(node["r"])).hex() == node["node"]


def _outcome(check: object, *arguments: object) -> bool:
    try:
        check(*arguments)  # type: ignore[operator]
    except ProofError:
        return False
    return True


@needs_vectors
@pytest.mark.parametrize(
    "path", files("transparency-dev-merkle/testdata/inclusion/*/*.json"), ids=lambda p: p.stem
)
def test_inclusion_probe(path: Path) -> None:
    probe = json.loads(path.read_text())
    holds = _outcome(
        merkle.verify_inclusion,
        b64decode(probe["leafHash"]),
        probe["leafIdx"],
        probe["treeSize"],
        [b64decode(item) for item in probe["proof"] or []],
        b64decode(probe["root"]),
    )
    assert holds is not probe["wantErr"]


@needs_vectors
@pytest.mark.parametrize(
    "path", files("transparency-dev-merkle/testdata/consistency/*/*.json"), ids=lambda p: p.stem
)
def test_consistency_probe(path: Path) -> None:
    probe = json.loads(path.read_text())
    holds = _outcome(
        merkle.verify_consistency,
        probe["size1"],
        probe["size2"],
        [b64decode(item) for item in probe["proof"] or []],
        b64decode(probe["root1"]),
        b64decode(probe["root2"]),
    )
    assert holds is not probe["wantErr"]


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=80))
def test_compact_range_equals_the_naive_root(hashes: list[bytes]) -> None:
    tree = CompactRange()
    for item in hashes:
        tree.append(item)
    assert tree.root() == naive_root(hashes)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 63, 64, 65, 255, 256, 257])
def test_every_inclusion_proof_of_a_small_tree(size: int) -> None:
    read, root = stored(size), naive_root(LARGE_HASHES[:size])
    assert merkle.root_from_nodes(read, size) == root
    for index in range(size):
        proof = merkle.prove_inclusion(read, index, size)
        merkle.verify_inclusion(LARGE_HASHES[index], index, size, proof, root)
        assert len(proof) <= size.bit_length()


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9, 64, 65, 255, 256, 257])
def test_every_consistency_proof_of_a_small_tree(size: int) -> None:
    read, root = stored(size), naive_root(LARGE_HASHES[:size])
    for old in range(1, size + 1):
        proof = merkle.prove_consistency(read, old, size)
        merkle.verify_consistency(old, size, proof, naive_root(LARGE_HASHES[:old]), root)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_proofs_where_the_third_tile_level_begins(size: int) -> None:
    read, root = stored(size), naive_root(LARGE_HASHES[:size])
    assert merkle.root_from_nodes(read, size) == root
    for index in (0, 1, 254, 255, 256, 257, 32_767, 32_768, 65_533, 65_534, size - 2, size - 1):
        proof = merkle.prove_inclusion(read, index, size)
        merkle.verify_inclusion(LARGE_HASHES[index], index, size, proof, root)
    for old in (
        1,
        2,
        255,
        256,
        257,
        32_768,
        65_279,
        65_280,
        65_281,
        65_534,
        65_535,
        size - 1,
        size,
    ):
        proof = merkle.prove_consistency(read, old, size)
        merkle.verify_consistency(old, size, proof, naive_root(LARGE_HASHES[:old]), root)


@pytest.mark.slow
@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_every_proof_where_the_third_tile_level_begins(size: int) -> None:
    read, root = functools.cache(stored(size)), naive_root(LARGE_HASHES[:size])
    # All of them with TESTS_FULL=1, which takes a minute; else every 61st, which takes a second.
    chosen = range(0, size, 1 if os.environ.get("TESTS_FULL") else 61)
    growing = CompactRange()
    for index in range(size):
        if index not in chosen:
            growing.append(LARGE_HASHES[index])
            continue
        proof = merkle.prove_inclusion(read, index, size)
        merkle.verify_inclusion(LARGE_HASHES[index], index, size, proof, root)
        growing.append(LARGE_HASHES[index])
        proof = merkle.prove_consistency(read, index + 1, size)
        merkle.verify_consistency(index + 1, size, proof, growing.root(), root)


@given(st.data())
def test_a_proof_proves_nothing_else(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 600))
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda i: i != index))
    read, root = stored(size), merkle.tree_root(LARGE_HASHES[:size])
    proof = merkle.prove_inclusion(read, index, size)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(LARGE_HASHES[other], index, size, proof, root)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(LARGE_HASHES[index], other, size, proof, root)


def test_impossible_proofs_are_refused() -> None:
    read = stored(8)
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(ProofError):
            merkle.prove_inclusion(read, index, size)
    for old, new in ((0, 8), (9, 8)):
        with pytest.raises(ProofError):
            merkle.prove_consistency(read, old, new)
    with pytest.raises(ValueError, match="power of two"):
        merkle.fold([])
    with pytest.raises(ValueError, match="edge"):
        CompactRange(3, [b""])


@given(st.integers(0, 600), st.lists(st.integers(1, 300), max_size=6))
def test_extending_by_runs_is_appending_one_by_one(first: int, runs: list[int]) -> None:
    leaves = [merkle.leaf_hash(str(i).encode()) for i in range(first + sum(runs))]
    quick, slow = merkle.CompactRange(), merkle.CompactRange()
    quick.extend(leaves[:first])
    at = first
    for run in runs:
        quick.extend(leaves[at : at + run])
        at += run
    for leaf in leaves:
        slow.append(leaf)
    assert (quick.size, quick.root()) == (slow.size, slow.root())
