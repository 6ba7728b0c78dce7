"""Datasets: data as it was at one instant, by its digest, with what it was made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from accounts.access import require
from audit.actor import Actor
from audit.writing import write
from kernel import canonical
from kernel.errors import Conflict, Invalid, Unprocessable
from kernel.moments import now
from registry import demands, schemas
from registry.locations import Located
from registry.models import Dataset, DatasetLineage, DatasetUse, RegisteredModel
from registry.services.steps import blob_of, insert_once, note
from registry.store import Stored


@dataclass(frozen=True)
class Source:
    """What a dataset was made from, and how."""

    dataset: Dataset
    transformation: str


@dataclass(frozen=True)
class Contents:
    """What a file was found to hold. Read outside the transaction, by `registry.schemas`."""

    rows: int | None = None
    columns: Sequence[dict[str, str]] = ()


@write
def register_dataset(
    name: str,
    *,
    title: str,
    contains_personal_data: bool,
    digest: str | None = None,
    stored: Stored | None = None,
    located: Located | None = None,
    contents: Contents | None = None,
    media_type: str | None = None,
    source: str = "",
    licence: str = "",
    collected_from: date | None = None,
    collected_until: date | None = None,
    sources: Sequence[Source] = (),
    model: RegisteredModel | None = None,
    actor: Actor,
) -> Dataset:
    """Register data by its bytes, by where it is, or by its digest alone.

    `model` is one whose role lets the actor.

    Raises:
        Conflict: another dataset has the name, or the digest.
        Unprocessable: the stored bytes have another digest than was declared.
    """
    require(actor, "dataset.register", model)
    demands.slug(name, "name", longest=100)
    if stored is not None and digest is not None and stored.digest != digest:
        raise Unprocessable(
            f"the file's SHA-256 is {stored.digest}, and {digest} was declared", field="digest"
        )
    if located is not None and (stored is not None or digest not in (None, located.digest)):
        raise Invalid("data is either sent or found where it is", field="location")
    found = stored.digest if stored is not None else located.digest if located else digest
    if found is None:
        raise Invalid("give the data's SHA-256, or the data", field="digest")
    if collected_from and collected_until and collected_from > collected_until:
        raise Invalid("this lies before collected_from", field="collected_until")
    _refuse_doubles(name, found)
    if located is not None:
        media_type = located.media_type
        if located.columns:
            contents = Contents(located.rows, located.columns)
    contents = contents or Contents()
    at = now()
    with insert_once("the data, or a dataset of this name, is registered already", "name"):
        row = Dataset.objects.create(
            name=name,
            title=demands.text(title, "title", longest=200),
            digest=found,
            digest_of=located.digest_of if located else Dataset.DigestOf.BYTES,
            location=dict(located.location) if located else None,
            blob=blob_of(stored, at) if stored else None,
            media_type=media_type or schemas.guess_media_type(name),
            rows=_count(contents.rows),
            columns=_columns(contents.columns),
            source=demands.optional_text(source, "source"),
            licence=demands.optional_text(licence, "licence", longest=200),
            collected_from=collected_from,
            collected_until=collected_until,
            contains_personal_data=contains_personal_data,
            registered_at=at,
            registered_by_id=actor.id,
        )
    _link(row, sources)
    note(
        "registry.dataset.registered",
        row,
        actor=actor,
        at=at,
        public={
            "dataset": name,
            "digest": found,
            "sources": sorted({one.dataset.digest for one in sources}),
            "stored": stored is not None,
            "digest_of": row.digest_of if located else None,
            "location_digest": canonical.digest(row.location) if located else None,
        },
        private={
            "title": row.title,
            "source": row.source,
            "licence": row.licence,
            **({"location": row.location} if located else {}),
        },
    )
    return row


@write
def store_dataset(
    dataset: Dataset,
    stored: Stored,
    *,
    contents: Contents | None = None,
    model: RegisteredModel | None = None,
    actor: Actor,
) -> Dataset:
    """Bring the bytes of data that was registered by its digest."""
    require(actor, "dataset.register", model)
    row = Dataset.objects.select_for_update(of=("self",)).get(pk=dataset.pk)
    if stored.digest != row.digest:
        raise Unprocessable(
            f"the file's SHA-256 is {stored.digest}, and the dataset is {row.digest}", field="file"
        )
    if row.blob_id is not None:
        return row
    at = now()
    row.blob = blob_of(stored, at)
    changed = ["blob"]
    # What stands in dossiers does not change; only what nobody stated or used yet is filled in.
    if contents is not None and row.rows is None and not row.columns and not _in_dossiers(row):
        row.rows, row.columns = contents.rows, list(contents.columns)
        changed += ["rows", "columns"]
    row.save(update_fields=changed)
    note(
        "registry.dataset.stored",
        row,
        actor=actor,
        at=at,
        public={"dataset": row.name, "digest": row.digest, "size": stored.size},
    )
    return row


def _in_dossiers(row: Dataset) -> bool:
    """Did a version use the dataset, or anything made from it?"""
    seen, front = {row.pk}, {row.pk}
    while front:
        derived = DatasetLineage.objects.filter(parent__in=front).values_list("child", flat=True)
        front = set(derived) - seen
        seen |= front
    return DatasetUse.objects.filter(dataset__in=seen).exists()


def _refuse_doubles(name: str, digest: str) -> None:
    if Dataset.objects.filter(name=name).exists():
        raise Conflict("a dataset of this name exists", field="name")
    same = Dataset.objects.filter(digest=digest).first()
    if same is not None:
        raise Conflict(f"this data is registered as {same.name} already", field="digest")


def _link(child: Dataset, sources: Sequence[Source]) -> None:
    seen = set()
    for index, one in enumerate(sources):
        if one.dataset.pk in seen:
            raise Invalid("this source is named twice", field=f"sources[{index}].dataset")
        seen.add(one.dataset.pk)
        DatasetLineage.objects.create(
            parent=one.dataset,
            child=child,
            transformation=demands.text(one.transformation, f"sources[{index}].transformation"),
        )


def _count(rows: int | None) -> int | None:
    if rows is not None and not 0 <= rows < 2**53:
        raise Invalid("expected a whole number of rows", field="rows")
    return rows


def _columns(columns: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    result = []
    for index, one in enumerate(columns):
        here = f"columns[{index}]"
        if not isinstance(one, dict) or set(one) != {"name", "type"}:
            raise Invalid("expected an object of name and type", field=here)
        result.append(
            {
                "name": demands.text(one["name"], f"{here}.name"),
                "type": demands.text(one["type"], f"{here}.type"),
            }
        )
    return result
