"""What was decided about the version, for the use, in the environment, by the cut-off."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from governance import facts as governance_facts
from governance.controls.results import ControlResult, Status
from governance.gate import Question
from governance.models import (
    Approval,
    Dossier,
    Finding,
    Review,
    Signature,
    Validation,
    Waiver,
)
from governance.standing import StandingReport, report
from kernel.canonical import is_number
from kernel.moments import rfc3339
from registry.models import Environment, ModelVersion, Use
from reports import bundle_schema as schema
from reports import numbers
from reports.gathering.index import Cited, EvidenceIndex, who


@dataclass(frozen=True)
class Place:
    """What everything here is about, and the instant for which it is told."""

    version: ModelVersion
    use: Use
    environment: Environment
    at: datetime

    @property
    def rows(self) -> dict[str, UUID]:
        return {
            "version": self.version.pk,
            "use": self.use.pk,
            "environment": self.environment.pk,
        }


def instant_by(moment: datetime | None, at: datetime | None = None) -> str | None:
    """As text; an instant after `at` is not known yet."""
    return rfc3339(moment) if moment and (at is None or moment <= at) else None


def standing_and_policy(
    place: Place, index: EvidenceIndex
) -> tuple[schema.Standing, schema.Policy | None, schema.Dossier | None]:
    """The standing, the controls judged on what it rests on, and the dossier that it rests on."""
    version = place.version
    question = Question(
        environment=place.environment.name,
        model=version.model.name,
        number=version.number,
        use=place.use.name,
    )
    collected = governance_facts.collect(question, [version], place.at)
    assert collected.facts.standing is not None
    found = report(collected.facts.standing, place.at)
    standing: schema.Standing = {
        "environment": place.environment.name,
        "state": str(found.standing),
        "reason": found.reason,
    }
    dossier = _dossier(collected.dossier, found, index)
    row, in_force = collected.policy_revision, collected.facts.policy
    if row is None or in_force is None:
        return standing, None, dossier
    ref = index.cite(
        Cited(
            "policy",
            f"{row.policy.name} revision {row.number}",
            "policy",
            str(row.pk),
            row.digest,
            row.published_at,
            who(row.published_by),
            logged_as=str(row.policy_id),
            matching=(("digest", row.digest),),
        )
    )
    waived = _waived(place)
    policy: schema.Policy = {
        "ref": ref,
        "name": row.policy.name,
        "revision": row.number,
        "digest": row.digest,
        "published_at": rfc3339(row.published_at),
        "judged_at": rfc3339(place.at),
        "controls": [_control(result, index, ref, waived) for result in in_force.judge(place.at)],
    }
    return standing, policy, dossier


def _dossier(digest: str, found: StandingReport, index: EvidenceIndex) -> schema.Dossier | None:
    row = Dossier.objects.filter(digest=digest).first() if digest else None
    if row is None:
        return None
    review = Review.objects.filter(dossier=row).select_related("submitted_by").first()
    ref = index.cite(
        Cited(
            "dossier",
            f"facts of revision {row.revision}",
            "review",
            row.digest,
            row.digest,
            row.frozen_at,
            who(review.submitted_by if review else None),
            logged_as=str(review.pk) if review else "",
        )
    )
    return {"ref": ref, "digest": row.digest, "frozen_at": rfc3339(row.frozen_at)}


def _active(place: Place) -> QuerySet[Waiver]:
    return Waiver.objects.filter(**place.rows, granted_at__lte=place.at)


def _waived(place: Place) -> dict[str, UUID]:
    """The waiver that covers each control at the cut-off."""
    covering: dict[str, UUID] = {}
    for row in _active(place).filter(ends_at__gt=place.at).order_by("granted_at"):
        if row.ended_at is None or row.ended_at > place.at:
            covering.update(dict.fromkeys(row.controls, row.pk))
    return covering


def _control(
    result: ControlResult, index: EvidenceIndex, policy_ref: str, waived: Mapping[str, UUID]
) -> schema.ControlResult:
    cited = [ref for ref in map(index.ref_of, result.evidence) if ref]
    holds = result.status in (Status.PASS, Status.WAIVED)
    verdict: schema.Verdict = (
        "pass" if holds else "fail" if result.status is Status.FAIL else "insufficient"
    )
    waiver = "" if holds else index.ref_of(waived.get(result.control, ""))
    return {
        "control": result.control,
        "sentence": result.sentence,
        "verdict": verdict,
        "mode": str(result.mode),
        "reason": result.reason,
        "figures": [figure_of(one, cited, index, policy_ref) for one in result.figures],
        "clauses": [result.clause] if result.clause else [],
        "waiver": waiver,
    }


def figure_of(
    seen: Mapping[str, Any], cited: list[str], index: EvidenceIndex, fallback: str
) -> schema.ControlFigure:
    """A figure of a control. Without a run of its own it rests on the control's evidence, or on the
    policy, under which it was judged."""
    unit = str(seen.get("unit") or "")
    ref = index.ref_of(seen.get("run", "")) or (cited[0] if cited else fallback)
    value = seen.get("value")
    limits = [
        f"{word} {_bound(seen[name], unit)}"
        for name, word in (("at_least", "at least"), ("at_most", "at most"), ("limit", ""))
        if seen.get(name) is not None
    ]
    return {
        "name": str(seen.get("label", "")),
        "value": value if value is None or is_number(value) else str(value),
        "lower": _number(seen.get("lower")),
        "upper": _number(seen.get("upper")),
        "n": seen.get("n") if isinstance(seen.get("n"), int) else None,
        "limit": numbers.listing([one.strip() for one in limits]),
        "unit": unit,
        "ref": ref,
    }


def _bound(value: object, unit: str) -> str:
    if isinstance(value, int | float) and is_number(value):
        return numbers.figure(value, "count" if isinstance(value, int) else unit)
    return str(value)


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and is_number(value) else None


def validations(place: Place, index: EvidenceIndex) -> list[schema.Validation]:
    rows = Validation.objects.filter(
        version=place.version, use=place.use, written_at__lte=place.at
    ).order_by("written_at", "pk")
    return [_validation(row, place, index) for row in rows]


def _validation(row: Validation, place: Place, index: EvidenceIndex) -> schema.Validation:
    ref = index.cite(
        Cited(
            "validation",
            f"by {row.validator_name}",
            "validation",
            str(row.pk),
            row.dossier_id,
            row.written_at,
            row.validator_name,
        )
    )
    found = row.findings.filter(opened_at__lte=place.at).order_by("opened_at", "pk")
    return {
        "ref": ref,
        "by": row.validator_name,
        "at": rfc3339(row.written_at),
        "rating": row.rating,
        "scope": row.scope,
        "conclusion": row.conclusion,
        "limitations": row.limitations,
        "findings": [_cite_finding(one, index) for one in found],
    }


def _cite_finding(row: Finding, index: EvidenceIndex) -> str:
    return index.cite(
        Cited("finding", row.title, "finding", str(row.pk), "", row.opened_at, who(row.owner))
    )


def findings(place: Place, index: EvidenceIndex) -> list[schema.Finding]:
    rows = Finding.objects.filter(version=place.version, opened_at__lte=place.at).order_by(
        "opened_at", "pk"
    )
    found: list[schema.Finding] = []
    for row in rows.select_related("owner"):
        closed = instant_by(row.closed_at, place.at)
        found.append(
            {
                "ref": _cite_finding(row, index),
                "title": row.title,
                "severity": row.severity,
                "state": "closed" if closed else "open",
                "owner": str(row.owner) if row.owner else "",
                "opened_at": rfc3339(row.opened_at),
                "due": instant_by(row.due_at),
                "closed_at": closed,
            }
        )
    return found


def signatures(place: Place, index: EvidenceIndex) -> list[schema.Signature]:
    rows = Signature.objects.filter(
        review__in=Review.objects.filter(**place.rows), signed_at__lte=place.at
    ).order_by("signed_at", "pk")
    found: list[schema.Signature] = []
    for row in rows.select_related("reauthentication"):
        ref = index.cite(
            Cited(
                "signature",
                f"{row.name}, {row.role.replace('_', ' ')}",
                "review",
                str(row.pk),
                row.signed_digest,
                row.signed_at,
                row.name,
                "governance.review.signed",
                logged_as=str(row.review_id),
                matching=(("signature", str(row.pk)),),
            )
        )
        found.append(
            {
                "ref": ref,
                "name": row.name,
                "role": row.role,
                "decision": row.decision,
                "meaning": row.meaning,
                "at": rfc3339(row.signed_at),
                "method": row.reauthentication.get_method_display().lower(),
                "signed_digest": row.signed_digest,
                "reason": row.reason,
            }
        )
    return found


def approvals(
    place: Place, standing: schema.Standing, index: EvidenceIndex
) -> list[schema.Approval]:
    """Every approval, oldest first; the newest one alone can be in force."""
    rows = list(
        Approval.objects.filter(**place.rows, granted_at__lte=place.at)
        .select_related("policy_revision")
        .order_by("granted_at", "pk")
    )
    counts = standing["state"] in ("approved", "conditional", "grandfathered")
    found: list[schema.Approval] = []
    for row in rows:
        newest = row is rows[-1]
        ref = index.cite(
            Cited(
                "approval",
                f"for {place.use.name} in {place.environment.name}",
                "approval",
                str(row.pk),
                row.signed_digest,
                row.granted_at,
                "the quorum of its review",
            )
        )
        conditions = row.conditions.filter(opened_at__lte=place.at).order_by("opened_at", "pk")
        found.append(
            {
                "ref": ref,
                "use": place.use.name,
                "environment": place.environment.name,
                "conditional": row.is_conditional,
                "revision": row.revision,
                "policy_revision": row.policy_revision.number,
                "granted_at": rfc3339(row.granted_at),
                "valid_until": rfc3339(row.valid_until),
                "conditions": [one.title for one in conditions],
                "in_force": newest and counts,
                "ended": ""
                if newest and counts
                else standing["reason"]
                if newest
                else "a newer one took its place",
            }
        )
    return found


def waivers(place: Place, index: EvidenceIndex) -> list[schema.Waiver]:
    rows = _active(place).select_related("requested_by", "granted_by").order_by("granted_at", "pk")
    found: list[schema.Waiver] = []
    for row in rows:
        assert row.granted_at is not None
        ref = index.cite(
            Cited(
                "waiver",
                numbers.listing(row.controls),
                "waiver",
                str(row.pk),
                "",
                row.granted_at,
                who(row.granted_by),
            )
        )
        ended = row.ended_at if row.ended_at and row.ended_at <= place.at else row.ends_at
        found.append(
            {
                "ref": ref,
                "controls": list(row.controls),
                "reason": row.reason,
                "compensating": row.compensating_control,
                "requested_by": who(row.requested_by),
                "seconded_by": who(row.granted_by),
                "since": rfc3339(row.granted_at),
                "until": rfc3339(min(ended, row.ends_at)),
            }
        )
    return found
