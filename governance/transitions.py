"""How states move: one table {(state, action): next}, and the guards before each action.

Pure. Services ask it before they write, and `GET …/actions/` answers from it, so that what is offered
is what is done, and what is not offered says why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from governance.controls.base import listed


class State(StrEnum):
    # of a version
    WORKING = "working"
    SUBMITTED = "submitted"
    RETIRED = "retired"
    # of a review
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    # of an approval
    GRANTED = "granted"
    REVOKED = "revoked"


class Action(StrEnum):
    AMEND = "amend"
    ADD_EVIDENCE = "add_evidence"
    REQUEST_CHECK = "request_check"
    SUBMIT = "submit"
    REOPEN = "reopen"
    RETIRE = "retire"
    VALIDATE = "validate"
    SIGN = "sign"
    COMPLETE = "complete"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    SUPERSEDE = "supersede"
    REVOKE = "revoke"


TABLE: Mapping[tuple[State, Action], State] = {
    (State.WORKING, Action.AMEND): State.WORKING,
    (State.WORKING, Action.ADD_EVIDENCE): State.WORKING,
    (State.WORKING, Action.REQUEST_CHECK): State.WORKING,
    (State.WORKING, Action.SUBMIT): State.SUBMITTED,
    (State.WORKING, Action.RETIRE): State.RETIRED,
    (State.SUBMITTED, Action.ADD_EVIDENCE): State.SUBMITTED,
    (State.SUBMITTED, Action.REQUEST_CHECK): State.SUBMITTED,
    (State.SUBMITTED, Action.SUBMIT): State.SUBMITTED,
    (State.SUBMITTED, Action.REOPEN): State.WORKING,
    (State.SUBMITTED, Action.RETIRE): State.RETIRED,
    (State.OPEN, Action.VALIDATE): State.OPEN,
    (State.OPEN, Action.SIGN): State.OPEN,
    (State.OPEN, Action.COMPLETE): State.APPROVED,
    (State.OPEN, Action.REJECT): State.REJECTED,
    (State.OPEN, Action.WITHDRAW): State.WITHDRAWN,
    (State.OPEN, Action.SUPERSEDE): State.SUPERSEDED,
    (State.GRANTED, Action.REVOKE): State.REVOKED,
}

# What the service does by itself as part of another action; nobody is offered it.
IMPLIED = frozenset({Action.COMPLETE, Action.SUPERSEDE})

OFFERED: Mapping[str, tuple[Action, ...]] = {
    "version": (
        Action.AMEND,
        Action.ADD_EVIDENCE,
        Action.REQUEST_CHECK,
        Action.SUBMIT,
        Action.REOPEN,
        Action.RETIRE,
    ),
    "review": (Action.VALIDATE, Action.SIGN, Action.REJECT, Action.WITHDRAW),
    "approval": (Action.REVOKE,),
}


@dataclass(frozen=True)
class Situation:
    """Everything that the guards look at. What is not said denies.

    `forbidden`: for each action why the access table forbids it, "" where it allows it; an action that
    is not in it is forbidden. `conflicts`: what makes the actor not independent. `wanted_roles`: those
    that the policy still asks for; `held_roles`: those of them that the actor holds. `failing`: the
    blocking controls that do not hold now. `is_current`: the review is about the version as it is;
    `policy_is_current`: by the policy that governs now.
    """

    state: State
    forbidden: Mapping[Action, str] = field(default_factory=dict)
    conflicts: tuple[str, ...] = ()
    has_signed: bool = False
    wanted_roles: tuple[str, ...] = ()
    held_roles: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    is_validated: bool = False
    is_current: bool = False
    policy_is_current: bool = False
    has_policy: bool = False
    has_open_review: bool = True
    use_is_retired: bool = True


@dataclass(frozen=True)
class Refusal:
    """Why not. `is_conflict`: it is the state that stands against it, and not who asks."""

    code: str
    reason: str
    is_conflict: bool = True


@dataclass(frozen=True)
class Offer:
    action: Action
    refusal: Refusal | None

    @property
    def allowed(self) -> bool:
        return self.refusal is None


Guard = Callable[[Situation], Refusal | None]


def _independent(situation: Situation) -> Refusal | None:
    if not situation.conflicts:
        return None
    reason = f"who decides about a version must be independent of it; you are {listed(situation.conflicts)}"
    return Refusal("not_independent", reason, is_conflict=False)


def _current(situation: Situation) -> Refusal | None:
    if situation.is_current:
        return None
    return Refusal("superseded", "the version has changed since; it must be submitted again")


def _policy_current(situation: Situation) -> Refusal | None:
    if situation.policy_is_current:
        return None
    reason = (
        "another policy, or a newer revision of it, governs now; submit again to be judged by it"
    )
    return Refusal("policy_changed", reason)


def _first_signature(situation: Situation) -> Refusal | None:
    if not situation.has_signed:
        return None
    return Refusal("already_signed", "you have signed this review; one person fills one role")


def _role(situation: Situation) -> Refusal | None:
    if situation.held_roles:
        return None
    wanted = listed([role.replace("_", " ") for role in situation.wanted_roles] or ["nobody"], "or")
    return Refusal(
        "role_not_wanted", f"the policy still wants the signature of: {wanted}", is_conflict=False
    )


def _validated(situation: Situation) -> Refusal | None:
    if situation.is_validated:
        return None
    return Refusal("not_validated", "a validator must first write the validation of this dossier")


def _controls_hold(situation: Situation) -> Refusal | None:
    if not situation.failing:
        return None
    reason = f"these blocking controls do not hold: {', '.join(situation.failing)}"
    return Refusal("controls_not_passed", reason)


def _has_policy(situation: Situation) -> Refusal | None:
    if situation.has_policy:
        return None
    return Refusal("no_policy", "no policy governs this environment for the tier of the use")


def _no_open_review(situation: Situation) -> Refusal | None:
    if not situation.has_open_review:
        return None
    return Refusal("review_open", "a review of this use in this environment is open already")


def _use_live(situation: Situation) -> Refusal | None:
    return Refusal("use_retired", "the use is retired") if situation.use_is_retired else None


GUARDS: Mapping[Action, tuple[Guard, ...]] = {
    Action.SUBMIT: (_use_live, _has_policy, _no_open_review),
    Action.VALIDATE: (_independent, _current),
    Action.SIGN: (
        _independent,
        _current,
        _policy_current,
        _first_signature,
        _role,
        _validated,
        _controls_hold,
    ),
    Action.REJECT: (_independent, _current, _first_signature, _role),
}


def refusal(action: Action, situation: Situation) -> Refusal | None:
    """Why `action` cannot be done now, or None if it can: permission, then state, then guards."""
    forbidden = situation.forbidden.get(action, "nobody is offered this")
    if forbidden:
        return Refusal("not_permitted", forbidden, is_conflict=False)
    if (situation.state, action) not in TABLE:
        return Refusal("wrong_state", f"it is {situation.state.value}")
    for guard in GUARDS.get(action, ()):
        found = guard(situation)
        if found is not None:
            return found
    return None


def following(state: State, action: Action) -> State:
    """The state after `action`.

    Raises:
        KeyError: if the table does not have it: a fault of the caller, who asks `refusal` first.
    """
    return TABLE[state, action]


def offers(subject: str, situation: Situation) -> list[Offer]:
    """Every action on a subject (`version`, `review`, `approval`), with why not where not."""
    return [Offer(action, refusal(action, situation)) for action in OFFERED[subject]]
