"""Where a checkpoint can be held outside: a folder or bucket, an RFC 3161 time stamp, a C2SP witness.

Each target takes a signed checkpoint and gives back a receipt, which is kept with the checkpoint's
size; `check` verifies a receipt again, years later.
"""

import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from audit import cosignatures
from audit.models import Anchor, Checkpoint
from audit.notes import NoteError
from kernel import outbound
from kernel.buckets import Bucket, BucketError

logger = logging.getLogger(__name__)
TIMEOUT = 15.0
# Reading a bucket waits for the network, object by object: so many at once.
AT_ONCE = 8
Prove = Callable[[int, int], Sequence[bytes]]


class AnchorFailed(Exception):
    """The target did not take the checkpoint. It is asked again."""


class AnchorContradicts(AnchorFailed):
    """What is held outside is not a part of this log: an alarm, not a passing failure."""


class Target(Protocol):
    """One place outside. `name` identifies it in its anchors and never changes."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...

    def anchor(self, head: Checkpoint, *, before: int, prove: Prove) -> bytes:
        """Hand over the checkpoint and return the receipt. `before` is the size anchored last.

        Raises:
            AnchorFailed, OSError: if it was not taken.
        """

    def check(self, receipt: bytes, note: str) -> None:
        """Verify the receipt of a checkpoint.

        Raises:
            AnchorContradicts: if it is not one of it.
        """


class Store(Protocol):
    """A folder, or a bucket that keeps what it has. A name is written once."""

    def put(self, name: str, data: bytes) -> bytes:
        """Keep `data` under `name` and return what is there: `data`, or what was kept before."""

    def all(self) -> Iterator[tuple[str, bytes]]:
        """Yield each name with its bytes."""


class Folder:
    """A folder on other ground: a write-once volume, a mounted bucket, a checkout that is pushed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, data: bytes) -> bytes:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # Written aside and linked: the file is whole or absent, and never replaces another.
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            aside.chmod(0o444)
            with contextlib.suppress(FileExistsError):
                os.link(aside, target)
        finally:
            aside.unlink()
        return target.read_bytes()

    def all(self) -> Iterator[tuple[str, bytes]]:
        for path in sorted(self.path.rglob("*.checkpoint")):
            yield path.relative_to(self.path).as_posix(), path.read_bytes()


