"""Buckets: what is written once stays, what is read is digested, and names lead where the operator said."""

import dataclasses
import hashlib
import threading
from pathlib import Path

import pytest
from django.conf import settings

from kernel.buckets import (
    Bucket,
    BucketError,
    Location,
    ObjectMissing,
    ObjectTooLarge,
    check_key,
    open_bucket,
    parse_buckets,
    parse_location,
)
from kernel.conf import ConfigurationError, settings_from_env
from tests.stores import new_bucket


@pytest.fixture
def bucket(s3_url: str) -> Bucket:
    return open_bucket(new_bucket(s3_url, "daily/in"))


def test_an_object_is_written_once(bucket: Bucket) -> None:
    assert bucket.put_new("a/1", b"first")
    assert not bucket.put_new("a/1", b"second")
    assert bucket.get("a/1") == b"first"


def test_of_writers_at_once_one_is_told_yes(bucket: Bucket) -> None:
    start, answers = threading.Barrier(4), []

    def write(number: int) -> None:
        start.wait()
        answers.append((bucket.put_new("race", b"%d" % number), number))

    threads = [threading.Thread(target=write, args=(one,)) for one in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won for won, _ in answers) == [False, False, False, True]
    assert bucket.get("race") == b"%d" % max(answers)[1]


def test_what_is_read_to_a_file_is_digested_on_the_way(bucket: Bucket, tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    bucket.put_new("rows.parquet", data)
    read = bucket.get_to_file("rows.parquet", tmp_path / "rows", max_bytes=len(data))
    assert (tmp_path / "rows").read_bytes() == data
    assert (read.digest, read.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert read.etag == hashlib.md5(data, usedforsecurity=False).hexdigest()
    with pytest.raises(FileExistsError):
        bucket.get_to_file("rows.parquet", tmp_path / "rows")
    assert (tmp_path / "rows").read_bytes() == data


def test_too_large_and_missing_objects_leave_no_file(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put_new("big", b"x" * 100)
    with pytest.raises(ObjectTooLarge, match=r"big in s3://.* more than 99 bytes"):
        bucket.get_to_file("big", tmp_path / "out", max_bytes=99)
    with pytest.raises(ObjectTooLarge):
        bucket.get("big", max_bytes=99)
    with pytest.raises(ObjectMissing, match="there is no none in s3://"):
        bucket.get_to_file("none", tmp_path / "out")
    with pytest.raises(ObjectMissing):
        bucket.get("none")
    assert not (tmp_path / "out").exists()


def test_a_listing_is_of_the_prefix_and_relative_to_it(bucket: Bucket) -> None:
    whole = Bucket(dataclasses.replace(bucket.location, prefix=""))
    whole.put_new("daily/other", b"")
    for key in ("b", "a/2", "a/1"):
        bucket.put_new(key, key.encode())
    assert [(item.key, item.size) for item in bucket.list()] == [("a/1", 3), ("a/2", 3), ("b", 1)]
    assert [item.key for item in bucket.list("a/")] == ["a/1", "a/2"]
    assert [item.key for item in whole.list("daily/o")] == ["daily/other"]
    assert all(item.modified.utcoffset() is not None for item in bucket.list())


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/..", "a\x00", "a\n", "x" * 1025])
def test_a_key_cannot_leave_its_prefix(bucket: Bucket, key: str) -> None:
    with pytest.raises(BucketError, match="not a key"):
        bucket.get(key)
    with pytest.raises(ValueError, match="not a key"):
        check_key(key)


def test_what_the_store_refuses_is_said_with_its_name(s3_url: str) -> None:
    lost = open_bucket(Location("tests-nowhere", "", s3_url))
    with pytest.raises(BucketError, match=r"k in s3://tests-nowhere at .* could not be written"):
        lost.put_new("k", b"")
    with pytest.raises(BucketError, match="could not be listed"):
        list(lost.list())
    with pytest.raises(BucketError, match=r"could not be opened: .*profile"):
        open_bucket(Location("tests-nowhere", "", s3_url, profile="nobody"))
    with pytest.raises(BucketError, match="could not be read"):
        open_bucket(Location("tests-nowhere", "", "http://127.0.0.1:9")).get("k")


def test_a_bucket_is_opened_by_the_name_that_the_operator_gave_it(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = dataclasses.replace(settings.COUNTERSIGN, buckets=(("exports", bucket.location),))
    monkeypatch.setattr(settings, "COUNTERSIGN", known)
    bucket.put_new("k", b"v")
    assert open_bucket("exports").get("k") == b"v"
    with pytest.raises(BucketError, match=r"no bucket 'other' .*\(exports\)"):
        open_bucket("other")


def test_locations_are_read_strictly() -> None:
    assert parse_location("s3://data") == Location("data")
    found = parse_location("s3://data/a/b%20c/?endpoint=http://minio:9000/&region=eu-1&profile=p")
    assert found == Location("data", "a/b c", "http://minio:9000", "eu-1", "p")
    for text, message in (
        ("data", "expected s3://"),
        ("s3://", "expected s3://"),
        ("https://data/a", "expected s3://"),
        ("s3://Data_", "expected s3://"),
        ("s3://key:secret@data", "expected s3://"),
        ("s3://data/../x", "not a key"),
        ("s3://data?key=1", "unknown parameter 'key'"),
        ("s3://data?endpoint=minio:9000", "endpoint: expected an http"),
        ("s3://data?endpoint=http://a:b@minio", "credentials"),
    ):
        with pytest.raises(ValueError, match=message):
            parse_location(text)


def test_buckets_of_the_environment(tmp_path: Path) -> None:
    text = "a=s3://one b-2=s3://two/x?endpoint=http://h:1"
    assert list(parse_buckets(text)) == ["a", "b-2"]
    given = {"COUNTERSIGN_DATA_DIR": str(tmp_path), "COUNTERSIGN_BUCKETS": text}
    assert dict(settings_from_env(given, base_dir=tmp_path).buckets) == parse_buckets(text)
    for wrong in ("s3://one", "A=s3://one", "a=s3://one a=s3://two", "a=http://one"):
        with pytest.raises(ConfigurationError, match="COUNTERSIGN_BUCKETS"):
            settings_from_env(given | {"COUNTERSIGN_BUCKETS": wrong}, base_dir=tmp_path)
