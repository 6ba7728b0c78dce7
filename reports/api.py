"""REST of reports."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import FileResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from governance.api import places
from kernel.moments import rfc3339
from kernel.rest.pagination import NewestFirst
from kernel.rest.serializers import StrictCharField, StrictIntegerField, StrictSerializer
from monitoring.api import finding
from reports import selectors, services
from reports.models import Report


class ReportRequest(StrictSerializer):
    model = StrictCharField()
    version = StrictIntegerField(min_value=1)
    use = StrictCharField(required=False, help_text="the default use, if left out")
    environment = StrictCharField()


_PROGRESS = {"requested": 0.0, "frozen": 0.5, "issued": 1.0, "failed": 1.0}


def shown(row: Report) -> dict[str, Any]:
    """A report as REST tells it. `error` is set only for one that failed."""
    issued = row.state == Report.State.ISSUED
    base = f"/api/v1/reports/{row.pk}/"
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "model": row.version.model.name,
        "version": row.version.number,
        "use": row.use.name,
        "environment": row.environment.name,
        "state": row.state,
        "progress": _PROGRESS[row.state],
        "requested_at": rfc3339(row.requested_at),
        "requested_by": row.requested_by.username,
        "cut_off": rfc3339(row.cut_off) if row.cut_off else None,
        "bundle_digest": row.bundle_id,
        "content_digest": row.content_digest or None,
        "file_digest": row.pdf_id,
        "file_size": row.pdf.size if row.pdf else None,
        "issued_at": rfc3339(row.issued_at) if row.issued_at else None,
        "supersedes": str(row.supersedes_id) if row.supersedes_id else None,
        "error": row.error,
        "pdf": f"{base}pdf/" if issued else None,
        "bundle": f"{base}bundle/" if row.bundle_id else None,
    }


class Reports(APIView):
    """Reports, newest first; asking for one."""

    actions: ClassVar = {"GET": "model.read", "POST": "report.request"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        rows = selectors.visible_reports(actor_of(request))
        rows = finding.filtered(request, rows, {**places.FILTERS, "state": "state"})
        pages = NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response([shown(row) for row in page or ()])

    @extend_schema(request=ReportRequest, responses={202: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        version, use, environment = places.place_in_body(
            request, places.parse(ReportRequest, request)
        )
        report = services.request_report(version, use, environment, actor=actor_of(request))
        return Response(shown(report), status=202)


class ReportDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(shown(selectors.report_of(id, actor_of(request))))


class ReportPdf(APIView):
    """The sealed file."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses={200: OpenApiTypes.BINARY})
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        report = selectors.report_of(id, actor_of(request))
        return _download(selectors.file_of(report), _name(report, "pdf"), "application/pdf")


class ReportBundle(APIView):
    """The frozen facts, byte for byte as they were hashed."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses={200: OpenApiTypes.BINARY})
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        report = selectors.report_of(id, actor_of(request))
        return _download(selectors.bundle_of(report), _name(report, "json"), "application/json")


def _name(report: Report, suffix: str) -> str:
    return f"{report.version.model.name}-{report.version.number}-{report.pk}.{suffix}"


def _download(stream: Any, name: str, media_type: str) -> HttpResponseBase:
    response = FileResponse(stream, as_attachment=True, filename=name, content_type=media_type)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
