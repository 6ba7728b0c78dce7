"""REST: environments with their mode, and deployments."""

from typing import ClassVar

from django.conf import settings
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import visible
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from kernel.errors import Invalid
from kernel.identifiers import parse_digest
from kernel.moments import parse_rfc3339
from kernel.rest.serializers import Nothing
from registry import selectors, services
from registry.api import describe, inputs
from registry.api.base import (
    filters,
    flag,
    models_of,
    paged,
    reader_of,
    validated,
    versions_of,
    whole,
)
from registry.models import (
    Deployment,
    Environment,
    EnvironmentSetting,
    ModelVersion,
    ModeProposal,
    Use,
)


class Environments(APIView):
    """Environments in the order of promotion. `?at=` shows their modes as they were."""

    actions: ClassVar = {"GET": "model.read", "POST": "environment.manage"}

    def get(self, request: Request) -> Response:
        wanted = filters(request, "at")
        at = None
        if "at" in wanted:
            at = parse_rfc3339(wanted["at"], "at", time_zone=settings.COUNTERSIGN.time_zone)
        rows = selectors.environments_in_order(at)
        return Response({"results": [describe.setting(row) for row in rows]})

    @extend_schema(request=inputs.EnvironmentInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        given = validated(inputs.EnvironmentInput, request.data)
        row = services.make_environment(**given, actor=actor_of(request))
        return Response(describe.setting(row.settings.get(until=None)), status=201)


class Mode(APIView):
    """The modes of an environment, newest first.

    POST: a stricter mode holds at once (201); a laxer one is proposed (202) and waits for a second
    person, who posts the proposal's id to `second/`.
    """

    actions: ClassVar = {"GET": "model.read", "POST": "environment.manage"}

    def get(self, request: Request, name: str) -> Response:
        environment = get_object_or_404(Environment, name=name)
        rows = environment.settings.select_related("environment", "decided_by", "seconded_by")
        return paged(self, request, rows, describe.setting)

    @extend_schema(
        request=inputs.ModeInput, responses=dict.fromkeys((201, 202), OpenApiTypes.OBJECT)
    )
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        environment = get_object_or_404(Environment, name=name)
        given = validated(inputs.ModeInput, request.data)
        row = services.set_mode(
            environment,
            given["mode"],
            reason=given["reason"],
            position=given.get("position"),
            actor=actor_of(request),
        )
        if isinstance(row, EnvironmentSetting):
            return Response(describe.setting(row), status=201)
        return Response(describe.proposal(row), status=202)


class ModeSecond(APIView):
    actions: ClassVar = {"POST": "environment.manage"}

    @extend_schema(request=inputs.SecondInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        given = validated(inputs.SecondInput, request.data)
        rows = ModeProposal.objects.select_related("environment")
        row = rows.filter(environment__name=name, pk=given["proposal"]).first()
        if row is None:
            raise Invalid("this environment has no such proposal", field="proposal")
        return Response(
            describe.setting(services.second_mode(row, actor=actor_of(request))), status=201
        )


class Deployments(APIView):
    """Deployments, newest first. Filters: environment, model, use, version, kind, artifact_digest, live."""

    actions: ClassVar = {"GET": "model.read", "POST": "deployment.record"}

    def get(self, request: Request) -> Response:
        rows = Deployment.objects.select_related(
            "version__model", "use", "environment", "reported_by"
        )
        rows = visible(rows, reader_of(request), "version__model")
        names = {
            "environment": "environment__name",
            "model": "version__model__name",
            "use": "use__name",
            "kind": "kind",
        }
        wanted = filters(request, *names, "version", "artifact_digest", "live")
        rows = rows.filter(**{names[key]: wanted[key] for key in names if key in wanted})
        if "version" in wanted:
            rows = rows.filter(version__number=whole(wanted["version"], "version"))
        if "artifact_digest" in wanted:
            digest = parse_digest(wanted["artifact_digest"], "artifact_digest")
            rows = rows.filter(artifact_digest=digest)
        if "live" in wanted:
            rows = rows.filter(live_until__isnull=flag(wanted["live"], "live"))
        return paged(self, request, rows, describe.deployment)

    @extend_schema(request=inputs.DeploymentInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        given = validated(inputs.DeploymentInput, request.data)
        version = _version(
            request, given.get("model"), given.get("version"), given["artifact_digest"]
        )
        use = Use.objects.filter(model=version.model, name=given["use"]).first()
        if use is None:
            raise Invalid(f"the model has no use named {given['use']!r}", field="use")
        environment = Environment.objects.filter(name=given["environment"]).first()
        if environment is None:
            raise Invalid(f"no environment is named {given['environment']!r}", field="environment")
        row = services.record_deployment(
            version,
            use=use,
            environment=environment,
            artifact_digest=given["artifact_digest"],
            kind=given["kind"],
            gate_decision_id=given["gate_decision"],
            is_rollback=given["is_rollback"],
            actor=actor_of(request),
        )
        return Response(describe.deployment(row), status=201)


def _version(request: Request, model: str | None, number: int | None, digest: str) -> ModelVersion:
    if model is None:
        if number is not None:
            raise Invalid("a version's number needs its model", field="model")
        found = selectors.find_version(digest, actor=reader_of(request))
    else:
        registered = models_of(request).filter(name=model).first()
        if registered is None:
            raise Invalid(f"no model is named {model!r}", field="model")
        rows = versions_of(registered)
        if number is not None:
            found = rows.filter(number=number).first()
            if found is None:
                raise Invalid(f"the model has no version {number}", field="version")
        else:
            found = rows.filter(artifact_digest=digest).first()
    if found is None:
        raise Invalid("no version has this digest", field="artifact_digest")
    return found


class DeploymentEnd(APIView):
    actions: ClassVar = {"POST": "deployment.record"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, deployment_id: str) -> Response:
        validated(Nothing, request.data)
        rows = visible(Deployment.objects.all(), reader_of(request), "version__model")
        row = get_object_or_404(rows.select_related("version__model"), pk=deployment_id)
        row = services.end_deployment(row, actor=actor_of(request))
        return Response(describe.deployment(row))
