"""Validations: what an independent validator found out, on the dossier of a review."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from accounts.access import require
from accounts.models import User
from audit.actor import Actor
from audit.writing import write
from governance import situations
from governance.models import Finding, Review, Validation
from governance.services.findings import start_finding
from governance.services.places import note, place_of
from governance.services.reviews import lock_review
from governance.transitions import Action
from kernel.errors import Invalid
from registry import demands
from registry.services import tick


@dataclass(frozen=True, kw_only=True)
class FindingRecord:
    """Something that must be done about the version: by whom, until when."""

    title: str
    detail: str
    severity: str
    owner: User
    due_at: datetime


@write
def write_validation(
    review: Review,
    *,
    scope: str,
    rating: str,
    conclusion: str,
    limitations: str = "",
    findings: Sequence[FindingRecord] = (),
    actor: Actor,
) -> Validation:
    """Put a validation on record. The newest one of a dossier counts.

    Raises:
        Refused: `not_independent`: the author, the submitter and the last editor do not validate.
        RefusedConflict: `superseded`, `wrong_state`.
    """
    require(actor, "validation.write", review)
    demands.choice(rating, Validation.Rating.values, "rating")
    scope = demands.text(scope, "scope")
    conclusion = demands.text(conclusion, "conclusion")
    limitations = demands.optional_text(limitations, "limitations")
    review = lock_review(review.pk)
    at = tick(review.version)
    _demand_findings(findings, rating, at)
    situations.demand(Action.VALIDATE, situations.of_review(review, actor, at), review)
    validator = User.objects.get(pk=actor.id)
    validation = Validation.objects.create(
        version=review.version,
        use=review.use,
        dossier=review.dossier,
        scope=scope,
        rating=rating,
        conclusion=conclusion,
        limitations=limitations,
        validator=validator,
        validator_name=validator.name,
        written_at=at,
    )
    opened = [_open(validation, one, at=at, actor=actor) for one in findings]
    note(
        "governance.validation.written",
        validation,
        review.version,
        actor=actor,
        at=at,
        public={
            **place_of(review),
            "review": review.pk,
            "dossier": review.dossier_id,
            "rating": rating,
            "findings": opened,
        },
        private={
            "validator": validator.name,
            "scope": scope,
            "conclusion": conclusion,
            "limitations": limitations,
        },
    )
    return validation


def _open(validation: Validation, record: FindingRecord, *, at: datetime, actor: Actor) -> UUID:
    row = start_finding(
        validation.version,
        title=record.title,
        detail=record.detail,
        severity=record.severity,
        owner=record.owner,
        due_at=record.due_at,
        at=at,
        actor=actor,
        validation=validation,
    )
    return row.pk


def _demand_findings(findings: Sequence[FindingRecord], rating: str, at: datetime) -> None:
    """Raises: Invalid naming the field, as `findings[0].due_at`."""
    if findings and rating == Validation.Rating.SATISFACTORY:
        raise Invalid("with findings it is not simply satisfactory", field="rating")
    if not findings and rating == Validation.Rating.SATISFACTORY_WITH_FINDINGS:
        raise Invalid("name at least one finding, or rate it otherwise", field="findings")
    for index, one in enumerate(findings):
        here = f"findings[{index}]"
        demands.text(one.title, f"{here}.title", longest=200)
        demands.text(one.detail, f"{here}.detail")
        demands.choice(one.severity, Finding.Severity.values, f"{here}.severity")
        if one.due_at <= at:
            raise Invalid("expected an instant in the future", field=f"{here}.due_at")
        if not one.owner.is_active or one.owner.kind != User.Kind.PERSON:
            raise Invalid("the owner must be an active person", field=f"{here}.owner")
