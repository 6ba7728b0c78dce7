"""Reading, from the rows, the situation that the guards of an action look at."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from accounts.access import can, roles_held, roles_of
from accounts.models import Responsibility, Role
from audit.actor import Actor
from audit.writing import Refused, RefusedConflict
from governance import dossiers, selectors
from governance.controls.judging import judge
from governance.controls.results import ControlResult, Status, blocking
from governance.facts import policy_document
from governance.models import Approval, Review, Signature, Validation, Waiver
from governance.policies import Policy
from governance.transitions import OFFERED, Action, Situation, State, refusal
from kernel.moments import rfc3339
from registry.models import Environment, ModelVersion, Use

# What the access table calls each action.
PERMISSIONS: Mapping[Action, str] = {
    Action.AMEND: "version.amend",
    Action.ADD_EVIDENCE: "evidence.add",
    Action.REQUEST_CHECK: "check.request",
    Action.SUBMIT: "version.submit",
    Action.REOPEN: "version.reopen",
    Action.RETIRE: "version.retire",
    Action.VALIDATE: "validation.write",
    Action.SIGN: "review.sign",
    Action.REJECT: "review.sign",
    Action.WITHDRAW: "review.withdraw",
    Action.REVOKE: "approval.revoke",
}


def of_version(
    version: ModelVersion,
    actor: Actor,
    at: datetime,
    *,
    use: Use | None = None,
    environment: Environment | None = None,
) -> Situation:
    """The situation of a version; for submitting, of a use in an environment."""
    state = State.SUBMITTED if version.frozen_at else State.WORKING
    if version.retired_at or version.model.retired_at:
        state = State.RETIRED
    situation = Situation(state, _forbidden("version", version, actor))
    if use is None or environment is None:
        return situation
    policy = selectors.policy_revision_of(version, use, environment, at)
    return replace(
        situation,
        use_is_retired=use.retired_at is not None,
        has_policy=policy is not None,
        has_open_review=Review.objects.filter(
            version=version,
            use=use,
            environment=environment,
            state=Review.State.OPEN,
            revision=version.revision,
            policy_revision=policy,
        ).exists(),
    )


def of_review(review: Review, actor: Actor, at: datetime) -> Situation:
    """The situation of a review for an actor. `review.version` is the version as it is now."""
    version = review.version
    situation = Situation(State(review.state), _forbidden("review", version, actor))
    if situation.state is not State.OPEN:
        return situation
    wanted = wanted_roles(review)
    governing = selectors.policy_revision_of(version, review.use, review.environment, at)
    return replace(
        situation,
        conflicts=conflicts(version, review, actor),
        has_signed=Signature.objects.filter(review=review, user_id=actor.id).exists(),
        wanted_roles=wanted,
        held_roles=held_roles(wanted, version, actor),
        failing=tuple(one.control for one in blocking(judged(review, at))),
        is_validated=Validation.objects.filter(
            version=version, use=review.use, dossier=review.dossier_id
        ).exists(),
        is_current=review.revision == version.revision
        and version.retired_at is None
        and version.model.retired_at is None,
        policy_is_current=governing is not None and governing.pk == review.policy_revision_id,
    )


def of_approval(approval: Approval, actor: Actor) -> Situation:
    state = State.REVOKED if approval.revoked_at else State.GRANTED
    return Situation(state, _forbidden("approval", approval.version, actor))


def demand(action: Action, situation: Situation, subject: Review | ModelVersion | Approval) -> None:
    """Refuse an action that cannot be done now.

    Raises:
        Refused: if it is the actor who may not (403).
        RefusedConflict: if it is the state that stands against it (409).
    """
    found = refusal(action, situation)
    if found is None:
        return
    kind = RefusedConflict if found.is_conflict else Refused
    raise kind(
        found.code,
        found.reason,
        object_type=subject._meta.model_name,
        object_id=subject.pk,
        scope=subject.access_model.pk,
    )


def _forbidden(subject: str, version: ModelVersion, actor: Actor) -> dict[Action, str]:
    return {action: can(actor, PERMISSIONS[action], version).reason for action in OFFERED[subject]}


def conflicts(version: ModelVersion, review: Review | None, actor: Actor) -> tuple[str, ...]:
    """What ties an actor to the version, so that it cannot decide about it.

    Who answers for a service account answers for what it did.
    """
    parts: dict[str, UUID] = {
        "its author": version.author_id,
        "the one who registered it": version.registered_by_id,
        "its last editor": version.last_edited_by_id,
    }
    if review is not None:
        parts["the one who submitted it"] = review.submitted_by_id
    answers_for = set(
        Responsibility.objects.filter(
            Q(until=None) | Q(until__gt=version.registered_at),
            person_id=actor.id,
            service__in=set(parts.values()),
        ).values_list("service_id", flat=True)
    )
    own = [part for part, user in parts.items() if user == actor.id]
    through = [
        f"responsible for the service account that is {part}"
        for part, user in parts.items()
        if user in answers_for
    ]
    return (*own, *through)


def wanted_roles(review: Review) -> tuple[str, ...]:
    """The roles that the review's policy still wants a signature of."""
    filled = filled_roles(review)
    approvals = policy_of(review).approvals
    return tuple(role for role in approvals.roles if role not in filled)


def filled_roles(review: Review) -> set[str]:
    """The roles that a yes fills. While the review is open, only the yes of somebody whose account is
    open and who still holds the role: else an approval would rest on one who could not give it any more.
    """
    given = Signature.objects.filter(review=review, decision=Signature.Decision.APPROVE)
    if review.state != Review.State.OPEN:
        return set(given.values_list("role", flat=True))
    return {
        one.role
        for one in given.select_related("user")
        if one.user.is_active and Role(one.role) in roles_of(one.user_id, review.version)
    }


def held_roles(wanted: tuple[str, ...], version: ModelVersion, actor: Actor) -> tuple[str, ...]:
    held = {role.value for role in roles_held(actor, version)}
    return tuple(role for role in wanted if role in held)


def policy_of(review: Review) -> Policy:
    return policy_document(review.policy_revision)


def judged(review: Review, at: datetime) -> list[ControlResult]:
    """The controls of the review's policy, judged on its dossier with what is true beside it now."""
    facts = dossiers.facts(review.version, review.use, review.environment, review.dossier_id)
    policy = policy_of(review)
    return waived(
        judge(policy, facts, at),
        policy,
        review.version,
        review.use,
        review.environment,
        at,
    )


def waived(
    results: list[ControlResult],
    policy: Policy,
    version: ModelVersion,
    use: Use,
    environment: Environment,
    at: datetime,
) -> list[ControlResult]:
    """Put `waived` in place of what a granted waiver covers at `at`, and `policy` lets be waived."""
    rows = Waiver.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=at),
        version=version,
        use=use,
        environment=environment,
        granted_at__lte=at,
        ends_at__gt=at,
    )
    by_control = {
        control: row
        for row in rows
        for control in row.controls
        if control not in policy.waivers.never
    }
    return [
        replace(
            result,
            status=Status.WAIVED,
            reason=f"Waived until {rfc3339(by_control[result.control].ends_at)}. {result.reason}",
            evidence=[*result.evidence, str(by_control[result.control].pk)],
        )
        if not result.holds and result.control in by_control
        else result
        for result in results
    ]
