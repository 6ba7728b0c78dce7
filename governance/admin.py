"""The back office's view of what was decided: to look, never to write."""

from django.contrib import admin

from governance import models
from kernel.admin import ReadOnlyAdmin

_PLACE = ("version", "use", "environment")
_RELATED = ("version__model", "use__model", "environment")


@admin.register(models.PolicyRevision)
class PolicyRevisionAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "digest", "transition", "published_by", "published_at")
    list_select_related = ("policy", "published_by")


@admin.register(models.PolicyBinding)
class PolicyBindingAdmin(ReadOnlyAdmin):
    list_display = ("policy", "environment", "tier", "since", "until")
    list_select_related = ("policy", "environment")


@admin.register(models.Dossier)
class DossierAdmin(ReadOnlyAdmin):
    list_display = ("digest", "version", "revision", "frozen_at")
    list_select_related = ("version__model",)


@admin.register(models.Review)
class ReviewAdmin(ReadOnlyAdmin):
    list_display = (*_PLACE, "state", "submitted_by", "submitted_at", "closed_at")
    list_filter = ("state",)
    list_select_related = (*_RELATED, "submitted_by")


@admin.register(models.Validation)
class ValidationAdmin(ReadOnlyAdmin):
    list_display = ("version", "use", "rating", "validator", "written_at")
    list_select_related = ("version__model", "use__model", "validator")


@admin.register(models.Signature)
class SignatureAdmin(ReadOnlyAdmin):
    list_display = ("review", "name", "role", "decision", "meaning", "signed_at")
    list_select_related = ("review__version__model",)


@admin.register(models.Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    list_display = (*_PLACE, "granted_at", "valid_until", "is_conditional", "revoked_at")
    list_select_related = _RELATED


@admin.register(models.Waiver)
class WaiverAdmin(ReadOnlyAdmin):
    list_display = (*_PLACE, "controls", "requested_by", "granted_by", "ends_at", "ended_at")
    list_select_related = (*_RELATED, "requested_by", "granted_by")


@admin.register(models.Suspension)
class SuspensionAdmin(ReadOnlyAdmin):
    list_display = (*_PLACE, "effect", "since", "until")
    list_select_related = _RELATED


@admin.register(models.Finding)
class FindingAdmin(ReadOnlyAdmin):
    list_display = ("title", "version", "severity", "owner", "due_at", "closed_at")
    list_filter = ("severity",)
    list_select_related = ("version__model", "owner")


@admin.register(models.Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = (*_PLACE, "state", "incident_class", "opened_at", "closed_at")
    list_filter = ("state",)
    list_select_related = _RELATED


@admin.register(models.RetrainingRequest)
class RetrainingRequestAdmin(ReadOnlyAdmin):
    list_display = ("version", "requested_at", "answered_by", "answered_at")
    list_select_related = ("version__model", "answered_by__model")


@admin.register(models.GateDecision)
class GateDecisionAdmin(ReadOnlyAdmin):
    list_display = ("decided_at", *_PLACE, "answer", "verdict", "standing", "asked_by")
    list_filter = ("answer", "verdict", "purpose")
    list_select_related = (*_RELATED, "asked_by")
