"""Findings, suspensions and waivers: each on a page of its own, with what can still be done to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.access import can
from accounts.web import actor_of
from governance.models import Finding, Suspension, Waiver
from governance.selectors import instant_for, policy_of
from governance.services import findings, suspensions, waivers
from kernel.errors import CountersignError
from registry.models import ModelVersion
from web import drafts
from web.forms import AskWaiver, Closure, PlainForm, Reason
from web.pages import attempt, blame, find, page, show
from web.standings import places_of
from web.views.versions import find_version

_ROWS = ("version__model", "version__author")


@dataclass(frozen=True)
class Deed:
    """Something that can be done to a record: a form, and where it is sent."""

    title: str
    button: str
    url: str
    form: Form
    danger: bool = False
    refused: str = "This was not recorded."


@dataclass
class Record:
    """What the page shows. `word` gives the tone of the sentence."""

    kind: str
    title: str
    word: str
    sentence: str
    version: ModelVersion
    facts: list[tuple[str, Any]]
    deeds: list[Deed] = field(default_factory=list)
    why_not: str = ""


def _show(request: HttpRequest, record: Record, *, status: int = 200) -> HttpResponse:
    context = {"record": record, "version": record.version, "model": record.version.model}
    return show(request, "records/record.html", context, status=status)


@page()
def finding(request: HttpRequest, finding_id: UUID) -> HttpResponse:
    row = _finding(request, finding_id)
    return _show(request, _finding_record(request, row, Closure(initial=drafts.take(request))))


def _finding(request: HttpRequest, finding_id: UUID) -> Finding:
    rows = Finding.objects.select_related(*_ROWS, "owner", "closed_by", "breach", "validation")
    return find(rows, request, pk=finding_id)


def _finding_record(request: HttpRequest, row: Finding, form: Form) -> Record:
    answer = can(actor_of(request), "finding.manage", row)
    record = Record(
        kind="Finding",
        title=row.title,
        word="closed" if row.closed_at else row.severity,
        sentence=f"Closed: {row.closure}" if row.closed_at else row.detail,
        version=row.version,
        facts=[
            ("Severity", row.get_severity_display()),
            ("Owner", row.owner or "nobody yet"),
            ("Opened", row.opened_at),
            ("Due", row.due_at),
            ("Closed", row.closed_at),
            ("Closed by", row.closed_by),
            ("Found by", row.validation.validator_name if row.validation else None),
        ],
    )
    if row.closed_at:
        record.facts.append(("What was found", row.detail))
    if form.is_bound or (row.closed_at is None and answer):
        url = reverse("web:finding-close", args=[row.pk])
        record.deeds.append(Deed("Close", "Close this finding", url, form))
    elif row.closed_at is None:
        record.why_not = answer.reason
    return record


@page("POST")
def close_finding(request: HttpRequest, finding_id: UUID) -> HttpResponse:
    row, form = _finding(request, finding_id), Closure(request.POST)
    return _do(
        request,
        form,
        lambda: findings.close_finding(
            row, closure=form.cleaned_data["closure"], actor=actor_of(request)
        ),
        "The finding is closed.",
        reverse("web:finding", args=[row.pk]),
        lambda: _finding_record(request, _finding(request, finding_id), form),
    )


def _do(
    request: HttpRequest,
    form: Form,
    write: Callable[[], object],
    done: str,
    home: str,
    again: Callable[[], Record],
) -> HttpResponse:
    """Call the service and lead back, or show the record again with what was refused."""
    if not form.is_valid():
        return _show(request, again(), status=400)
    outcome = attempt(request, form, write, done, home)
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, again(), status=outcome.status)


@page()
def suspension(request: HttpRequest, suspension_id: UUID) -> HttpResponse:
    row = _suspension(request, suspension_id)
    return _show(request, _suspension_record(request, row, Reason(initial=drafts.take(request))))


def _suspension(request: HttpRequest, suspension_id: UUID) -> Suspension:
    rows = Suspension.objects.select_related(
        *_ROWS, "use", "environment", "suspended_by", "lifted_by", "breach"
    )
    return find(rows, request, pk=suspension_id)


def _suspension_record(request: HttpRequest, row: Suspension, form: Form) -> Record:
    answer = can(actor_of(request), "suspension.lift", row)
    record = Record(
        kind="Suspension",
        title=f"Suspension in {row.environment.title}",
        word="closed" if row.until else "suspended",
        sentence=f"Lifted: {row.lift_reason}" if row.until else f"In force: {row.reason}",
        version=row.version,
        facts=[
            ("Effect", row.get_effect_display()),
            ("Reason", row.reason),
            ("Use", row.use.name),
            ("Since", row.since),
            ("By", row.suspended_by or "the service itself"),
            ("Lifted", row.until),
            ("Lifted by", row.lifted_by),
        ],
    )
    if form.is_bound or (row.until is None and answer):
        url = reverse("web:suspension-lift", args=[row.pk])
        record.deeds.append(Deed("Lift", "Lift this suspension", url, form))
    elif row.until is None:
        record.why_not = answer.reason
    return record


@page("POST")
def lift(request: HttpRequest, suspension_id: UUID) -> HttpResponse:
    row, form = _suspension(request, suspension_id), Reason(request.POST)
    return _do(
        request,
        form,
        lambda: suspensions.lift(row, reason=form.cleaned_data["reason"], actor=actor_of(request)),
        "The suspension is lifted.",
        reverse("web:suspension", args=[row.pk]),
        lambda: _suspension_record(request, _suspension(request, suspension_id), form),
    )


@page()
def waiver(request: HttpRequest, waiver_id: UUID) -> HttpResponse:
    row = _waiver(request, waiver_id)
    return _show(request, _waiver_record(request, row, PlainForm()))


def _waiver(request: HttpRequest, waiver_id: UUID) -> Waiver:
    rows = Waiver.objects.select_related(
        *_ROWS, "use", "environment", "requested_by", "granted_by", "ended_by"
    )
    return find(rows, request, pk=waiver_id)


def _waiver_record(request: HttpRequest, row: Waiver, form: Form) -> Record:
    answer = can(actor_of(request), "waiver.grant", row)
    word, sentence = _waiver_state(row)
    record = Record(
        kind="Waiver",
        title=f"Waiver in {row.environment.title}",
        word=word,
        sentence=sentence,
        version=row.version,
        facts=[
            ("Controls", ", ".join(row.controls)),
            ("Reason", row.reason),
            ("Compensating control", row.compensating_control),
            ("Use", row.use.name),
            ("Asked for by", row.requested_by),
            ("Asked for", row.requested_at),
            ("Granted by", row.granted_by),
            ("Granted", row.granted_at),
            ("Until", row.ends_at),
            ("Ended", row.ended_at),
            ("Ended by", row.ended_by),
        ],
    )
    if row.ended_at is None and (answer or form.is_bound):
        if row.granted_at is None:
            url = reverse("web:waiver-grant", args=[row.pk])
            record.deeds.append(Deed("Agree", "Grant this waiver", url, form))
        url = reverse("web:waiver-end", args=[row.pk])
        refuse = "Refuse this waiver" if row.granted_at is None else "End this waiver"
        record.deeds.append(Deed("Refuse or end", refuse, url, PlainForm(), danger=True))
    elif row.ended_at is None:
        record.why_not = answer.reason
    return record


def _waiver_state(row: Waiver) -> tuple[str, str]:
    if row.ended_at:
        return "ended", "Ended before its time." if row.granted_at else "Refused."
    if row.granted_at:
        return "waived", "In force: these controls need not pass until it ends."
    return "pending", "Asked for. It counts once a second person agrees."


@page("POST")
def grant_waiver(request: HttpRequest, waiver_id: UUID) -> HttpResponse:
    return _waiver_deed(request, waiver_id, waivers.grant_waiver, "The waiver is granted.")


@page("POST")
def end_waiver(request: HttpRequest, waiver_id: UUID) -> HttpResponse:
    return _waiver_deed(request, waiver_id, waivers.end_waiver, "The waiver has ended.")


def _waiver_deed(request: HttpRequest, waiver_id: UUID, write: Any, done: str) -> HttpResponse:
    row, form = _waiver(request, waiver_id), PlainForm({})
    return _do(
        request,
        form,
        lambda: write(row, actor=actor_of(request)),
        done,
        reverse("web:waiver", args=[row.pk]),
        lambda: _waiver_record(request, _waiver(request, waiver_id), form),
    )


@page("GET", "HEAD", "POST")
def new_waiver(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Ask that controls need not pass for a while, in the version's foremost environment."""
    version = find_version(request, name, number)
    place = next(iter(places_of(version)), None)
    policy = (
        policy_of(version, place.use, place.environment, instant_for(version)) if place else None
    )
    controls = [
        (one["control"], f"{one['sentence']} ({one['control']})")
        for one in (policy.sentences() if policy else ())
        if policy and one["control"] not in policy.waivers.never
    ]
    form = AskWaiver(controls, request.POST if request.method == "POST" else None)
    context = {"form": form, "version": version, "model": version.model, "place": place}
    if request.method != "POST":
        return show(request, "records/new_waiver.html", context)
    if place is None or not form.is_valid():
        return show(request, "records/new_waiver.html", context, status=400)
    typed = form.cleaned_data
    try:
        row = waivers.request_waiver(
            version,
            use=place.use,
            environment=place.environment,
            controls=typed["controls"],
            reason=typed["reason"],
            compensating_control=typed["compensating_control"],
            ends_at=datetime.combine(typed["ends_at"], time.max, UTC),
            actor=actor_of(request),
        )
    except CountersignError as error:
        blame(form, error)
        return show(request, "records/new_waiver.html", context, status=error.status)
    return HttpResponseRedirect(reverse("web:waiver", args=[row.pk]), status=303)
