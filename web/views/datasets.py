"""Datasets: where their rows are, what their digests pin, who used them, and registering one."""

import re
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.access import Answer, can, roles_on, visible
from accounts.web import actor_of
from audit.actor import Actor
from kernel.errors import CountersignError, Unavailable
from monitoring.models import CheckRun
from registry import locations, schemas, services
from registry.models import Dataset, DatasetLineage, DatasetUse, RegisteredModel
from registry.selectors import visible_datasets
from registry.sources import catalogue
from registry.sources.catalogue import NamedSource
from registry.store import path_of
from web import drafts, uploads
from web.forms import RegisterDataset, made_from_forms
from web.forms.datasets import DIGEST, FILE, MadeFrom
from web.pages import attempt, page, paged, seen, show

_WHERE = {
    "uploaded": ("Sent to the service", Q(blob__isnull=False)),
    "bucket": ("In a bucket", Q(location__has_key="bucket")),
    "source": ("In a source", Q(location__has_key="source")),
    "digest": ("Known by its digest alone", Q(blob=None, location=None)),
}
_COLUMNS = 100


@page()
def datasets(request: HttpRequest) -> HttpResponse:
    """The datasets that this person may read, newest first, searched by name, title and digest."""
    rows = visible_datasets(actor_of(request))
    asked, where = request.GET.get("q", "").strip(), request.GET.get("where", "")
    if asked:
        rows = rows.filter(
            Q(name__icontains=asked)
            | Q(title__icontains=asked)
            | Q(digest__startswith=asked.lower().removeprefix("sha256:"))
        )
    if where in _WHERE:
        rows = rows.filter(_WHERE[where][1])
    context = {
        "page": paged(request, rows.order_by("-registered_at", "-pk")),
        "asked": asked,
        "where": where,
        "places": [(key, label) for key, (label, _) in _WHERE.items()],
        "may_register": _may_register(actor_of(request))[0],
    }
    return show(request, "datasets/list.html", context)


def _find(request: HttpRequest, dataset_id: UUID) -> Dataset:
    rows = visible_datasets(actor_of(request)).select_related("blob", "registered_by")
    row = rows.filter(pk=dataset_id).first()
    if row is None:
        raise Http404("nothing here that you may read")
    return row


