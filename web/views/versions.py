"""One version: where it stands, why, what was measured, what it is made of, what happened to it."""

from collections.abc import Callable, Sequence
from typing import Any

from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts.web import actor_of
from governance.models import Approval, Finding, Review, Suspension, Waiver
from governance.services import reviews
from monitoring.models import CheckRun, Measurement
from monitoring.services import request_check
from registry.models import Dataset, DatasetLineage, DatasetUse, ModelVersion
from registry.selectors import visible_datasets
from web import drafts, offers, timeline
from web.comparison import Change, Shift, changes, shifts
from web.forms import AskCheck, Reason, Submit
from web.pages import attempt, find, page, show
from web.standings import places_of, pronounce

# What the page has a form or a link for.
_OFFERED = {
    "request_check": "Ask for a check",
    "submit": "Submit for review",
    "reopen": "Reopen",
    "report": "Ask for a report",
}
# Kinds of checks as they are read: what people ask about first stands first.
_ORDER = (
    "performance",
    "fairness",
    "drift",
    "explainability",
    "robustness",
    "data_quality",
    "oversight",
)
UNDER_WAY = (CheckRun.State.QUEUED, CheckRun.State.RUNNING)


def find_version(request: HttpRequest, name: str, number: int) -> ModelVersion:
    rows = ModelVersion.objects.select_related(
        "model", "author", "registered_by", "last_edited_by", "artifact", "parent"
    )
    return find(rows, request, "model", model__name=name, number=number)


@page()
def version(request: HttpRequest, name: str, number: int) -> HttpResponse:
    return show_version(request, find_version(request, name, number))


def show_version(
    request: HttpRequest, row: ModelVersion, *, status: int = 200, **forms: Any
) -> HttpResponse:
    """The page, with `forms` that were refused in place of fresh ones."""
    places = places_of(row)
    runs = validation_runs(row)
    offered = offers.for_version(row, places, actor_of(request))
    approved = approved_before(row)
    baseline = approved or row.parent
    draft = drafts.take(request)
    context = {
        "model": row.model,
        "version": row,
        "places": places,
        "verdict": pronounce(row, places[0]) if places else None,
        "review": _open_review(row),
        "waivers": Waiver.objects.filter(version=row, ended_at=None).select_related("environment"),
        "suspensions": Suspension.objects.filter(version=row, until=None).select_related(
            "environment"
        ),
        "findings": Finding.objects.filter(version=row, closed_at=None).select_related("owner"),
        **run_table(runs),
        "refresh_url": reverse("web:version-runs", args=[row.model.name, row.number]),
        "results": newest_results(runs),
        "evidence": row.evidence.select_related("blob", "added_by"),
        "data": _data(row),
        "baseline": baseline,
        "baseline_approved": approved is not None,
        "changes": _changes(baseline, row) if baseline else [],
        "shifts": _shifts(baseline, row) if baseline else [],
        "days": timeline.by_day(timeline.events(row)),
        "offers": offered,
        "refusals": offers.refusals(offered, _OFFERED),
        "check_form": AskCheck(
            visible_datasets(actor_of(request)), initial=drafts.part(draft, "check")
        ),
        "submit_form": Submit(row, initial=drafts.part(draft, "submit")),
        "reopen_form": Reason(prefix="reopen", initial=drafts.part(draft, "reopen")),
        **forms,
    }
    return show(request, "models/version.html", context, status=status)


