"""Checks of a version and their runs."""

from typing import ClassVar
from uuid import UUID

from django.http import FileResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from kernel.errors import NotFound
from kernel.rest.pagination import NewestFirst
from kernel.rest.serializers import Nothing
from monitoring import selectors, services
from monitoring.api import finding
from monitoring.api.forms import (
    CheckRequest,
    MeasurementShown,
    RunListed,
    RunShown,
)
from monitoring.models import CheckRun
from monitoring.services import references
from registry.store import open_blob

_RUNS = CheckRun.objects.select_related("version__model", "dataset", "reference")


class Checks(APIView):
    """The checks of a version: all attempts, failed and cancelled ones too."""

    actions: ClassVar = {"GET": "model.read", "POST": "check.request"}

    @extend_schema(responses=RunListed(many=True))
    def get(self, request: Request, name: str, number: int) -> Response:
        version = finding.version_of(request, name, number)
        runs = _RUNS.filter(version=version).defer("plots", "notes", "timings", "sandbox")
        runs = finding.filtered(
            request,
            runs,
            {"kind": "kind", "state": "state", "purpose": "purpose", "monitor": "monitor"},
        )
        pages = NewestFirst()
        page = pages.paginate_queryset(runs, request, view=self)
        return pages.get_paginated_response(RunListed(page, many=True).data)

    @extend_schema(request=CheckRequest, responses={201: RunShown})
    @idempotent
    def post(self, request: Request, name: str, number: int) -> Response:
        version = finding.version_of(request, name, number)
        form = CheckRequest(data=request.data)
        form.is_valid(raise_exception=True)
        asked = form.validated_data
        reference = asked.get("reference")
        run = services.request_check(
            version,
            asked["kind"],
            dataset=finding.dataset_of(request, asked["dataset"], "dataset"),
            reference=finding.dataset_of(request, reference, "reference") if reference else None,
            config=references.given(asked.get("config") or {}, asked.get("reference_run")),
            actor=actor_of(request),
        )
        return Response(RunShown(run).data, status=201)


class CheckRunDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=RunShown)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(RunShown(run_of(request, id)).data)


class CheckRunMeasurements(APIView):
    """What a run measured, in its own order."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=MeasurementShown(many=True))
    def get(self, request: Request, id: UUID) -> Response:
        measured = run_of(request, id).measurements.order_by("position")
        measured = finding.filtered(
            request, measured, {"metric": "metric", "attribute": "attribute"}
        )
        return Response({"results": MeasurementShown(measured, many=True).data})


class CheckRunCancel(APIView):
    actions: ClassVar = {"POST": "check.cancel"}

    @extend_schema(request=Nothing, responses=RunShown)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        run = run_of(request, id)
        Nothing(data=request.data).is_valid(raise_exception=True)
        services.cancel_run(run, actor=actor_of(request))
        return Response(RunShown(run_of(request, id)).data)


class CheckRunRetry(APIView):
    """The question of a run that is over, asked once more: a new run that cites it."""

    actions: ClassVar = {"POST": "check.request"}

    @extend_schema(request=Nothing, responses={201: RunShown})
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        run = run_of(request, id)
        Nothing(data=request.data).is_valid(raise_exception=True)
        made = services.retry_run(run, actor=actor_of(request))
        return Response(RunShown(run_of(request, made.pk)).data, status=201)


class CheckRunAttachment(APIView):
    """A file that a run left. `cube.json` is the cube, without small counts if it holds any.

    A restricted one is read as the whole cube is.
    """

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses={200: OpenApiTypes.BINARY})
    def get(self, request: Request, id: UUID, name: str) -> HttpResponseBase:
        run = run_of(request, id)
        shown = selectors.open_cube(run)
        if name == "cube.json" and shown is not None:
            return download(shown, name, "application/json")
        file = run.attachments.filter(name=name).first()
        if file is None:
            raise NotFound(f"the run has no attachment {name}")
        if file.restricted:
            services.read_restricted(run, name, actor=actor_of(request))
        return download(file.blob_id, file.name, file.media_type)


def run_of(request: Request, id: UUID) -> CheckRun:
    return finding.one_of(request, _RUNS, id, "check run")


def download(digest: str, name: str, media_type: str) -> HttpResponseBase:
    """A download, never a page: what a library wrote gets no rights of this origin."""
    response = FileResponse(
        open_blob(digest), as_attachment=True, filename=name, content_type=media_type
    )
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
