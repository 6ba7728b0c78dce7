"""REST: models with their uses, columns, stakeholders and roles; portfolios and legal entities."""

from typing import Any, ClassVar

from django.db.models import Q
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import can
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from kernel.errors import Invalid
from kernel.rest.serializers import Nothing
from registry import services
from registry.api import describe, inputs
from registry.api.base import (
    filters,
    find_model,
    find_use,
    flag,
    models_of,
    named_legal_entity,
    named_portfolio,
    named_user,
    paged,
    reader_of,
    validated,
)
from registry.models import LegalEntity, Portfolio, RegisteredModel, RoleGrant, Stakeholder


class Models(APIView):
    """Models. Filters: kind, portfolio, legal_entity, retired, search (in name and title)."""

    actions: ClassVar = {"GET": "model.read", "POST": "model.register"}

    def get(self, request: Request) -> Response:
        rows = models_of(request)
        wanted = filters(request, "kind", "portfolio", "legal_entity", "retired", "search")
        if "kind" in wanted:
            rows = rows.filter(kind=wanted["kind"])
        if "portfolio" in wanted:
            rows = rows.filter(portfolio__slug=wanted["portfolio"])
        if "legal_entity" in wanted:
            rows = rows.filter(legal_entity__slug=wanted["legal_entity"])
        if "retired" in wanted:
            rows = rows.filter(retired_at__isnull=not flag(wanted["retired"], "retired"))
        if "search" in wanted:
            rows = rows.filter(
                Q(name__icontains=wanted["search"]) | Q(title__icontains=wanted["search"])
            )
        return paged(self, request, rows, describe.model)

    @extend_schema(request=inputs.ModelInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        given = validated(inputs.ModelInput, request.data)
        model = services.register_model(
            given["name"],
            title=given["title"],
            kind=given["kind"],
            description=given.get("description", ""),
            portfolio=named_portfolio(given["portfolio"]),
            legal_entity=named_legal_entity(given["legal_entity"]),
            use=use_record(given["use"], "use."),
            stakeholders=[
                services.StakeholderRecord(**one) for one in given.get("stakeholders", [])
            ],
            columns=given.get("columns"),
            actor=actor_of(request),
        )
        return Response(describe.model_in_full(model), status=201)


def use_record(given: dict[str, Any], path: str = "") -> services.UseRecord:
    entity = named_legal_entity(given["legal_entity"], f"{path}legal_entity")
    return services.UseRecord(**given | {"legal_entity": entity})


class Model(APIView):
    actions: ClassVar = {"GET": "model.read", "PATCH": "model.amend"}

    def get(self, request: Request, name: str) -> Response:
        return Response(describe.model_in_full(find_model(request, name)))

    @extend_schema(request=inputs.ModelChanges, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, name: str) -> Response:
        model = find_model(request, name)
        changes = validated(inputs.ModelChanges, request.data)
        if "legal_entity" in changes:
            changes["legal_entity"] = named_legal_entity(changes["legal_entity"])
        model = services.amend_model(model, changes=changes, actor=actor_of(request))
        return Response(describe.model_in_full(model))


class ModelRetirement(APIView):
    """End a model with all its versions."""

    actions: ClassVar = {"POST": "model.retire"}

    @extend_schema(request=inputs.ReasonInput, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        model = find_model(request, name)
        given = validated(inputs.ReasonInput, request.data)
        model = services.retire_model(model, reason=given["reason"], actor=actor_of(request))
        return Response(describe.model_in_full(model))


class Columns(APIView):
    """What the columns of the model's data mean. POST replaces the mapping as a whole."""

    actions: ClassVar = {"GET": "model.read", "POST": "model.amend"}

    def get(self, request: Request, name: str) -> Response:
        model = find_model(request, name)
        rows = model.column_mappings.order_by("-since")
        return Response(
            {
                "results": [
                    {
                        "id": str(row.pk),
                        "columns": row.columns,
                        "since": describe.instant(row.since),
                        "until": describe.instant(row.until),
                    }
                    for row in rows
                ]
            }
        )

    @extend_schema(request=OpenApiTypes.OBJECT, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        model = find_model(request, name)
        if not isinstance(request.data, dict):
            raise Invalid("expected an object", field="columns")
        row = services.declare_columns(model, request.data, actor=actor_of(request))
        return Response(
            {"id": str(row.pk), "columns": row.columns, "since": describe.instant(row.since)},
            status=201,
        )


class Stakeholders(APIView):
    """Who has an interest in the model."""

    actions: ClassVar = {"GET": "model.read", "POST": "model.amend"}

    def get(self, request: Request, name: str) -> Response:
        rows = find_model(request, name).stakeholders.order_by("id")
        return paged(self, request, rows, describe.stakeholder)

    @extend_schema(request=inputs.StakeholderInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        model = find_model(request, name)
        given = services.StakeholderRecord(**validated(inputs.StakeholderInput, request.data))
        row = services.add_stakeholder(model, given, actor=actor_of(request))
        return Response(describe.stakeholder(row), status=201)


class StakeholderEnd(APIView):
    actions: ClassVar = {"POST": "model.amend"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, name: str, stakeholder_id: str) -> Response:
        rows = Stakeholder.objects.filter(model=find_model(request, name))
        row = get_object_or_404(rows, pk=stakeholder_id)
        validated(Nothing, request.data)
        return Response(
            describe.stakeholder(services.end_stakeholder(row, actor=actor_of(request)))
        )


class Uses(APIView):
    """What a model is used for."""

    actions: ClassVar = {"GET": "model.read", "POST": "model.amend"}

    def get(self, request: Request, name: str) -> Response:
        rows = find_model(request, name).uses.select_related("legal_entity")
        return paged(self, request, rows, describe.use)

    @extend_schema(request=inputs.UseInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        model = find_model(request, name)
        given = validated(inputs.UseInput, request.data)
        if "name" not in given:
            raise Invalid("a further use needs a name", field="name")
        row = services.add_use(model, use_record(given), actor=actor_of(request))
        return Response(describe.use(row), status=201)


class OneUse(APIView):
    actions: ClassVar = {"GET": "model.read", "PATCH": "model.amend"}

    def get(self, request: Request, name: str, use: str) -> Response:
        return Response(describe.use(find_use(request, name, use)))

    @extend_schema(request=inputs.UseChanges, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, name: str, use: str) -> Response:
        row = find_use(request, name, use)
        changes = validated(inputs.UseChanges, request.data)
        if "legal_entity" in changes:
            changes["legal_entity"] = named_legal_entity(changes["legal_entity"])
        row = services.amend_use(row, changes=changes, actor=actor_of(request))
        return Response(describe.use(row))


class UseRetirement(APIView):
    actions: ClassVar = {"POST": "model.amend"}

    @extend_schema(request=inputs.ReasonInput, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, name: str, use: str) -> Response:
        row = find_use(request, name, use)
        given = validated(inputs.ReasonInput, request.data)
        row = services.retire_use(row, reason=given["reason"], actor=actor_of(request))
        return Response(describe.use(row))


class Tiers(APIView):
    """The risk tiers of a use, newest first; POST sets another from now on."""

    actions: ClassVar = {"GET": "model.read", "POST": "tier.set"}

    def get(self, request: Request, name: str, use: str) -> Response:
        rows = find_use(request, name, use).tiers.select_related("set_by")
        return paged(self, request, rows, describe.tier)

    @extend_schema(request=inputs.TierInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, name: str, use: str) -> Response:
        row = find_use(request, name, use)
        given = validated(inputs.TierInput, request.data)
        tier = services.set_tier(
            row, given["tier"], reason=given["reason"], actor=actor_of(request)
        )
        return Response(describe.tier(tier), status=201)


class Grants(APIView):
    """Roles on a model, those that ended too. Filters: user, role, current."""

    actions: ClassVar = {"GET": "model.read", "POST": "grant.manage"}

    def subject(self, request: Request, name: str) -> RegisteredModel | Portfolio:
        return find_model(request, name)

    def get(self, request: Request, name: str) -> Response:
        subject = self.subject(request, name)
        rows = subject.grants.select_related("user", "model", "portfolio")
        wanted = filters(request, "user", "role", "current")
        if "user" in wanted:
            rows = rows.filter(user__username=wanted["user"])
        if "role" in wanted:
            rows = rows.filter(role=wanted["role"])
        if "current" in wanted:
            rows = rows.filter(until__isnull=flag(wanted["current"], "current"))
        return paged(self, request, rows, describe.grant)

    @extend_schema(request=inputs.GrantInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, name: str) -> Response:
        subject = self.subject(request, name)
        given = validated(inputs.GrantInput, request.data)
        user = named_user(given["user"], "user")
        row = services.grant_role(user, given["role"], subject, actor=actor_of(request))
        return Response(describe.grant(row), status=201)


class PortfolioGrants(Grants):
    """Roles on a portfolio: on every model in it."""

    def subject(self, request: Request, name: str) -> RegisteredModel | Portfolio:
        portfolio = get_object_or_404(Portfolio, slug=name)
        if not can(reader_of(request), "model.read", portfolio):
            raise Http404
        return portfolio


class GrantEnd(APIView):
    actions: ClassVar = {"POST": "grant.manage"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, grant_id: str) -> Response:
        validated(Nothing, request.data)
        row = get_object_or_404(
            RoleGrant.objects.select_related("user", "model", "portfolio"), pk=grant_id
        )
        return Response(describe.grant(services.end_role(row, actor=actor_of(request))))


class Portfolios(APIView):
    """Flat groups of models."""

    actions: ClassVar = {"GET": "model.read", "POST": "organisation.manage"}

    def get(self, request: Request) -> Response:
        return paged(self, request, Portfolio.objects.all(), describe.named)

    @extend_schema(request=inputs.NamedInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        given = validated(inputs.NamedInput, request.data)
        row = services.register_portfolio(
            given["slug"], name=given["name"], actor=actor_of(request)
        )
        return Response(describe.named(row), status=201)


class LegalEntities(APIView):
    """Who answers in law for uses."""

    actions: ClassVar = {"GET": "model.read", "POST": "organisation.manage"}

    def get(self, request: Request) -> Response:
        return paged(self, request, LegalEntity.objects.all(), describe.named)

    @extend_schema(request=inputs.NamedInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        given = validated(inputs.NamedInput, request.data)
        row = services.register_legal_entity(
            given["slug"], name=given["name"], actor=actor_of(request)
        )
        return Response(describe.named(row), status=201)
