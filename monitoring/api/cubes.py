"""Restricted evidence, which holds small counts, for those who may see it; and sums of cubes."""

from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from kernel.moments import parse_rfc3339
from monitoring import services
from monitoring.api import finding
from monitoring.api.checks import download, run_of
from monitoring.api.forms import ErasureRequest, ErasureShown, RollupRequest, RunShown
from monitoring.models import Monitor


class CheckRunCube(APIView):
    """The whole cube of a run. Its SHA-256 is the run's `cube_digest`.

    Who reads it, or is refused, is on record.
    """

    # The service asks for `cube.read`, which takes a role on the model, and puts a refusal on record.
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses={200: OpenApiTypes.BINARY})
    def get(self, request: Request, id: UUID) -> HttpResponseBase:
        run = run_of(request, id)
        file = services.read_restricted(run, actor=actor_of(request))
        return download(file.digest, file.name, file.media_type)


class CheckRunCubeErasure(APIView):
    actions: ClassVar = {"POST": "payload.erase"}

    @extend_schema(request=ErasureRequest, responses={201: ErasureShown})
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        run = run_of(request, id)
        form = ErasureRequest(data=request.data)
        form.is_valid(raise_exception=True)
        reason = form.validated_data["reason"]
        erasure = services.erase_cube(run, reason=reason, actor=actor_of(request))
        return Response(ErasureShown(erasure).data, status=201)


class MonitorRollup(APIView):
    """What a monitor found over a period, from the cubes of its windows; no row is read again."""

    actions: ClassVar = {"POST": "check.request"}

    @extend_schema(request=RollupRequest, responses={201: RunShown})
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        monitor = finding.one_of(
            request, Monitor.objects.select_related("version__model"), id, "monitor"
        )
        form = RollupRequest(data=request.data)
        form.is_valid(raise_exception=True)
        zone = settings.COUNTERSIGN.time_zone
        period = {
            name: parse_rfc3339(form.validated_data[name], name, time_zone=zone)
            for name in ("since", "until")
        }
        run = services.roll_up(monitor, **period, actor=actor_of(request))
        return Response(RunShown(run_of(request, run.pk)).data, status=201)
