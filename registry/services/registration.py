"""Models: their record, what their columns mean, who has an interest in them, their end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.access import require
from audit.actor import Actor
from audit.writing import RefusedConflict, write
from kernel import canonical
from kernel.errors import Conflict, Invalid
from kernel.moments import now
from registry import columns as column_mappings
from registry import demands, kinds
from registry.models import (
    ColumnMapping,
    LegalEntity,
    ModelVersion,
    Portfolio,
    RegisteredModel,
    Stakeholder,
    Use,
)
from registry.services.steps import (
    bump_all,
    insert_once,
    lock_model,
    lock_versions,
    note,
    tick,
    user_id_of,
)
from registry.services.uses import UseRecord, make_use


@dataclass(frozen=True, kw_only=True)
class StakeholderRecord:
    """Somebody with an interest in a model."""

    name: str
    interest: str
    contact: str = ""


@write
def register_model(
    name: str,
    *,
    title: str,
    kind: str,
    portfolio: Portfolio,
    legal_entity: LegalEntity,
    use: UseRecord,
    description: str = "",
    stakeholders: Sequence[StakeholderRecord] = (),
    columns: Mapping[str, Any] | None = None,
    actor: Actor,
) -> RegisteredModel:
    """Register a model with its default use.

    Whoever registers needs the role for the portfolio or the organisation, which covers the new model;
    registering grants nothing.
    """
    require(actor, "model.register", portfolio)
    at = now()
    demands.choice(kind, list(kinds.KINDS), "kind")
    with insert_once("a model of this name exists; names are never used again", "name"):
        model = RegisteredModel.objects.create(
            name=demands.slug(name, "name", longest=80),
            title=demands.text(title, "title", longest=200),
            kind=kind,
            description=demands.optional_text(description, "description"),
            portfolio=portfolio,
            legal_entity=legal_entity,
            created_at=at,
            created_by_id=actor.id,
        )
    note(
        "registry.model.registered",
        model,
        actor=actor,
        at=at,
        public={
            "model": name,
            "kind": kind,
            "portfolio": portfolio.slug,
            "legal_entity": legal_entity.slug,
        },
        private={"title": model.title, "description": model.description},
    )
    make_use(model, use, actor=actor, at=at, is_default=True)
    for one in stakeholders:
        _add_stakeholder(model, one, actor=actor, at=at)
    if columns is not None:
        _declare(model, column_mappings.read(dict(columns)), actor=actor, at=at, versions=0)
    return model


_AMENDABLE = ("title", "description", "legal_entity")


@write
def amend_model(
    model: RegisteredModel, *, changes: Mapping[str, Any], actor: Actor
) -> RegisteredModel:
    """Change title, description or legal entity. What did not differ changes nothing."""
    require(actor, "model.amend", model)
    model = open_model(model.pk)
    wanted: dict[str, Any] = {}
    for field, value in changes.items():
        if field not in _AMENDABLE:
            raise Invalid(f"only these can change: {', '.join(_AMENDABLE)}", field=field)
        if field == "title":
            value = demands.text(value, field, longest=200)
        elif field == "description":
            value = demands.optional_text(value, field)
        if getattr(model, field) != value:
            wanted[field] = value
    if not wanted:
        return model
    for field, value in wanted.items():
        setattr(model, field, value)
    model.save(update_fields=list(wanted))
    at, versions = bump_all(model, editor=user_id_of(actor))
    note(
        "registry.model.amended",
        model,
        actor=actor,
        at=at,
        public={"model": model.name, "fields": sorted(wanted), "versions": versions},
        private={field: str(value) for field, value in wanted.items()},
    )
    return model


@write
def declare_columns(
    model: RegisteredModel, columns: Mapping[str, Any], *, actor: Actor
) -> ColumnMapping:
    """Say what the columns of the model's data mean, from now on. The same again changes nothing."""
    require(actor, "model.amend", model)
    model = open_model(model.pk)
    said = demands.json(column_mappings.read(dict(columns)), "columns")
    current = ColumnMapping.objects.filter(model=model, until=None).first()
    if current is not None and current.columns == said:
        return current
    after = [current.since if current else None]
    at, versions = bump_all(model, after, editor=user_id_of(actor))
    if current is not None:
        current.until = at
        current.save(update_fields=["until"])
    return _declare(model, said, actor=actor, at=at, versions=versions)


