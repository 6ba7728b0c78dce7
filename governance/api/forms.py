"""What requests about the gate, waivers, suspensions and incidents hold, and how rows are told."""

from datetime import datetime
from typing import Any

from django.conf import settings
from rest_framework import serializers

from accounts.models import User
from governance.models import (
    Finding,
    GateDecision,
    Incident,
    RetrainingRequest,
    Suspension,
    Waiver,
)
from kernel.moments import parse_rfc3339, rfc3339
from kernel.rest.serializers import (
    DigestField,
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
)
from registry.models import Environment, ModelVersion, Use

MAX_TEXT = 10_000


class GateRequest(StrictSerializer):
    """A digest, or a model and a version; with all of them, they must agree."""

    digest = DigestField(required=False)
    model = StrictCharField(required=False, max_length=80)
    version = StrictIntegerField(required=False, min_value=1, max_value=2**31 - 1)
    environment = StrictCharField(max_length=40)
    use = StrictCharField(required=False, max_length=60, help_text="the default use, if left out")
    purpose = serializers.ChoiceField(
        choices=GateDecision.Purpose.choices, default=GateDecision.Purpose.DEPLOY
    )
    run_id = StrictCharField(required=False, max_length=200, help_text="the pipeline's own")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "version" in attrs and "model" not in attrs:
            raise serializers.ValidationError({"model": "a version is of a model; name it"})
        if "digest" not in attrs and "version" not in attrs:
            raise serializers.ValidationError({"digest": "give a digest, or a model and a version"})
        return attrs


class PlaceRequest(StrictSerializer):
    """A version, for a use, in an environment."""

    model = StrictCharField(max_length=80)
    version = StrictIntegerField(min_value=1, max_value=2**31 - 1)
    use = StrictCharField(required=False, max_length=60, help_text="the default use, if left out")
    environment = StrictCharField(max_length=40)


class WaiverRequest(PlaceRequest):
    controls = serializers.ListField(child=StrictCharField(max_length=60), min_length=1)
    reason = StrictCharField(max_length=MAX_TEXT)
    compensating_control = StrictCharField(max_length=MAX_TEXT)
    ends_at = StrictCharField(help_text="RFC 3339; a bare date means its end")


class SuspensionRequest(PlaceRequest):
    effect = StrictCharField(default=Suspension.Effect.NO_NEW_DEPLOYMENT)
    reason = StrictCharField(max_length=MAX_TEXT)


class IncidentRequest(PlaceRequest):
    summary = StrictCharField(max_length=MAX_TEXT)


class ClassificationRequest(StrictSerializer):
    incident_class = StrictCharField(max_length=40)
    aware_at = StrictCharField(help_text="RFC 3339: since when the organisation knew")


class ReasonRequest(StrictSerializer):
    reason = StrictCharField(max_length=MAX_TEXT)


class ConclusionRequest(StrictSerializer):
    conclusion = StrictCharField(max_length=MAX_TEXT)


class FindingRequest(StrictSerializer):
    model = StrictCharField(max_length=80)
    version = StrictIntegerField(min_value=1, max_value=2**31 - 1)
    title = StrictCharField(max_length=200)
    detail = StrictCharField(max_length=MAX_TEXT)
    severity = StrictCharField()
    owner = StrictCharField(required=False, help_text="username; the model's owner, if left out")
    due_at = StrictCharField(required=False, help_text="RFC 3339; a bare date means its end")


class ClosureRequest(StrictSerializer):
    closure = StrictCharField(max_length=MAX_TEXT)


class RetrainingRequestForm(StrictSerializer):
    model = StrictCharField(max_length=80)
    version = StrictIntegerField(min_value=1, max_value=2**31 - 1)
    reason = StrictCharField(max_length=MAX_TEXT)


def read_instant(text: str, field: str) -> datetime:
    return parse_rfc3339(text, field, time_zone=settings.COUNTERSIGN.time_zone)


