"""Incidents: suspected until a person says what they are and since when one was aware of them.

The clocks of the law run from the awareness, so a person states it; no machine does.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from accounts.access import require
from audit.actor import Actor
from audit.writing import RefusedConflict, in_write, write
from governance.models import Incident
from governance.services.places import demand_use, note, place_of
from kernel.errors import Invalid
from monitoring.models import Breach
from registry import demands
from registry.models import Environment, ModelVersion, Use
from registry.services import lock_version, tick

State = Incident.State

# (state, action): the state after. What is not here cannot be done.
TRANSITIONS: dict[tuple[str, str], str] = {
    (State.SUSPECTED, "classify"): State.CONFIRMED,
    (State.CONFIRMED, "classify"): State.CONFIRMED,
    (State.SUSPECTED, "dismiss"): State.DISMISSED,
    (State.CONFIRMED, "close"): State.CLOSED,
}


@write
def open_incident(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    summary: str,
    actor: Actor,
) -> Incident:
    """Open a suspected incident."""
    require(actor, "incident.open", version)
    summary = demands.text(summary, "summary")
    demand_use(version, use)
    version = lock_version(version.pk)
    return start_incident(
        version,
        use=use,
        environment=environment,
        summary=summary,
        at=tick(version),
        actor=actor,
    )


def start_incident(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    summary: str,
    at: datetime,
    actor: Actor,
    breach: Breach | None = None,
) -> Incident:
    """Make the row and its entry. A step inside a write that holds the version."""
    in_write()
    row = Incident.objects.create(
        version=version,
        use=use,
        environment=environment,
        breach=breach,
        summary=summary,
        opened_at=at,
    )
    note(
        "governance.incident.opened",
        row,
        version,
        actor=actor,
        at=at,
        public={**place_of(row), "breach": breach.pk if breach else None},
        private={"summary": summary},
    )
    return row


@write
def classify(
    incident: Incident, *, incident_class: str, aware_at: datetime, actor: Actor
) -> Incident:
    """Say what it is and since when the organisation knew. May be corrected until it is closed.

    Raises:
        Invalid: the awareness lies in the future.
        RefusedConflict: it was dismissed or closed.
    """
    require(actor, "incident.manage", incident)
    incident_class = demands.slug(incident_class, "incident_class", longest=40)
    row, at, state = _step(incident, "classify")
    if aware_at > at:
        raise Invalid("nobody was aware of it in the future", field="aware_at")
    changed = {
        "state": state,
        "incident_class": incident_class,
        "aware_at": aware_at,
        "classified_by_id": actor.id,
    }
    public = {"incident_class": incident_class, "aware_at": aware_at}
    return _save(row, "classified", changed, at=at, actor=actor, public=public)


@write
def dismiss(incident: Incident, *, reason: str, actor: Actor) -> Incident:
    """It was none after all."""
    require(actor, "incident.manage", incident)
    reason = demands.text(reason, "reason")
    row, at, state = _step(incident, "dismiss")
    return _end(row, "dismissed", state, reason, at=at, actor=actor)


@write
def close(incident: Incident, *, conclusion: str, actor: Actor) -> Incident:
    """End a confirmed incident and say how it ended."""
    require(actor, "incident.manage", incident)
    conclusion = demands.text(conclusion, "conclusion")
    row, at, state = _step(incident, "close")
    return _end(row, "closed", state, conclusion, at=at, actor=actor)


def _step(incident: Incident, action: str) -> tuple[Incident, datetime, str]:
    """Lock version and incident; return the row, the instant and the state after `action`."""
    version = lock_version(incident.version_id)
    row = (
        Incident.objects.select_for_update(of=("self",))
        .select_related("version__model", "use", "environment")
        .get(pk=incident.pk)
    )
    state = TRANSITIONS.get((row.state, action))
    if state is None:
        raise RefusedConflict(
            "wrong_state",
            f"an incident that is {row.state} cannot be the subject of '{action}'",
            object_type="incident",
            object_id=row.pk,
            scope=version.model_id,
        )
    return row, tick(version), state


def _end(
    row: Incident, what: str, state: str, conclusion: str, *, at: datetime, actor: Actor
) -> Incident:
    changed = {
        "state": state,
        "closed_at": at,
        "closed_by_id": actor.id,
        "conclusion": conclusion,
    }
    private = {"conclusion": conclusion}
    return _save(row, what, changed, at=at, actor=actor, public={}, private=private)


def _save(
    row: Incident,
    what: str,
    changed: Mapping[str, Any],
    *,
    at: datetime,
    actor: Actor,
    public: Mapping[str, Any],
    private: Mapping[str, Any] | None = None,
) -> Incident:
    for name, value in changed.items():
        setattr(row, name, value)
    row.save(update_fields=list(changed))
    note(
        f"governance.incident.{what}",
        row,
        row.version,
        actor=actor,
        at=at,
        public={**place_of(row), **public},
        private=private,
    )
    return row
