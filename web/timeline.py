"""What happened to a version, newest first, from the records themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from governance.models import (
    Approval,
    GateDecision,
    Incident,
    Review,
    Suspension,
    Validation,
    Waiver,
)
from monitoring.models import Breach, CheckRun
from registry.models import Deployment, Evidence, ModelVersion
from web.vocabulary import label, plain


@dataclass(frozen=True)
class Event:
    """One line of a timeline. `word` gives its tone."""

    at: datetime
    text: str
    word: str = ""
    url: str = ""


def events(version: ModelVersion, limit: int = 60) -> list[Event]:
    """The newest `limit` events of `version`, from ten queries whatever its age."""
    found = [Event(version.registered_at, f"Registered by {version.registered_by}")]
    for source in (_record, _checks, _reviews, _gate, _production):
        found.extend(source(version, limit))
    if version.retired_at:
        found.append(Event(version.retired_at, "Retired", "retired"))
    return sorted(found, key=lambda event: event.at, reverse=True)[:limit]


def _record(version: ModelVersion, limit: int) -> Iterator[Event]:
    for evidence in Evidence.objects.filter(version=version).order_by("-id")[:limit]:
        kept = "Addendum" if evidence.is_addendum else "Evidence"
        yield Event(evidence.added_at, f"{kept}: {evidence.name} ({plain(evidence.kind)})")
    deployments = Deployment.objects.filter(version=version).select_related("environment")
    for row in deployments[:limit]:
        yield Event(row.live_from, f"Live in {row.environment.title} as {row.kind}", "live")
        if row.live_until:
            yield Event(row.live_until, f"No longer live in {row.environment.title}", "ended")


def _checks(version: ModelVersion, limit: int) -> Iterator[Event]:
    runs = CheckRun.objects.filter(
        version=version, purpose=CheckRun.Purpose.VALIDATION, finished_at__isnull=False
    )
    for run in runs.only("id", "kind", "state", "finished_at")[:limit]:
        assert run.finished_at is not None
        url = reverse("web:check-run", args=[run.pk])
        yield Event(run.finished_at, f"{label(run.kind)} check {plain(run.state)}", run.state, url)


def _reviews(version: ModelVersion, limit: int) -> Iterator[Event]:
    reviews = (
        Review.objects.filter(version=version)
        .select_related("environment", "submitted_by")
        .prefetch_related("signatures")
        .defer("control_results", "signed_document")
    )
    for review in reviews.order_by("-submitted_at")[:limit]:
        url = reverse("web:review", args=[review.pk])
        place = review.environment.title
        yield Event(
            review.submitted_at, f"Submitted for {place} by {review.submitted_by}", "open", url
        )
        for signature in review.signatures.all():
            verb = "approved" if signature.decision == "approve" else "rejected"
            yield Event(
                signature.signed_at,
                f"{signature.name} {verb} as {signature.get_role_display().lower()}",
                verb,
                url,
            )
        if review.closed_at and review.state in ("withdrawn", "superseded"):
            yield Event(review.closed_at, f"Review {review.state}", review.state, url)
    for validation in Validation.objects.filter(version=version)[:limit]:
        yield Event(
            validation.written_at,
            f"Validation by {validation.validator_name}: {plain(validation.rating)}",
            validation.rating,
        )
    for approval in Approval.objects.filter(version=version).select_related("environment")[:limit]:
        yield Event(approval.granted_at, f"Approval for {approval.environment.title}", "approved")
        if approval.revoked_at:
            yield Event(
                approval.revoked_at, f"Approval revoked: {approval.revocation_reason}", "revoked"
            )
    for waiver in Waiver.objects.filter(version=version)[:limit]:
        asked = ", ".join(waiver.controls)
        yield Event(waiver.requested_at, f"Waiver asked for: {asked}", "pending")
        if waiver.granted_at:
            yield Event(waiver.granted_at, f"Waiver granted: {asked}", "waived")


def _gate(version: ModelVersion, limit: int) -> Iterator[Event]:
    decisions = GateDecision.objects.filter(version=version).only(
        "id", "answer", "asked_environment", "decided_at"
    )
    for decision in decisions[:limit]:
        yield Event(
            decision.decided_at,
            f"Gate for {decision.asked_environment}: {decision.answer}",
            decision.answer,
            reverse("web:gate-decision", args=[decision.pk]),
        )


def _production(version: ModelVersion, limit: int) -> Iterator[Event]:
    for breach in Breach.objects.filter(version=version).select_related("environment")[:limit]:
        url = reverse("web:breach", args=[breach.pk])
        yield Event(
            breach.opened_at,
            f"Breach in {breach.environment.title}: {plain(breach.metric)}",
            "breach",
            url,
        )
        if breach.resolved_at:
            yield Event(
                breach.resolved_at, f"Breach resolved: {plain(breach.metric)}", "resolved", url
            )
    for row in Suspension.objects.filter(version=version).select_related("environment")[:limit]:
        yield Event(row.since, f"Suspended in {row.environment.title}: {row.reason}", "suspended")
        if row.until:
            yield Event(row.until, f"Suspension in {row.environment.title} lifted", "ok")
    for incident in Incident.objects.filter(version=version)[:limit]:
        yield Event(
            incident.opened_at,
            f"Incident: {incident.summary}",
            incident.state,
            reverse("web:incident", args=[incident.pk]),
        )
