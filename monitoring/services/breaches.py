"""Breaches: opened in the transaction that found them, so that the gate sees them at once."""

from datetime import datetime
from typing import Any

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import in_write, write
from kernel.errors import Conflict, Invalid
from monitoring.models import Breach, CheckRun, Monitor
from registry.services import lock_version, tick

SILENCE = "silence"


def open_breach(
    monitor: Monitor,
    *,
    metric: str,
    limit_key: str,
    reason: str,
    detail: dict[str, Any],
    run: CheckRun | None,
    at: datetime,
    actor: Actor,
) -> Breach | None:
    """Make the row and its entry; None if this limit has an open breach already.

    A step inside a write that holds the version's lock.
    """
    in_write()
    if Breach.objects.filter(monitor=monitor, limit_key=limit_key, resolved_at=None).exists():
        return None
    breach = Breach.objects.create(
        monitor=monitor,
        version_id=monitor.version_id,
        use_id=monitor.use_id,
        environment_id=monitor.environment_id,
        run=run,
        metric=metric,
        limit_key=limit_key,
        detail=detail,
        opened_at=at,
    )
    record(
        "monitoring.breach.opened",
        actor=actor,
        at=at,
        object_type="breach",
        object_id=str(breach.pk),
        public={
            **place(monitor),
            "monitor": monitor.pk,
            "run": run.pk if run else None,
            "metric": metric,
            "limit_key": limit_key,
            "reason": reason,
            "value": detail.get("judged"),
            "limit": (detail.get("limit") or {}).get("value"),
            "effect": monitor.effect,
        },
        scope=monitor.version.model_id,
    )
    return breach


@write
def resolve_breach(breach: Breach, *, resolution: str, actor: Actor) -> Breach:
    """A person says why the breach no longer stands; the gate stops denying for it.

    Raises:
        Conflict: it is resolved already.
        Invalid: no resolution is given.
    """
    require(actor, "breach.resolve", breach)
    if not resolution.strip():
        raise Invalid("say what was found and done", field="resolution")
    at = tick(lock_version(breach.version_id))
    breach = (
        Breach.objects.select_for_update(of=("self",))
        .select_related("monitor__version__model", "monitor__use", "monitor__environment")
        .get(pk=breach.pk)
    )
    if breach.resolved_at is not None:
        raise Conflict("the breach is resolved already", code="ended")
    breach.resolved_at, breach.resolved_by_id, breach.resolution = at, actor.id, resolution.strip()
    breach.save(update_fields=["resolved_at", "resolved_by", "resolution"])
    record(
        "monitoring.breach.resolved",
        actor=actor,
        at=at,
        object_type="breach",
        object_id=str(breach.pk),
        public={
            **place(breach.monitor),
            "monitor": breach.monitor_id,
            "metric": breach.metric,
            "limit_key": breach.limit_key,
        },
        private={"resolution": breach.resolution},
        scope=breach.monitor.version.model_id,
    )
    return breach


def place(monitor: Monitor) -> dict[str, Any]:
    """Where a monitor stands, as entries say it."""
    return {
        "model": monitor.version.model.name,
        "number": monitor.version.number,
        "use": monitor.use.name,
        "environment": monitor.environment.name,
    }
