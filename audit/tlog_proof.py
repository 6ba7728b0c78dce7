"""C2SP tlog-proof: an inclusion proof that carries its checkpoint and needs no log to verify.

Source: https://c2sp.org/tlog-proof
"""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass

from audit import merkle
from audit.notes import Checkpoint, NoteError, Verifier, decode_base64, open_checkpoint

HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class TlogProof:
    """`checkpoint` is a whole signed note; `extra` is the application's own data."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None


def marshal(proof: TlogProof) -> str:
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(f"extra {base64.b64encode(proof.extra).decode()}")
    lines.append(f"index {proof.index}")
    lines += [base64.b64encode(item).decode() for item in proof.hashes]
    return "\n".join(lines) + "\n\n" + proof.checkpoint


def parse(text: str) -> TlogProof:
    """Read a tlog-proof.

    Raises:
        NoteError: if it is malformed.
    """
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines[0] != HEADER:
        raise NoteError(f"a proof starts with {HEADER}")
    rest = lines[1:]
    extra: bytes | None = None
    if rest and rest[0].startswith("extra "):
        extra = decode_base64(rest.pop(0)[6:], "the extra data of the proof")
    match = re.fullmatch(r"index (0|[1-9]\d{0,18})", rest[0]) if rest else None
    if match is None:
        raise NoteError("a proof names the index of its leaf")
    hashes = tuple(decode_base64(line, "a hash of the proof") for line in rest[1:])
    if any(len(item) != merkle.HASH_SIZE for item in hashes) or len(hashes) > 63:
        raise NoteError("a proof has at most 63 hashes of 32 bytes")
    return TlogProof(int(match.group(1)), hashes, checkpoint, extra)


def verify(text: str, leaf: bytes, trusted: Iterable[Verifier]) -> Checkpoint:
    """Check that the log has `leaf` (its exact bytes), and return the checkpoint that says so.

    Raises:
        NoteError: if the proof is malformed or its checkpoint is not signed by the log.
        merkle.ProofError: if the leaf is not proven.
    """
    proof = parse(text)
    checkpoint = open_checkpoint(proof.checkpoint, trusted)
    merkle.verify_inclusion(
        merkle.leaf_hash(leaf), proof.index, checkpoint.size, proof.hashes, checkpoint.root
    )
    return checkpoint
