"""The models and what is known of each."""

from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.text import slugify

from accounts.access import can
from accounts.models import Role
from accounts.web import actor_of
from governance.models import Review, Suspension
from registry.grants import grants_at
from registry.models import Deployment, RegisteredModel, RoleGrant, Use, UseTier
from web.pages import find, page, paged, seen, show
from web.standings import standings_of_page
from web.views.declarations import attributes


@page()
def models(request: HttpRequest) -> HttpResponse:
    """All models that this person may read, searched by name and title."""
    rows = (
        seen(RegisteredModel.objects.all(), request, "")
        .select_related("portfolio", "legal_entity")
        .annotate(
            breaches=Count(
                "versions__breaches", filter=Q(versions__breaches__resolved_at=None), distinct=True
            ),
            suspended=Exists(Suspension.objects.filter(version__model=OuterRef("pk"), until=None)),
            reviewed=Exists(Review.objects.filter(version__model=OuterRef("pk"), state="open")),
            tier=Subquery(
                UseTier.objects.filter(use__model=OuterRef("pk"), use__retired_at=None, until=None)
                .order_by("tier")
                .values("tier")[:1]
            ),
        )
    )
    asked = request.GET.get("q", "").strip()
    if asked:
        rows = rows.filter(
            Q(name__icontains=slugify(asked) or asked)
            | Q(title__icontains=asked)
            | Q(description__icontains=asked)
        )
    found = paged(request, rows.order_by("title", "name"))
    live = Deployment.objects.filter(version__model__in=list(found), live_until=None)
    by_model: dict[object, list[Deployment]] = {}
    for row in live.select_related("version", "environment"):
        by_model.setdefault(row.version.model_id, []).append(row)
    context = {
        "page": found,
        "asked": asked,
        "rows": [(one, by_model.get(one.pk, [])) for one in found],
    }
    return show(request, "models/list.html", context)


@page()
def model(request: HttpRequest, name: str) -> HttpResponse:
    """One model: its uses, who answers for it, its versions with their standing, what is live."""
    row = find(
        RegisteredModel.objects.select_related("portfolio", "legal_entity", "created_by"),
        request,
        "",
        name=name,
    )
    versions = paged(
        request,
        row.versions.select_related("author").order_by("-number"),
        10,
    )
    standings = standings_of_page(list(versions))
    uses = Use.objects.filter(model=row).select_related("legal_entity").prefetch_related("tiers")
    context = {
        "model": row,
        "uses": [(use, _tier(use)) for use in uses],
        "attributes": attributes(request, row),
        "may_declare": can(actor_of(request), "groups.declare", row),
        "stakeholders": row.stakeholders.filter(until=None),
        "roles": _roles(row),
        "page": versions,
        "versions": [(version, standings.get(version.pk, [])) for version in versions],
        "deployments": Deployment.objects.filter(
            version__model=row, live_until=None
        ).select_related("version", "use", "environment"),
    }
    return show(request, "models/model.html", context)


def _roles(model: RegisteredModel) -> list[tuple[str, list[RoleGrant]]]:
    """Who holds which role on this model, directly or by its portfolio."""
    held: dict[str, list[RoleGrant]] = {}
    for grant in grants_at(model).order_by("user__name"):
        held.setdefault(grant.role, []).append(grant)
    return [(role.label, held[role]) for role in Role if role in held]


def _tier(use: Use) -> object | None:
    return next((tier for tier in use.tiers.all() if tier.until is None), None)
