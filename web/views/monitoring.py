"""Production: monitors, the batches that came, and the limits that were passed."""

from uuid import UUID

from django.db.models import Count, Max, Prefetch, Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.access import can
from accounts.web import actor_of
from governance.models import Finding, Incident, RetrainingRequest, Suspension
from monitoring.limits import parse_limits
from monitoring.models import Breach, CheckRun, Measurement, Monitor, ObservationBatch
from monitoring.services import resolve_breach
from web import drafts, series
from web.forms import Resolve
from web.pages import attempt, find, page, paged, seen, show


@page()
def monitoring(request: HttpRequest) -> HttpResponse:
    """Open breaches first, then each monitor with its state, then the newest batches."""
    breaches = seen(
        Breach.objects.select_related("version__model", "environment", "monitor", "run"), request
    )
    monitors = (
        seen(
            Monitor.objects.filter(until=None).select_related(
                "version__model", "use", "environment"
            ),
            request,
        )
        .annotate(
            open_breaches=Count("breaches", filter=Q(breaches__resolved_at=None), distinct=True),
            last_run=Max("runs__finished_at"),
        )
        .order_by("-open_breaches", "version__model__name", "name")
    )
    batches = seen(
        ObservationBatch.objects.select_related("version__model", "environment").prefetch_related(
            Prefetch(
                "runs",
                CheckRun.objects.only("id", "state", "kind", "batch_id").prefetch_related(
                    Prefetch("breaches", Breach.objects.only("id", "run_id"))
                ),
            )
        ),
        request,
    ).order_by("-received_at")
    context = {
        "open": breaches.filter(resolved_at=None)[:50],
        "resolved": breaches.exclude(resolved_at=None)[:10],
        "monitors": monitors,
        "page": paged(request, batches),
    }
    return show(request, "monitoring/overview.html", context)


@page()
def monitor(request: HttpRequest, monitor_id: UUID) -> HttpResponse:
    """One monitor: its limits drawn over what its runs measured, batch by batch."""
    row = find(
        Monitor.objects.select_related("version__model", "use", "environment", "reference"),
        request,
        pk=monitor_id,
    )
    runs = list(row.runs.select_related("batch").defer("plots", "mapping", "config")[:60])
    limits = parse_limits(row.limits)
    measured = Measurement.objects.filter(
        run__in=[run.pk for run in runs], metric__in={one.metric for one in limits}
    )
    context = {
        "monitor": row,
        "model": row.version.model,
        "version": row.version,
        "runs": runs,
        "limits": limits,
        "last": runs[0] if runs else None,
        "open": row.breaches.filter(resolved_at=None).first(),
        "plots": series.over_time(limits, runs, list(measured)),
        "breaches": row.breaches.all(),
    }
    return show(request, "monitoring/monitor.html", context)


def _find(request: HttpRequest, breach_id: UUID) -> Breach:
    rows = Breach.objects.select_related(
        "version__model", "use", "environment", "monitor", "run__batch", "resolved_by"
    )
    return find(rows, request, pk=breach_id)


@page()
def breach(request: HttpRequest, breach_id: UUID) -> HttpResponse:
    return _show(request, _find(request, breach_id), Resolve(initial=drafts.take(request)))


def _show(request: HttpRequest, row: Breach, form: Resolve, *, status: int = 200) -> HttpResponse:
    context = {
        "breach": row,
        "model": row.version.model,
        "version": row.version,
        "form": form,
        "answer": can(actor_of(request), "breach.resolve", row),
        "suspension": Suspension.objects.filter(breach=row).first(),
        "finding": Finding.objects.filter(breach=row).first(),
        "incident": Incident.objects.filter(breach=row).first(),
        "retraining": RetrainingRequest.objects.filter(breach=row).first(),
    }
    return show(request, "monitoring/breach.html", context, status=status)


@page("POST")
def resolve(request: HttpRequest, breach_id: UUID) -> HttpResponse:
    row = _find(request, breach_id)
    form = Resolve(request.POST)
    if not form.is_valid():
        return _show(request, row, form, status=400)
    outcome = attempt(
        request,
        form,
        lambda: resolve_breach(
            row, resolution=form.cleaned_data["resolution"], actor=actor_of(request)
        ),
        "The breach is resolved.",
        reverse("web:breach", args=[row.pk]),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, _find(request, breach_id), form, status=outcome.status)
