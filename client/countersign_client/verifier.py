"""Verify an export or a proof of a Countersign audit log, offline, with nothing but Python.

This one file needs Python 3.11 and its standard library. It trusts nothing that an export says of
itself: name the log's verifier key, and a checkpoint that you have held since earlier, if you have one.

    python verifier.py EXPORT --vkey KEY_OR_FILE [--checkpoint FILE]...

EXPORT is export.jsonl, a folder or a .zip that holds one, or a folder of tlog-tiles.
Exit codes: 0 valid, 1 invalid, 3 no key was named, so nothing is decided, 64 wrong use.

It is one file on purpose, however long: whoever gets an export gets the whole verifier with it, can read
it from top to bottom, and compares one SHA-256 with the published one.

Formats: RFC 6962 tree, C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-proof; RFC 8032 Ed25519.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import multiprocessing
import os
import re
import sys
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

FORMAT = "countersign-log-export/1"
EMPTY_ROOT = hashlib.sha256(b"").digest()
Progress = Callable[[int, int], None]


class Untrue(Exception):
    """Something is malformed, or is not what it claims to be."""


# Ed25519 (RFC 8032, 5.1): verification alone, so nothing here needs to run in constant time.

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_Point = tuple[int, int, int, int]


def _recover_x(y: int, sign: int) -> int:
    if y >= _P:
        raise Untrue("a point is not on the curve")
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P or (x == 0 and sign):
        raise Untrue("a point is not on the curve")
    return _P - x if x & 1 != sign else x


def _add(a: _Point, b: _Point) -> _Point:
    left, right = (a[1] - a[0]) * (b[1] - b[0]) % _P, (a[1] + a[0]) * (b[1] + b[0]) % _P
    c, d = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    e, f, g, h = right - left, d - c, d + c, right + left
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _decompress(data: bytes) -> _Point:
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    x = _recover_x(y, sign)
    return x, y, 1, x * y % _P


_BASE_Y = 4 * pow(5, -1, _P) % _P
_BASE: _Point = (_recover_x(_BASE_Y, 0), _BASE_Y, 1, _recover_x(_BASE_Y, 0) * _BASE_Y % _P)


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether `signature` (64 bytes) over `message` was made with the key `public` (32 bytes)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    try:
        key, commitment = _decompress(public), _decompress(signature[:32])
    except (Untrue, ValueError):
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= _L:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _L
    left, right = _multiply(scalar, _BASE), _add(commitment, _multiply(challenge, key))
    return (
        (left[0] * right[2] - right[0] * left[2]) % _P == 0
        and (left[1] * right[2] - right[1] * left[2]) % _P == 0
    )  # fmt: skip


# Signed notes and checkpoints (C2SP).


@dataclass(frozen=True)
class Checkpoint:
    """A tree head that the log has signed: its first `size` leaves have this `root`."""

    origin: str
    size: int
    root: bytes


def decode_base64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Untrue(f"{what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise Untrue(f"{what} is not canonical base64")
    return data


def parse_vkey(vkey: str) -> tuple[str, bytes]:
    """Return (name, public key) of a vkey `name+id+base64`."""
    match = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)", vkey.strip())
    if match is None:
        raise Untrue("a verifier key is written name+8 hex digits+base64")
    name, key = match.group(1), decode_base64(match.group(3), "the verifier key")
    if len(key) != 33 or key[0] != 1 or _key_id(name, key[1:]).hex() != match.group(2):
        raise Untrue("the verifier key is damaged, or not Ed25519")
    return name, key[1:]


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def parse_checkpoint(note: str) -> Checkpoint:
    """Read a checkpoint without verifying who signed it."""
    lines = note.partition("\n\n")[0].removesuffix("\n").split("\n")
    if len(lines) < 3 or not lines[0] or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        raise Untrue("a checkpoint has an origin, a size and a root")
    root = decode_base64(lines[2], "the root of the checkpoint")
    if len(root) != 32:
        raise Untrue("the root of a checkpoint has 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def open_checkpoint(note: str, vkeys: Iterable[str]) -> Checkpoint:
    """Return the checkpoint if one of the keys has signed it under the name of its origin.

    Raises:
        Untrue: if it is malformed, unsigned by these keys, or one of their signatures is wrong.
    """
    body, blank, tail = note.rpartition("\n\n")
    checkpoint = parse_checkpoint(note)
    keys: dict[tuple[str, bytes], bytes] = {}
    for name, key in map(parse_vkey, vkeys):
        # A later epoch of a log signs with its keys under a path below its name.
        if re.fullmatch(re.escape(name) + r"(/epochs/[1-9][0-9]*)?", checkpoint.origin):
            keys[checkpoint.origin, _key_id(checkpoint.origin, key)] = key
    if not blank or not tail.endswith("\n"):
        raise Untrue("the checkpoint has no signatures")
    verified = False
    for line in tail[:-1].split("\n"):
        match = re.fullmatch("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+=*)", line)
        if match is None:
            raise Untrue("a signature line of the checkpoint is malformed")
        data = decode_base64(match.group(2), "a signature")
        public = keys.get((match.group(1), data[:4]))
        if public is None:
            continue
        if not ed25519_verify(public, (body + "\n").encode(), data[4:]):
            raise Untrue(f"the signature of {checkpoint.origin} on its checkpoint is wrong")
        verified = True
    if not verified:
        raise Untrue(f"no key that you trust has signed the checkpoint of {checkpoint.origin}")
    return checkpoint


# The tree (RFC 6962 and RFC 9162).


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a perfect subtree over 2^k hashes."""
    sha256, level = hashlib.sha256, hashes
    while len(level) > 1:
        pairs = iter(level)
        level = [sha256(b"\x01" + a + b).digest() for a, b in zip(pairs, pairs, strict=True)]
    return level[0]