@page()
def runs(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The table of check runs alone, for a page that refreshes it while some are under way."""
    row = find_version(request, name, number)
    found = validation_runs(row)
    context = {**run_table(found), "refresh_url": request.path}
    response = show(request, "parts/runs.html", context)
    if not context["running"]:
        response["HX-Refresh"] = "true"
    return response


def validation_runs(row: ModelVersion) -> list[CheckRun]:
    """All runs for validation, newest first; failed and cancelled ones are part of the record."""
    found = CheckRun.objects.filter(version=row, purpose=CheckRun.Purpose.VALIDATION)
    return list(found.select_related("dataset", "reference").defer("mapping", "config")[:100])


def run_table(found: Sequence[CheckRun]) -> dict[str, Any]:
    """The newest run of each kind and all under way; the others, which they replace, apart."""
    kinds: set[str] = set()
    recent: list[CheckRun] = []
    earlier: list[CheckRun] = []
    for run in found:
        shown = run.state in UNDER_WAY or run.kind not in kinds
        (recent if shown else earlier).append(run)
        kinds.add(run.kind)
    running = sum(run.state in UNDER_WAY for run in found)
    return {"runs": found, "recent": recent, "earlier": earlier, "running": running}


def newest_results(runs: Sequence[CheckRun]) -> list[tuple[CheckRun, list[Measurement]]]:
    """The newest succeeded run of each kind with its measurements."""
    newest: dict[str, CheckRun] = {}
    for run in runs:
        if run.state == CheckRun.State.SUCCEEDED:
            newest.setdefault(run.kind, run)
    found: dict[Any, list[Measurement]] = {run.pk: [] for run in newest.values()}
    for one in Measurement.objects.filter(run__in=list(found)):
        found[one.run_id].append(one)
    return sorted(
        ((run, found[run.pk]) for run in newest.values()),
        key=lambda pair: _ORDER.index(pair[0].kind),
    )


def _data(row: ModelVersion) -> list[tuple[Dataset, list[str], list[DatasetLineage]]]:
    """The datasets with what each was used for and what it was made from."""
    uses = DatasetUse.objects.filter(version=row).select_related("dataset").order_by("purpose")
    purposes: dict[Dataset, list[str]] = {}
    for use in uses:
        purposes.setdefault(use.dataset, []).append(use.get_purpose_display())
    lineage = DatasetLineage.objects.filter(child__in=list(purposes)).select_related("parent")
    sources: dict[Any, list[DatasetLineage]] = {}
    for line in lineage:
        sources.setdefault(line.child_id, []).append(line)
    return [(one, names, sources.get(one.pk, [])) for one, names in purposes.items()]


def _open_review(row: ModelVersion) -> Review | None:
    return Review.objects.filter(version=row, state="open").select_related("environment").first()


def approved_before(row: ModelVersion) -> ModelVersion | None:
    """The version of the same model before this one that was approved last."""
    approval = (
        Approval.objects.filter(version__model_id=row.model_id, version__number__lt=row.number)
        .select_related("version__model", "version__parent", "version__author")
        .first()
    )
    return approval.version if approval else None


def _changes(before: ModelVersion, after: ModelVersion) -> list[Change]:
    return changes(_record(before), _record(after))


def _record(row: ModelVersion) -> dict[str, Any]:
    datasets = DatasetUse.objects.filter(version=row).order_by("purpose", "dataset__name")
    return {
        "artifact digest": row.artifact_digest,
        "artifact format": row.artifact_format,
        "code commit": row.code_commit,
        "code repository": row.code_repository,
        "author": str(row.author),
        "description": row.description,
        "data": [
            f"{purpose}: {name}"
            for purpose, name in datasets.values_list("purpose", "dataset__name")
        ],
        "parameters": row.parameters,
        "environment": row.environment,
        "inputs": row.input_spec or {},
    }


_HEADLINES = (
    "accuracy",
    "auc",
    "balanced_accuracy",
    "brier_score",
    "equal_opportunity_difference",
    "demographic_parity_difference",
    "selection_rate",
)


def _shifts(before: ModelVersion, after: ModelVersion) -> list[Shift]:
    """Headline figures measured on both, on the newest succeeded run of each."""

    def headline(row: ModelVersion) -> list[Measurement]:
        rows = Measurement.objects.filter(
            run__version=row,
            run__state=CheckRun.State.SUCCEEDED,
            run__purpose=CheckRun.Purpose.VALIDATION,
            metric__in=_HEADLINES,
        )
        overall = [one for one in rows.order_by("run_id", "id") if _overall(one.slice)]
        return list({(one.metric, str(one.slice), one.attribute): one for one in overall}.values())

    found = shifts(headline(before), headline(after))
    return sorted(found, key=lambda one: _HEADLINES.index(one.metric))


def _overall(slice_: dict[str, str]) -> bool:
    return all(group == "*" for group in slice_.values())


@page("POST")
def check(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Ask for a check; the answer leads to its run."""
    row = find_version(request, name, number)
    form = AskCheck(visible_datasets(actor_of(request)), request.POST)
    if not form.is_valid():
        return show_version(request, row, status=400, check_form=form)
    typed = form.cleaned_data
    return _write(
        request,
        row,
        "check_form",
        form,
        lambda: request_check(
            row,
            typed["kind"],
            dataset=typed["dataset"],
            reference=typed["reference"],
            actor=actor_of(request),
        ),
        "The check is queued.",
    )


@page("POST")
def submit(request: HttpRequest, name: str, number: int) -> HttpResponse:
    row = find_version(request, name, number)
    form = Submit(row, request.POST)
    if not form.is_valid():
        return show_version(request, row, status=400, submit_form=form)
    typed = form.cleaned_data
    return _write(
        request,
        row,
        "submit_form",
        form,
        lambda: reviews.submit(
            row,
            use=typed["use"],
            environment=typed["environment"],
            statement=typed["note"],
            actor=actor_of(request),
        ),
        "The version is submitted for review.",
    )


@page("POST")
def reopen(request: HttpRequest, name: str, number: int) -> HttpResponse:
    row = find_version(request, name, number)
    form = Reason(request.POST, prefix="reopen")
    if not form.is_valid():
        return show_version(request, row, status=400, reopen_form=form)
    return _write(
        request,
        row,
        "reopen_form",
        form,
        lambda: reviews.reopen(row, reason=form.cleaned_data["reason"], actor=actor_of(request)),
        "The version is reopened; its approvals have lapsed.",
    )


def _write(
    request: HttpRequest,
    row: ModelVersion,
    name: str,
    form: Form,
    write: Callable[[], object],
    done: str,
) -> HttpResponse:
    """Call the service; lead back to the version, or show it again with what was refused."""
    home = reverse("web:version", args=[row.model.name, row.number])
    outcome = attempt(request, form, write, done, home)
    if isinstance(outcome, HttpResponse):
        return outcome
    again = find_version(request, row.model.name, row.number)
    return show_version(request, again, status=outcome.status, **{name: form})
