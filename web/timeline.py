"""What happened to a version, newest first, from the records themselves.

What moved its standing stands by itself; between such events the everyday ones (checks, evidence,
answers of the gate) are folded into one line that tells how many there were and opens on demand.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from django.urls import reverse

from audit.models import Entry
from governance.models import (
    Approval,
    Finding,
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

_PLURALS = {
    "check": "checks",
    "piece of evidence": "pieces of evidence",
    "answer of the gate": "answers of the gate",
}


@dataclass(frozen=True)
class Event:
    """One line of a timeline. `word` gives its tone; `sort` names what an everyday one is."""

    at: datetime
    text: str
    word: str = ""
    url: str = ""
    sort: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Line:
    """An event, or several everyday ones in a row with what they are."""

    event: Event | None = None
    folded: list[Event] = field(default_factory=list)
    summary: str = ""


def events(version: ModelVersion, limit: int = 60) -> list[Event]:
    """The newest `limit` events of `version`, from twelve queries whatever its age."""
    found = [Event(version.registered_at, f"Registered by {version.registered_by}")]
    for source in (_record, _checks, _reviews, _decided, _gate, _production):
        found.extend(source(version, limit))
    # The row tells its revision alone; that it was reopened stands in the log.
    reopened = Entry.objects.filter(type="registry.version.reopened", object_id=str(version.pk))
    for at in reopened.values_list("at", flat=True):
        found.append(Event(at, "Reopened; its approvals lapsed", "lapsed"))
    if version.retired_at:
        found.append(Event(version.retired_at, "Retired", "retired"))
    return sorted(found, key=lambda event: event.at, reverse=True)[:limit]


def by_day(found: Iterable[Event]) -> list[tuple[date, list[Line]]]:
    """Events of one list, newest first, by the day (UTC), everyday ones in a row folded."""
    days: list[tuple[date, list[Event]]] = []
    for event in found:
        if not days or days[-1][0] != event.at.date():
            days.append((event.at.date(), []))
        days[-1][1].append(event)
    return [(day, list(_folded(rows))) for day, rows in days]


def _folded(found: Iterable[Event]) -> Iterator[Line]:
    row: list[Event] = []
    for event in found:
        if event.sort:
            row.append(event)
            continue
        yield from _fold(row)
        row = []
        yield Line(event)
    yield from _fold(row)


def _fold(row: list[Event]) -> Iterator[Line]:
    if len(row) < 2:
        yield from (Line(event) for event in row)
        return
    counts = Counter(event.sort for event in row)
    parts = [f"{count} {sort if count == 1 else _PLURALS[sort]}" for sort, count in counts.items()]
    yield Line(folded=row, summary=", ".join(parts))


def _record(version: ModelVersion, limit: int) -> Iterator[Event]:
    for evidence in Evidence.objects.filter(version=version).order_by("-id")[:limit]:
        kept = "Addendum" if evidence.is_addendum else "Evidence"
        text = f"{kept}: {evidence.name} ({plain(evidence.kind)})"
        yield Event(evidence.added_at, text, sort="piece of evidence")
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
        text = f"{label(run.kind)} check {plain(run.state)}"
        yield Event(run.finished_at, text, run.state, url, sort="check")


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
            role = signature.get_role_display().lower()
            yield Event(signature.signed_at, f"{signature.name} {verb} as {role}", verb, url)
        if review.closed_at and review.state in ("withdrawn", "superseded"):
            yield Event(review.closed_at, f"Review {review.state}", review.state, url)


def _decided(version: ModelVersion, limit: int) -> Iterator[Event]:
    for validation in Validation.objects.filter(version=version)[:limit]:
        text = f"Validated by {validation.validator_name}: {plain(validation.rating)}"
        yield Event(validation.written_at, text, validation.rating)
    for approval in Approval.objects.filter(version=version).select_related("environment")[:limit]:
        place = approval.environment.title
        url = reverse("web:review", args=[approval.review_id])
        yield Event(approval.granted_at, f"Approved for {place}", "approved", url)
        if approval.revoked_at:
            yield Event(
                approval.revoked_at,
                f"Approval for {place} revoked",
                "revoked",
                url,
                detail=approval.revocation_reason,
            )
    for waiver in Waiver.objects.filter(version=version)[:limit]:
        asked = ", ".join(waiver.controls)
        url = reverse("web:waiver", args=[waiver.pk])
        yield Event(waiver.requested_at, f"Waiver asked for: {asked}", "pending", url)
        if waiver.granted_at:
            yield Event(waiver.granted_at, f"Waiver granted: {asked}", "waived", url)
    # A breach and a validation open findings by themselves, and are events of their own.
    findings = Finding.objects.filter(version=version, breach=None, validation=None)
    for finding in findings[:limit]:
        url = reverse("web:finding", args=[finding.pk])
        yield Event(finding.opened_at, f"Finding: {finding.title}", finding.severity, url)


def _gate(version: ModelVersion, limit: int) -> Iterator[Event]:
    decisions = GateDecision.objects.filter(version=version).only(
        "id", "answer", "asked_environment", "decided_at"
    )
    for decision in decisions[:limit]:
        url = reverse("web:gate-decision", args=[decision.pk])
        text = f"Gate for {decision.asked_environment}: {decision.answer}"
        yield Event(decision.decided_at, text, decision.answer, url, sort="answer of the gate")


def _production(version: ModelVersion, limit: int) -> Iterator[Event]:
    for breach in Breach.objects.filter(version=version).select_related("environment")[:limit]:
        url = reverse("web:breach", args=[breach.pk])
        found = Event(
            breach.opened_at,
            f"Breach in {breach.environment.title}: {plain(breach.metric)}",
            "breach",
            url,
        )
        yield found
        if breach.resolved_at:
            text = f"Breach resolved: {plain(breach.metric)}"
            yield replace(found, at=breach.resolved_at, text=text, word="resolved")
    for row in Suspension.objects.filter(version=version).select_related("environment")[:limit]:
        place, url = row.environment.title, reverse("web:suspension", args=[row.pk])
        # After a breach the reason is the breach, which stands right below.
        why = "" if row.breach_id else row.reason
        yield Event(row.since, f"Suspended in {place}", "suspended", url, detail=why)
        if row.until:
            yield Event(row.until, f"Suspension in {place} lifted", "ok", url)
    for incident in Incident.objects.filter(version=version)[:limit]:
        url = reverse("web:incident", args=[incident.pk])
        why = "" if incident.breach_id else incident.summary
        yield Event(
            incident.opened_at, f"Incident {incident.state}", incident.state, url, detail=why
        )
