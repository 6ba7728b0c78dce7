"""A small S3: what Countersign needs of a bucket, in any store that speaks the protocol.

A bucket is named by the operator alone, in the environment:

    COUNTERSIGN_BUCKETS="exports=s3://ml-exports/daily archive=s3://old?endpoint=http://minio:9000"

Its address is `s3://<bucket>[/<prefix>]`, with `?endpoint=` (another store than AWS), `region=` and
`profile=` (a profile of AWS's shared files, where buckets have different credentials). Credentials
come from boto3's usual environment and never from here. boto3 is imported when a bucket is opened.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote, urlsplit

PIECE = 1024**2
CONNECT_TIMEOUT = 5
READ_TIMEOUT = 60
# S3's rule for names of buckets (letters, digits, dots, hyphens), as far as it keeps a URL whole.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_NAME = re.compile(r"[a-z0-9][a-z0-9_\-]{0,62}")
_PARAMETERS = ("endpoint", "region", "profile")


class BucketError(Exception):
    """The bucket cannot be reached, or does not do what it was asked. The message names both."""


class ObjectMissing(BucketError):
    """There is no object of that key."""


class ObjectTooLarge(BucketError):
    """The object is larger than was allowed."""


@dataclass(frozen=True)
class Location:
    """Where a bucket is. An empty `endpoint` is AWS, an empty `region` or `profile` boto3's default."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    profile: str = ""

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")

    def __str__(self) -> str:
        return self.url + (f" at {self.endpoint}" if self.endpoint else "")


@dataclass(frozen=True)
class Item:
    """An object in a listing. `key` is relative to the bucket's prefix, `size` in bytes."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True)
class Fetched:
    """What was read: SHA-256 (lowercase hex) and number of the bytes, and the store's mark of them."""

    digest: str
    size: int
    etag: str
    version: str
    modified: datetime


def parse_location(text: str) -> Location:
    """Read `s3://bucket/prefix?endpoint=…&region=…&profile=…`.

    Raises:
        ValueError: saying what is wrong with it.
    """
    parts = urlsplit(text.strip())
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(given) - set(_PARAMETERS))
    if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc) or parts.fragment:
        raise ValueError(f"expected s3://bucket/prefix, got {text!r}")
    if unknown:
        known = ", ".join(_PARAMETERS)
        raise ValueError(f"unknown parameter {unknown[0]!r}; {known} are known")
    endpoint = given.get("endpoint", "").rstrip("/")
    if endpoint:
        there = urlsplit(endpoint)
        if there.scheme not in {"http", "https"} or not there.hostname:
            raise ValueError(f"endpoint: expected an http or https URL, got {endpoint!r}")
        if there.username or there.password:
            raise ValueError("endpoint: credentials belong into boto3's environment")
    prefix = unquote(parts.path).strip("/")
    if prefix:
        check_key(prefix)
    return Location(
        parts.netloc, prefix, endpoint, given.get("region", ""), given.get("profile", "")
    )


def parse_buckets(text: str) -> dict[str, Location]:
    """Read `name=s3://… name=s3://…`, divided by spaces.

    Raises:
        ValueError: naming the one that is malformed.
    """
    found: dict[str, Location] = {}
    for one in text.split():
        name, sign, address = one.partition("=")
        if not sign or not _NAME.fullmatch(name):
            raise ValueError(f"expected name=s3://bucket/prefix, got {one!r}")
        if name in found:
            raise ValueError(f"the bucket {name} is named twice")
        try:
            found[name] = parse_location(address)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return found


def check_key(key: str) -> str:
    """Return `key` if it is one that stays beneath its prefix in every store.

    Raises:
        ValueError: if it is empty, too long, or has empty, `.` or `..` parts or control characters.
    """
    if (
        not key
        or len(key.encode()) > 1024
        or any(part in {"", ".", ".."} for part in key.split("/"))
        or any(ord(sign) < 32 or ord(sign) == 127 for sign in key)
    ):
        raise ValueError(f"not a key of an object: {key!r}")
    return key


def open_bucket(place: str | Location) -> "Bucket":
    """Open a bucket by the name that the operator gave it in `COUNTERSIGN_BUCKETS`, or by location.

    Nothing is asked of the store yet.

    Raises:
        BucketError: if no bucket has that name, or boto3 cannot make a client (its message).
    """
    if isinstance(place, Location):
        return Bucket(place)
    from django.conf import settings

    known = dict(settings.COUNTERSIGN.buckets)
    if place not in known:
        named = ", ".join(sorted(known)) or "none is named"
        raise BucketError(f"there is no bucket {place!r} in COUNTERSIGN_BUCKETS ({named})")
    return Bucket(known[place])


