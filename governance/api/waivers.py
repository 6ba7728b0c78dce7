"""Waivers: ask, grant, end."""

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
from governance.models import Waiver
from governance.services import waivers
from kernel.rest.pagination import NewestFirst
from kernel.rest.serializers import Nothing
from monitoring.api import finding

_ROWS = Waiver.objects.select_related(
    "version__model", "use", "environment", "requested_by", "granted_by", "ended_by"
)


class Waivers(APIView):
    actions: ClassVar = {"GET": "model.read", "POST": "waiver.request"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        rows = visible(_ROWS, actor_of(request), "version__model")
        pages = NewestFirst()
        page = pages.paginate_queryset(finding.filtered(request, rows, FILTERS), request, view=self)
        return pages.get_paginated_response([forms.waiver(row) for row in page or []])

    @extend_schema(request=forms.WaiverRequest, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        asked = parse(forms.WaiverRequest, request)
        version, use, environment = place_in_body(request, asked)
        row = waivers.request_waiver(
            version,
            use=use,
            environment=environment,
            controls=asked["controls"],
            reason=asked["reason"],
            compensating_control=asked["compensating_control"],
            ends_at=forms.read_instant(asked["ends_at"], "ends_at"),
            actor=actor_of(request),
        )
        return Response(forms.waiver(_ROWS.get(pk=row.pk)), status=201)


class WaiverDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(forms.waiver(finding.one_of(request, _ROWS, id, "waiver")))


class WaiverGrant(APIView):
    actions: ClassVar = {"POST": "waiver.grant"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        row = finding.one_of(request, _ROWS, id, "waiver")
        parse(Nothing, request)
        waivers.grant_waiver(row, actor=actor_of(request))
        return Response(forms.waiver(_ROWS.get(pk=id)))


class WaiverEnd(APIView):
    actions: ClassVar = {"POST": "waiver.grant"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        row = finding.one_of(request, _ROWS, id, "waiver")
        parse(Nothing, request)
        waivers.end_waiver(row, actor=actor_of(request))
        return Response(forms.waiver(_ROWS.get(pk=id)))
