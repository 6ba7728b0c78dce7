"""The change history: what the audit log holds about the version, in words."""

from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import Pseudonym, User
from audit.models import Entry
from kernel.moments import rfc3339
from registry.models import ModelVersion
from reports.bundle_schema import Change
from reports.gathering.index import EvidenceIndex

LONGEST = 400
_UNTOLD = (
    "monitoring.check.requested",
    "monitoring.check.started",
    "monitoring.check.requeued",
    "monitoring.batch.received",
    "reports.report.requested",
    "reports.report.started",
    "reports.report.frozen",
)
_TOLD = (
    "kind",
    "purpose",
    "grade",
    "metric",
    "answer",
    "decision",
    "role",
    "controls",
    "severity",
    "effect",
    "revision",
    "fields",
    "code",
)


def changes_of(
    version: ModelVersion, at: datetime, index: EvidenceIndex
) -> tuple[list[Change], int]:
    """The entries about the version and what all versions of its model share, oldest first, and how
    many older ones are left out."""
    rows = Entry.objects.filter(scope=version.model_id, at__lte=at).exclude(type__in=_UNTOLD)
    told = [row for row in rows.order_by("id") if _is_about(row, version, index)]
    kept = told[-LONGEST:]
    names = _names({row.actor for row in kept})
    changes: list[Change] = [
        {
            "at": rfc3339(row.at),
            "what": _words(row),
            "by": _who(row, names),
            "entry": str(row.uuid),
        }
        for row in kept
    ]
    return changes, len(told) - len(kept)


def _is_about(row: Entry, version: ModelVersion, index: EvidenceIndex) -> bool:
    if row.type == "audit.write.refused":
        return row.object_id == str(version.pk) or bool(index.ref_of(row.object_id))
    return row.public.get("number") in (None, version.number)


def _words(row: Entry) -> str:
    """`registry.version.registered` as "version registered", and what tells it from others."""
    _, noun, verb = row.type.split(".", 2)
    facts = [f"{name} {_plain(row.public[name])}" for name in _TOLD if row.public.get(name)]
    words = f"{noun} {verb}".replace("_", " ")
    return f"{words}: {', '.join(facts)}".replace("_", " ") if facts else words


def _plain(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _names(pseudonyms: set[UUID]) -> dict[UUID, str]:
    subjects = dict(
        Pseudonym.objects.filter(pseudonym__in=pseudonyms).values_list("pseudonym", "subject")
    )
    users = User.objects.in_bulk(list(subjects.values()))
    return {
        pseudonym: str(users[subject])
        for pseudonym, subject in subjects.items()
        if subject in users
    }


def _who(row: Entry, names: dict[UUID, str]) -> str:
    if row.actor_kind == "system":
        return f"the service ({row.content['actor'].get('name', 'system')})"
    return names.get(row.actor, "")
