"""Monitors, the production data that they look at, and the breaches that they find."""

from typing import Any, ClassVar, cast
from uuid import UUID

from django.conf import settings
from django.db.models import Prefetch
from django.http import QueryDict
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import visible
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from kernel.errors import Forbidden
from kernel.moments import parse_rfc3339
from kernel.rest.pagination import NewestFirst
from kernel.rest.serializers import Nothing
from monitoring import services
from monitoring.api import finding
from monitoring.api.backtests import backtest_of, period_of
from monitoring.api.forms import (
    ArmRequest,
    BackfillRequest,
    BatchShown,
    BreachShown,
    MonitorRequest,
    MonitorShown,
    ObservationRequest,
    ResolveRequest,
    WindowShown,
)
from monitoring.configs import data_format
from monitoring.models import Breach, CheckRun, Monitor, ObservationBatch
from registry.api.base import reader_of
from registry.api.uploads import LimitedMultiPartParser
from registry.models import RegisteredModel
from registry.schemas import guess_media_type

_PLACE = ("version__model", "use", "environment")
_MONITORS = Monitor.objects.select_related(*_PLACE, "reference", "source")
_BATCHES = ObservationBatch.objects.select_related(*_PLACE).prefetch_related(
    # Of a run its id alone is shown; what it measured can be large.
    Prefetch(
        "runs",
        CheckRun.objects.filter(purpose=CheckRun.Purpose.MONITORING).only("pk", "batch"),
    )
)
_BREACHES = Breach.objects.select_related(*_PLACE)
_FILTERS = {
    "model": "version__model__name",
    "version": "version__number",
    "use": "use__name",
    "environment": "environment__name",
}


class Monitors(APIView):
    actions: ClassVar = {"GET": "model.read", "POST": "monitor.manage"}

    @extend_schema(responses=MonitorShown(many=True))
    def get(self, request: Request) -> Response:
        rows = visible(_MONITORS, actor_of(request), "version__model")
        pages = NewestFirst()
        page = pages.paginate_queryset(
            finding.filtered(request, rows, {**_FILTERS, "name": "name"}), request, view=self
        )
        return pages.get_paginated_response(MonitorShown(page, many=True).data)

    @extend_schema(request=MonitorRequest, responses={201: MonitorShown})
    @idempotent
    def post(self, request: Request) -> Response:
        form = MonitorRequest(data=request.data)
        form.is_valid(raise_exception=True)
        asked = dict(form.validated_data)
        version = finding.version_in_body(request, asked.pop("model"), asked.pop("version"))
        use = finding.use_of(version, asked.pop("use", None))
        environment = finding.environment_of(asked.pop("environment"))
        for name in ("reference", "source"):
            given = asked.pop(name, None)
            asked[name] = finding.dataset_of(request, given, name) if given else None
        backtest = asked.pop("backtest", None)
        monitor = services.start_monitor(
            version,
            use=use,
            environment=environment,
            backtest=backtest_of(request, backtest) if backtest else None,
            actor=actor_of(request),
            **asked,
        )
        return Response(MonitorShown(monitor).data, status=201)


class MonitorDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=MonitorShown)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(MonitorShown(_monitor(request, id)).data)


class MonitorEnd(APIView):
    actions: ClassVar = {"POST": "monitor.manage"}

    @extend_schema(request=Nothing, responses=MonitorShown)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        monitor = _monitor(request, id)
        Nothing(data=request.data).is_valid(raise_exception=True)
        return Response(MonitorShown(services.end_monitor(monitor, actor=actor_of(request))).data)


class MonitorArm(APIView):
    """Give a monitor the effect that was wanted of it, now that a backtest shows what it does."""

    actions: ClassVar = {"POST": "monitor.manage"}

    @extend_schema(request=ArmRequest, responses=MonitorShown)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        monitor = _monitor(request, id)
        form = ArmRequest(data=request.data)
        form.is_valid(raise_exception=True)
        named = form.validated_data.get("backtest")
        armed = services.arm_monitor(
            monitor,
            backtest=backtest_of(request, named) if named else None,
            actor=actor_of(request),
        )
        return Response(MonitorShown(_monitor(request, armed.pk)).data)


