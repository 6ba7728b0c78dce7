"""The models and what is known of each."""

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.utils.text import slugify

from registry.grants import grants_at
from registry.models import Deployment, RegisteredModel, Use
from web.pages import find, page, paged, seen, show
from web.standings import standings_of_page


@page()
def models(request: HttpRequest) -> HttpResponse:
    """All models that this person may read, searched by name and title."""
    rows = (
        seen(RegisteredModel.objects.all(), request, "")
        .select_related("portfolio", "legal_entity")
        .annotate(
            live=Count(
                "versions__deployments",
                filter=Q(versions__deployments__live_until=None),
                distinct=True,
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
    return show(request, "models/list.html", {"page": found, "asked": asked})


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
        "stakeholders": row.stakeholders.filter(until=None),
        "grants": grants_at(row).order_by("role", "user__name"),
        "page": versions,
        "versions": [(version, standings.get(version.pk, [])) for version in versions],
        "deployments": Deployment.objects.filter(
            version__model=row, live_until=None
        ).select_related("version", "use", "environment"),
    }
    return show(request, "models/model.html", context)


def _tier(use: Use) -> object | None:
    return next((tier for tier in use.tiers.all() if tier.until is None), None)
