"""One check run: how far it is, what it found, and on what."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.access import can
from accounts.web import actor_of
from monitoring import selectors
from monitoring.models import CheckRun, ObservationBatch
from monitoring.services import cancel_run, retry_run
from registry.selectors import visible_datasets
from web import offers, runs
from web.pages import attempt, find, page, paged, show

ATTEMPTS = 10


def _find(request: HttpRequest, run_id: UUID) -> CheckRun:
    rows = CheckRun.objects.select_related(
        "version__model", "dataset", "reference", "batch", "monitor", "requested_by", "cube",
        "window__backtest", "retry_of", "public_cube", "rollup_of",
    )  # fmt: skip
    return find(rows, request, pk=run_id)


@page()
def check_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return _show(request, _find(request, run_id))


def _show(
    request: HttpRequest, run: CheckRun, *, status: int = 200, problem: str = ""
) -> HttpResponse:
    before = selectors.previous_run(run)
    seconds = {name: value for name, value in run.timings.items() if value >= 0.0005}
    erased = selectors.erasure_of(run)
    attachments = list(run.attachments.select_related("blob").order_by("name"))
    data = [one.pk for one in (run.dataset, run.reference) if one is not None]
    readable = visible_datasets(actor_of(request)).filter(pk__in=data) if data else ()
    context = {
        "run": run,
        "erased": erased,
        "files": runs.files_of(
            run,
            attachments,
            may_read=bool(can(actor_of(request), "cube.read", run)),
            erased=erased is not None,
        ),
        "conformance": runs.conformance_of(attachments),
        "page": paged(request, runs.attempts_of(run), ATTEMPTS),
        "linked": {one.pk for one in readable},
        "same": selectors.same_result(run),
        "before": before,
        "changed": selectors.library_changes(run, before),
        "retries": list(run.retries.order_by("pk")),
        "batches": ObservationBatch.objects.filter(pk__in=run.batches).order_by("window_start"),
        "spent": sorted(seconds.items(), key=lambda one: -one[1]),
        "seconds": sum(seconds.values()),
        "model": run.version.model,
        "version": run.version,
        "measurements": list(run.measurements.all()),
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
def retry(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Ask the question of a run that is over once more, and show the new run."""
    run = _find(request, run_id)
    made: list[CheckRun] = []
    outcome = attempt(
        request,
        None,
        lambda: made.append(retry_run(run, actor=actor_of(request))),
        "The check is asked for again.",
        "",
    )
    if isinstance(outcome, HttpResponse):
        return redirect("web:check-run", made[0].pk)
    return _show(request, _find(request, run_id), status=outcome.status, problem=outcome.detail)


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
