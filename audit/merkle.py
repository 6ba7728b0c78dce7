"""The RFC 6962 Merkle tree: hashes, roots, inclusion and consistency proofs.

Pure: hashes are 32 bytes, indexes and sizes are numbers of leaves. A *node* (level, index) is the
root of the perfect subtree over the leaves [index * 2^level, (index + 1) * 2^level).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Node = tuple[int, int]
NodeReader = Callable[[int, int], bytes]


class ProofError(ValueError):
    """The proof does not prove the claim, or the claim makes no sense."""


def leaf_hash(leaf: bytes) -> bytes:
    """RFC 6962, 2.1: SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962, 2.1: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a perfect subtree over 2^k hashes.

    Raises:
        ValueError: if their number is no power of two.
    """
    count = len(hashes)
    if count == 0 or count & (count - 1):
        raise ValueError(f"a perfect subtree has a power of two leaves, not {count}")
    sha256 = hashlib.sha256
    level = list(hashes)
    while len(level) > 1:
        pairs = iter(level)
        level = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(pairs, pairs, strict=True)
        ]
    return level[0]


def subtrees(start: int, end: int) -> list[Node]:
    """Return the perfect subtrees that cover [start, end), left to right.

    With `start` 0 these are the right edge of a tree of `end` leaves.
    """
    nodes: list[Node] = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


class CompactRange:
    """The right edge of a growing tree: O(log n) hashes, from which the root follows."""

    def __init__(self, size: int = 0, edge: Iterable[bytes] = ()) -> None:
        """`edge` holds the hashes of `subtrees(0, size)`."""
        self.size = size
        self._edge = list(edge)
        if len(self._edge) != size.bit_count():
            raise ValueError(f"a tree of {size} has {size.bit_count()} nodes on its edge")

    def append(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        carry, bits = leaf, self.size
        while bits & 1:
            carry = node_hash(self._edge.pop(), carry)
            bits >>= 1
        self._edge.append(carry)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append many leaf hashes: perfect subtrees are folded whole, which is several times quicker."""
        start, end = self.size, self.size + len(leaves)
        for level, index in subtrees(start, end):
            first = (index << level) - start
            carry, bits = fold(leaves[first : first + (1 << level)]), self.size >> level
            while bits & 1:
                carry = node_hash(self._edge.pop(), carry)
                bits >>= 1
            self._edge.append(carry)
            self.size += 1 << level

    def root(self) -> bytes:
        if not self._edge:
            return EMPTY_ROOT
        result = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            result = node_hash(left, result)
        return result


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    tree = CompactRange()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def _range_root(read: NodeReader, start: int, end: int) -> bytes:
    """MTH(D[start:end]); `start` is aligned as RFC 6962's recursion leaves it."""
    hashes = [read(level, index) for level, index in subtrees(start, end)]
    result = hashes[-1]
    for left in reversed(hashes[:-1]):
        result = node_hash(left, result)
    return result


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (`size` > 1)."""
    return 1 << ((size - 1).bit_length() - 1)


def root_from_nodes(read: NodeReader, size: int) -> bytes:
    """Recompute the root of the tree of `size` from its right edge."""
    return _range_root(read, 0, size) if size else EMPTY_ROOT


def prove_inclusion(read: NodeReader, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962, 2.1.1.

    Raises:
        ProofError: unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(read, middle, end))
            end = middle
        else:
            proof.append(_range_root(read, start, middle))
            start = middle
    return proof[::-1]


def prove_consistency(read: NodeReader, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 6962, 2.1.2; empty if the sizes are equal.

    Raises:
        ProofError: unless 0 < old <= new.
    """
    if not 0 < old <= new:
        raise ProofError(f"no consistency proof leads from {old} to {new} leaves")
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_root(read, middle, end))
            end = middle
        else:
            proof.append(_range_root(read, start, middle))
            start, whole = middle, False
    if not whole:
        proof.append(_range_root(read, start, end))
    return proof[::-1]


def needed_nodes(prove: Callable[[NodeReader], object]) -> list[Node]:
    """Return the nodes that `prove` would read, so that they can be fetched at once."""
    nodes: list[Node] = []

    def note(level: int, index: int) -> bytes:
        nodes.append((level, index))
        return EMPTY_ROOT

    prove(note)
    return nodes


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf hash `leaf` is at `index` in the tree (RFC 9162, 2.1.3.2).

    Raises:
        ProofError: if it is not proven.
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size}")
    _check_lengths([leaf, root, *proof])
    position, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if position & 1 or position == last:
            result = node_hash(sibling, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the inclusion proof is too short")
    if result != root:
        raise ProofError("the inclusion proof leads to another root")


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check that the tree of `new` leaves extends the tree of `old` (RFC 9162, 2.1.4.2).

    Raises:
        ProofError: if it is not proven. The empty tree proves nothing and is refused.
    """
    if not 0 < old <= new:
        raise ProofError(f"a tree of {new} cannot extend one of {old}")
    if old == new:
        if proof:
            raise ProofError("equal sizes need an empty proof")
        if old_root != new_root:
            raise ProofError("two different roots of one size")
        return
    if not proof:
        raise ProofError("a growing tree needs a proof")
    _check_lengths([old_root, new_root, *proof])
    rest = list(proof)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    before = after = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if position & 1 or position == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("the consistency proof is too short")
    if before != old_root:
        raise ProofError("the consistency proof does not start from the older root")
    if after != new_root:
        raise ProofError("the consistency proof does not lead to the newer root")


def _check_lengths(hashes: Iterable[bytes]) -> None:
    if any(len(item) != HASH_SIZE for item in hashes):
        raise ProofError("a hash has 32 bytes")
