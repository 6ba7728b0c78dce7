"""What people signed about sensitive attributes that are not collected."""

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import visible
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from kernel.moments import parse_rfc3339
from kernel.rest.serializers import Nothing
from monitoring import services
from monitoring.api import finding
from monitoring.api.forms import DeclarationRequest, DeclarationShown
from monitoring.models import NotCollectedDeclaration
from registry.api.base import reader_of
from registry.models import RegisteredModel

_ROWS = NotCollectedDeclaration.objects.select_related("model", "signed_by")


class Declarations(APIView):
    """Attributes of which somebody signed that they are not collected, lapsed ones too."""

    actions: ClassVar = {"GET": "model.read", "POST": "groups.declare"}

    @extend_schema(responses=DeclarationShown(many=True))
    def get(self, request: Request, name: str) -> Response:
        rows = _ROWS.filter(model=_model(request, name))
        return Response({"results": DeclarationShown(rows, many=True).data})

    @extend_schema(request=DeclarationRequest, responses={201: DeclarationShown})
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        model = _model(request, name)
        form = DeclarationRequest(data=request.data)
        form.is_valid(raise_exception=True)
        said = dict(form.validated_data)
        zone = settings.COUNTERSIGN.time_zone
        until = parse_rfc3339(said.pop("until"), "until", time_zone=zone)
        made = services.declare_not_collected(model, **said, until=until, actor=actor_of(request))
        return Response(DeclarationShown(made).data, status=201)


class DeclarationEnd(APIView):
    actions: ClassVar = {"POST": "groups.declare"}

    @extend_schema(request=Nothing, responses=DeclarationShown)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        found = finding.one_of(request, _ROWS, id, "declaration", path="model")
        Nothing(data=request.data).is_valid(raise_exception=True)
        ended = services.withdraw_declaration(found, actor=actor_of(request))
        return Response(DeclarationShown(ended).data)


def _model(request: Request, name: str) -> RegisteredModel:
    return get_object_or_404(visible(RegisteredModel.objects.all(), reader_of(request)), name=name)
