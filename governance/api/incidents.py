"""Incidents, findings and requests to train anew."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import visible
from accounts.models import User
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from governance.api import forms
from governance.api.places import FILTERS, parse, place_in_body
from governance.models import Finding, Incident, RetrainingRequest
from governance.services import findings, incidents, retraining
from kernel.errors import Invalid
from kernel.rest.pagination import NewestFirst
from kernel.rest.serializers import StrictSerializer
from monitoring.api import finding

_INCIDENTS = Incident.objects.select_related(
    "version__model", "use", "environment", "classified_by", "closed_by"
)
_FINDINGS = Finding.objects.select_related("version__model", "owner", "closed_by").prefetch_related(
    "approvals"
)
_REQUESTS = RetrainingRequest.objects.select_related("version__model", "answered_by")
_OF_VERSION = {"model": FILTERS["model"], "version": FILTERS["version"]}


class Incidents(APIView):
    actions: ClassVar = {"GET": "model.read", "POST": "incident.open"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        rows = visible(_INCIDENTS, actor_of(request), "version__model")
        pages = NewestFirst()
        page = pages.paginate_queryset(
            finding.filtered(request, rows, {**FILTERS, "state": "state"}), request, view=self
        )
        return pages.get_paginated_response([forms.incident(row) for row in page or []])

    @extend_schema(request=forms.IncidentRequest, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        asked = parse(forms.IncidentRequest, request)
        version, use, environment = place_in_body(request, asked)
        row = incidents.open_incident(
            version,
            use=use,
            environment=environment,
            summary=asked["summary"],
            actor=actor_of(request),
        )
        return Response(forms.incident(_INCIDENTS.get(pk=row.pk)), status=201)


class IncidentDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(forms.incident(finding.one_of(request, _INCIDENTS, id, "incident")))


class _IncidentStep(APIView):
    """One step of an incident: the form that it takes and what it does."""

    actions: ClassVar = {"POST": "incident.manage"}
    form: ClassVar[type[StrictSerializer]]

    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        row = finding.one_of(request, _INCIDENTS, id, "incident")
        self.step(row, parse(self.form, request), request)
        return Response(forms.incident(_INCIDENTS.get(pk=id)))

    def step(self, row: Incident, asked: dict[str, Any], request: Request) -> None:
        raise NotImplementedError


@extend_schema(request=forms.ClassificationRequest, responses=OpenApiTypes.OBJECT)
class IncidentClassify(_IncidentStep):
    form = forms.ClassificationRequest

    def step(self, row: Incident, asked: dict[str, Any], request: Request) -> None:
        incidents.classify(
            row,
            incident_class=asked["incident_class"],
            aware_at=forms.read_instant(asked["aware_at"], "aware_at"),
            actor=actor_of(request),
        )


@extend_schema(request=forms.ReasonRequest, responses=OpenApiTypes.OBJECT)
class IncidentDismiss(_IncidentStep):
    form = forms.ReasonRequest

    def step(self, row: Incident, asked: dict[str, Any], request: Request) -> None:
        incidents.dismiss(row, reason=asked["reason"], actor=actor_of(request))


@extend_schema(request=forms.ConclusionRequest, responses=OpenApiTypes.OBJECT)
class IncidentClose(_IncidentStep):
    form = forms.ConclusionRequest

    def step(self, row: Incident, asked: dict[str, Any], request: Request) -> None:
        incidents.close(row, conclusion=asked["conclusion"], actor=actor_of(request))


class Findings(APIView):
    """`?open=true` those that are not closed."""

    actions: ClassVar = {"GET": "model.read", "POST": "finding.manage"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        rows = visible(_FINDINGS, actor_of(request), "version__model")
        allowed = {**_OF_VERSION, "severity": "severity", "open": "closed_at__isnull"}
        pages = NewestFirst()
        page = pages.paginate_queryset(finding.filtered(request, rows, allowed), request, view=self)
        return pages.get_paginated_response([forms.finding(row) for row in page or []])

    @extend_schema(request=forms.FindingRequest, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        asked = parse(forms.FindingRequest, request)
        row = findings.open_finding(
            finding.version_in_body(request, asked["model"], asked["version"]),
            title=asked["title"],
            detail=asked["detail"],
            severity=asked["severity"],
            owner=_owner(asked["owner"]) if "owner" in asked else None,
            due_at=forms.read_instant(asked["due_at"], "due_at") if "due_at" in asked else None,
            actor=actor_of(request),
        )
        return Response(forms.finding(_FINDINGS.get(pk=row.pk)), status=201)


def _owner(username: str) -> User:
    found = User.objects.filter(username=username, kind=User.Kind.PERSON, is_active=True).first()
    if found is None:
        raise Invalid(f"there is no active person {username}", field="owner")
    return found


class FindingClose(APIView):
    actions: ClassVar = {"POST": "finding.manage"}

    @extend_schema(request=forms.ClosureRequest, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        row = finding.one_of(request, _FINDINGS, id, "finding")
        asked = parse(forms.ClosureRequest, request)
        findings.close_finding(row, closure=asked["closure"], actor=actor_of(request))
        return Response(forms.finding(_FINDINGS.get(pk=id)))


class RetrainingRequests(APIView):
    """`?open=true` those that no version has answered."""

    actions: ClassVar = {"GET": "model.read", "POST": "retraining.request"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        rows = visible(_REQUESTS, actor_of(request), "version__model")
        allowed = {**_OF_VERSION, "open": "answered_by__isnull"}
        pages = NewestFirst()
        page = pages.paginate_queryset(finding.filtered(request, rows, allowed), request, view=self)
        return pages.get_paginated_response([forms.retraining(row) for row in page or []])

    @extend_schema(request=forms.RetrainingRequestForm, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        asked = parse(forms.RetrainingRequestForm, request)
        row = retraining.request_retraining(
            finding.version_in_body(request, asked["model"], asked["version"]),
            reason=asked["reason"],
            actor=actor_of(request),
        )
        return Response(forms.retraining(_REQUESTS.get(pk=row.pk)), status=201)