@dataclass
class Bucket:
    """A bucket beneath its prefix. Keys are relative to the prefix. May be shared by threads."""

    location: Location
    _client: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self._client is None:
            with self._said("opened"):
                self._client = _client(self.location)

    def get_to_file(self, key: str, path: Path, *, max_bytes: int | None = None) -> Fetched:
        """Read the object into the new file `path` and digest it on the way.

        A file that could not be read whole is removed again.

        Raises:
            ObjectMissing, ObjectTooLarge, BucketError; FileExistsError: `path` is there already.
        """
        with path.open("xb") as file:
            try:
                return self._read(key, file, max_bytes)
            except BaseException:
                path.unlink(missing_ok=True)
                raise

    def get(self, key: str, *, max_bytes: int = 16 * PIECE) -> bytes:
        """Return the object's bytes.

        Raises:
            ObjectMissing, ObjectTooLarge, BucketError.
        """
        with self._said("read", key):
            answer = self._client.get_object(Bucket=self.location.bucket, Key=self._full(key))
            with contextlib.closing(answer["Body"]) as body:
                data: bytes = body.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise ObjectTooLarge(f"{key} in {self.location} has more than {max_bytes} bytes")
        return data

    def put_new(self, key: str, data: bytes) -> bool:
        """Write the object if there is none of that key; say whether it was written.

        The store decides it (`If-None-Match: *`), so of two writers one is told no. A store that does
        not know that condition refuses, or ignores it, and a repeated try can meet its own object: who
        depends on the answer reads back what is there.

        Raises:
            BucketError.
        """
        try:
            with self._said("written", key):
                self._client.put_object(
                    Bucket=self.location.bucket,
                    Key=self._full(key),
                    Body=data,
                    IfNoneMatch="*",
                )
        except _AlreadyThere:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[Item]:
        """Yield the objects whose keys begin with `prefix`, in the order of their keys.

        Raises:
            BucketError.
        """
        cut = f"{self.location.prefix}/" if self.location.prefix else ""
        with self._said("listed", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.location.bucket, Prefix=cut + prefix
            )
            for page in pages:
                for row in page.get("Contents", ()):
                    modified = row["LastModified"].astimezone(UTC)
                    yield Item(row["Key"][len(cut) :], row["Size"], modified)

    def _read(self, key: str, file: BinaryIO, max_bytes: int | None) -> Fetched:
        digest, size = hashlib.sha256(), 0
        with self._said("read", key):
            answer = self._client.get_object(Bucket=self.location.bucket, Key=self._full(key))
            with contextlib.closing(answer["Body"]) as body:
                for piece in body.iter_chunks(PIECE):
                    size += len(piece)
                    if max_bytes is not None and size > max_bytes:
                        raise ObjectTooLarge(
                            f"{key} in {self.location} has more than {max_bytes} bytes"
                        )
                    digest.update(piece)
                    file.write(piece)
        return Fetched(
            digest.hexdigest(),
            size,
            answer.get("ETag", "").strip('"'),
            answer.get("VersionId", ""),
            answer["LastModified"].astimezone(UTC),
        )

    def _full(self, key: str) -> str:
        try:
            check_key(key)
        except ValueError as error:
            raise BucketError(str(error)) from None
        return f"{self.location.prefix}/{key}" if self.location.prefix else key

    @contextlib.contextmanager
    def _said(self, done: str, key: str = "") -> Iterator[None]:
        """Turn boto3's errors into ours, which name the object and the bucket."""
        from botocore.exceptions import BotoCoreError, ClientError

        what = f"{key} in {self.location}" if key else str(self.location)
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in {"NoSuchKey", "404"}:
                raise ObjectMissing(f"there is no {what}") from error
            # 409: another writer of the same key is under way, and the store let it go first.
            if code in {"PreconditionFailed", "ConditionalRequestConflict", "412"}:
                raise _AlreadyThere(what) from error
            raise BucketError(f"{what} could not be {done}: {error}") from error
        except BotoCoreError as error:
            raise BucketError(f"{what} could not be {done}: {error}") from error


class _AlreadyThere(BucketError):
    """The store has an object of that key."""


def _client(place: Location) -> Any:
    import boto3
    from botocore.config import Config

    session = boto3.session.Session(profile_name=place.profile or None)
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"max_attempts": 3, "mode": "standard"},
        # Other stores than AWS seldom answer at <bucket>.<host>.
        s3={"addressing_style": "path"} if place.endpoint else {},
    )
    # A store of one's own has no regions, but the signature of a request wants one.
    region = place.region or session.region_name or ("us-east-1" if place.endpoint else None)
    return session.client(
        "s3", endpoint_url=place.endpoint or None, region_name=region, config=config
    )
