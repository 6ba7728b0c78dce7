"""Reports: asked for, on their way, issued; and the page where anybody compares a digest."""

from typing import Any, cast
from uuid import UUID

from django.db.models import Prefetch
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.web import actor_of
from kernel.errors import CountersignError, NotFound
from registry.models import ModelVersion, Use
from reports import selectors, services
from reports.models import Report
from web.forms import RequestReport
from web.pages import blame, page, paged, seen, show
from web.standings import ordered_environments

UNDER_WAY = (Report.State.REQUESTED, Report.State.FROZEN)


@page()
def reports(request: HttpRequest) -> HttpResponse:
    rows = selectors.visible_reports(actor_of(request))
    return show(request, "reports/list.html", {"page": paged(request, rows)})


@page("GET", "HEAD", "POST")
def new(request: HttpRequest) -> HttpResponse:
    """Ask for the record of a version, for a use, in an environment."""
    versions = _versions(request)
    if request.method != "POST":
        wanted = request.GET.get("version", "")
        return _ask(request, RequestReport(versions, ordered_environments(), wanted=wanted))
    form = RequestReport(versions, ordered_environments(), request.POST)
    if not form.is_valid():
        return _ask(request, form, status=400)
    version, use, environment = form.chosen()
    try:
        made = services.request_report(version, use, environment, actor=actor_of(request))
    except CountersignError as error:
        blame(form, error)
        return _ask(request, form, status=error.status)
    return HttpResponseRedirect(reverse("web:report", args=[made.pk]), status=303)


def _versions(request: HttpRequest) -> list[ModelVersion]:
    live = Prefetch("model__uses", Use.objects.order_by("-is_default", "name"))
    rows = ModelVersion.objects.select_related("model").prefetch_related(live)
    return list(seen(rows, request, "model").order_by("model__title", "-number")[:500])


def _ask(request: HttpRequest, form: RequestReport, *, status: int = 200) -> HttpResponse:
    return show(request, "reports/new.html", {"form": form}, status=status)


@page()
def report(request: HttpRequest, report_id: UUID) -> HttpResponse:
    row = selectors.report_of(report_id, actor_of(request))
    return show(request, "reports/report.html", _context(request, row))


def _context(request: HttpRequest, row: Report) -> dict[str, Any]:
    return {
        "report": row,
        "version": row.version,
        "model": row.version.model,
        "under_way": row.state in UNDER_WAY,
        "superseding": selectors.superseding(row),
        "verify_url": request.build_absolute_uri(reverse("web:verify", args=[row.pk])),
    }


@page()
def progress(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """The state alone; once the report is made or failed, the page loads itself again."""
    row = selectors.report_of(report_id, actor_of(request))
    response = show(request, "parts/report_progress.html", {"report": row})
    if row.state not in UNDER_WAY:
        response["HX-Refresh"] = "true"
    return response


@page()
def pdf(request: HttpRequest, report_id: UUID) -> HttpResponse:
    row = selectors.report_of(report_id, actor_of(request))
    name = f"{row.version.model.name}-{row.version.number}-{row.pk}.pdf"
    # A streamed answer has all that a page's answer has but `content`.
    return cast(
        HttpResponse,
        FileResponse(
            selectors.file_of(row),
            as_attachment=True,
            filename=name,
            content_type="application/pdf",
        ),
    )


@require_safe
def verify(request: HttpRequest, report_id: UUID) -> HttpResponse:
    """For whoever holds a report, without an account: the digests that its bytes must have."""
    try:
        found = selectors.registered(report_id)
    except NotFound as error:
        raise Http404(error.detail) from error
    return show(request, "reports/verify.html", {"found": found})
