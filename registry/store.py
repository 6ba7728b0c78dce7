"""The evidence store: bytes by their SHA-256, outside the database.

A writer hashes while it takes bytes in, syncs them and renames them to their digest, so that what is
there under a digest is whole. Nothing here opens what it keeps: a pickle is bytes like any other.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from django.conf import settings

from kernel.errors import CountersignError, NotFound, TooLarge, Unprocessable

CHUNK = 1024**2
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Damaged(CountersignError):
    """The bytes under a digest are not those it names: the disk erred, or somebody changed them."""

    status = 500
    title = "Damaged file"


@dataclass(frozen=True)
class Stored:
    """Bytes that are in the store."""

    digest: str
    size: int


class BlobWriter(Protocol):
    """One upload on its way in. Ends with `commit` or `abort`; `abort` after `commit` does nothing."""

    def write(self, data: bytes) -> None: ...

    def commit(self, expected: str | None = None) -> Stored: ...

    def abort(self) -> None: ...


class BlobStore(Protocol):
    """What a store offers: a folder here, a bucket elsewhere."""

    def writer(self, *, limit: int, field: str) -> BlobWriter: ...

    def open(self, digest: str) -> BinaryIO: ...

    def has(self, digest: str) -> bool: ...

    def remove(self, digest: str) -> None: ...

    def path(self, digest: str) -> Path: ...

    def digests(self) -> Iterator[str]: ...


class FolderWriter:
    def __init__(self, root: Path, *, limit: int, field: str) -> None:
        self._root, self._limit, self._field = root, limit, field
        self._size, self._hash = 0, hashlib.sha256()
        (root / "incoming").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = tempfile.NamedTemporaryFile(dir=root / "incoming", delete=False)  # noqa: SIM115
        self._done = False

    def write(self, data: bytes) -> None:
        """Raises: TooLarge, naming the field, once the limit is passed; nothing is kept then."""
        self._size += len(data)
        if self._size > self._limit:
            self.abort()
            raise TooLarge(f"the file is larger than {self._limit} bytes", field=self._field)
        self._hash.update(data)
        self._file.write(data)

    def commit(self, expected: str | None = None) -> Stored:
        """Keep the bytes.

        Raises:
            Unprocessable: naming the field, if `expected` is not their digest; nothing is kept then.
        """
        digest = self._hash.hexdigest()
        if expected is not None and expected != digest:
            self.abort()
            raise Unprocessable(
                f"the file's SHA-256 is {digest}, and {expected} was declared", field=self._field
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._done = True
        target = _place(self._root, digest)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chmod(self._file.name, 0o400)
        os.replace(self._file.name, target)
        _sync_folder(target.parent)
        return Stored(digest, self._size)

    def abort(self) -> None:
        if not self._done:
            self._done = True
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)


class FolderStore:
    """Files under `root/ab/cdef…`, readable to the service alone, never overwritten with others."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def writer(self, *, limit: int, field: str) -> FolderWriter:
        return FolderWriter(self.root, limit=limit, field=field)

    def path(self, digest: str) -> Path:
        """Where the bytes lie.

        Raises:
            NotFound: if they are not there.
        """
        place = _place(self.root, digest)
        if not place.is_file():
            raise NotFound(f"the store holds no bytes of digest {digest}")
        return place

    def open(self, digest: str) -> BinaryIO:
        return self.path(digest).open("rb")

    def has(self, digest: str) -> bool:
        return _place(self.root, digest).is_file()

    def remove(self, digest: str) -> None:
        """Take the bytes of a digest away for good. To say it twice is to say it once."""
        place = _place(self.root, digest)
        place.unlink(missing_ok=True)
        if place.parent.is_dir():
            _sync_folder(place.parent)

    def digests(self) -> Iterator[str]:
        """Every digest there is, for the collection of orphans."""
        for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            for file in sorted(folder.iterdir()):
                yield folder.name + file.name


def store() -> BlobStore:
    """The store of this installation."""
    return FolderStore(settings.COUNTERSIGN.data_dir / "blobs")


def put(
    source: IO[bytes], *, limit: int, field: str = "file", expected: str | None = None
) -> Stored:
    """Take a stream into the store, outside any transaction.

    Raises:
        TooLarge: naming `field`, if there are more than `limit` bytes.
        Unprocessable: naming `field`, if their SHA-256 is not `expected`.
    """
    writer = store().writer(limit=limit, field=field)
    try:
        while chunk := source.read(CHUNK):
            writer.write(chunk)
        return writer.commit(expected)
    finally:
        writer.abort()


def open_blob(digest: str, *, verify: bool = False) -> BinaryIO:
    """Open the bytes of a digest for reading. With `verify` they are hashed first.

    Raises:
        NotFound: if they are not in the store.
        Damaged: if `verify` finds other bytes.
    """
    stream = store().open(digest)
    if verify:
        found = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        if found != digest:
            stream.close()
            raise Damaged(f"the bytes stored as {digest} have the SHA-256 {found}")
        stream.seek(0)
    return stream


def path_of(digest: str) -> Path:
    """The path of the bytes of a digest, for a reader that needs a file.

    Raises:
        NotFound: if they are not in the store.
    """
    return store().path(digest)


def _place(root: Path, digest: str) -> Path:
    if not _DIGEST.fullmatch(digest):
        raise NotFound("a digest is 64 lowercase hex digits")
    return root / digest[:2] / digest[2:]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
