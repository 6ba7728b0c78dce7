"""The registry's rows as REST tells them."""

from datetime import datetime
from typing import Any

from accounts.models import User
from kernel.moments import rfc3339
from registry import selectors
from registry.models import (
    Dataset,
    Deployment,
    EnvironmentSetting,
    Evidence,
    LegalEntity,
    ModelVersion,
    ModeProposal,
    Portfolio,
    RegisteredModel,
    RoleGrant,
    Stakeholder,
    Use,
    UseTier,
)


def instant(value: datetime | None) -> str | None:
    return rfc3339(value) if value else None


def person(user: User | None) -> dict[str, Any] | None:
    """Who did it; null stands for the service itself."""
    return {"username": user.username, "name": user.name, "kind": user.kind} if user else None


def model(row: RegisteredModel) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "title": row.title,
        "kind": row.kind,
        "description": row.description,
        "portfolio": row.portfolio.slug,
        "legal_entity": row.legal_entity.slug,
        "versions": row.last_number,
        "created_at": rfc3339(row.created_at),
        "created_by": person(row.created_by),
        "retired_at": instant(row.retired_at),
    }


def model_in_full(row: RegisteredModel) -> dict[str, Any]:
    mapping = selectors.mapping_of(row)
    uses = row.uses.select_related("legal_entity").order_by("-is_default", "name")
    return model(row) | {
        "columns": mapping.columns if mapping else None,
        "uses": [use(one) for one in uses],
        "stakeholders": [stakeholder(one) for one in row.stakeholders.filter(until=None)],
    }


def use(row: Use) -> dict[str, Any]:
    current = selectors.tier_of(row)
    return {
        "id": str(row.pk),
        **selectors.use_facts(row),
        "tier_reason": current.reason if current else "",
        "is_default": row.is_default,
        "created_at": rfc3339(row.created_at),
        "retired_at": instant(row.retired_at),
    }


def tier(row: UseTier) -> dict[str, Any]:
    return {
        "tier": row.tier,
        "reason": row.reason,
        "set_by": person(row.set_by),
        "since": rfc3339(row.since),
        "until": instant(row.until),
    }


def stakeholder(row: Stakeholder) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "interest": row.interest,
        "contact": row.contact,
        "since": rfc3339(row.since),
        "until": instant(row.until),
    }


def grant(row: RoleGrant) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "user": person(row.user),
        "role": row.role,
        "model": row.model.name if row.model else None,
        "portfolio": row.portfolio.slug if row.portfolio else None,
        "since": rfc3339(row.since),
        "until": instant(row.until),
    }


def version(row: ModelVersion) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "model": row.model.name,
        "number": row.number,
        "label": row.label,
        "revision": row.revision,
        "artifact_digest": row.artifact_digest,
        "artifact_name": row.artifact_name,
        "artifact_format": row.artifact_format,
        "artifact_stored": row.artifact_id is not None,
        "author": person(row.author),
        "registered_by": person(row.registered_by),
        "registered_at": rfc3339(row.registered_at),
        "frozen_at": instant(row.frozen_at),
        "retired_at": instant(row.retired_at),
    }


def version_in_full(row: ModelVersion) -> dict[str, Any]:
    links = row.dataset_uses.select_related("dataset").order_by("purpose", "dataset__name")
    return version(row) | {
        "description": row.description,
        "code_commit": row.code_commit,
        "code_repository": row.code_repository,
        "parameters": row.parameters,
        "environment": row.environment,
        "claims": row.claims,
        "input_spec": row.input_spec,
        "parent": row.parent.number if row.parent else None,
        "last_edited_by": person(row.last_edited_by),
        "datasets": [
            {"name": one.dataset.name, "digest": one.dataset.digest, "purpose": one.purpose}
            for one in links
        ],
    }


def evidence(row: Evidence) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "name": row.name,
        "media_type": row.media_type,
        "digest": row.blob_id,
        "size": row.blob.size,
        "added_at": rfc3339(row.added_at),
        "added_by": person(row.added_by),
        "is_addendum": row.is_addendum,
        "revision": row.revision,
    }


def dataset(row: Dataset) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "title": row.title,
        "digest": row.digest,
        "digest_of": row.digest_of,
        "stored": row.blob_id is not None,
        "location": row.location,
        "media_type": row.media_type,
        "rows": row.rows,
        "columns": row.columns,
        "source": row.source,
        "licence": row.licence,
        "collected_from": row.collected_from.isoformat() if row.collected_from else None,
        "collected_until": row.collected_until.isoformat() if row.collected_until else None,
        "contains_personal_data": row.contains_personal_data,
        "registered_at": rfc3339(row.registered_at),
        "registered_by": person(row.registered_by),
    }


def dataset_in_full(row: Dataset) -> dict[str, Any]:
    edges = row.sources.select_related("parent").order_by("parent__name")
    return dataset(row) | {
        "sources": [
            {
                "dataset": edge.parent.name,
                "digest": edge.parent.digest,
                "transformation": edge.transformation,
            }
            for edge in edges
        ]
    }


def setting(row: EnvironmentSetting) -> dict[str, Any]:
    return {
        "name": row.environment.name,
        "title": row.environment.title,
        "mode": row.mode,
        "position": row.position,
        "since": rfc3339(row.since),
        "until": instant(row.until),
        "decided_by": person(row.decided_by),
        "seconded_by": person(row.seconded_by),
    }


def proposal(row: ModeProposal) -> dict[str, Any]:
    return {
        "proposal": str(row.pk),
        "environment": row.environment.name,
        "mode": row.mode,
        "reason": row.reason,
        "proposed_by": person(row.proposed_by),
        "proposed_at": rfc3339(row.proposed_at),
        "closed_at": instant(row.closed_at),
    }


def deployment(row: Deployment) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "model": row.version.model.name,
        "version": row.version.number,
        "use": row.use.name,
        "environment": row.environment.name,
        "kind": row.kind,
        "artifact_digest": row.artifact_digest,
        "gate_decision": str(row.gate_decision_id) if row.gate_decision_id else None,
        "is_rollback": row.is_rollback,
        "live_from": rfc3339(row.live_from),
        "live_until": instant(row.live_until),
        "reported_by": person(row.reported_by),
    }


def named(row: Portfolio | LegalEntity) -> dict[str, Any]:
    return {"id": str(row.pk), "slug": row.slug, "name": row.name}
