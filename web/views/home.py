"""What waits for this person, by what they may do."""

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from accounts.web import actor_of
from governance.models import Finding, Incident, Review
from monitoring.models import Breach, CheckRun
from registry.models import ModelVersion
from web import offers
from web.pages import page, seen, show

SHOWN = 8


@page()
def home(request: HttpRequest) -> HttpResponse:
    """Reviews to decide, breaches, incidents, runs under way, versions that nobody submitted."""
    actor = actor_of(request)
    reviews = seen(
        Review.objects.filter(state="open").select_related(
            "version__model", "use", "environment", "submitted_by", "policy_revision"
        ),
        request,
    ).defer("control_results", "signed_document")
    mine, others = offers.split_reviews(list(reviews[:100]), actor)
    breaches = seen(
        Breach.objects.filter(resolved_at=None).select_related("version__model", "environment"),
        request,
    )
    incidents = seen(
        Incident.objects.filter(state__in=["suspected", "confirmed"]).select_related(
            "version__model", "environment"
        ),
        request,
    )
    runs = seen(
        CheckRun.objects.filter(state__in=["queued", "running"])
        .select_related("version__model")
        .defer("mapping", "config", "plots"),
        request,
    )
    unapproved = seen(
        ModelVersion.objects.filter(retired_at=None, model__retired_at=None, approvals=None)
        .filter(~Q(reviews__state="open"))
        .select_related("model", "author")
        .order_by("-registered_at"),
        request,
        "model",
    )
    findings = seen(
        Finding.objects.filter(closed_at=None, owner_id=actor.id).select_related("version__model"),
        request,
    ).order_by("due_at")
    context = {
        "mine": mine[:SHOWN],
        "others": others[:SHOWN],
        "counts": {
            "mine": len(mine),
            "breaches": breaches.count(),
            "incidents": incidents.count(),
            "runs": runs.count(),
            "unapproved": unapproved.count(),
        },
        "breaches": breaches[:SHOWN],
        "incidents": incidents[:SHOWN],
        "runs": runs[:SHOWN],
        "unapproved": unapproved[:SHOWN],
        "findings": findings[:SHOWN],
    }
    return show(request, "home.html", context)
