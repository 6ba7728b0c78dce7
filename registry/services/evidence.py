"""Evidence: files and documents that speak for a version. Added, never changed."""

import io
import re
from typing import Any

from django.conf import settings

from accounts.access import require
from audit.actor import Actor
from audit.writing import write
from kernel import canonical
from kernel.errors import Invalid
from registry import demands
from registry.models import Evidence, ModelVersion
from registry.services.steps import blob_of, bump, lock_version, note, tick, user_id_of
from registry.services.versions import editor_of, refuse_retired
from registry.store import Stored, put

DOCUMENT = "application/json"
_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MEDIA_TYPE = re.compile(r"(?=.{3,100}$)[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")


def store_document(document: Any, *, field: str = "document") -> Stored:
    """Put a JSON document into the store, in canonical form; outside any transaction.

    Raises:
        Invalid: naming `field`, if it has no canonical form.
    """
    demands.json(document, field)
    data = canonical.dumps(document)
    return put(io.BytesIO(data), limit=settings.COUNTERSIGN.max_evidence_bytes, field=field)


@write
def add_evidence(
    version: ModelVersion,
    stored: Stored,
    *,
    kind: str,
    name: str,
    media_type: str = "application/octet-stream",
    actor: Actor,
) -> Evidence:
    """Add evidence whose bytes are in the store.

    Before submission it becomes a fact of the dossier, a new revision; after it, an addendum.
    """
    require(actor, "evidence.add", version)
    version = lock_version(version.pk)
    refuse_retired(version)
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise Invalid("expected lowercase words joined by _, at most 40 characters", field="kind")
    if not isinstance(media_type, str) or not _MEDIA_TYPE.fullmatch(media_type.lower()):
        raise Invalid("expected a media type, as text/csv", field="media_type")
    at = tick(version)
    is_addendum = version.frozen_at is not None
    if not is_addendum:
        bump(version, at, editor=editor_of(version, actor))
    row = Evidence.objects.create(
        version=version,
        kind=kind,
        name=demands.text(name, "name", longest=200),
        media_type=media_type.lower(),
        blob=blob_of(stored, at),
        added_at=at,
        added_by_id=user_id_of(actor),
        is_addendum=is_addendum,
        revision=version.revision,
    )
    note(
        "registry.evidence.added",
        row,
        actor=actor,
        at=at,
        public={
            "model": version.model.name,
            "number": version.number,
            "kind": kind,
            "digest": stored.digest,
            "size": stored.size,
            "is_addendum": is_addendum,
            "revision": version.revision,
        },
        private={"name": row.name},
    )
    return row