def subtrees(start: int, hashes: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """Return (level, root) of the perfect subtrees that cover the leaves from `start` on."""
    nodes: list[tuple[int, bytes]] = []
    at, end = start, start + len(hashes)
    while at < end:
        level = (end - at).bit_length() - 1
        if at:
            level = min(level, (at & -at).bit_length() - 1)
        width = 1 << level
        nodes.append((level, fold(hashes[at - start : at - start + width])))
        at += width
    return nodes


class Tree:
    """The right edge of a growing tree."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, node: bytes, level: int = 0) -> None:
        """Append a leaf, or a perfect subtree of 2^level leaves where the size is a multiple of that."""
        bits = self.size >> level
        while bits & 1:
            node = _node(self._edge.pop(), node)
            bits >>= 1
        self._edge.append(node)
        self.size += 1 << level

    def root(self) -> bytes:
        if not self._edge:
            return EMPTY_ROOT
        result = self._edge[-1]
        for left in self._edge[-2::-1]:
            result = _node(left, result)
        return result


def _climb(
    index: int, last: int, proof: Sequence[bytes], old: bytes, new: bytes
) -> tuple[bytes, bytes]:
    """Walk both proofs' common path (RFC 9162, 2.1.3.2 and 2.1.4.2)."""
    for sibling in proof:
        if last == 0:
            raise Untrue("the proof is too long")
        if index & 1 or index == last:
            old, new = _node(sibling, old), _node(sibling, new)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            new = _node(new, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise Untrue("the proof is too short")
    return old, new


def check_inclusion(leaf: bytes, index: int, head: Checkpoint, proof: Sequence[bytes]) -> None:
    """Check that the leaf hash is at `index` of the tree.

    Raises:
        Untrue: if it is not proven.
    """
    if not 0 <= index < head.size:
        raise Untrue(f"there is no leaf {index} in a tree of {head.size}")
    if _climb(index, head.size - 1, proof, leaf, leaf)[1] != head.root:
        raise Untrue("the inclusion proof leads to another root")


def check_consistency(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """Check that the newer tree extends the older one.

    Raises:
        Untrue: if it is not proven.
    """
    if old.origin != new.origin or not 0 < old.size <= new.size:
        raise Untrue(f"a tree of {new.size} cannot extend one of {old.size} of {old.origin}")
    if old.size == new.size:
        if proof or old.root != new.root:
            raise Untrue(f"two different trees of {old.size} entries were signed")
        return
    path = list(proof) if old.size & (old.size - 1) else [old.root, *proof]
    if not path:
        raise Untrue("the proof is too short")
    index, last = old.size - 1, new.size - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    if _climb(index, last, path[1:], path[0], path[0]) != (old.root, new.root):
        raise Untrue("the newer tree does not extend the older one")


def verify_extension(
    old: str, new: str, proof: Sequence[bytes], vkeys: Sequence[str]
) -> Checkpoint:
    """Check that the signed checkpoint `new` extends the one held since earlier; return it."""
    head = open_checkpoint(new, vkeys)
    check_consistency(open_checkpoint(old, vkeys), head, proof)
    return head


def verify_proof(text: str, leaf: bytes, vkeys: Sequence[str]) -> tuple[int, Checkpoint]:
    """Check a C2SP tlog-proof of the exact bytes `leaf`; return its index and checkpoint.

    Raises:
        Untrue: if it is malformed or does not prove it.
    """
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines[0] != "c2sp.org/tlog-proof@v1":
        raise Untrue("this is no tlog-proof")
    rest = lines[2:] if len(lines) > 1 and lines[1].startswith("extra ") else lines[1:]
    match = re.fullmatch(r"index (0|[1-9][0-9]{0,18})", rest[0]) if rest else None
    if match is None:
        raise Untrue("the proof names no index")
    hashes = [decode_base64(line, "a hash of the proof") for line in rest[1:]]
    if any(len(one) != 32 for one in hashes):
        raise Untrue("a hash of the proof has not 32 bytes")
    checkpoint = open_checkpoint(note, vkeys)
    check_inclusion(leaf_hash(leaf), int(match.group(1)), checkpoint, hashes)
    return int(match.group(1)), checkpoint


# Exports.


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `index`, `entry` and `type` name the entry, where it is one."""

    code: str
    message: str
    index: int | None = None
    entry: str | None = None
    type: str | None = None

    def __str__(self) -> str:
        if self.index is None:
            return f"{self.code}: {self.message}"
        named = f"entry {self.entry or 'unknown'} at index {self.index}"
        return f"{self.code}: {named} ({self.type or 'unknown type'}): {self.message}"


@dataclass
class Result:
    """What was found wrong, what was checked, and what the reader should know besides."""

    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    heads: list[Checkpoint] = field(default_factory=list)
    entries: int = 0
    payloads: int = 0
    withheld: int = 0
    erased: int = 0

    @property
    def valid(self) -> bool:
        return not self.findings

    def add(self, code: str, message: str) -> None:
        self.findings.append(Finding(code, message))


# Entries are checked a chunk at a time, so that chunks can be checked by several processes.
CHUNK = 4096


@dataclass(frozen=True)
class _Work:
    """A run of entry lines: `number` is that of the first line, `start` its place in the tree."""

    lines: list[bytes]
    number: int
    start: int
    complete: bool
    head: Checkpoint


@dataclass
class _Checked:
    """What a run of entries amounts to: the subtrees that it fills, and what was found in it."""

    nodes: list[tuple[int, bytes]] = field(default_factory=list)
    first: tuple[int, str | None, str | None] | None = None
    last: int = -1
    cited: dict[str, Any] | None = None
    entries: int = 0
    payloads: int = 0
    withheld: int = 0
    erased: int = 0
    findings: list[Finding] = field(default_factory=list)


def _check_entries(work: _Work) -> _Checked:
    """Check a run of entries: places, hashes, proofs, private payloads."""
    done, hashes = _Checked(), list[bytes]()
    decode = json.JSONDecoder().raw_decode
    at = 0
    while at < len(work.lines):
        raw = work.lines[at].rstrip(b"\n")
        try:
            # What is no UTF-8 becomes what cannot be encoded again, and fails in its own line.
            text = raw.decode(errors="surrogateescape")
            line, end = decode(text)
            if end != len(text):
                raise Untrue("something follows the entry")
            hashes.append(_check_entry(line, work, done))
        except (Untrue, ValueError, TypeError, AttributeError, IndexError) as error:
            done.findings.append(Finding("format", f"line {work.number + at}: {error}"))
            hashes.append(bytes(32))
        at += 1
        if work.complete and done.first is not None:
            at += _check_quickly(work.lines, at, done, hashes)
    if work.complete:
        done.nodes = subtrees(work.start, hashes)
    return done


# How an export writes an entry. In ASCII and with no other escape than that of quotation marks, all that
# is in it can be cut out and compared without reading JSON, which takes longer than all the hashing.
_ENTRY = b'{"kind":"entry"'
_LEAF = b'","leaf":"{'
_SALT = b',"private":{"salt":"'
# HMAC (RFC 2104) with a key of 32 bytes, written out: the call takes twice as long as its two hashes.
_IPAD, _OPAD = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_IPADDED, _OPADDED = b"\x36" * 32, b"\x5c" * 32
_DATA = b'","data":"'
_COMMITS = b'"private":"'
_PUBLIC = b'","public":{'


def _check_quickly(lines: list[bytes], start: int, done: _Checked, hashes: list[bytes]) -> int:
    """Check entries from `start` on up to the first one in which something does not hold, or that is
    written in another way and has to be read closely; return how many there were. Adds their hashes."""
    sha256, unbase, hexlify = hashlib.sha256, binascii.a2b_base64, binascii.hexlify
    index, payloads, withheld = done.last + 1, 0, 0
    for raw in islice(lines, start, None):
        head, _, rest = raw.partition(_LEAF)
        escaped, _, tail = rest.rpartition(b'}"')
        leaf = escaped.translate(None, b"\\")
        # Each backslash is before a quotation mark, and each of these behind one.
        quoted = len(escaped) - len(leaf)
        if leaf.count(b'"') != quoted or escaped.count(b'\\"') != quoted or not leaf.isascii():
            break
        computed = sha256(b"\0{" + leaf + b"}").digest()
        if head != b'{"kind":"entry","index":%d,"hash":"%s' % (index, hexlify(computed)):
            break
        if tail.startswith(_SALT):
            # A salt has 32 bytes, which base64 writes as 44 characters.
            try:
                salt = unbase(tail[20:64], strict_mode=True)
                inner = sha256(
                    salt.translate(_IPAD) + _IPADDED + unbase(tail[74:-4], strict_mode=True)
                )
                said = sha256(salt.translate(_OPAD) + _OPADDED + inner.digest()).digest()
            except binascii.Error:
                break
            at = leaf.find(_COMMITS) + len(_COMMITS)
            if (
                tail[64:74] != _DATA
                or not tail.endswith(b'"}}\n')
                or leaf[at : at + 76] != hexlify(said) + _PUBLIC
            ):
                break
            payloads += 1
        elif tail == b',"private":"withheld"}\n':
            if not _COMMITTED_BYTES.search(leaf):
                break
            withheld += 1
        elif tail != b"}\n" or b'"private"' in leaf:
            break
        hashes.append(computed)
        index += 1
    count = index - done.last - 1
    done.entries += count
    done.payloads += payloads
    done.withheld += withheld
    done.last = index - 1
    return count


def _check_entry(line: dict[str, Any], work: _Work, done: _Checked) -> bytes:
    """Check one entry and return its hash."""
    index, leaf = line.get("index"), line.get("leaf")
    if not isinstance(index, int) or not isinstance(leaf, str):
        raise Untrue("an entry has an index and a leaf")
    done.entries += 1
    computed = hashlib.sha256(b"\x00" + leaf.encode()).digest()

    def wrong(code: str, message: str) -> None:
        content = _content(leaf)
        done.findings.append(Finding(code, message, index, content.get("id"), content.get("type")))

    if not (leaf.startswith("{") and leaf.endswith("}")):
        wrong("leaf", "the leaf is no JSON object")
    if line.get("hash") != computed.hex():
        wrong("leaf", "its bytes were altered: they do not have the hash that the log has")
    if done.first is None:
        content = _content(leaf)
        done.first = (index, content.get("id"), content.get("type"))
        if index == 0 and content.get("type") == "audit.epoch.started":
            done.cited = content.get("public")
    elif index <= done.last or (work.complete and index != done.last + 1):
        wrong("order", f"it follows index {done.last}")
    done.last = index
    if not work.complete:
        try:
            proof = [
                decode_base64(str(one), "a hash of the proof") for one in line.get("proof", ())
            ]
            check_inclusion(computed, index, work.head, proof)
        except Untrue as error:
            wrong("proof", str(error))
    private = line.get("private")
    said = _COMMITTED.search(leaf)
    if private == "withheld" and said:
        done.withheld += 1
    elif private is not None or said or '"private"' in leaf:
        # A leaf that is not written as the log writes them is read in full.
        commitment = said.group(1) if said else _content(leaf).get("private")
        _check_private(private, commitment, done, wrong)
    return computed


# Where the log's leaves, whose keys are sorted, commit to a payload; no text before it can look so,
# since a quotation mark within a text is escaped.
_COMMITTED = re.compile('"private":"([0-9a-f]{64})","public":{')
_COMMITTED_BYTES = re.compile(_COMMITTED.pattern.encode())


def _content(leaf: str) -> dict[str, Any]:
    try:
        content = json.loads(leaf)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _check_private(
    private: Any, commitment: Any, done: _Checked, wrong: Callable[[str, str], None]
) -> None:
    if commitment is None:
        if private is not None:
            wrong("payload", "it has a private payload that the log does not know")
    elif private == "withheld":
        done.withheld += 1
    elif private == "erased":
        done.erased += 1
    elif isinstance(private, dict):
        try:
            salt = decode_base64(str(private.get("salt")), "the salt")
            data = decode_base64(str(private.get("data")), "the payload")
        except Untrue as error:
            wrong("payload", str(error))
            return
        done.payloads += 1
        if hmac.digest(salt, data, "sha256").hex() != commitment:
            wrong("payload", "its private payload was altered: the log is committed to another")
    else:
        wrong("payload", "its private payload is gone, and no entry says that it was erased")


class _Section:
    """One epoch of an export, read in bounded memory."""

    def __init__(
        self,
        line: dict[str, Any],
        vkeys: Sequence[str],
        older: Sequence[Checkpoint],
        result: Result,
    ):
        self.result, self.tree, self.last = result, Tree(), -1
        self.complete = line.get("complete") is True
        self.head = Checkpoint(str(line.get("origin")), 0, EMPTY_ROOT)
        self.signed = False
        if note := line.get("checkpoint"):
            try:
                self.head = parse_checkpoint(note)
                self.head = open_checkpoint(note, vkeys)
                self.signed = True
                result.heads.append(self.head)
            except Untrue as error:
                result.add("checkpoint", str(error))
        self.older = [one for one in older if one.origin == self.head.origin]
        self.extended: set[Checkpoint] = set()
        self.cited: dict[str, Any] | None = None
        self.planned = 0

    def room(self) -> int:
        """Return how many entries the next chunk takes: it ends where an older checkpoint does."""
        sizes = [one.size - self.planned for one in self.older if one.size > self.planned]
        return min([CHUNK, *sizes]) if self.complete else CHUNK

    def take(self, done: _Checked) -> None:
        """Add what a chunk amounts to. Chunks come in their order."""
        result = self.result
        if done.first is not None:
            index, entry, kind = done.first
            if index <= self.last or (self.complete and index != self.last + 1):
                message = f"it follows index {self.last}"
                result.findings.append(Finding("order", message, index, entry, kind))
            self.last = done.last
            self.cited = self.cited or done.cited
        result.findings += done.findings
        result.entries += done.entries
        result.payloads += done.payloads
        result.withheld += done.withheld
        result.erased += done.erased
        for level, node in done.nodes:
            self.tree.append(node, level)
        self._compare_older()

    def _compare_older(self) -> None:
        if not self.complete:
            return
        for one in self.older:
            if one.size == self.tree.size:
                self.extended.add(one)
                if one.root != self.tree.root():
                    self.result.add(
                        "history",
                        f"the log was rewritten: its first {one.size} entries are not those of the "
                        "checkpoint that you hold",
                    )

    def consistency(self, line: dict[str, Any]) -> None:
        """Take a proof that this section's checkpoint extends an older one."""
        proof = [decode_base64(str(one), "a hash of the proof") for one in line.get("proof", ())]
        for one in self.older:
            if one.size == line.get("old"):
                check_consistency(one, self.head, proof)
                self.extended.add(one)

    def follows(self, before: Checkpoint) -> None:
        """Check that the first entry cites the epoch before this one."""
        cited = self.cited or {}
        if cited.get("cited_origin") != before.origin:
            self.result.add("epoch", f"{self.head.origin} does not cite {before.origin} before it")
        elif (cited.get("cited_size"), cited.get("cited_root")) == (before.size, before.root.hex()):
            return
        elif cited.get("kept_size") == before.size:
            lost = int(cited.get("cited_size") or 0) - before.size
            self.result.remarks.append(
                f"{before.origin} lost its last {lost} entries in a restore, as the first entry of "
                f"{self.head.origin} says"
            )
        else:
            self.result.add("epoch", f"{self.head.origin} cites another tree of {before.origin}")

    def end(self) -> None:
        """Compare the whole with the checkpoint, and with those that the reader holds."""
        if self.complete:
            if self.tree.size != self.head.size:
                self.result.add(
                    "size",
                    f"the checkpoint has {self.head.size} entries, the export {self.tree.size}",
                )
            elif self.tree.root() != self.head.root:
                self.result.add("root", "the entries do not have the root that the log has signed")
        for one in self.older:
            if one.size > self.head.size:
                self.result.add(
                    "history",
                    f"the log was cut: you hold {one.size} entries, it has {self.head.size}",
                )
            elif one.size == self.head.size and one.root != self.head.root:
                self.result.add(
                    "history", f"the log was rewritten: two trees of {one.size} entries"
                )
            elif one.size not in (0, self.head.size) and one not in self.extended:
                self.result.add(
                    "history",
                    f"nothing shows that the checkpoint extends yours of {one.size}: export the whole "
                    "log, or with that checkpoint",
                )


class _Chunks:
    """Gathers entry lines into chunks and has them checked, in order, a few ahead of the reader."""

    def __init__(
        self, pool: Executor | None, processes: int, progress: Callable[[int], None]
    ) -> None:
        self._pool, self._ahead, self._progress = pool, 2 * processes, progress
        self._lines: list[bytes] = []
        self._number = 0
        self._room = 0
        self._section: _Section | None = None
        self._waiting: deque[Future[_Checked]] = deque()

    @property
    def open(self) -> bool:
        """Whether entries belong here: their epoch has begun."""
        return self._section is not None

    def begin(self, section: _Section) -> None:
        self._section, self._room = section, section.room()

    def add(self, lines: Sequence[bytes], number: int) -> None:
        """Take entry lines, each with its end; `number` is that of the first."""
        at = 0
        while at < len(lines):
            if not self._lines:
                self._number = number + at
            taken = lines[at : at + self._room - len(self._lines)]
            self._lines += taken
            at += len(taken)
            if len(self._lines) >= self._room:
                self._send()

    def finish(self) -> None:
        """Wait for all that was handed out."""
        if self._lines:
            self._send()
        while self._waiting:
            self._take(self._waiting.popleft().result())

    def _send(self) -> None:
        section = self._section
        assert section is not None
        work = _Work(self._lines, self._number, section.planned, section.complete, section.head)
        section.planned += len(self._lines)
        self._lines, self._room = [], section.room()
        if self._pool is None:
            self._take(_check_entries(work))
            return
        self._waiting.append(self._pool.submit(_check_entries, work))
        if len(self._waiting) > self._ahead:
            self._take(self._waiting.popleft().result())

    def _take(self, done: _Checked) -> None:
        assert self._section is not None
        self._section.take(done)
        self._progress(self._section.result.entries)


def verify_lines(
    lines: Iterable[bytes],
    vkeys: Sequence[str],
    older: Sequence[str] = (),
    progress: Progress | None = None,
    processes: int = 1,
) -> Result:
    """Verify an export in JSON lines, in bounded memory. `older` holds notes from earlier.

    With more than one process the caller's main module must be safe to import.
    """
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=spawn) if processes > 1 else None
    with pool or nullcontext():
        return _verify_lines(lines, vkeys, older, progress, pool, processes)


def _verify_lines(
    lines: Iterable[bytes],
    vkeys: Sequence[str],
    older: Sequence[str],
    progress: Progress | None,
    pool: Executor | None,
    processes: int,
) -> Result:
    result = Result()
    held = [open_checkpoint(note, vkeys) for note in older]
    section: _Section | None = None
    before: Checkpoint | None = None
    seen: set[str] = set()
    total, ended = 0, False
    chunks = _Chunks(pool, processes, lambda done: progress(done, total) if progress else None)
    for number, raw in _others(lines, chunks):
        try:
            line = json.loads(raw)
            kind = line["kind"]
            if number == 1 and (kind != "export" or line.get("format") != FORMAT):
                raise Untrue(f"this is no {FORMAT}")
            if kind == "entry" and section:
                chunks.add([raw.strip() + b"\n"], number)
                continue
            chunks.finish()
            if kind == "export":
                total = int(line.get("entries") or 0)
            elif kind == "epoch":
                _close(section, before)
                before = section.head if section else None
                section = _Section(line, vkeys, held, result)
                chunks.begin(section)
                seen.add(section.head.origin)
            elif kind == "consistency" and section:
                section.consistency(line)
            elif kind == "end":
                ended = True
                if line.get("entries") != result.entries:
                    result.add(
                        "size",
                        f"{line.get('entries')} entries were exported, {result.entries} are here",
                    )
            else:
                raise Untrue(f"a line of kind {kind} does not belong here")
        except (Untrue, ValueError, KeyError, TypeError, AttributeError) as error:
            result.add("format", f"line {number}: {error}")
            if number == 1:
                return result
    chunks.finish()
    _close(section, before)
    if not ended:
        result.add("size", "the export was cut: its last line is missing")
    for one in held:
        if one.origin not in seen:
            result.add(
                "history", f"the export has nothing of {one.origin}, whose checkpoint you hold"
            )
    return result


def _others(lines: Iterable[bytes], chunks: _Chunks) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not written as an entry is, with its number; hand on the others."""
    rest, number = iter(lines), 1
    while batch := list(islice(rest, 1024)):
        starts, at = [one[: len(_ENTRY)] for one in batch], 0
        only = starts.count(_ENTRY) == len(batch)
        while at < len(batch):
            stop = at
            if chunks.open:
                while stop < len(batch) and (only or starts[stop] == _ENTRY):
                    stop = len(batch) if only else stop + 1
                chunks.add(batch[at:stop], number + at)
            if stop < len(batch):
                yield number + stop, batch[stop]
            at = stop + 1
        number += len(batch)


def _close(section: _Section | None, before: Checkpoint | None) -> None:
    if section:
        section.end()
        if before and section.complete:
            section.follows(before)


def verify_tiles(folder: Path, vkeys: Sequence[str], older: Sequence[str] = ()) -> Result:
    """Verify a folder of C2SP tlog-tiles: every entry bundle, every tile, the checkpoint."""
    result = Result()
    head = open_checkpoint((folder / "checkpoint").read_text(), vkeys)
    result.heads.append(head)
    held = [open_checkpoint(note, vkeys) for note in older]
    tree, tiles = Tree(), _Tiles(folder, head.size, result)
    for n in range((head.size + 255) // 256):
        for leaf in _bundle(folder / _tile("entries", n, head.size)):
            tree.append(leaf_hash(leaf))
            tiles.add(0, leaf_hash(leaf))
            for one in held:
                if one.size == tree.size and one.root != tree.root():
                    result.add(
                        "history", f"the log was rewritten: you hold other {one.size} entries"
                    )
    tiles.finish()
    result.entries = tree.size
    if (tree.size, tree.root()) != (head.size, head.root):
        result.add("root", "the entries do not have the root that the log has signed")
    for one in held:
        if one.origin != head.origin or one.size > head.size:
            result.add("history", f"the log was cut: you hold {one.size} entries of {one.origin}")
    return result


class _Tiles:
    """Compares each tile with what the entries give; holds one unfinished tile of each level."""

    def __init__(self, folder: Path, size: int, result: Result) -> None:
        self._folder, self._size, self._result = folder, size, result
        self._open: list[list[bytes]] = []
        self._done: list[int] = []

    def add(self, level: int, node: bytes) -> None:
        if level == len(self._open):
            self._open.append([])
            self._done.append(0)
        self._open[level].append(node)
        if len(self._open[level]) == 256:
            full = self._open[level]
            self._compare(level)
            self.add(level + 1, fold(full))

    def finish(self) -> None:
        for level, hashes in enumerate(self._open):
            if hashes:
                self._compare(level)

    def _compare(self, level: int) -> None:
        wanted, n = b"".join(self._open[level]), self._done[level]
        path = self._folder / _tile(str(level), n, self._size >> 8 * level)
        if not path.is_file() or path.read_bytes() != wanted:
            name = path.relative_to(self._folder)
            self._result.add("tile", f"{name} is missing or is not what the entries give")
        self._open[level], self._done[level] = [], n + 1


def _tile(level: str, n: int, count: int) -> str:
    parts, rest = [f"{n % 1000:03d}"], n // 1000
    while rest:
        parts.append(f"x{rest % 1000:03d}")
        rest //= 1000
    width = min(count - 256 * n, 256)
    return f"tile/{level}/" + "/".join(reversed(parts)) + ("" if width == 256 else f".p/{width}")


def _bundle(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        yield data[at + 2 : at + 2 + length]
        at += 2 + length


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    if path.is_dir():
        path /= "export.jsonl"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive, archive.open("export.jsonl") as member:
            yield member
    else:
        with path.open("rb") as file:
            yield file


def verify_export(
    path: str | Path,
    vkeys: Sequence[str],
    older: Sequence[str] = (),
    progress: Progress | None = None,
    processes: int = 1,
) -> Result:
    """Verify an export: a JSON lines file, a folder or .zip with one, or a folder of tlog-tiles.

    Raises:
        Untrue: if a key or an older checkpoint is no good.
        OSError: if the export cannot be read.
    """
    path = Path(path)
    if path.is_dir() and not (path / "export.jsonl").exists() and (path / "checkpoint").exists():
        return verify_tiles(path, vkeys, older)
    with _opened(path) as lines:
        return verify_lines(lines, vkeys, older, progress, processes)


def own_vkeys(path: str | Path) -> list[str]:
    """Return the keys that an export names itself: for reading along, not for trusting."""
    path = Path(path)
    if path.is_dir() and not (path / "export.jsonl").exists():
        return (path / "vkey").read_text().split()
    keys: list[str] = []
    with _opened(path) as lines:
        for raw in lines:
            if b'"kind":"epoch"' in raw[:200].replace(b" ", b""):
                keys += json.loads(raw).get("vkeys", [])
    return keys


def _texts(values: Sequence[str]) -> list[str]:
    texts: list[str] = []
    for value in values:
        path = Path(value)
        texts += (path.read_text() if "\n" not in value and path.is_file() else value).split()
    return texts


def _processes(export: Path) -> int:
    """One process for a small export: starting others takes longer than checking it."""
    if export.is_dir():
        export /= "export.jsonl"
    return (os.cpu_count() or 1) if export.is_file() and export.stat().st_size > 20_000_000 else 1


def _bar(done: int, total: int) -> None:
    share = done / total if total else 0
    sys.stderr.write(f"\r[{'#' * int(30 * share):30}] {done:,} of {total:,} entries")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Verify an export of a Countersign audit log, offline."
    )
    parser.add_argument(
        "export", help="export.jsonl, a folder or .zip with one, a folder of tlog-tiles"
    )
    parser.add_argument(
        "--vkey", action="append", default=[], help="the log's key, or a file of keys"
    )
    parser.add_argument(
        "--checkpoint", action="append", default=[], help="a file you have held since earlier"
    )
    parser.add_argument(
        "--processes", type=int, default=0, help="how many check entries; all cores by default"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        return 64 if stop.code else 0
    show = None if options.quiet or not sys.stderr.isatty() else _bar
    try:
        vkeys = _texts(options.vkey) or own_vkeys(options.export)
        older = [Path(name).read_text() for name in options.checkpoint]
        processes = options.processes or _processes(Path(options.export))
        result = verify_export(options.export, vkeys, older, show, processes)
    except (Untrue, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        print(f"cannot be verified: {error}")
        return 1
    print_result(result)
    if result.valid and not options.vkey:
        print(
            "NOT DECIDED: checked with the key that the export names itself; name the log's with --vkey"
        )
        return 3
    print("VALID" if result.valid else "INVALID")
    return 0 if result.valid else 1


def print_result(result: Result) -> None:
    """Print what was checked and found."""
    for head in result.heads:
        print(f"{head.origin}: {head.size:,} entries, root {head.root.hex()}")
    print(
        f"{result.entries:,} entries checked; private payloads: {result.payloads:,} checked, "
        f"{result.withheld:,} withheld, {result.erased:,} erased"
    )
    for remark in result.remarks:
        print(remark)
    for finding in result.findings[:100]:
        print(finding)
    if len(result.findings) > 100:
        print(f"and {len(result.findings) - 100:,} more findings")


if __name__ == "__main__":
    sys.exit(main())
