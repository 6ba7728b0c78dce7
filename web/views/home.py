"""What waits for this person, and what their roles make them answer for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.models import ApiToken, OrganisationRole, Role, User
from accounts.web import actor_of
from audit.actor import Actor
from audit.status import current
from governance.models import Finding, GateDecision, Incident, RetrainingRequest, Review, Waiver
from kernel.moments import now
from monitoring.models import Breach, CheckRun
from registry.models import Deployment, ModelVersion, RoleGrant
from reports import selectors as reports
from web import offers
from web.pages import page, seen, show
from web.roles import held_by
from web.standings import standings_of_page

SHOWN = 6
SIGNING = {Role.OWNER, Role.VALIDATOR, Role.RISK_OFFICER}
OPEN_INCIDENT = ("suspected", "confirmed")


@dataclass(frozen=True)
class _Home:
    request: HttpRequest
    actor: Actor

    def see(self, rows: QuerySet[Any], path: str = "version__model") -> QuerySet[Any]:
        return seen(rows, self.request, path)


@page()
def home(request: HttpRequest) -> HttpResponse:
    """Reviews, breaches and incidents for everybody; then what each role of this person looks after."""
    place = _Home(request, actor_of(request))
    held = held_by(place.actor.id)
    mine, others = _reviews(place)
    context: dict[str, Any] = {"mine": mine[:SHOWN], "others": others[:SHOWN], **_production(place)}
    sections: list[tuple[set[Role], Callable[[_Home], dict[str, Any]]]] = [
        ({Role.DEVELOPER}, _developing),
        (SIGNING | {Role.DEVELOPER}, _answering),
        ({Role.OPERATOR, Role.OWNER}, _operating),
        ({Role.RISK_OFFICER, Role.AUDITOR}, _auditing),
        ({Role.ADMINISTRATOR}, _administering),
    ]
    for roles, section in sections:
        if held & roles:
            context |= section(place)
    if held & {Role.AUDITOR, Role.ADMINISTRATOR}:
        context["log"] = current()
    context["signs"] = bool(held & SIGNING) or bool(mine)
    context["counts"] |= {"mine": len(mine), "others": len(others)}
    return show(request, "home.html", context)


def _reviews(place: _Home) -> tuple[list[Review], list[Review]]:
    rows = place.see(
        Review.objects.filter(state="open").select_related(
            "version__model", "use", "environment", "submitted_by", "policy_revision"
        )
    ).defer("control_results", "signed_document")
    return offers.split_reviews(list(rows[:100]), place.actor)


def _production(place: _Home) -> dict[str, Any]:
    breaches = place.see(
        Breach.objects.filter(resolved_at=None).select_related("version__model", "environment")
    )
    incidents = place.see(
        Incident.objects.filter(state__in=OPEN_INCIDENT).select_related(
            "version__model", "environment"
        )
    )
    live = place.see(
        Deployment.objects.filter(live_until=None).select_related("version__model", "environment")
    )
    counts = {
        "breaches": breaches.count(),
        "incidents": incidents.count(),
        "live": live.count(),
    }
    return {"breaches": breaches[:SHOWN], "incidents": incidents[:SHOWN], "counts": counts}


def _developing(place: _Home) -> dict[str, Any]:
    """One's own versions with where they stand, checks under way, and what should be trained anew."""
    versions = list(
        place.see(
            ModelVersion.objects.filter(retired_at=None)
            .filter(Q(author_id=place.actor.id) | Q(registered_by_id=place.actor.id))
            .select_related("model", "author")
            .annotate(
                in_review=Exists(Review.objects.filter(version=OuterRef("pk"), state="open")),
                findings_open=Count("findings", filter=Q(findings__closed_at=None), distinct=True),
            )
            .order_by("-registered_at"),
            "model",
        )[:SHOWN]
    )
    runs = place.see(
        CheckRun.objects.filter(
            Q(state__in=["queued", "running"])
            | Q(state="failed", finished_at__gte=now() - timedelta(days=7))
        )
        .filter(purpose=CheckRun.Purpose.VALIDATION)
        .select_related("version__model")
        .defer("mapping", "config", "plots")
    )
    asked = place.see(
        RetrainingRequest.objects.filter(answered_by=None).select_related("version__model")
    )
    return {
        "developing": True,
        "versions": [(one, standings_of_page([one]).get(one.pk, [])) for one in versions],
        "runs": runs[:SHOWN],
        "retraining": asked[:SHOWN],
    }


def _answering(place: _Home) -> dict[str, Any]:
    """Findings that one owns, and waivers that wait for a second person."""
    findings = place.see(
        Finding.objects.filter(closed_at=None, owner_id=place.actor.id).select_related(
            "version__model"
        )
    ).order_by("due_at")
    waivers = place.see(
        Waiver.objects.filter(granted_at=None, ended_at=None).select_related(
            "version__model", "environment", "requested_by"
        )
    )
    return {"findings": findings[:SHOWN], "waivers": waivers[:SHOWN]}


def _decisions(place: _Home) -> QuerySet[GateDecision]:
    rows: QuerySet[GateDecision] = place.see(
        GateDecision.objects.select_related("version__model", "asked_by").defer(
            "attestation", "reasons"
        )
    )
    return rows.order_by("-decided_at")[:SHOWN]


def _operating(place: _Home) -> dict[str, Any]:
    live = place.see(
        Deployment.objects.filter(live_until=None).select_related("version__model", "environment")
    )
    return {"decisions": _decisions(place), "live": live[:SHOWN]}


def _auditing(place: _Home) -> dict[str, Any]:
    issued = reports.visible_reports(place.actor).filter(state="issued")
    return {"decisions": _decisions(place), "reports": issued[:SHOWN]}


def _administering(place: _Home) -> dict[str, Any]:
    """Who cannot do anything yet, and which pipeline's token will stop working."""
    held = [
        Exists(table.objects.filter(user=OuterRef("pk"), until=None))
        for table in (OrganisationRole, RoleGrant)
    ]
    idle = User.objects.filter(is_active=True).filter(~held[0], ~held[1]).order_by("name")
    ending = ApiToken.objects.filter(
        revoked_at=None, expires_at__gte=now(), expires_at__lt=now() + timedelta(days=45)
    ).select_related("user")
    return {
        "administering": True,
        "idle": idle[:SHOWN],
        "ending": ending.filter(user__kind=User.Kind.SERVICE).order_by("expires_at")[:SHOWN],
    }
