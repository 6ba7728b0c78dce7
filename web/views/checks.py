"""One check run: how far it is, what it found, and on what."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse

from accounts.web import actor_of
from monitoring.models import CheckRun
from monitoring.services import cancel_run
from web import offers
from web.pages import attempt, find, page, show


def _find(request: HttpRequest, run_id: UUID) -> CheckRun:
    rows = CheckRun.objects.select_related(
        "version__model", "dataset", "reference", "batch", "monitor", "requested_by", "cube"
    )
    return find(rows, request, pk=run_id)


@page()
def check_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return _show(request, _find(request, run_id))


def _show(
    request: HttpRequest, run: CheckRun, *, status: int = 200, problem: str = ""
) -> HttpResponse:
    context = {
        "run": run,
        "model": run.version.model,
        "version": run.version,
        "measurements": list(run.measurements.all()),
        "attachments": run.attachments.select_related("blob"),
        "breaches": run.breaches.all(),
        "under_way": run.state in (CheckRun.State.QUEUED, CheckRun.State.RUNNING),
        "offers": offers.for_run(run, actor_of(request)),
        "problem": problem,
    }
    return show(request, "monitoring/run.html", context, status=status)


@page()
def progress(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """The progress alone. Once the run has ended it asks the page to load itself again."""
    run = _find(request, run_id)
    response = show(request, "parts/progress.html", {"run": run})
    if run.state not in (CheckRun.State.QUEUED, CheckRun.State.RUNNING):
        response["HX-Refresh"] = "true"
    return response


@page("POST")
def cancel(request: HttpRequest, run_id: UUID) -> HttpResponse:
    run = _find(request, run_id)
    outcome = attempt(
        request,
        None,
        lambda: cancel_run(run, actor=actor_of(request)),
        "The check is cancelled.",
        request.path.removesuffix("cancel/"),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, _find(request, run_id), status=outcome.status, problem=outcome.detail)
