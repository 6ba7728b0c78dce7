"""Policies: what they say, publishing them, and where they govern."""

from typing import ClassVar
from uuid import UUID

from django.db.models import F, OuterRef, Subquery
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from governance.api import review_forms as forms
from governance.api.forms import read_instant
from governance.models import Policy, PolicyBinding, PolicyRevision
from governance.services import policies
from kernel.rest.serializers import Nothing
from monitoring.api.finding import environment_of
from registry.api.base import filters, paged, validated, whole

_REVISIONS = PolicyRevision.objects.select_related("policy", "published_by")
_BINDINGS = PolicyBinding.objects.select_related("policy", "environment")


class Policies(APIView):
    """The policies, each by its newest revision. POST publishes one, or a next revision."""

    actions: ClassVar = {"GET": "model.read", "POST": "policy.publish"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        filters(request)
        newest = PolicyRevision.objects.filter(policy=OuterRef("policy")).order_by("-number")
        rows = _REVISIONS.annotate(newest=Subquery(newest.values("number")[:1]))
        return paged(self, request, rows.filter(number=F("newest")), forms.policy)

    @extend_schema(request=forms.PolicyRequest, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        asked = validated(forms.PolicyRequest, request.data)
        at = asked.get("transition_at")
        revision = policies.publish_policy(
            asked["source"],
            transition=asked["transition"],
            transition_at=read_instant(at, "transition_at") if at else None,
            actor=actor_of(request),
        )
        return Response(_in_full(revision), status=201)


class PolicyDetail(APIView):
    """What a policy says: its newest revision, or the one of `?number=`."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, name: str) -> Response:
        wanted = filters(request, "number")
        rows = _REVISIONS.filter(policy__name=name).order_by("-number")
        if "number" in wanted:
            rows = rows.filter(number=whole(wanted["number"], "number"))
        return Response(_in_full(get_object_or_404(rows[:1])))


class PolicyBindings(APIView):
    """Where and since when a policy governs. POST lets it govern from now on."""

    actions: ClassVar = {"GET": "model.read", "POST": "policy.publish"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, name: str) -> Response:
        filters(request)
        policy = get_object_or_404(Policy, name=name)
        return paged(self, request, _BINDINGS.filter(policy=policy), forms.binding)

    @extend_schema(request=forms.BindingRequest, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        asked = validated(forms.BindingRequest, request.data)
        row = policies.bind_policy(
            get_object_or_404(Policy, name=name),
            environment=environment_of(asked["environment"]),
            tier=asked.get("tier"),
            actor=actor_of(request),
        )
        return Response(forms.binding(_BINDINGS.get(pk=row.pk)), status=201)


class PolicyBindingEnd(APIView):
    actions: ClassVar = {"POST": "policy.publish"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, name: str, id: UUID) -> Response:
        validated(Nothing, request.data)
        row = get_object_or_404(_BINDINGS, policy__name=name, pk=id)
        policies.unbind_policy(row, actor=actor_of(request))
        return Response(forms.binding(_BINDINGS.get(pk=id)))


def _in_full(revision: PolicyRevision) -> dict[str, object]:
    policy = revision.policy
    numbers = list(policy.revisions.order_by("number").values_list("number", flat=True))
    return forms.policy_in_full(revision, _BINDINGS.filter(policy=policy, until=None), numbers)
