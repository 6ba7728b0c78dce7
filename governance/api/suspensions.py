"""Suspensions: suspend, lift."""

from typing import ClassVar
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import visible
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from governance.api import forms
from governance.api.places import FILTERS, parse, place_in_body
from governance.models import Suspension
from governance.services import suspensions
from kernel.rest.pagination import NewestFirst
from monitoring.api import finding

_ROWS = Suspension.objects.select_related(
    "version__model", "use", "environment", "suspended_by", "lifted_by"
)


class Suspensions(APIView):
    actions: ClassVar = {"GET": "model.read", "POST": "version.suspend"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        rows = visible(_ROWS, actor_of(request), "version__model")
        pages = NewestFirst()
        page = pages.paginate_queryset(
            finding.filtered(request, rows, {**FILTERS, "open": "until__isnull"}),
            request,
            view=self,
        )
        return pages.get_paginated_response([forms.suspension(row) for row in page or []])

    @extend_schema(request=forms.SuspensionRequest, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        asked = parse(forms.SuspensionRequest, request)
        version, use, environment = place_in_body(request, asked)
        row = suspensions.suspend(
            version,
            use=use,
            environment=environment,
            effect=asked["effect"],
            reason=asked["reason"],
            actor=actor_of(request),
        )
        return Response(forms.suspension(_ROWS.get(pk=row.pk)), status=201)


class SuspensionDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(forms.suspension(finding.one_of(request, _ROWS, id, "suspension")))


class SuspensionLift(APIView):
    actions: ClassVar = {"POST": "suspension.lift"}

    @extend_schema(request=forms.ReasonRequest, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        row = finding.one_of(request, _ROWS, id, "suspension")
        asked = parse(forms.ReasonRequest, request)
        suspensions.lift(row, reason=asked["reason"], actor=actor_of(request))
        return Response(forms.suspension(_ROWS.get(pk=id)))
