"""Data that stays where it is: an object in a bucket, a table or query of a named source.

A location is what a user says of it, names alone: {"bucket", "key"}, or {"source", "table"}, or
{"source", "query"}, to which the digest of the query's text is added. Looking at it happens outside
any transaction, before the dataset is registered.
"""

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from django.conf import settings

from kernel import buckets, canonical
from kernel.errors import CountersignError, Invalid, TooLarge, Unavailable, Unprocessable
from registry import schemas
from registry.models import Dataset
from registry.sources import backends, catalogue, rowdigest

RELATION_SCHEMA = "countersign.relation/1"
_SHAPES = (("bucket", "key"), ("source", "table"), ("source", "query"))


@dataclass(frozen=True)
class Located:
    """Data that was found at a location. `rows` and `columns` are what was read of it."""

    location: Mapping[str, str]
    digest: str
    digest_of: str
    media_type: str
    rows: int | None = None
    columns: tuple[dict[str, str], ...] = ()


def examine(
    given: Mapping[str, str],
    *,
    digest: str | None = None,
    pinned: bool = True,
    media_type: str | None = None,
) -> Located:
    """Look at a location. A declared `digest` is taken as it is: the first check verifies it.

    Without one an object is read and hashed, and a relation's rows are digested where they are; or,
    not `pinned`, a relation is known by its name alone.

    Raises:
        Invalid: naming the field: there is no such place, or it is not to be read.
        Unprocessable: the object is not what its media type says.
        TooLarge: the object is larger than an artifact may be.
        Unavailable: the place cannot be reached.
    """
    if tuple(sorted(given)) not in {tuple(sorted(shape)) for shape in _SHAPES}:
        raise Invalid(
            "give a bucket and a key, a source and a table, or a source and a query",
            field="location",
        )
    if "bucket" in given:
        if not pinned:
            raise Invalid("an object is known by its bytes", field="location.pinned")
        return _object(given["bucket"], given["key"], digest, media_type)
    if media_type is not None:
        raise Invalid("the rows of a source have no media type", field="media_type")
    relation = catalogue.Relation(given["source"], given.get("table"), given.get("query"))
    return _relation(relation, digest, pinned)


@contextlib.contextmanager
def fetched(location: Mapping[str, str], folder: Path) -> Iterator[tuple[Path, str]]:
    """The object of a location in a file of its own, and the SHA-256 of its bytes; removed after.

    Raises:
        Invalid, TooLarge, Unavailable: see `fetch`.
    """
    path = folder / f"object-{secrets.token_hex(8)}"
    try:
        yield path, fetch(location, path)
    finally:
        path.unlink(missing_ok=True)


def fetch(location: Mapping[str, str], path: Path, field: str = "location") -> str:
    """Read an object into a new file; return the SHA-256 of its bytes, computed while reading.

    Raises:
        Invalid: there is no such bucket, key or object.
        TooLarge: it is larger than an artifact may be.
        Unavailable: the bucket cannot be reached.
    """
    bucket = _bucket(location["bucket"], location["key"], field)
    most = int(settings.COUNTERSIGN.max_artifact_bytes)
    try:
        return bucket.get_to_file(location["key"], path, max_bytes=most).digest
    except buckets.ObjectMissing:
        raise Invalid("the bucket has no object of this key", field=f"{field}.key") from None
    except buckets.ObjectTooLarge:
        raise TooLarge(f"the object has more than {most} bytes", field=f"{field}.key") from None
    except buckets.BucketError:
        # What the store said may tell its address.
        raise Unavailable(f"bucket {location['bucket']} cannot be read", field=field) from None


def _bucket(name: str, key: str, field: str = "location") -> buckets.Bucket:
    known = dict(settings.COUNTERSIGN.buckets)
    if name not in known:
        listed = ", ".join(sorted(known)) or "none is set up"
        raise Invalid(f"there is no bucket of this name; known: {listed}", field=f"{field}.bucket")
    try:
        buckets.check_key(key)
    except ValueError:
        raise Invalid("this is no key of an object", field=f"{field}.key") from None
    try:
        return buckets.open_bucket(name)
    except buckets.BucketError:
        raise Unavailable(f"bucket {name} cannot be opened", field=field) from None


def _object(name: str, key: str, digest: str | None, media_type: str | None) -> Located:
    location = {"bucket": name, "key": key}
    kind = media_type or schemas.guess_media_type(key)
    if digest is not None:
        _bucket(name, key)
        return Located(location, digest, Dataset.DigestOf.BYTES, kind)
    folder = settings.COUNTERSIGN.data_dir / "scratch"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with fetched(location, folder) as (path, found):
        try:
            rows, columns = schemas.read(path, kind)
        except Unprocessable as error:
            raise Unprocessable(error.detail, field="location.key") from None
    return Located(location, found, Dataset.DigestOf.BYTES, kind, rows, tuple(columns))


def _relation(relation: catalogue.Relation, digest: str | None, pinned: bool) -> Located:
    named = catalogue.current().find(relation)
    location: dict[str, str] = relation.to_json()
    if relation.query is not None:
        location["query_digest"] = named.query_digest(relation.query)
    if digest is not None:
        if not pinned:
            raise Invalid("rows that are not pinned have no digest", field="digest")
        return Located(location, digest, Dataset.DigestOf.ROWS, schemas.RELATION)
    with backends.connection(named) as backend:
        table = backends.table_of(backend, named, relation)
        if not pinned:
            return _by_name(location, table)
        if backend.name not in rowdigest.SUPPORTED:
            raise Invalid(
                f"rows of {named.backend} have no digest that others could compute again; register "
                "the relation with pinned false",
                field="location.pinned",
            )
        with backends.translated(named, "location"):
            found = rowdigest.digest(backend, table)
    return Located(
        location,
        found.digest,
        Dataset.DigestOf.ROWS,
        schemas.RELATION,
        found.rows,
        tuple({"name": name, "type": kind} for name, kind in found.columns),
    )


def _by_name(location: Mapping[str, str], table: Any) -> Located:
    schema = table.schema()
    columns = [{"name": one, "type": rowdigest.kind(schema[one])} for one in sorted(schema.names)]
    document = {"schema": RELATION_SCHEMA, **location, "columns": columns}
    digest = canonical.digest(document)
    return Located(
        location, digest, Dataset.DigestOf.RELATION, schemas.RELATION, None, tuple(columns)
    )


def still_there(dataset: Dataset, field: str) -> None:
    """Does the operator still offer what the dataset names? Nothing is connected to.

    Raises:
        Unprocessable: naming `field`.
    """
    where = cast("dict[str, str]", dataset.location)
    try:
        if "bucket" in where:
            _bucket(where["bucket"], where["key"])
        else:
            catalogue.current().find(
                catalogue.Relation(where["source"], where.get("table"), where.get("query"))
            )
    except Unavailable:
        raise
    except CountersignError as error:
        raise Unprocessable(f"dataset {dataset.name}: {error.detail}", field=field) from None
