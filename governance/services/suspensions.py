"""Suspensions: a version must not be used for a use in an environment, until somebody lifts it."""

from datetime import datetime
from uuid import UUID

from accounts.access import require
from audit.actor import Actor
from audit.writing import in_write, write
from governance.models import Suspension
from governance.services.places import demand_use, note, place_of
from kernel.errors import Conflict
from monitoring.models import Breach
from registry import demands
from registry.models import Environment, ModelVersion, Use
from registry.services import lock_version, tick, user_id_of


@write
def suspend(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    effect: str,
    reason: str,
    actor: Actor,
) -> Suspension:
    """Suspend a version from now on. Suspensions add up: each is lifted by itself."""
    require(actor, "version.suspend", version)
    demands.choice(effect, Suspension.Effect.values, "effect")
    reason = demands.text(reason, "reason")
    demand_use(version, use)
    version = lock_version(version.pk)
    return start_suspension(
        version,
        use=use,
        environment=environment,
        effect=effect,
        reason=reason,
        at=tick(version),
        actor=actor,
    )


def start_suspension(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    effect: str,
    reason: str,
    at: datetime,
    actor: Actor,
    breach: Breach | None = None,
) -> Suspension:
    """Make the row and its entry. A step inside a write that holds the version."""
    in_write()
    row = Suspension.objects.create(
        version=version,
        use=use,
        environment=environment,
        effect=effect,
        reason=reason,
        breach=breach,
        since=at,
        suspended_by_id=user_id_of(actor),
    )
    note(
        "governance.suspension.started",
        row,
        version,
        actor=actor,
        at=at,
        public={**place_of(row), "effect": effect, "breach": breach.pk if breach else None},
        private={"reason": reason},
    )
    return row


@write
def lift(suspension: Suspension, *, reason: str, actor: Actor) -> Suspension:
    """End a suspension. It says nothing about the breach behind it, which is resolved by itself.

    Raises:
        Conflict: it is lifted already.
    """
    require(actor, "suspension.lift", suspension)
    reason = demands.text(reason, "reason")
    version = lock_version(suspension.version_id)
    row = _locked(suspension.pk)
    if row.until is not None:
        raise Conflict("the suspension is lifted already", code="ended")
    row.until = tick(version)
    row.lifted_by_id = actor.id
    row.lift_reason = reason
    row.save(update_fields=["until", "lifted_by", "lift_reason"])
    note(
        "governance.suspension.lifted",
        row,
        version,
        actor=actor,
        at=row.until,
        public={**place_of(row), "effect": row.effect, "breach": row.breach_id},
        private={"reason": reason},
    )
    return row


def _locked(suspension_id: UUID) -> Suspension:
    return (
        Suspension.objects.select_for_update(of=("self",))
        .select_related("version__model", "use", "environment")
        .get(pk=suspension_id)
    )
