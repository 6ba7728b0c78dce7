"""The evidence store: whole or not at all, by digest, within limits."""

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import NotFound, TooLarge, Unprocessable
from registry import store as stores
from registry.store import Damaged, FolderStore, Stored


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
    store = FolderStore(tmp_path / "blobs")
    monkeypatch.setattr(stores, "store", lambda: store)
    return store


def incoming(folder: FolderStore) -> list[Path]:
    return list((folder.root / "incoming").iterdir())


def test_bytes_are_found_by_their_digest_and_for_the_service_alone(folder: FolderStore) -> None:
    stored = stores.put(io.BytesIO(b"evidence"), limit=100)
    assert stored == Stored(hashlib.sha256(b"evidence").hexdigest(), 8)
    place = stores.path_of(stored.digest)
    assert place == folder.root / stored.digest[:2] / stored.digest[2:]
    assert place.stat().st_mode & 0o777 == 0o400
    assert stores.open_blob(stored.digest, verify=True).read() == b"evidence"
    assert list(folder.digests()) == [stored.digest]
    assert incoming(folder) == []


def test_the_same_bytes_twice_are_one_file(folder: FolderStore) -> None:
    first = stores.put(io.BytesIO(b"x"), limit=1)
    assert stores.put(io.BytesIO(b"x"), limit=1) == first
    assert list(folder.digests()) == [first.digest]


def test_one_byte_too_many_leaves_nothing(folder: FolderStore) -> None:
    with pytest.raises(TooLarge) as error:
        stores.put(io.BytesIO(b"12345"), limit=4, field="artifact")
    assert error.value.field == "artifact"
    assert incoming(folder) == []
    assert list(folder.digests()) == []


def test_another_digest_than_declared_leaves_nothing(folder: FolderStore) -> None:
    with pytest.raises(Unprocessable) as error:
        stores.put(io.BytesIO(b"1"), limit=4, field="artifact", expected="a" * 64)
    assert error.value.field == "artifact"
    assert incoming(folder) == []
    assert list(folder.digests()) == []


def test_a_stream_that_breaks_leaves_nothing(folder: FolderStore) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        stores.put(Broken(), limit=4)
    assert incoming(folder) == []


def test_altered_bytes_are_found_out(folder: FolderStore) -> None:
    stored = stores.put(io.BytesIO(b"sound"), limit=9)
    place = stores.path_of(stored.digest)
    place.chmod(0o600)
    place.write_bytes(b"altered")
    with pytest.raises(Damaged):
        stores.open_blob(stored.digest, verify=True)


@pytest.mark.parametrize("digest", ["a" * 64, "../../etc/passwd", "", "A" * 64, "a" * 63 + "/"])
def test_what_is_not_there_or_is_no_digest_is_not_found(folder: FolderStore, digest: str) -> None:
    with pytest.raises(NotFound):
        stores.path_of(digest)


@given(chunks=st.lists(st.binary(max_size=50), max_size=8))
def test_any_split_of_the_bytes_gives_one_digest(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    writer = FolderStore(tmp_path_factory.getbasetemp() / "split").writer(limit=10**6, field="f")
    for chunk in chunks:
        writer.write(chunk)
    whole = b"".join(chunks)
    assert writer.commit() == Stored(hashlib.sha256(whole).hexdigest(), len(whole))
