"""What happened to the version in the place: breaches, suspensions, incidents, gate, deployments."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q

from governance.models import GateDecision, Incident, Suspension
from kernel.canonical import sha256_hex
from kernel.moments import rfc3339
from monitoring.metrics import spoken
from monitoring.models import Breach
from registry.models import Deployment
from reports import bundle_schema as schema
from reports.gathering.decided import Place, figure_of, instant_by
from reports.gathering.index import Cited, EvidenceIndex, who

MOST_DECISIONS = 50


def _event(
    place: Place,
    index: EvidenceIndex,
    cited: Cited,
    what: str,
    *,
    until: datetime | None,
    is_open: bool,
    detail: str,
    figures: Iterable[schema.ControlFigure] = (),
) -> schema.Event:
    return {
        "ref": index.cite(cited),
        "what": what,
        "at": rfc3339(cited.at),
        "until": instant_by(until, place.at),
        "open": is_open,
        "place": place.environment.name,
        "detail": detail,
        "by": cited.by,
        "figures": list(figures),
    }


def breaches(place: Place, index: EvidenceIndex) -> list[schema.Event]:
    rows = Breach.objects.filter(**place.rows, opened_at__lte=place.at).order_by("opened_at", "pk")
    return [_breach(row, place, index) for row in rows.select_related("monitor", "run")]


def _breach(row: Breach, place: Place, index: EvidenceIndex) -> schema.Event:
    cited = Cited("breach", row.limit_key, "breach", str(row.pk), "", row.opened_at, "the service")
    ref = index.cite(cited)
    detail = row.detail
    limit = detail.get("limit") or {}
    seen = {
        "label": spoken(row.metric),
        "value": detail.get("value"),
        "lower": detail.get("lower"),
        "upper": detail.get("upper"),
        "n": detail.get("n"),
        "run": str(row.run_id or ""),
        "at_most" if limit.get("op") == "<=" else "at_least": limit.get("value"),
    }
    resolved = instant_by(row.resolved_at, place.at)
    told = f"Resolved: {row.resolution}" if resolved else str(detail.get("reason") or "")
    return _event(
        place,
        index,
        cited,
        f"{row.metric.replace('_', ' ')}, found by {row.monitor.name}",
        until=row.resolved_at,
        is_open=resolved is None,
        detail=told,
        figures=[figure_of(seen, [], index, ref)] if detail.get("value") is not None else [],
    )


def suspensions(place: Place, index: EvidenceIndex) -> list[schema.Event]:
    rows = Suspension.objects.filter(**place.rows, since__lte=place.at).order_by("since", "pk")
    return [
        _event(
            place,
            index,
            Cited(
                "suspension",
                row.get_effect_display(),
                "suspension",
                str(row.pk),
                "",
                row.since,
                who(row.suspended_by),
            ),
            row.get_effect_display(),
            until=row.until,
            is_open=instant_by(row.until, place.at) is None,
            detail=row.reason,
        )
        for row in rows.select_related("suspended_by")
    ]


def incidents(place: Place, index: EvidenceIndex) -> list[schema.Event]:
    rows = Incident.objects.filter(**place.rows, opened_at__lte=place.at).order_by(
        "opened_at", "pk"
    )
    return [_incident(row, place, index) for row in rows.select_related("classified_by")]


def _incident(row: Incident, place: Place, index: EvidenceIndex) -> schema.Event:
    title = row.get_state_display() + (f": {row.incident_class}" if row.incident_class else "")
    by = who(row.classified_by)
    cited = Cited("incident", title, "incident", str(row.pk), "", row.opened_at, by)
    aware = f" Aware since {rfc3339(row.aware_at)}." if row.aware_at else ""
    return _event(
        place,
        index,
        cited,
        title,
        until=row.closed_at,
        is_open=row.state in (Incident.State.SUSPECTED, Incident.State.CONFIRMED),
        detail=row.summary + aware,
    )


def gate_decisions(place: Place, index: EvidenceIndex) -> tuple[list[schema.Event], int]:
    """The newest decisions, oldest of them first, and how many older ones there are."""
    rows = GateDecision.objects.filter(
        Q(use=place.use) | Q(use=None),
        version=place.version,
        environment=place.environment,
        decided_at__lte=place.at,
    ).order_by("-decided_at", "-pk")
    newest = list(rows.select_related("asked_by")[:MOST_DECISIONS])[::-1]
    return [_decision(row, place, index) for row in newest], rows.count() - len(newest)


def _decision(row: GateDecision, place: Place, index: EvidenceIndex) -> schema.Event:
    payload = str(row.attestation.get("payload", ""))
    cited = Cited(
        "gate decision",
        row.answer,
        "gate_decision",
        str(row.pk),
        sha256_hex(payload.encode()) if payload else "",
        row.decided_at,
        who(row.asked_by),
    )
    return _event(
        place,
        index,
        cited,
        f"{row.answer} ({row.verdict})",
        until=None,
        is_open=False,
        detail=f"{row.summary} Mode {row.mode}, standing {row.standing.replace('_', ' ')}.",
    )


def deployments(place: Place, index: EvidenceIndex) -> list[schema.Event]:
    rows = Deployment.objects.filter(**place.rows, live_from__lte=place.at).order_by(
        "live_from", "pk"
    )
    return [_deployment(row, place, index) for row in rows.select_related("reported_by")]


def _deployment(row: Deployment, place: Place, index: EvidenceIndex) -> schema.Event:
    cited = Cited(
        "deployment",
        f"{row.kind} in {place.environment.name}",
        "deployment",
        str(row.pk),
        row.artifact_digest,
        row.live_from,
        who(row.reported_by),
    )
    asked = index.ref_of(row.gate_decision_id) if row.gate_decision_id else ""
    if row.gate_decision_id is None:
        told = "without asking the gate"
    else:
        told = f"after gate decision {asked or 'that is not listed here'}"
    return _event(
        place,
        index,
        cited,
        row.kind + (", rollback" if row.is_rollback else ""),
        until=row.live_until,
        is_open=instant_by(row.live_until, place.at) is None,
        detail=f"Deployed {told}.",
    )
