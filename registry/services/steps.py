"""Steps that writes share. Each asserts that a write is open; none opens one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection
from django.db.models import F, Model

from accounts.access import require
from audit.actor import Actor
from audit.models import Entry
from audit.recording import record
from audit.writing import in_write, write
from kernel.errors import Conflict
from kernel.moments import now
from registry.models import (
    Blob,
    Dataset,
    Deployment,
    Environment,
    Evidence,
    LegalEntity,
    ModelVersion,
    ModeProposal,
    Portfolio,
    RegisteredModel,
    RevisionChange,
    RoleGrant,
    Stakeholder,
    Use,
)
from registry.store import Stored

_GRAIN = timedelta(microseconds=1)


def lock_model(model_id: UUID) -> RegisteredModel:
    """Lock a model's row and return it as it is now."""
    in_write()
    return (
        RegisteredModel.objects.select_for_update(of=("self",))
        .select_related("portfolio", "legal_entity")
        .get(pk=model_id)
    )


def lock_version(version_id: UUID) -> ModelVersion:
    """Lock a version's row and return it as it is now, with its model."""
    in_write()
    return (
        ModelVersion.objects.select_for_update(of=("self",))
        .select_related("model")
        .get(pk=version_id)
    )


def lock_versions(version_ids: Sequence[UUID]) -> list[ModelVersion]:
    """Lock several versions in the order of their ids, the one order that cannot deadlock."""
    in_write()
    rows = ModelVersion.objects.select_for_update(of=("self",)).select_related("model")
    return list(rows.filter(pk__in=version_ids).order_by("pk"))


def is_unchanged(version: ModelVersion) -> bool:
    """Does the version's row still say what it said when it was read, and will it until this
    transaction ends?

    Those who write about it are waited for, and wait; those who merely ask do not hinder each other.
    SQLite lets one writer in at a time, so there is nobody to wait for.
    """
    in_write()
    if connection.vendor != "postgresql":
        return ModelVersion.objects.filter(pk=version.pk, moment=version.moment).exists()
    with connection.cursor() as cursor:
        table = connection.ops.quote_name(ModelVersion._meta.db_table)
        cursor.execute(
            f"SELECT 1 FROM {table} WHERE id = %s AND moment = %s FOR SHARE",
            [version.pk, version.moment],
        )
        return cursor.fetchone() is not None


def tick(*versions: ModelVersion, after: Iterable[datetime | None] = ()) -> datetime:
    """The one instant of this transaction, later than any before it for each of the locked versions.

    `after` holds instants that it must be later than, too, whatever the clock says: the starts of
    intervals that it ends.
    """
    in_write()
    past = [version.moment for version in versions] + [one for one in after if one is not None]
    at = max([now(), *(instant + _GRAIN for instant in past)])
    for version in versions:
        version.moment = at
        version.save(update_fields=["moment"])
    return at


def bump(version: ModelVersion, at: datetime, *, editor: UUID | None = None) -> int:
    """A fact of the dossier changed: raise the revision of the locked version and return it.

    What was submitted before is no longer what there is, so the version is not frozen any more.
    `editor` is who may not sign what follows; None where the change is nobody's own work.
    """
    in_write()
    version.revision = F("revision") + 1
    version.frozen_at = None
    version.moment = at
    changed = ["revision", "frozen_at", "moment"]
    if editor is not None:
        version.last_edited_by_id = editor
        changed.append("last_edited_by")
    version.save(update_fields=changed)
    version.refresh_from_db(fields=["revision"])
    # What the revision was at any past instant, which the standing at that instant needs.
    RevisionChange.objects.create(version=version, revision=version.revision, at=at)
    return version.revision


def bump_all(
    model: RegisteredModel,
    after: Iterable[datetime | None] = (),
    *,
    editor: UUID | None = None,
) -> tuple[datetime, int]:
    """A fact that all versions of the locked model share changed. Return the instant and how many.

    Retired versions keep the facts they were retired with. `editor` is as in `bump`.
    """
    live = ModelVersion.objects.filter(model=model, retired_at=None).values_list("pk", flat=True)
    versions = lock_versions(list(live))
    at = tick(*versions, after=after)
    for version in versions:
        bump(version, at, editor=editor)
    return at, len(versions)


def freeze(version: ModelVersion, at: datetime) -> None:
    """Submission: from now on new evidence is an addendum. The version is locked."""
    in_write()
    version.frozen_at = at
    version.save(update_fields=["frozen_at"])


def blob_of(stored: Stored, at: datetime) -> Blob:
    """The row for bytes that are in the store."""
    in_write()
    row, _ = Blob.objects.get_or_create(
        digest=stored.digest, defaults={"size": stored.size, "stored_at": at}
    )
    return row


def user_id_of(actor: Actor) -> UUID | None:
    """The account behind an actor; None for the service itself."""
    return None if actor.kind == "system" else actor.id


_TYPES: dict[type[Model], str] = {
    RegisteredModel: "model",
    Use: "use",
    ModelVersion: "version",
    Evidence: "evidence",
    Stakeholder: "stakeholder",
    Dataset: "dataset",
    Environment: "environment",
    ModeProposal: "mode_proposal",
    Deployment: "deployment",
    RoleGrant: "grant",
    Portfolio: "portfolio",
    LegalEntity: "legal_entity",
}


def note(
    type: str,
    obj: Model,
    *,
    actor: Actor,
    at: datetime,
    public: Mapping[str, Any],
    private: Mapping[str, Any] | None = None,
) -> Entry:
    """Record an entry about a row, in the scope of its model where it has one."""
    model = getattr(obj, "access_model", None)
    return record(
        type,
        actor=actor,
        at=at,
        object_type=_TYPES[obj.__class__],
        object_id=str(obj.pk),
        public=public,
        private=private,
        scope=model.pk if model is not None else None,
    )


@contextmanager
def insert_once(detail: str, field: str) -> Iterator[None]:
    """A unique constraint that answers becomes a conflict that names the field."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(detail, field=field) from error


@write
def permit(action: str, obj: object, *, actor: Actor) -> None:
    """Refuse on record, before bytes are taken in, what the service would refuse after."""
    require(actor, action, obj)
