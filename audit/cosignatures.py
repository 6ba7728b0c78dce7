"""C2SP witnesses: the policy file that lists them, the request for a cosignature, and verifying one.

A witness cosigns a checkpoint only if the log grew consistently since the one it cosigned before.
Pure. Sources: https://c2sp.org/tlog-witness, https://c2sp.org/tlog-cosignature, https://c2sp.org/tlog-policy
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from audit.notes import NoteError, check_name, decode_base64, key_id, parse, parse_checkpoint

ED25519 = 0x04
ML_DSA_44 = 0x06
MAX_PROOF = 63
_KEY_SIZES = {ED25519: 32, ML_DSA_44: 1312}


@dataclass(frozen=True)
class Witness:
    """One who cosigns. `name` is the name of its key; `url` its submission prefix, if it is asked."""

    name: str
    algorithm: int
    public: bytes
    url: str = ""

    @property
    def id(self) -> bytes:
        return key_id(self.name, self.public, self.algorithm)

    @property
    def vkey(self) -> str:
        encoded = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"


def parse_witness(vkey: str, url: str = "") -> Witness:
    """Read a witness's vkey, of type 0x04 (Ed25519) or 0x06 (ML-DSA-44).

    Raises:
        NoteError: if it is malformed, or its id does not fit its key.
    """
    name, plus, rest = vkey.strip().partition("+")
    identity, second, encoded = rest.partition("+")
    if not plus or not second:
        raise NoteError("a vkey is written name+8 hex digits+base64")
    data = decode_base64(encoded, "the key in the vkey")
    if not data or _KEY_SIZES.get(data[0]) != len(data) - 1:
        raise NoteError(f"{name} is no cosigner's key: its type is 0x04 or 0x06")
    witness = Witness(check_name(name), data[0], data[1:], url.rstrip("/"))
    if witness.id.hex() != identity:
        raise NoteError(f"the id in the vkey of {name} does not belong to its key")
    return witness


def parse_policy(text: str) -> list[Witness]:
    """Return the witnesses of a tlog-policy file. Logs, groups and quorum are for those who verify.

    Raises:
        NoteError: naming the line that is malformed or lists a key again.
    """
    found: list[Witness] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split("#", 1)[0].split() if line.lstrip().startswith("#") else line.split()
        if not words or words[0] in ("log", "group", "quorum"):
            continue
        if words[0] != "witness" or len(words) not in (3, 4):
            raise NoteError(f"line {number}: expected `witness <name> <vkey> [<url>]`")
        try:
            witness = parse_witness(words[2], words[3] if len(words) == 4 else "")
        except NoteError as error:
            raise NoteError(f"line {number}: {error}") from None
        if witness.public in {one.public for one in found}:
            raise NoteError(f"line {number}: this key is listed twice")
        found.append(witness)
    return found


def request_body(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """Return the body of `add-checkpoint`: the size that the witness has, and the proof from there.

    Raises:
        ValueError: if the proof is longer than 63 hashes.
    """
    if len(proof) > MAX_PROOF:
        raise ValueError(f"a proof of {len(proof)} hashes cannot be sent; {MAX_PROOF} can")
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof)]
    return ("\n".join(lines) + "\n\n" + note).encode()


def verified_lines(answer: str, note: str, witnesses: Iterable[Witness]) -> dict[str, int]:
    """Return {signature line: time in seconds} for each cosignature of `note` by a known witness.

    Lines of other keys are left out, as the format asks.

    Raises:
        NoteError: if the answer is malformed or a known witness's cosignature is wrong.
    """
    text = parse(note).text
    known = {(one.name, one.id): one for one in witnesses}
    found: dict[str, int] = {}
    for signature in parse(text + "\n" + answer).signatures:
        witness = known.get((signature.name, signature.key_id))
        if witness is not None:
            found[signature.line()] = _verify(witness, text, signature.value)
    return found


def _verify(witness: Witness, text: str, value: bytes) -> int:
    time, signature = int.from_bytes(value[:8], "big"), value[8:]
    if len(value) < 8 or time >= 1 << 63:
        raise NoteError(f"the cosignature of {witness.name} is malformed")
    try:
        if witness.algorithm == ED25519:
            message = f"cosignature/v1\ntime {time}\n{text}".encode()
            Ed25519PublicKey.from_public_bytes(witness.public).verify(signature, message)
        else:
            message = mldsa_message(witness.name, time, text)
            MLDSA44PublicKey.from_public_bytes(witness.public).verify(signature, message)
    except InvalidSignature:
        raise NoteError(f"the cosignature of {witness.name} is wrong") from None
    return time


def mldsa_message(name: str, time: int, text: str) -> bytes:
    """Return what an ML-DSA-44 cosigner signs: the `cosigned_message` structure of the checkpoint."""
    checkpoint = parse_checkpoint(text)
    return b"".join(
        (
            b"subtree/v1\n\0",
            _opaque(name),
            time.to_bytes(8, "big"),
            _opaque(checkpoint.origin),
            bytes(8),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def _opaque(text: str) -> bytes:
    data = text.encode()
    if not 1 <= len(data) <= 255:
        raise NoteError(f"{text!r} does not fit into 255 bytes")
    return bytes([len(data)]) + data


def parse_size(body: bytes) -> int | None:
    """Return the tree size in the body of a 409 (`text/x.tlog.size`); None if it is something else."""
    match = re.fullmatch(rb"(0|[1-9][0-9]{0,18})\n", body)
    return int(match.group(1)) if match else None
