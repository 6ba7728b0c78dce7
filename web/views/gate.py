"""What the gate answered, to whom, and why."""

import json
from uuid import UUID

from django.http import HttpRequest, HttpResponse

from accounts.access import roles_of
from accounts.web import actor_of
from governance.models import GateDecision
from registry.models import Environment
from web.pages import find, page, paged, seen, show

ANSWERS = GateDecision.Answer.values


@page()
def decisions(request: HttpRequest) -> HttpResponse:
    """Newest first; decisions about an unknown digest show to those who read the whole organisation."""
    rows = GateDecision.objects.select_related("version__model", "environment", "asked_by").defer(
        "attestation", "reasons"
    )
    if not roles_of(actor_of(request).id):
        rows = seen(rows, request)
    answer, environment = request.GET.get("answer", ""), request.GET.get("environment", "").strip()
    if answer in ANSWERS:
        rows = rows.filter(answer=answer)
    if environment:
        rows = rows.filter(asked_environment=environment)
    context = {
        "page": paged(request, rows, 50),
        "answer": answer,
        "environment": environment,
        "answers": GateDecision.Answer.choices,
        "environments": Environment.objects.order_by("title").values_list("name", "title"),
    }
    return show(request, "gate/list.html", context)


def _find(request: HttpRequest, decision_id: UUID) -> GateDecision:
    rows = GateDecision.objects.select_related(
        "version__model", "use", "environment", "policy_revision__policy", "asked_by"
    )
    return find(rows, request, pk=decision_id)


@page()
def decision(request: HttpRequest, decision_id: UUID) -> HttpResponse:
    row = _find(request, decision_id)
    stopping = [
        one
        for one in row.reasons
        if one["mode"] == "block" and one["status"] not in ("pass", "waived")
    ]
    return show(request, "gate/decision.html", {"decision": row, "stopping": stopping})


@page()
def attestation(request: HttpRequest, decision_id: UUID) -> HttpResponse:
    """The DSSE envelope as a file, byte for byte what the pipeline got as JSON."""
    row = _find(request, decision_id)
    response = HttpResponse(
        json.dumps(row.attestation), content_type="application/vnd.dsse.envelope.v1+json"
    )
    response["Content-Disposition"] = f'attachment; filename="gate-decision-{row.pk}.dsse.json"'
    return response