@page()
def dataset(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    return _show(request, _find(request, dataset_id))


def _show(
    request: HttpRequest, row: Dataset, *, status: int = 200, problem: str = ""
) -> HttpResponse:
    """One dataset, with the versions, the other datasets and the checks that this person may see."""
    readable = visible_datasets(actor_of(request)).values("pk")
    lineage = DatasetLineage.objects.select_related("parent", "child")
    uses = DatasetUse.objects.filter(dataset=row).select_related("version__model")
    runs = CheckRun.objects.filter(Q(dataset=row) | Q(reference=row)).select_related(
        "version__model"
    )
    may, _ = _may_register(actor_of(request))
    bare = row.blob_id is None and row.location is None
    context = {
        "dataset": row,
        "gone": _gone(row),
        "made_from": lineage.filter(child=row, parent__in=readable),
        "made_into": lineage.filter(parent=row, child__in=readable),
        "uses": seen(uses, request).order_by("version__model__title", "version__number", "purpose"),
        "page": paged(request, seen(runs.defer("mapping", "plots"), request)),
        "columns": paged(request, row.columns, _COLUMNS, name="columns"),
        "bare": bare,
        "may_send": may if bare else None,
        "problem": problem,
    }
    return show(request, "datasets/dataset.html", context, status=status)


def _gone(row: Dataset) -> str:
    """Why the operator does not offer any more what the dataset names; empty if all is well."""
    if row.location is None:
        return ""
    try:
        locations.still_there(row, "location")
    except CountersignError as error:
        return error.detail
    return ""


def _may_register(actor: Actor) -> tuple[Answer, RegisteredModel | None]:
    """May this person register data, and by the role on which model, if by none for all of them?"""
    answer = can(actor, "dataset.register")
    if answer:
        return answer, None
    models = list(visible(RegisteredModel.objects.filter(retired_at=None), actor).order_by("pk"))
    held = roles_on([actor.id], models) if models else {}
    for model in models:
        if held[(actor.id, model.pk)] and can(actor, "dataset.register", model):
            return Answer(True), model
    return answer, None


def _limit(request: HttpRequest) -> int:
    """The most bytes of a file that this request may bring: none from who may not register data."""
    may = request.user.is_authenticated and _may_register(actor_of(request))[0]
    return int(settings.COUNTERSIGN.max_artifact_bytes) if may else 0


@uploads.takes_files(_limit)
@page("GET", "HEAD", "POST")
def register(request: HttpRequest) -> HttpResponse:
    """Register data by its bytes, by where it is, or by its digest alone."""
    may, model = _may_register(actor_of(request))
    readable = visible_datasets(actor_of(request))
    sources, buckets, missing = _offered(bool(may))
    about = {"may": may, "missing": missing}
    if request.method != "POST":
        form = RegisterDataset(sources, buckets, initial=drafts.take(request))
        return _ask(request, form, made_from_forms(readable), about)
    form = RegisterDataset(sources, buckets, request.POST, request.FILES)
    made_from = made_from_forms(readable, request.POST)
    if not all([form.is_valid(), *(one.is_valid() for one in made_from)]) and may:
        return _ask(request, form, made_from, about, status=400)
    made: list[Dataset] = []

    def write() -> None:
        services.permit("dataset.register", model, actor=actor_of(request))
        made.append(_register(request, form, made_from, model))

    outcome = attempt(request, form, write, "The dataset is on record.", "")
    if isinstance(outcome, HttpResponse):
        return _led_to(made[0])
    _blame_sources(made_from, outcome)
    return _ask(request, form, made_from, about, status=outcome.status)


def _led_to(row: Dataset) -> HttpResponse:
    return HttpResponseRedirect(reverse("web:dataset", args=[row.pk]), status=303)


def _offered(may: bool) -> tuple[list[NamedSource], list[str], str]:
    """The sources and buckets that the operator named, for who may register; and what is amiss."""
    if not may:
        return [], [], ""
    buckets = sorted(dict(settings.COUNTERSIGN.buckets))
    try:
        known = catalogue.current().sources.values()
    except Unavailable as error:
        return [], buckets, error.detail
    return sorted(known, key=lambda one: one.name), buckets, ""


def _ask(
    request: HttpRequest,
    form: RegisterDataset,
    made_from: list[MadeFrom],
    about: dict[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    context = {"form": form, "made_from": made_from, **about}
    return show(request, "datasets/register.html", context, status=status)


def _register(
    request: HttpRequest,
    form: RegisterDataset,
    made_from: list[MadeFrom],
    model: RegisteredModel | None,
) -> Dataset:
    """Take the bytes in, or look at the place, and put the dataset on record.

    Raises:
        CountersignError: its fields are those of the form.
    """
    typed = form.cleaned_data
    more: dict[str, Any] = {"digest": typed["digest"] or None}
    try:
        if typed["way"] == FILE:
            more |= _sent(request, typed["media_type"])
        elif typed["way"] == DIGEST:
            more["media_type"] = typed["media_type"] or None
        else:
            more["located"] = locations.examine(
                form.location(),
                digest=more["digest"],
                pinned=not typed["changing"],
                media_type=typed["media_type"] or None,
            )
        return services.register_dataset(
            **form.record(),
            **more,
            sources=[services.Source(**one.cleaned_data) for one in _given(made_from)],
            model=model,
            actor=actor_of(request),
        )
    except CountersignError as error:
        called = form.fields_of_errors()
        error.fields = {called.get(name, name): why for name, why in error.fields.items()}
        raise


def _sent(request: HttpRequest, media_type: str) -> dict[str, Any]:
    """The uploaded file in the store, and what it was found to hold."""
    stored, name = uploads.taken(request, "file", settings.COUNTERSIGN.max_artifact_bytes)
    kind = media_type or schemas.guess_media_type(name)
    rows, columns = schemas.read(path_of(stored.digest), kind)
    contents = services.Contents(rows, columns)
    return {"stored": stored, "media_type": kind, "contents": contents}


def _given(made_from: list[MadeFrom]) -> list[MadeFrom]:
    return [one for one in made_from if one.has_changed()]


def _blame_sources(made_from: list[MadeFrom], error: CountersignError) -> None:
    """Mark what the service names as `sources[0].transformation` in the form of that source."""
    given = _given(made_from)
    for path, detail in error.fields.items():
        found = re.fullmatch(r"sources\[(\d+)\]\.(\w+)", path)
        if found and int(found[1]) < len(given):
            given[int(found[1])].add_error(found[2], detail)


@uploads.takes_files(_limit)
@page("POST")
def content(request: HttpRequest, dataset_id: UUID) -> HttpResponse:
    """Bring the bytes of data that was registered by its digest."""
    row = _find(request, dataset_id)
    _, model = _may_register(actor_of(request))

    def write() -> None:
        services.permit("dataset.register", model, actor=actor_of(request))
        sent = _sent(request, row.media_type)
        services.store_dataset(
            row,
            sent["stored"],
            contents=sent["contents"],
            model=model,
            actor=actor_of(request),
        )

    home = reverse("web:dataset", args=[row.pk])
    outcome = attempt(request, None, write, "The bytes are in the store.", home)
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, row, status=outcome.status, problem=outcome.detail)
