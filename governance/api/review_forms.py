"""What requests about policies and reviews hold, and how their rows are told."""

import json
from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from governance import situations
from governance.facts import policy_document
from governance.models import (
    Approval,
    Dossier,
    PolicyBinding,
    PolicyRevision,
    Review,
    Signature,
    Validation,
)
from governance.transitions import Offer
from kernel.moments import rfc3339
from kernel.rest.serializers import (
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
    StrictUUIDField,
)

MAX_TEXT = 10_000


class PolicyRequest(StrictSerializer):
    source = StrictCharField(  # type: ignore[assignment]
        max_length=256 * 1024, trim_whitespace=False, help_text="YAML"
    )
    transition = serializers.ChoiceField(
        choices=PolicyRevision.Transition.choices, default=PolicyRevision.Transition.AT_ONCE
    )
    transition_at = StrictCharField(required=False, help_text="RFC 3339; a bare date means its end")


class BindingRequest(StrictSerializer):
    environment = StrictCharField(max_length=40)
    tier = StrictIntegerField(required=False, min_value=1, max_value=4)


class ReviewRequest(StrictSerializer):
    environment = StrictCharField(max_length=40)
    use = StrictCharField(required=False, max_length=60, help_text="the default use, if left out")
    note = StrictCharField(required=False, default="", allow_blank=True, max_length=5000)


class FindingInput(StrictSerializer):
    title = StrictCharField(max_length=200)
    detail = StrictCharField(max_length=MAX_TEXT)
    severity = StrictCharField()
    owner = StrictCharField(help_text="username")
    due_at = StrictCharField(help_text="RFC 3339; a bare date means its end")


class ValidationRequest(StrictSerializer):
    scope = StrictCharField(max_length=MAX_TEXT)
    rating = serializers.ChoiceField(choices=Validation.Rating.choices)
    conclusion = StrictCharField(max_length=MAX_TEXT)
    limitations = StrictCharField(required=False, default="", allow_blank=True, max_length=MAX_TEXT)
    findings = FindingInput(many=True, required=False, default=list)


class SignatureRequest(StrictSerializer):
    reauthentication = StrictUUIDField()
    decision = serializers.ChoiceField(choices=Signature.Decision.choices)
    meaning = serializers.ChoiceField(choices=Signature.Meaning.choices)
    reason = StrictCharField(max_length=5000)
    role = StrictCharField(required=False, help_text="if you hold several that are wanted")


def policy(revision: PolicyRevision) -> dict[str, Any]:
    """A revision in short."""
    return {
        "name": revision.policy.name,
        "title": revision.policy.title,
        "number": revision.number,
        "digest": revision.digest,
        "transition": revision.transition,
        "transition_at": rfc3339(revision.transition_at) if revision.transition_at else None,
        "published_at": rfc3339(revision.published_at),
        "published_by": revision.published_by.username if revision.published_by else None,
    }


def policy_in_full(
    revision: PolicyRevision, bindings: Iterable[PolicyBinding], numbers: list[int]
) -> dict[str, Any]:
    document = policy_document(revision)
    return {
        **policy(revision),
        "description": document.description,
        "source": revision.source,
        "revisions": numbers,
        "controls": document.sentences(),
        "approvals": {
            "sentence": document.approvals.sentence(),
            "roles": list(document.approvals.roles),
            "quorum": document.approvals.quorum,
            "required": list(document.approvals.required),
        },
        "validity_days": document.validity_days,
        "monitors": [
            {
                "name": one.name,
                "check": one.check,
                "effect": one.effect,
                "limits": one.limits_json(),
            }
            for one in document.monitors
        ],
        "bindings": [binding(one) for one in bindings],
    }


def binding(row: PolicyBinding) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "policy": row.policy.name,
        "environment": row.environment.name,
        "tier": row.tier,
        "since": rfc3339(row.since),
        "until": rfc3339(row.until) if row.until else None,
    }


def dossier(row: Dossier) -> dict[str, Any]:
    return {
        "digest": row.digest,
        "revision": row.revision,
        "frozen_at": rfc3339(row.frozen_at),
        "document": json.loads(bytes(row.document)),
    }


def review(row: Review) -> dict[str, Any]:
    """A review in short, as a queue shows it."""
    return {
        "id": str(row.pk),
        "model": row.version.model.name,
        "version": row.version.number,
        "use": row.use.name,
        "environment": row.environment.name,
        "revision": row.revision,
        "state": row.state,
        "dossier": row.dossier_id,
        "policy": {
            "name": row.policy_revision.policy.name,
            "number": row.policy_revision.number,
            "digest": row.policy_revision.digest,
        },
        "signed_digest": row.signed_digest,
        "note": row.note,
        "submitted_by": row.submitted_by.username,
        "submitted_at": rfc3339(row.submitted_at),
        "closed_at": rfc3339(row.closed_at) if row.closed_at else None,
        "closing_note": row.closing_note or None,
    }


def review_in_full(row: Review) -> dict[str, Any]:
    approved = Approval.objects.filter(review=row).first()
    validations = Validation.objects.filter(dossier=row.dossier_id, use=row.use)
    return {
        **review(row),
        "controls": row.control_results,
        "signed_document": json.loads(bytes(row.signed_document)),
        "roles_wanted": list(situations.wanted_roles(row))
        if row.state == Review.State.OPEN
        else [],
        "signatures": [
            signature(one) for one in row.signatures.select_related("user", "reauthentication")
        ],
        "validations": [validation(one) for one in validations.select_related("validator")],
        "approval": approval(approved) if approved else None,
    }


def signature(row: Signature) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "review": str(row.review_id),
        "user": row.user.username,
        "name": row.name,
        "role": row.role,
        "decision": row.decision,
        "meaning": row.meaning,
        "reason": row.reason,
        "method": row.reauthentication.method,
        "signed_digest": row.signed_digest,
        "signed_at": rfc3339(row.signed_at),
    }


def validation(row: Validation) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "dossier": row.dossier_id,
        "scope": row.scope,
        "rating": row.rating,
        "conclusion": row.conclusion,
        "limitations": row.limitations,
        "validator": row.validator.username,
        "validator_name": row.validator_name,
        "written_at": rfc3339(row.written_at),
        "findings": [str(one.pk) for one in row.findings.all()],
    }


def approval(row: Approval) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "review": str(row.review_id),
        "model": row.version.model.name,
        "version": row.version.number,
        "use": row.use.name,
        "environment": row.environment.name,
        "revision": row.revision,
        "signed_digest": row.signed_digest,
        "granted_at": rfc3339(row.granted_at),
        "valid_until": rfc3339(row.valid_until),
        "is_conditional": row.is_conditional,
        "conditions": [str(one.pk) for one in row.conditions.all()],
        "revoked_at": rfc3339(row.revoked_at) if row.revoked_at else None,
        "revocation_reason": row.revocation_reason or None,
    }


def offer(one: Offer) -> dict[str, Any]:
    return {
        "action": one.action.value,
        "allowed": one.allowed,
        "code": one.refusal.code if one.refusal else None,
        "reason": one.refusal.reason if one.refusal else None,
    }
