"""Signatures, and the approval that they bring about."""

from datetime import datetime, timedelta
from uuid import UUID

from accounts.access import require
from accounts.models import User
from accounts.services import consume_reauthentication
from audit.actor import Actor
from audit.writing import write
from governance import situations
from governance.models import Approval, Finding, Review, Signature
from governance.services.loop import start_monitors
from governance.services.places import note, place_of
from governance.services.reviews import close, lock_review
from governance.transitions import Action, Situation
from kernel.errors import Invalid
from registry import demands
from registry.services import lock_version, tick


@write
def sign(
    review: Review,
    *,
    grant: UUID,
    decision: str,
    meaning: str,
    reason: str,
    role: str | None = None,
    actor: Actor,
) -> Signature:
    """Sign a review: a yes or a no to its signed digest, by a person who has just re-authenticated.

    `grant` is the re-authentication. `role` chooses, where the signer holds several of those that the
    policy still wants. A no closes the review. The yes that completes the quorum approves, in this
    write; the earlier ones count if those who gave them still hold their roles. No yes is taken while
    a blocking control does not hold or no validation is on record.

    Raises:
        Refused: `not_independent`, `role_not_wanted`, `reauthentication_needed`.
        RefusedConflict: `wrong_state`, `superseded`, `policy_changed`, `already_signed`,
            `not_validated`, `controls_not_passed`.
    """
    require(actor, "review.sign", review)
    demands.choice(decision, Signature.Decision.values, "decision")
    demands.choice(meaning, Signature.Meaning.values, "meaning")
    reason = demands.text(reason, "reason", longest=5000)
    review = lock_review(review.pk)
    at = tick(review.version)
    situation = situations.of_review(review, actor, at)
    is_yes = decision == Signature.Decision.APPROVE
    situations.demand(Action.SIGN if is_yes else Action.REJECT, situation, review)
    filled = _role(situation, role)
    proof = consume_reauthentication(
        grant,
        actor=actor,
        subject_type="review",
        subject_id=review.pk,
        signed_digest=review.signed_digest,
        at=at,
    )
    signer = User.objects.get(pk=actor.id)
    signature = Signature.objects.create(
        review=review,
        user=signer,
        name=signer.name,
        role=filled,
        decision=decision,
        meaning=meaning,
        reason=reason,
        signed_digest=review.signed_digest,
        reauthentication=proof,
        signed_at=at,
    )
    _note_signature(signature, review, method=proof.method, at=at, actor=actor)
    if not is_yes:
        close(review, Action.REJECT, at=at, actor=actor, reason=reason)
    elif _is_complete(review):
        _approve(review, at=at, actor=actor)
    return signature


def _role(situation: Situation, wanted: str | None) -> str:
    if wanted is None:
        return situation.held_roles[0]
    if wanted not in situation.held_roles:
        held = ", ".join(situation.held_roles)
        raise Invalid(f"you can fill one of: {held}", field="role")
    return wanted


def _note_signature(
    signature: Signature, review: Review, *, method: str, at: datetime, actor: Actor
) -> None:
    note(
        "governance.review.signed",
        review,
        review.version,
        actor=actor,
        at=at,
        public={
            **place_of(review),
            "signature": signature.pk,
            "role": signature.role,
            "decision": signature.decision,
            "meaning": signature.meaning,
            "method": method,
            "signed_digest": signature.signed_digest,
        },
        private={"name": signature.name, "reason": signature.reason},
    )


def _is_complete(review: Review) -> bool:
    """Enough roles are filled, and those that the policy insists on are among them."""
    filled = situations.filled_roles(review)
    wanted = situations.policy_of(review).approvals
    return len(filled) >= wanted.quorum and filled.issuperset(wanted.required)


def _approve(review: Review, *, at: datetime, actor: Actor) -> Approval:
    """Close a signed review with a yes. What validators found and is not done yet are its conditions."""
    policy = situations.policy_of(review)
    open_ones = list(
        Finding.objects.filter(
            validation__dossier=review.dossier_id, validation__use=review.use, closed_at=None
        )
    )
    approval = Approval.objects.create(
        review=review,
        version=review.version,
        use=review.use,
        environment=review.environment,
        revision=review.revision,
        policy_revision=review.policy_revision,
        signed_digest=review.signed_digest,
        granted_at=at,
        valid_until=at + timedelta(days=policy.validity_days),
        is_conditional=bool(open_ones),
    )
    approval.conditions.set(open_ones)
    close(review, Action.COMPLETE, at=at, actor=actor)
    monitors = start_monitors(approval, policy, at, actor)
    note(
        "governance.approval.granted",
        approval,
        review.version,
        actor=actor,
        at=at,
        public={
            **place_of(review),
            "review": review.pk,
            "revision": approval.revision,
            "dossier": review.dossier_id,
            "policy": review.policy_revision.policy.name,
            "policy_revision": review.policy_revision.number,
            "signed_digest": approval.signed_digest,
            "valid_until": approval.valid_until,
            "is_conditional": approval.is_conditional,
            "monitors": [monitor.pk for monitor in monitors],
        },
    )
    return approval


@write
def revoke_approval(approval: Approval, *, reason: str, actor: Actor) -> Approval:
    """Take an approval back, for ever. An older one does not come back."""
    require(actor, "approval.revoke", approval)
    reason = demands.text(reason, "reason", longest=5000)
    version = lock_version(approval.version_id)
    row = (
        Approval.objects.select_for_update(of=("self",))
        .select_related("version__model", "use", "environment")
        .get(pk=approval.pk)
    )
    at = tick(version)
    situations.demand(Action.REVOKE, situations.of_approval(row, actor), row)
    row.revoked_at, row.revoked_by_id, row.revocation_reason = at, actor.id, reason
    row.save(update_fields=["revoked_at", "revoked_by", "revocation_reason"])
    note(
        "governance.approval.revoked",
        row,
        version,
        actor=actor,
        at=at,
        public={**place_of(row), "signed_digest": row.signed_digest},
        private={"reason": reason},
    )
    return row