class BucketStore:
    """A bucket of any store that speaks S3; with object lock, nobody replaces what it holds."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def put(self, name: str, data: bytes) -> bytes:
        # What is there is read back, whoever wrote it: a store that ignores the condition, or an earlier
        # try of ours whose answer was lost, must not pass for a fresh copy.
        self._bucket.put_new(name, data)
        return self._bucket.get(name)

    def all(self) -> Iterator[tuple[str, bytes]]:
        waiting: deque[tuple[str, Future[bytes]]] = deque()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for item in self._bucket.list():
                if item.key.endswith(".checkpoint"):
                    waiting.append((item.key, pool.submit(self._bucket.get, item.key)))
                while len(waiting) > 2 * AT_ONCE:
                    key, read = waiting.popleft()
                    yield key, read.result()
            for key, read in waiting:
                yield key, read.result()


@dataclass(frozen=True)
class StoreTarget:
    """Keeps the checkpoint itself as `<origin>/<size>.checkpoint`."""

    store: Store
    name: str
    kind: str = Anchor.Kind.FILE.value

    def anchor(self, head: Checkpoint, *, before: int, prove: Prove) -> bytes:
        folder = head.epoch.origin.replace("/", "_")
        note = head.note.encode()
        try:
            held = self.store.put(f"{folder}/{head.size:020d}.checkpoint", note)
        except BucketError as error:
            raise AnchorFailed(str(error)) from error
        if held != note and held.partition(b"\n\n")[0] != note.partition(b"\n\n")[0]:
            raise AnchorContradicts(f"{self.name} holds another checkpoint of {head.size} entries")
        return held

    def check(self, receipt: bytes, note: str) -> None:
        if receipt.partition(b"\n\n")[0] != note.encode().partition(b"\n\n")[0]:
            raise AnchorContradicts("the copy is of another checkpoint")

    def held(self) -> list[str]:
        """Return the checkpoints that the place holds: it may know more than the database does."""
        return [data.decode(errors="replace") for _, data in self.store.all()]


@dataclass(frozen=True)
class TimestampTarget:
    """An RFC 3161 authority: it states when it saw the checkpoint, under a certificate we trust."""

    url: str
    roots: tuple[x509.Certificate, ...]
    kind: str = Anchor.Kind.RFC3161.value

    @property
    def name(self) -> str:
        return self.url

    def anchor(self, head: Checkpoint, *, before: int, prove: Prove) -> bytes:
        note = head.note.encode()
        asked = (
            TimestampRequestBuilder()
            .data(note)
            .hash_algorithm(HashAlgorithm.SHA256)
            .nonce()
            .build()
        )
        headers = {"content-type": "application/timestamp-query"}
        answer = outbound.post(self.url, asked.as_bytes(), headers, timeout=TIMEOUT)
        if answer.status != 200:
            raise AnchorFailed(f"the time stamp authority answered {answer.status}")
        try:
            response = decode_timestamp_response(answer.body)
            self._verifier(asked.nonce).verify_message(response, note)
        except (ValueError, VerificationError) as error:
            raise AnchorFailed(f"the time stamp is no good: {error}") from error
        return bytes(response.as_bytes())

    def check(self, receipt: bytes, note: str) -> None:
        try:
            response = decode_timestamp_response(receipt)
            self._verifier(None).verify_message(response, note.encode())
        except (ValueError, VerificationError) as error:
            raise AnchorContradicts(f"the time stamp does not verify: {error}") from error

    def _verifier(self, nonce: int | None) -> "_Verifies":
        builder = VerifierBuilder(nonce=nonce)
        for root in self.roots:
            builder = builder.add_root_certificate(root)
        verifier: _Verifies = builder.build()
        return verifier


class _Verifies(Protocol):
    def verify_message(self, timestamp_response: object, message: bytes) -> bool: ...


@dataclass(frozen=True)
class WitnessTarget:
    """A C2SP witness: it cosigns only what extends the checkpoint it has cosigned before."""

    witness: cosignatures.Witness
    kind: str = Anchor.Kind.WITNESS.value

    @property
    def name(self) -> str:
        return self.witness.name

    def anchor(self, head: Checkpoint, *, before: int, prove: Prove) -> bytes:
        answer = self._ask(head, before, prove)
        known = cosignatures.parse_size(answer.body) if answer.status == 409 else None
        if known is not None and known > head.size:
            raise AnchorContradicts(
                f"{self.name} has cosigned {known} entries, and the log has {head.size}"
            )
        if known is not None:
            # It remembers another size than we do: what it says counts.
            answer = self._ask(head, known, prove)
        if answer.status == 409 and cosignatures.parse_size(answer.body) is None:
            raise AnchorContradicts(f"{self.name} holds another tree of {head.size} entries")
        if answer.status == 422:
            raise AnchorContradicts(f"{self.name} holds a tree that this log does not extend")
        if answer.status != 200:
            raise AnchorFailed(f"the witness {self.name} answered {answer.status}")
        try:
            lines = cosignatures.verified_lines(answer.body.decode(), head.note, [self.witness])
        except (NoteError, UnicodeDecodeError) as error:
            raise AnchorFailed(f"the answer of {self.name} is no good: {error}") from error
        if not lines:
            raise AnchorFailed(f"the answer of {self.name} holds no cosignature of its own")
        return "".join(lines).encode()

    def _ask(self, head: Checkpoint, old: int, prove: Prove) -> outbound.Response:
        proof = prove(old, head.size) if 0 < old < head.size else ()
        body = cosignatures.request_body(old, proof, head.note)
        url = f"{self.witness.url}/add-checkpoint"
        headers = {"content-type": "text/plain; charset=utf-8"}
        return outbound.post(url, body, headers, timeout=TIMEOUT)

    def check(self, receipt: bytes, note: str) -> None:
        try:
            found = cosignatures.verified_lines(receipt.decode(), note, [self.witness])
        except (NoteError, UnicodeDecodeError) as error:
            raise AnchorContradicts(str(error)) from error
        if not found:
            raise AnchorContradicts(f"it holds no cosignature of {self.name}")


def load_roots(path: Path) -> tuple[x509.Certificate, ...]:
    """Read the certificates (PEM) that a time stamp authority's must lead to.

    Raises:
        OSError, ValueError: if the file cannot be read or holds none.
    """
    return tuple(x509.load_pem_x509_certificates(path.read_bytes()))


def witnesses_in(path: Path) -> Iterable[WitnessTarget]:
    """Return those witnesses of a tlog-policy file that have a URL to be asked at.

    Raises:
        OSError, NoteError: if the file cannot be read.
    """
    return [WitnessTarget(one) for one in cosignatures.parse_policy(path.read_text()) if one.url]