class MonitorBackfill(APIView):
    """Look at past windows. What is found there is on record, and acts on nothing."""

    actions: ClassVar = {"POST": "monitor.manage"}

    @extend_schema(request=BackfillRequest, responses={201: WindowShown(many=True)})
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        monitor = _monitor(request, id)
        form = BackfillRequest(data=request.data)
        form.is_valid(raise_exception=True)
        since, until = period_of(form.validated_data)
        made = services.backfill_monitor(monitor, since=since, until=until, actor=actor_of(request))
        return Response({"results": WindowShown(made, many=True).data}, status=201)


class MonitorWindows(APIView):
    """The windows of a monitor, and what each came to."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=WindowShown(many=True))
    def get(self, request: Request, id: UUID) -> Response:
        rows = finding.filtered(request, _monitor(request, id).windows.all(), {"state": "state"})
        pages = NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(WindowShown(page, many=True).data)


class Observations(APIView):
    """Batches of production data: `multipart/form-data`, idempotent by the batch's id."""

    actions: ClassVar = {"GET": "model.read", "POST": "observation.send"}
    parser_classes = (LimitedMultiPartParser,)

    def upload_limit(self) -> int:
        return int(settings.COUNTERSIGN.max_evidence_bytes)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Who may read no model sends no data about one: said before the first byte is taken."""
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            readable = visible(RegisteredModel.objects.all(), reader_of(request))
            if not readable.exists():
                raise Forbidden("you hold no role on any model", code="not_permitted")

    @extend_schema(responses=BatchShown(many=True))
    def get(self, request: Request) -> Response:
        rows = visible(_BATCHES, actor_of(request), "version__model")
        pages = NewestFirst()
        page = pages.paginate_queryset(
            finding.filtered(request, rows, {**_FILTERS, "batch_id": "batch_id"}),
            request,
            view=self,
        )
        return pages.get_paginated_response(BatchShown(page, many=True).data)

    @extend_schema(
        request={"multipart/form-data": ObservationRequest},
        responses={200: BatchShown, 201: BatchShown},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        form = ObservationRequest(data=cast(QueryDict, request.data).dict())
        form.is_valid(raise_exception=True)
        sent = form.validated_data
        version = finding.version_in_body(request, sent["model"], sent["version"])
        zone = settings.COUNTERSIGN.time_zone
        batch, is_new = services.record_batch(
            version,
            use=finding.use_of(version, sent.get("use")),
            environment=finding.environment_of(sent["environment"]),
            batch_id=sent["batch_id"],
            kind=sent.get("kind", ObservationBatch.Kind.DATA),
            file=sent["file"],
            media_type=_media_type(sent),
            window_start=parse_rfc3339(sent["window_start"], "window_start", time_zone=zone),
            window_end=parse_rfc3339(sent["window_end"], "window_end", time_zone=zone),
            digest=sent.get("digest"),
            actor=actor_of(request),
        )
        shown = BatchShown(_BATCHES.get(pk=batch.pk)).data
        return Response(shown, status=201 if is_new else 200)


class ObservationDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=BatchShown)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(
            BatchShown(finding.one_of(request, _BATCHES, id, "batch of observations")).data
        )


class Breaches(APIView):
    """Breaches; `?open=true` those that stand unresolved."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=BreachShown(many=True))
    def get(self, request: Request) -> Response:
        rows = visible(_BREACHES, actor_of(request), "version__model")
        rows = finding.filtered(
            request,
            rows,
            {**_FILTERS, "monitor": "monitor", "metric": "metric", "open": "resolved_at__isnull"},
        )
        pages = NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(BreachShown(page, many=True).data)


class BreachDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=BreachShown)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(BreachShown(finding.one_of(request, _BREACHES, id, "breach")).data)


class BreachResolve(APIView):
    actions: ClassVar = {"POST": "breach.resolve"}

    @extend_schema(request=ResolveRequest, responses=BreachShown)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        breach = finding.one_of(request, _BREACHES, id, "breach")
        form = ResolveRequest(data=request.data)
        form.is_valid(raise_exception=True)
        services.resolve_breach(
            breach, resolution=form.validated_data["resolution"], actor=actor_of(request)
        )
        return Response(BreachShown(finding.one_of(request, _BREACHES, id, "breach")).data)


def _media_type(sent: dict[str, Any]) -> str:
    """As stated; else as the client's part says; else as the file's name tells."""
    stated = sent.get("media_type") or ""
    part = sent["file"].content_type or ""
    if stated or data_format(part) is not None:
        return str(stated or part)
    return guess_media_type(sent["file"].name)


def _monitor(request: Request, id: UUID) -> Monitor:
    return finding.one_of(request, _MONITORS, id, "monitor")
