"""Submitting a version for review, and how a review ends other than by signatures."""

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from accounts.access import require
from audit.actor import Actor
from audit.models import Entry
from audit.writing import Refused, write
from governance import dossiers, selectors, situations
from governance.controls.judging import judge
from governance.controls.results import blocking
from governance.facts import policy_document
from governance.models import Review
from governance.services.loop import SYSTEM
from governance.services.places import demand_use, note, place_of
from governance.transitions import Action, State, following
from kernel import canonical
from registry import demands
from registry.models import Environment, ModelVersion, Use
from registry.services import freeze, lock_version, reopen_version, tick

# What raises the revision of versions, or ends them, so that reviews of what was before are stale.
RAISING = (
    "registry.version.amended",
    "registry.version.reopened",
    "registry.version.retired",
    "registry.model.amended",
    "registry.model.retired",
    "registry.use.amended",
    "registry.tier.set",
    "registry.columns.declared",
)
_ROWS = Review.objects.select_related(
    "version__model", "use", "environment", "policy_revision__policy", "dossier"
)


@write
def submit(
    version: ModelVersion, *, use: Use, environment: Environment, statement: str = "", actor: Actor
) -> Review:
    """Ask that a version may be used for a use in an environment. Freezes it and its dossier.

    Controls are judged by the policy in force, and what is signed is fixed. A version on which blocking
    controls fail can be submitted, so that people see it; it cannot be approved.

    Raises:
        RefusedConflict: `no_policy`, `review_open`, `use_retired`, `wrong_state`.
    """
    require(actor, "version.submit", version)
    demand_use(version, use)
    text = demands.optional_text(statement, "note", longest=5000)
    version = lock_version(version.pk)
    at = tick(version)
    situation = situations.of_version(version, actor, at, use=use, environment=environment)
    situations.demand(Action.SUBMIT, situation, version)
    for stale in _open(version).filter(use=use, environment=environment).order_by("pk"):
        _supersede(stale, at=at, actor=actor)
    if version.frozen_at is None:
        freeze(version, at)
    revision = selectors.policy_revision_of(version, use, environment, at)
    assert revision is not None
    dossier = dossiers.freeze(version, use, at)
    facts = dossiers.facts(version, use, environment, dossier.digest)
    policy = policy_document(revision)
    results = judge(policy, facts, at)
    results = situations.waived(results, policy, version, use, environment, at)
    document = dossiers.signed_document(dossier, use, environment, revision, results)
    review = Review.objects.create(
        version=version,
        use=use,
        environment=environment,
        revision=version.revision,
        dossier=dossier,
        policy_revision=revision,
        control_results=[result.to_json() for result in results],
        signed_digest=canonical.sha256_hex(document),
        signed_document=document,
        note=text,
        submitted_by_id=actor.id,
        submitted_at=at,
    )
    note(
        "governance.review.opened",
        review,
        version,
        actor=actor,
        at=at,
        public={
            **place_of(review),
            "revision": review.revision,
            "dossier": dossier.digest,
            "policy": revision.policy.name,
            "policy_revision": revision.number,
            "policy_digest": revision.digest,
            "signed_digest": review.signed_digest,
            "failing": [result.control for result in blocking(results)],
        },
        private={"note": text},
    )
    return review


@write
def withdraw_review(review: Review, *, reason: str, actor: Actor) -> Review:
    """Take a request back. The version stays frozen until it is reopened."""
    require(actor, "review.withdraw", review)
    reason = demands.text(reason, "reason")
    review = lock_review(review.pk)
    at = tick(review.version)
    situations.demand(Action.WITHDRAW, situations.of_review(review, actor, at), review)
    close(review, Action.WITHDRAW, at=at, actor=actor, reason=reason)
    return review


def lock_review(review_id: UUID) -> Review:
    """Lock the version, then the review, and return it as it is now."""
    version = lock_version(Review.objects.values_list("version_id", flat=True).get(pk=review_id))
    review = _ROWS.select_for_update(of=("self",)).get(pk=review_id)
    review.version = version
    return review


def close(review: Review, action: Action, *, at: datetime, actor: Actor, reason: str = "") -> None:
    """End a locked review as the table says. A step inside a write."""
    after = following(State(review.state), action)
    review.state, review.closed_at, review.closing_note = after.value, at, reason
    review.save(update_fields=["state", "closed_at", "closing_note"])
    if after is State.APPROVED:
        return
    note(
        f"governance.review.{after.value}",
        review,
        review.version,
        actor=actor,
        at=at,
        public={**place_of(review), "signed_digest": review.signed_digest},
        private={"reason": reason} if reason else None,
    )


def reopen(version: ModelVersion, *, reason: str, actor: Actor) -> ModelVersion:
    """Let a submitted version be worked on again; what was open about it is superseded.

    Two writes: should only the first be made, the version's entry brings about the second.
    """
    version = reopen_version(version, reason=reason, actor=actor)
    supersede_stale(version, actor=SYSTEM)
    return version


@write
def supersede_stale(version: ModelVersion, *, actor: Actor) -> int:
    """Close the open reviews that are about an earlier revision of a version, or a retired one.

    Only the service itself does this; doing it again changes nothing.
    """
    if actor.kind != "system":
        raise Refused("not_permitted", "only the service itself closes stale reviews")
    version = lock_version(version.pk)
    stale = _open(version)
    if version.retired_at is None:
        stale = stale.exclude(revision=version.revision)
    rows = list(stale.order_by("pk"))
    if not rows:
        return 0
    at = tick(version)
    for row in rows:
        _supersede(row, at=at, actor=actor)
    return len(rows)


def close_stale_reviews(entry: Entry) -> None:
    """Subscriber to whatever raises a version's revision, or retires it. Idempotent."""
    about = Review.objects.filter(state=Review.State.OPEN).order_by().values("version")
    for version in ModelVersion.objects.filter(model=entry.scope, pk__in=about):
        supersede_stale(version, actor=SYSTEM)


def _open(version: ModelVersion) -> QuerySet[Review]:
    return _ROWS.select_for_update(of=("self",)).filter(version=version, state=Review.State.OPEN)


def _supersede(review: Review, *, at: datetime, actor: Actor) -> None:
    close(
        review,
        Action.SUPERSEDE,
        at=at,
        actor=actor,
        reason="the version or the policy has changed since",
    )