def _declare(
    model: RegisteredModel, said: dict[str, Any], *, actor: Actor, at: datetime, versions: int
) -> ColumnMapping:
    for field, version in column_mappings.proxies(said):
        if not ModelVersion.objects.filter(pk=version).exists():
            raise Invalid("no such version is registered", field=field)
    mapping = ColumnMapping.objects.create(model=model, columns=said, since=at)
    note(
        "registry.columns.declared",
        model,
        actor=actor,
        at=at,
        public={
            "model": model.name,
            "mapping": mapping.pk,
            "digest": canonical.digest(said),
            "versions": versions,
        },
        private={"columns": said},
    )
    return mapping


@write
def add_stakeholder(
    model: RegisteredModel, stakeholder: StakeholderRecord, *, actor: Actor
) -> Stakeholder:
    """Name somebody with an interest in the model. It gives them no account."""
    require(actor, "model.amend", model)
    return _add_stakeholder(open_model(model.pk), stakeholder, actor=actor, at=now())


def _add_stakeholder(
    model: RegisteredModel, stakeholder: StakeholderRecord, *, actor: Actor, at: datetime
) -> Stakeholder:
    row = Stakeholder.objects.create(
        model=model,
        name=demands.text(stakeholder.name, "stakeholders.name", longest=200),
        interest=demands.text(stakeholder.interest, "stakeholders.interest", longest=300),
        contact=demands.optional_text(stakeholder.contact, "stakeholders.contact", longest=200),
        since=at,
    )
    note(
        "registry.stakeholder.added",
        row,
        actor=actor,
        at=at,
        public={"model": model.name, "stakeholder": row.pk},
        private={"name": row.name, "interest": row.interest, "contact": row.contact},
    )
    return row


@write
def end_stakeholder(stakeholder: Stakeholder, *, actor: Actor) -> Stakeholder:
    """End an interest from now on."""
    require(actor, "model.amend", stakeholder)
    row = (
        Stakeholder.objects.select_for_update(of=("self",))
        .select_related("model")
        .get(pk=stakeholder.pk)
    )
    if row.until is not None:
        raise Conflict("this interest has ended already", field="stakeholder")
    row.until = tick(after=[row.since])
    row.save(update_fields=["until"])
    note(
        "registry.stakeholder.ended",
        row,
        actor=actor,
        at=row.until,
        public={"model": row.model.name, "stakeholder": row.pk},
    )
    return row


@write
def retire_model(model: RegisteredModel, *, actor: Actor, reason: str) -> RegisteredModel:
    """End a model with its uses and versions. Its record stays, its name is never used again."""
    require(actor, "model.retire", model)
    model = open_model(model.pk)
    live = ModelVersion.objects.filter(model=model, retired_at=None).values_list("pk", flat=True)
    versions = lock_versions(list(live))
    at = tick(*versions)
    for version in versions:
        version.retired_at = at
        version.save(update_fields=["retired_at"])
    Use.objects.filter(model=model, retired_at=None).update(retired_at=at)
    model.retired_at = at
    model.save(update_fields=["retired_at"])
    note(
        "registry.model.retired",
        model,
        actor=actor,
        at=at,
        public={"model": model.name, "versions": len(versions)},
        private={"reason": demands.text(reason, "reason")},
    )
    return model


def open_model(model_id: UUID) -> RegisteredModel:
    """Lock a model that is not retired."""
    model = lock_model(model_id)
    if model.retired_at is not None:
        raise RefusedConflict(
            "retired",
            f"the model {model.name} is retired",
            object_type="model",
            object_id=model.pk,
            scope=model.pk,
        )
    return model
