"""C2SP signed notes and checkpoints, signed with Ed25519.

A note is text, a blank line, and one line for each signature; who verifies names the keys that he
trusts as *vkeys*. Sources: https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

ED25519 = 1
_SIGNATURE_LINE = re.compile("— ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})")
_MAX_NOTE = 1_000_000


class NoteError(ValueError):
    """The note, checkpoint or key is malformed, or no trusted key has signed it."""


def decode_base64(text: str, what: str) -> bytes:
    """Decode standard base64 in its only canonical form.

    Raises:
        NoteError: naming `what`.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise NoteError(f"{what} is not canonical base64")
    return data


def check_name(name: str) -> str:
    """Return a key name or origin: not empty, without space, control character or plus."""
    if not name or "+" in name or any(c.isspace() or ord(c) < 32 or ord(c) == 127 for c in name):
        raise NoteError(f"{name!r} is no key name: it holds a space, a plus, or nothing")
    return name


def key_id(name: str, public: bytes, algorithm: int = ED25519) -> bytes:
    """The first four bytes of SHA-256(name || LF || algorithm || public key)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]


@dataclass(frozen=True)
class Verifier:
    """A key that is trusted to sign under `name`."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        return key_id(self.name, self.public)

    @property
    def vkey(self) -> str:
        encoded = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"

    def verify(self, text: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key that signs under `name`."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        return Verifier(check_name(self.name), self.private.public_key().public_bytes_raw())


def parse_vkey(text: str) -> Verifier:
    """Read `<name>+<key id>+<base64 of algorithm and key>`.

    Raises:
        NoteError: if it is malformed, not Ed25519, or its id does not fit its key.
    """
    name, plus, rest = text.strip().partition("+")
    identity, second, encoded = rest.partition("+")
    if not plus or not second or not re.fullmatch(r"[0-9a-f]{8}", identity):
        raise NoteError("a vkey is written name+8 hex digits+base64")
    data = decode_base64(encoded, "the key in the vkey")
    if len(data) != 33 or data[0] != ED25519:
        raise NoteError("only Ed25519 vkeys are known")
    verifier = Verifier(check_name(name), data[1:])
    if verifier.id.hex() != identity:
        raise NoteError("the id in the vkey does not belong to its key")
    return verifier


@dataclass(frozen=True)
class Signature:
    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True)
class Note:
    """`text` ends with a line feed. `verified` lists those whose signature holds."""

    text: str
    signatures: tuple[Signature, ...]
    verified: tuple[Verifier, ...] = ()


def sign(text: str, signers: Sequence[Signer]) -> str:
    """Return the note of `text` with one signature line for each signer.

    Raises:
        NoteError: if the text cannot be a note.
    """
    _check_text(text)
    lines = [
        Signature(signer.name, signer.verifier.id, signer.private.sign(text.encode())).line()
        for signer in signers
    ]
    return text + "\n" + "".join(lines)


def parse(note: str) -> Note:
    """Read a note without verifying it.

    Raises:
        NoteError: if it is malformed.
    """
    if len(note) > _MAX_NOTE:
        raise NoteError("the note is too long")
    body, blank, tail = note.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise NoteError("a note is text, a blank line, and signature lines")
    text = body + "\n"
    _check_text(text)
    signatures: list[Signature] = []
    for line in tail[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise NoteError("a signature line is malformed")
        data = decode_base64(match.group(2), "a signature")
        if len(data) < 5:
            raise NoteError("a signature is too short")
        signatures.append(Signature(match.group(1), data[:4], data[4:]))
    return Note(text, tuple(signatures))


def open_note(note: str, trusted: Iterable[Verifier]) -> Note:
    """Read a note and verify the signatures of the trusted keys; others are ignored.

    Raises:
        NoteError: if no trusted key has signed it, or one signature of a trusted key is wrong.
    """
    parsed = parse(note)
    keys = {(key.name, key.id): key for key in trusted}
    verified: list[Verifier] = []
    for signature in parsed.signatures:
        key = keys.get((signature.name, signature.key_id))
        if key is None or key in verified:
            continue
        if not key.verify(parsed.text, signature.value):
            raise NoteError(f"the signature of {key.name} is wrong")
        verified.append(key)
    if not verified:
        raise NoteError("no trusted key has signed the note")
    return Note(parsed.text, parsed.signatures, tuple(verified))


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("the text of a note ends with a line feed")
    if any(ord(char) < 32 and char != "\n" for char in text):
        raise NoteError("the text of a note holds a control character")


@dataclass(frozen=True)
class Checkpoint:
    """What a log commits itself to: that its first `size` leaves have this `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint, or a whole signed note that holds one.

    Raises:
        NoteError: if it is malformed.
    """
    lines = text.partition("\n\n")[0].removesuffix("\n").split("\n")
    if len(lines) < 3 or not lines[0] or "" in lines[3:]:
        raise NoteError("a checkpoint has an origin, a size and a root")
    if not re.fullmatch(r"0|[1-9]\d{0,18}", lines[1]):
        raise NoteError("the size of a checkpoint is a decimal number")
    root = decode_base64(lines[2], "the root of the checkpoint")
    if len(root) != 32:
        raise NoteError("the root of a checkpoint has 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def open_checkpoint(note: str, trusted: Iterable[Verifier]) -> Checkpoint:
    """Verify a signed checkpoint, whose signer must be named as its origin, and return it.

    Raises:
        NoteError: if it is malformed or the log itself has not signed it.
    """
    opened = open_note(note, trusted)
    checkpoint = parse_checkpoint(opened.text)
    if checkpoint.origin not in {key.name for key in opened.verified}:
        raise NoteError("the log that the checkpoint names has not signed it")
    return checkpoint
