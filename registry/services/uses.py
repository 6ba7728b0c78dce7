"""Uses: what a model is used for, and the risk tier of that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accounts.access import require
from audit.actor import Actor
from audit.writing import RefusedConflict, write
from kernel.errors import Conflict, Invalid
from registry import demands
from registry.models import LegalEntity, ModelVersion, RegisteredModel, Use, UseTier
from registry.services.steps import (
    bump_all,
    insert_once,
    lock_model,
    lock_versions,
    note,
    tick,
    user_id_of,
)

STRICTEST = 1
NOT_ASSESSED = "not assessed yet: the strictest tier applies"


@dataclass(frozen=True, kw_only=True)
class UseRecord:
    """What somebody states about a use. Without a tier the strictest applies."""

    purpose: str
    affected_people: str
    operator_role: str
    legal_entity: LegalEntity
    name: str = "default"
    excluded_uses: Sequence[str] = ()
    success_criteria: Sequence[str] = ()
    decision_rule: Mapping[str, Any] = field(default_factory=dict)
    exposure: str = ""
    tier: int | None = None
    tier_reason: str = ""


def _facts(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a use, each as it must be."""
    readers: dict[str, Any] = {
        "purpose": demands.text,
        "affected_people": demands.text,
        "exposure": demands.optional_text,
        "excluded_uses": demands.texts,
        "success_criteria": demands.texts,
        "decision_rule": demands.json_object,
        "operator_role": lambda value, name: demands.choice(value, Use.OperatorRole.values, name),
        "legal_entity": lambda value, name: value,
    }
    for name in values:
        if name not in readers:
            raise Invalid(f"only these can be stated: {', '.join(readers)}", field=name)
    return {name: readers[name](value, name) for name, value in values.items()}


def _private(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.slug if isinstance(value, LegalEntity) else value
        for name, value in facts.items()
    }


def make_use(
    model: RegisteredModel, use: UseRecord, *, actor: Actor, at: datetime, is_default: bool
) -> Use:
    """A step of the writes that register a model or a use."""
    facts = _facts(
        {
            "purpose": use.purpose,
            "affected_people": use.affected_people,
            "exposure": use.exposure,
            "excluded_uses": list(use.excluded_uses),
            "success_criteria": list(use.success_criteria),
            "decision_rule": dict(use.decision_rule),
            "operator_role": use.operator_role,
            "legal_entity": use.legal_entity,
        }
    )
    with insert_once("the model has a use of this name", "name"):
        row = Use.objects.create(
            model=model,
            name=demands.slug(use.name, "use.name", longest=60),
            is_default=is_default,
            created_at=at,
            **facts,
        )
    note(
        "registry.use.registered",
        row,
        actor=actor,
        at=at,
        public={
            "model": model.name,
            "use": row.name,
            "operator_role": row.operator_role,
            "legal_entity": use.legal_entity.slug,
            "is_default": is_default,
        },
        private=_private(facts),
    )
    tier, reason = use.tier, use.tier_reason
    if tier is None:
        tier, reason = STRICTEST, reason or NOT_ASSESSED
    _new_tier(row, tier, demands.text(reason, "tier_reason"), actor=actor, at=at, versions=0)
    return row


@write
def add_use(model: RegisteredModel, use: UseRecord, *, actor: Actor) -> Use:
    """State another use of a model. No approval for a use there was is touched by it."""
    require(actor, "model.amend", model)
    model = lock_model(model.pk)
    _refuse_retired(model, None)
    return make_use(model, use, actor=actor, at=tick(), is_default=False)


@write
def amend_use(use: Use, *, changes: Mapping[str, Any], actor: Actor) -> Use:
    """Change what a use says. Every version of the model is revised, since it is approved for that.

    What did not differ changes nothing.
    """
    require(actor, "model.amend", use)
    model = lock_model(use.model_id)
    use = _lock_use(use)
    _refuse_retired(model, use)
    wanted = {name: value for name, value in _facts(changes).items() if getattr(use, name) != value}
    if not wanted:
        return use
    for name, value in wanted.items():
        setattr(use, name, value)
    use.save(update_fields=list(wanted))
    at, versions = bump_all(model, editor=user_id_of(actor))
    note(
        "registry.use.amended",
        use,
        actor=actor,
        at=at,
        public={
            "model": model.name,
            "use": use.name,
            "fields": sorted(wanted),
            "versions": versions,
        },
        private=_private(wanted),
    )
    return use


@write
def set_tier(use: Use, tier: int, *, reason: str, actor: Actor) -> UseTier:
    """Set the risk tier of a use from now on: 1 is the highest risk. Setting the same confirms it."""
    require(actor, "tier.set", use)
    model = lock_model(use.model_id)
    use = _lock_use(use)
    _refuse_retired(model, use)
    reason = demands.text(reason, "reason")
    current = UseTier.objects.select_for_update().get(use=use, until=None)
    if current.tier == tier:
        at, versions = tick(after=[current.since]), 0
    else:
        at, versions = bump_all(model, after=[current.since])
    current.until = at
    current.save(update_fields=["until"])
    return _new_tier(
        use, tier, reason, actor=actor, at=at, versions=versions, previous=current.tier
    )


def _new_tier(
    use: Use,
    tier: int,
    reason: str,
    *,
    actor: Actor,
    at: datetime,
    versions: int,
    previous: int | None = None,
) -> UseTier:
    if isinstance(tier, bool) or not isinstance(tier, int) or not 1 <= tier <= 4:
        raise Invalid("expected a whole number from 1 (highest risk) to 4", field="tier")
    row = UseTier.objects.create(
        use=use, tier=tier, reason=reason, set_by_id=user_id_of(actor), since=at
    )
    note(
        "registry.tier.set",
        use,
        actor=actor,
        at=at,
        public={
            "model": use.model.name,
            "use": use.name,
            "tier": tier,
            "previous": previous,
            "versions": versions,
        },
        private={"reason": reason},
    )
    return row


@write
def retire_use(use: Use, *, reason: str, actor: Actor) -> Use:
    """End a use. The default one ends only with its model."""
    require(actor, "model.amend", use)
    model = lock_model(use.model_id)
    use = _lock_use(use)
    _refuse_retired(model, use)
    if use.is_default:
        raise Conflict("the default use ends only with its model", field="use")
    # Later than every moment of every version: what stood for this use until now did so then. No
    # fact of the other uses changes, so nothing is revised.
    live = ModelVersion.objects.filter(model=model, retired_at=None).values_list("pk", flat=True)
    at = tick(*lock_versions(list(live)))
    use.retired_at = at
    use.save(update_fields=["retired_at"])
    note(
        "registry.use.retired",
        use,
        actor=actor,
        at=at,
        public={"model": model.name, "use": use.name},
        private={"reason": demands.text(reason, "reason")},
    )
    return use


def _lock_use(use: Use) -> Use:
    return (
        Use.objects.select_for_update(of=("self",))
        .select_related("model", "legal_entity")
        .get(pk=use.pk)
    )


def _refuse_retired(model: RegisteredModel, use: Use | None) -> None:
    if model.retired_at is not None or (use is not None and use.retired_at is not None):
        raise RefusedConflict(
            "retired",
            f"the {'use' if use and use.retired_at else 'model'} is retired",
            object_type="model",
            object_id=model.pk,
            scope=model.pk,
        )
