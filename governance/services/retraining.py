"""Retraining requests: a version should be trained anew, and which version answers that."""

from datetime import datetime

from accounts.access import require
from audit.actor import Actor
from audit.writing import in_write, write
from governance.models import Incident, RetrainingRequest
from governance.services.places import note
from monitoring.models import Breach
from registry import demands
from registry.models import ModelVersion
from registry.services import lock_version, lock_versions, tick


@write
def request_retraining(version: ModelVersion, *, reason: str, actor: Actor) -> RetrainingRequest:
    """Ask that a version be trained anew."""
    require(actor, "retraining.request", version)
    reason = demands.text(reason, "reason")
    version = lock_version(version.pk)
    return start_request(version, reason=reason, at=tick(version), actor=actor)


def start_request(
    version: ModelVersion,
    *,
    reason: str,
    at: datetime,
    actor: Actor,
    breach: Breach | None = None,
    incident: Incident | None = None,
) -> RetrainingRequest:
    """Make the row and its entry. A step inside a write that holds the version."""
    in_write()
    row = RetrainingRequest.objects.create(
        version=version, breach=breach, incident=incident, reason=reason, requested_at=at
    )
    note(
        "governance.retraining.requested",
        row,
        version,
        actor=actor,
        at=at,
        public={
            "model": version.model.name,
            "number": version.number,
            "breach": breach.pk if breach else None,
            "incident": incident.pk if incident else None,
        },
        private={"reason": reason},
    )
    return row


@write
def answer_requests(successor: ModelVersion, *, actor: Actor) -> list[RetrainingRequest]:
    """Link the open requests of a version's parent to it. Doing it twice changes nothing."""
    require(actor, "retraining.request", successor)
    if successor.parent_id is None:
        return []
    locked = {one.pk: one for one in lock_versions([successor.parent_id, successor.pk])}
    parent, successor = locked[successor.parent_id], locked[successor.pk]
    requests = list(
        RetrainingRequest.objects.select_for_update(of=("self",)).filter(
            version=parent, answered_by=None
        )
    )
    if not requests:
        return []
    at = tick(parent, successor)
    for row in requests:
        row.answered_by, row.answered_at = successor, at
        row.save(update_fields=["answered_by", "answered_at"])
        note(
            "governance.retraining.answered",
            row,
            parent,
            actor=actor,
            at=at,
            public={
                "model": parent.model.name,
                "number": parent.number,
                "answered_by": successor.number,
            },
        )
    return requests