def instant(value: datetime | None) -> str | None:
    return rfc3339(value) if value else None


def person(user: User | None) -> str | None:
    """A username; null stands for the service itself."""
    return user.username if user else None


def _place(version: ModelVersion, use: Use, environment: Environment) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "version": version.number,
        "use": use.name,
        "environment": environment.name,
    }


def decision(row: GateDecision) -> dict[str, Any]:
    revision = row.policy_revision
    version = row.version
    return {
        "id": str(row.pk),
        "decision": row.answer,
        "judged": row.judged,
        "verdict": row.verdict,
        "mode": row.mode,
        "purpose": row.purpose,
        "path": row.path,
        "model": version.model.name if version else row.asked_model or None,
        "version": version.number if version else row.asked_number,
        "digest": version.artifact_digest if version else row.asked_digest or None,
        "use": row.use.name if row.use else row.asked_use or None,
        "environment": row.asked_environment,
        "standing": row.standing if version else None,
        "summary": row.summary,
        "warning": row.summary if row.mode == "warn" and row.answer != row.judged else None,
        "reasons": row.reasons,
        "waivers": row.waivers,
        "policy": {
            "name": revision.policy.name,
            "number": revision.number,
            "digest": revision.digest,
        }
        if revision
        else None,
        "run_id": row.run_id or None,
        "asked_by": person(row.asked_by),
        "decided_at": rfc3339(row.decided_at),
        "not_after": instant(row.not_after),
        "attestation": row.attestation or None,
    }


def waiver(row: Waiver) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        **_place(row.version, row.use, row.environment),
        "controls": row.controls,
        "reason": row.reason,
        "compensating_control": row.compensating_control,
        "requested_by": person(row.requested_by),
        "requested_at": rfc3339(row.requested_at),
        "granted_by": person(row.granted_by),
        "granted_at": instant(row.granted_at),
        "ends_at": rfc3339(row.ends_at),
        "ended_at": instant(row.ended_at),
        "ended_by": person(row.ended_by),
    }


def suspension(row: Suspension) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        **_place(row.version, row.use, row.environment),
        "effect": row.effect,
        "reason": row.reason,
        "breach": str(row.breach_id) if row.breach_id else None,
        "since": rfc3339(row.since),
        "until": instant(row.until),
        "suspended_by": person(row.suspended_by),
        "lifted_by": person(row.lifted_by),
        "lift_reason": row.lift_reason or None,
    }


def incident(row: Incident) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        **_place(row.version, row.use, row.environment),
        "breach": str(row.breach_id) if row.breach_id else None,
        "summary": row.summary,
        "state": row.state,
        "incident_class": row.incident_class or None,
        "opened_at": rfc3339(row.opened_at),
        "aware_at": instant(row.aware_at),
        "classified_by": person(row.classified_by),
        "closed_at": instant(row.closed_at),
        "closed_by": person(row.closed_by),
        "conclusion": row.conclusion or None,
    }


def finding(row: Finding) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "model": row.version.model.name,
        "version": row.version.number,
        "title": row.title,
        "detail": row.detail,
        "severity": row.severity,
        "breach": str(row.breach_id) if row.breach_id else None,
        "validation": str(row.validation_id) if row.validation_id else None,
        "approvals": [str(one.pk) for one in row.approvals.all()],
        "owner": person(row.owner),
        "due_at": instant(row.due_at),
        "opened_at": rfc3339(row.opened_at),
        "closed_at": instant(row.closed_at),
        "closed_by": person(row.closed_by),
        "closure": row.closure or None,
    }


def retraining(row: RetrainingRequest) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "model": row.version.model.name,
        "version": row.version.number,
        "breach": str(row.breach_id) if row.breach_id else None,
        "incident": str(row.incident_id) if row.incident_id else None,
        "reason": row.reason,
        "requested_at": rfc3339(row.requested_at),
        "answered_by": row.answered_by.number if row.answered_by else None,
        "answered_at": instant(row.answered_at),
    }
