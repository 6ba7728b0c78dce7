"""The table of transitions and its guards, over every situation."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.transitions import (
    GUARDS,
    IMPLIED,
    OFFERED,
    TABLE,
    Action,
    Situation,
    State,
    following,
    offers,
    refusal,
)

ROLES = st.lists(st.sampled_from(["validator", "risk_officer", "owner"]), unique=True).map(tuple)
NAMES = st.lists(st.sampled_from(["a", "b"]), unique=True).map(tuple)
SITUATIONS = st.builds(
    Situation,
    state=st.sampled_from(State),
    forbidden=st.dictionaries(st.sampled_from(Action), st.sampled_from(["", "no"])),
    conflicts=NAMES,
    has_signed=st.booleans(),
    wanted_roles=ROLES,
    held_roles=ROLES,
    failing=NAMES,
    is_validated=st.booleans(),
    is_current=st.booleans(),
    policy_is_current=st.booleans(),
    has_policy=st.booleans(),
    has_open_review=st.booleans(),
    use_is_retired=st.booleans(),
)
FINAL = (
    State.RETIRED,
    State.APPROVED,
    State.REJECTED,
    State.WITHDRAWN,
    State.SUPERSEDED,
    State.REVOKED,
)


def allowing(state: State) -> Situation:
    return Situation(
        state,
        dict.fromkeys(Action, ""),
        wanted_roles=("validator",),
        held_roles=("validator",),
        is_validated=True,
        is_current=True,
        policy_is_current=True,
        has_policy=True,
        has_open_review=False,
        use_is_retired=False,
    )


@given(SITUATIONS, st.sampled_from(Action))
def test_what_is_allowed_is_permitted_and_in_the_table_and_passes_every_guard(
    situation: Situation, action: Action
) -> None:
    if refusal(action, situation) is not None:
        return
    assert situation.forbidden.get(action) == ""
    assert (situation.state, action) in TABLE
    assert all(guard(situation) is None for guard in GUARDS.get(action, ()))
    assert following(situation.state, action) in State


@given(SITUATIONS)
def test_nobody_tied_to_a_version_decides_about_it(situation: Situation) -> None:
    if situation.conflicts:
        for action in (Action.SIGN, Action.REJECT, Action.VALIDATE):
            assert refusal(action, situation) is not None


@given(SITUATIONS)
def test_no_yes_without_validation_controls_role_and_the_present_version(
    situation: Situation,
) -> None:
    if refusal(Action.SIGN, situation) is None:
        assert situation.is_validated
        assert not situation.failing
        assert situation.held_roles
        assert situation.is_current
        assert situation.policy_is_current
        assert not situation.has_signed


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", Action)
def test_the_table_alone_decides_when_nothing_else_stands_against_it(
    state: State, action: Action
) -> None:
    assert (refusal(action, allowing(state)) is None) == ((state, action) in TABLE)


@pytest.mark.parametrize("state", FINAL)
def test_what_has_ended_stays_so(state: State) -> None:
    assert not [action for (before, action) in TABLE if before is state]


def test_nothing_said_is_nothing_allowed() -> None:
    for state in State:
        for action in Action:
            assert refusal(action, Situation(state)) is not None


@pytest.mark.parametrize(
    ("action", "change", "code"),
    [
        (Action.SIGN, {"conflicts": ("its author",)}, "not_independent"),
        (Action.SIGN, {"is_current": False}, "superseded"),
        (Action.SIGN, {"policy_is_current": False}, "policy_changed"),
        (Action.SIGN, {"has_signed": True}, "already_signed"),
        (Action.SIGN, {"held_roles": ()}, "role_not_wanted"),
        (Action.SIGN, {"is_validated": False}, "not_validated"),
        (Action.SIGN, {"failing": ("accuracy",)}, "controls_not_passed"),
        (Action.REJECT, {"held_roles": ()}, "role_not_wanted"),
        (Action.VALIDATE, {"is_current": False}, "superseded"),
    ],
)
def test_each_guard_says_why(action: Action, change: dict[str, Any], code: str) -> None:
    found = refusal(action, replace(allowing(State.OPEN), **change))
    assert found is not None
    assert found.code == code
    assert found.reason


def test_a_no_needs_neither_validation_nor_controls() -> None:
    situation = replace(allowing(State.OPEN), is_validated=False, failing=("accuracy",))
    assert refusal(Action.REJECT, situation) is None


def test_offers_cover_every_action_of_a_subject() -> None:
    for subject, actions in OFFERED.items():
        made = offers(subject, allowing(State.OPEN))
        assert [one.action for one in made] == list(actions)
        assert all(one.allowed == (one.refusal is None) for one in made)
    offered = {action for actions in OFFERED.values() for action in actions}
    assert offered | IMPLIED == set(Action)
