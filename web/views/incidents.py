"""Incidents: suspected until a person says what one is, and since when the organisation knew."""

from datetime import UTC
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.access import can
from accounts.web import actor_of
from governance.models import Incident, RetrainingRequest, Suspension
from governance.services import incidents as service
from web import drafts
from web.forms import Classify, Conclude
from web.pages import attempt, find, page, paged, seen, show


@page()
def incidents(request: HttpRequest) -> HttpResponse:
    """Open ones first."""
    rows = seen(
        Incident.objects.select_related("version__model", "environment", "classified_by"), request
    )
    context = {
        "open": rows.filter(state__in=["suspected", "confirmed"]),
        "page": paged(request, rows.exclude(state__in=["suspected", "confirmed"])),
    }
    return show(request, "incidents/list.html", context)


def _find(request: HttpRequest, incident_id: UUID) -> Incident:
    rows = Incident.objects.select_related(
        "version__model", "use", "environment", "breach__monitor", "classified_by"
    )
    return find(rows, request, pk=incident_id)


@page()
def incident(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    return _show(request, _find(request, incident_id))


def _show(request: HttpRequest, row: Incident, *, status: int = 200, **forms: Any) -> HttpResponse:
    draft = drafts.take(request)
    possible = {action for state, action in service.TRANSITIONS if state == row.state}
    context = {
        "incident": row,
        "model": row.version.model,
        "version": row.version,
        "possible": possible,
        "answer": can(actor_of(request), "incident.manage", row),
        "suspensions": Suspension.objects.filter(
            version=row.version_id, use=row.use_id, environment=row.environment_id
        ),
        "retraining": RetrainingRequest.objects.filter(incident=row).first(),
        "classify_form": Classify(initial=draft),
        "conclude_form": Conclude(initial=draft),
        **forms,
    }
    return show(request, "incidents/incident.html", context, status=status)


@page("POST")
def classify(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    row, form = _find(request, incident_id), Classify(request.POST)
    if not form.is_valid():
        return _show(request, row, status=400, classify_form=form)
    outcome = attempt(
        request,
        form,
        lambda: service.classify(
            row,
            incident_class=form.cleaned_data["incident_class"],
            aware_at=form.cleaned_data["aware_at"].astimezone(UTC),
            actor=actor_of(request),
        ),
        "The incident is classified.",
        reverse("web:incident", args=[row.pk]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, _find(request, incident_id), status=outcome.status, classify_form=form)


@page("POST")
def dismiss(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    return _conclude(request, incident_id, service.dismiss, "reason", "The incident is dismissed.")


@page("POST")
def close(request: HttpRequest, incident_id: UUID) -> HttpResponse:
    return _conclude(request, incident_id, service.close, "conclusion", "The incident is closed.")


def _conclude(
    request: HttpRequest, incident_id: UUID, write: Any, argument: str, done: str
) -> HttpResponse:
    row, form = _find(request, incident_id), Conclude(request.POST)
    if not form.is_valid():
        return _show(request, row, status=400, conclude_form=form)
    outcome = attempt(
        request,
        form,
        lambda: write(row, actor=actor_of(request), **{argument: form.cleaned_data["conclusion"]}),
        done,
        reverse("web:incident", args=[row.pk]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, _find(request, incident_id), status=outcome.status, conclude_form=form)
