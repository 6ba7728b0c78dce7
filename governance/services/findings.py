"""Findings: something that is wrong or must be done, with an owner and a date."""

from datetime import datetime
from uuid import UUID

from accounts.access import require
from accounts.models import Role, User
from audit.actor import Actor
from audit.writing import Refused, in_write, write
from governance import situations
from governance.controls.base import listed
from governance.models import Finding, Validation
from governance.services.places import note
from kernel.errors import Conflict
from monitoring.models import Breach
from registry import demands
from registry.grants import grants_at
from registry.models import ModelVersion
from registry.services import lock_version, tick


@write
def open_finding(
    version: ModelVersion,
    *,
    title: str,
    detail: str,
    severity: str,
    owner: User | None = None,
    due_at: datetime | None = None,
    actor: Actor,
) -> Finding:
    """Put on record that something is wrong with a version. Without an owner, the model's is."""
    require(actor, "finding.manage", version)
    demands.choice(severity, Finding.Severity.values, "severity")
    title = demands.text(title, "title", longest=200)
    detail = demands.text(detail, "detail")
    version = lock_version(version.pk)
    return start_finding(
        version,
        title=title,
        detail=detail,
        severity=severity,
        owner=owner,
        due_at=due_at,
        at=tick(version),
        actor=actor,
    )


def start_finding(
    version: ModelVersion,
    *,
    title: str,
    detail: str,
    severity: str,
    at: datetime,
    actor: Actor,
    owner: User | None = None,
    due_at: datetime | None = None,
    breach: Breach | None = None,
    validation: Validation | None = None,
    identity: UUID | None = None,
) -> Finding:
    """Make the row and its entry. A step inside a write that holds the version."""
    in_write()
    row = Finding.objects.create(
        **({"pk": identity} if identity else {}),
        version=version,
        title=title[:200],
        detail=detail,
        severity=severity,
        breach=breach,
        validation=validation,
        owner=owner or owner_of(version),
        due_at=due_at,
        opened_at=at,
    )
    note(
        "governance.finding.opened",
        row,
        version,
        actor=actor,
        at=at,
        public={
            "model": version.model.name,
            "number": version.number,
            "severity": severity,
            "breach": breach.pk if breach else None,
            "due_at": due_at,
        },
        private={"title": row.title, "detail": detail},
    )
    return row


def owner_of(version: ModelVersion) -> User | None:
    """The person who has owned the model longest, of those who do now."""
    grants = grants_at(version.model).filter(
        role=Role.OWNER, user__is_active=True, user__kind=User.Kind.PERSON
    )
    first = grants.order_by("since", "pk").first()
    return first.user if first else None


@write
def close_finding(finding: Finding, *, closure: str, actor: Actor) -> Finding:
    """Say what was done about it.

    Raises:
        Refused: `not_independent`: what a validator found is not for those to close who made the version.
        Conflict: it is closed already.
    """
    require(actor, "finding.manage", finding)
    closure = demands.text(closure, "closure")
    version = lock_version(finding.version_id)
    row = Finding.objects.select_for_update(of=("self",)).get(pk=finding.pk)
    row.version = version
    _demand_independence(row, actor)
    if row.closed_at is not None:
        raise Conflict("the finding is closed already", code="ended")
    row.closed_at = tick(version)
    row.closed_by_id = actor.id
    row.closure = closure
    row.save(update_fields=["closed_at", "closed_by", "closure"])
    note(
        "governance.finding.closed",
        row,
        version,
        actor=actor,
        at=row.closed_at,
        public={
            "model": version.model.name,
            "number": version.number,
            "severity": row.severity,
        },
        private={"closure": closure},
    )
    return row


def _demand_independence(row: Finding, actor: Actor) -> None:
    """An approval may stand on condition that this is closed, so closing it is to decide."""
    ties = situations.conflicts(row.version, None, actor) if row.validation_id else ()
    if ties:
        raise Refused(
            "not_independent",
            f"what a validator found is closed by somebody else; you are {listed(ties)}",
            object_type="finding",
            object_id=row.pk,
            scope=row.version.model_id,
        )
