"""Backtests of monitors: how often they would have acted on past data."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import visible
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from kernel.errors import Invalid, NotFound
from kernel.moments import parse_rfc3339
from kernel.rest.pagination import NewestFirst
from kernel.rest.serializers import Nothing
from monitoring import services
from monitoring.api import finding
from monitoring.api.forms import BacktestListed, BacktestRequest, BacktestShown
from monitoring.models import Backtest

_BACKTESTS = Backtest.objects.select_related(
    "version__model", "use", "environment", "reference", "dataset"
)


class Backtests(APIView):
    actions: ClassVar = {"GET": "model.read", "POST": "check.request"}

    @extend_schema(responses=BacktestListed(many=True))
    def get(self, request: Request) -> Response:
        allowed = {
            "model": "version__model__name",
            "version": "version__number",
            "use": "use__name",
            "environment": "environment__name",
            "state": "state",
            "name": "name",
        }
        rows = visible(_BACKTESTS, actor_of(request), "version__model")
        pages = NewestFirst()
        page = pages.paginate_queryset(finding.filtered(request, rows, allowed), request, view=self)
        return pages.get_paginated_response(BacktestListed(page, many=True).data)

    @extend_schema(request=BacktestRequest, responses={201: BacktestShown})
    @idempotent
    def post(self, request: Request) -> Response:
        form = BacktestRequest(data=request.data)
        form.is_valid(raise_exception=True)
        asked = dict(form.validated_data)
        version = finding.version_in_body(request, asked.pop("model"), asked.pop("version"))
        asked["since"], asked["until"] = period_of(asked)
        for name in ("reference", "dataset"):
            given = asked.pop(name, None)
            asked[name] = finding.dataset_of(request, given, name) if given else None
        backtest = services.request_backtest(
            version,
            use=finding.use_of(version, asked.pop("use", None)),
            environment=finding.environment_of(asked.pop("environment")),
            actor=actor_of(request),
            **asked,
        )
        return Response(BacktestShown(backtest).data, status=201)


class BacktestDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=BacktestShown)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(BacktestShown(finding.one_of(request, _BACKTESTS, id, "backtest")).data)


class BacktestCancel(APIView):
    """Call a running backtest off, with every check of it that is not over."""

    actions: ClassVar = {"POST": "check.cancel"}

    @extend_schema(request=Nothing, responses=BacktestShown)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        backtest = finding.one_of(request, _BACKTESTS, id, "backtest")
        Nothing(data=request.data).is_valid(raise_exception=True)
        ended = services.cancel_backtest(backtest, actor=actor_of(request))
        return Response(BacktestShown(ended).data)


def backtest_of(request: Request, id: UUID) -> Backtest:
    """The backtest that a body names.

    Raises:
        Invalid: naming the field, if there is none that the actor may read.
    """
    try:
        return finding.one_of(request, _BACKTESTS, id, "backtest")
    except NotFound as error:
        raise Invalid(error.detail, field="backtest") from None


def period_of(body: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """`since` and `until` of a body; a bare date means its end in the installation's zone."""
    zone = settings.COUNTERSIGN.time_zone
    since = parse_rfc3339(body["since"], "since", time_zone=zone)
    return since, parse_rfc3339(body["until"], "until", time_zone=zone)
