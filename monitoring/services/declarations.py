"""Signing that a sensitive attribute is not collected: its own state, with an end, and never a pass."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from accounts.access import require
from accounts.services import consume_reauthentication
from audit.actor import Actor
from audit.recording import record
from audit.writing import write
from kernel import canonical
from kernel.errors import Conflict, Invalid
from kernel.moments import now, rfc3339
from monitoring.models import NotCollectedDeclaration
from registry import demands
from registry.models import RegisteredModel
from registry.services import lock_model

SUBJECT = "not_collected"
LONGEST = timedelta(days=366)
"""After a year at the latest somebody looks again whether the attribute could be collected."""


def statement_digest(model: RegisteredModel, attribute: str, reason: str, until: datetime) -> str:
    """What a person signs, as the SHA-256 of its canonical JSON."""
    return canonical.digest(
        {
            "model": model.name,
            "attribute": attribute,
            "reason": reason,
            "until": rfc3339(until),
            "state": SUBJECT,
        }
    )


@write
def declare_not_collected(
    model: RegisteredModel,
    *,
    attribute: str,
    reason: str,
    until: datetime,
    reauthentication: UUID,
    actor: Actor,
) -> NotCollectedDeclaration:
    """Sign that an attribute is not collected, until an instant not more than a year away.

    Raises:
        Refused: without a proof of identity for exactly this statement.
        Invalid: naming the field.
    """
    require(actor, "groups.declare", model)
    name = demands.text(attribute, "attribute", longest=100)
    text = demands.text(reason, "reason", longest=5_000)
    lock_model(model.pk)
    at = now()
    if until <= at:
        raise Invalid("has passed already", field="until")
    if until > at + LONGEST:
        raise Invalid(f"is more than {LONGEST.days} days away", field="until")
    digest = statement_digest(model, name, text, until)
    proof = consume_reauthentication(
        reauthentication,
        actor=actor,
        subject_type=SUBJECT,
        subject_id=model.pk,
        signed_digest=digest,
        at=at,
    )
    made = NotCollectedDeclaration.objects.create(
        model=model,
        attribute=name,
        reason=text,
        statement_digest=digest,
        since=at,
        until=until,
        signed_by_id=actor.id,
        method=proof.method,
    )
    _record("declared", made, at=at, actor=actor, private={"attribute": name, "reason": text})
    return made


@write
def withdraw_declaration(
    declaration: NotCollectedDeclaration, *, actor: Actor
) -> NotCollectedDeclaration:
    """End a declaration before its time.

    Raises:
        Conflict: it was withdrawn or has lapsed.
    """
    require(actor, "groups.declare", declaration)
    lock_model(declaration.model_id)
    at = now()
    found = NotCollectedDeclaration.objects.select_for_update(of=("self",)).get(pk=declaration.pk)
    if found.withdrawn_at is not None or found.until <= at:
        raise Conflict("the declaration has ended already", code="ended")
    found.withdrawn_at, found.withdrawn_by_id = at, actor.id
    found.save(update_fields=["withdrawn_at", "withdrawn_by"])
    _record("withdrawn", found, at=at, actor=actor)
    return found


def resolved(model_id: UUID, mapping: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The mapping with the declaration that is in force for each attribute that is not collected."""
    sensitive = mapping.get("sensitive") or []
    names = [one["name"] for one in sensitive if _is_absent(one)]
    if not names:
        return dict(mapping)
    rows = NotCollectedDeclaration.objects.filter(
        model=model_id, attribute__in=names, since__lte=at, until__gt=at, withdrawn_at=None
    )
    found = {row.attribute: row for row in rows.order_by("since")}
    told = []
    for one in sensitive:
        if _is_absent(one):
            row = found.get(one["name"])
            one = {"name": one["name"], "state": SUBJECT}
            if row is not None:
                one |= {"declaration": str(row.pk), "until": rfc3339(row.until)}
        told.append(one)
    return {**mapping, "sensitive": told}


def _is_absent(one: object) -> bool:
    return isinstance(one, Mapping) and one.get("state") == SUBJECT


def _record(
    what: str,
    made: NotCollectedDeclaration,
    *,
    at: datetime,
    actor: Actor,
    private: dict[str, Any] | None = None,
) -> None:
    record(
        f"monitoring.declaration.{what}",
        actor=actor,
        at=at,
        object_type="not_collected",
        object_id=str(made.pk),
        public={
            "model": made.model.name,
            "statement_digest": made.statement_digest,
            "until": rfc3339(made.until),
        },
        private=private,
        scope=made.model_id,
    )
