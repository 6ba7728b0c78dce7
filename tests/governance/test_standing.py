"""The standing of a version: which comes first, and that no later record changes an earlier answer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.standing import (
    ApprovalFact,
    BindingFact,
    ConditionFact,
    Interval,
    PolicyRevisionFact,
    RevisionFact,
    Standing,
    StandingFacts,
    SuspensionFact,
    TierFact,
    Transition,
    policy_in_force,
    report,
    standing,
)

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return START + number * DAY


def policy(number: int, on: float, transition: str = "at_once", at: float | None = None):
    return PolicyRevisionFact(
        id=f"p{number}",
        policy="production",
        number=number,
        published_at=day(on),
        transition=Transition(transition),
        transition_at=None if at is None else day(at),
    )


APPROVAL = ApprovalFact(
    id="a1", granted_at=day(5), revision=3, policy_revision="p1", valid_until=day(100)
)
FACTS = StandingFacts(
    registered_at=day(1),
    revisions=(RevisionFact(2, day(2)), RevisionFact(3, day(3))),
    tiers=(TierFact(2, Interval(day(0))),),
    bindings=(BindingFact("production", None, Interval(day(0))),),
    policy_revisions=(policy(1, 0),),
    approvals=(APPROVAL,),
)


def suspended(since: float, until: float | None = None) -> SuspensionFact:
    return SuspensionFact("s", "stop", Interval(day(since), None if until is None else day(until)))


def test_an_approval_counts_from_its_instant_to_its_end():
    assert standing(FACTS, day(4.99)) is Standing.NOT_APPROVED
    assert standing(FACTS, day(5)) is Standing.APPROVED
    assert standing(FACTS, day(99.99)) is Standing.APPROVED
    assert standing(FACTS, day(100)) is Standing.EXPIRED
    assert report(FACTS, day(5)).until == day(100)


def test_a_raised_revision_lapses_and_a_new_approval_restores():
    reopened = replace(FACTS, revisions=(*FACTS.revisions, RevisionFact(4, day(20))))
    assert standing(reopened, day(19.99)) is Standing.APPROVED
    assert standing(reopened, day(20)) is Standing.LAPSED
    again = replace(APPROVAL, id="a2", granted_at=day(25), revision=4)
    approved = replace(reopened, approvals=(APPROVAL, again))
    assert standing(approved, day(24)) is Standing.LAPSED
    assert report(approved, day(25)).approval == again


def test_revoking_the_newest_approval_does_not_bring_an_older_one_back():
    newer = replace(APPROVAL, id="a2", granted_at=day(10), revoked_at=day(12))
    facts = replace(FACTS, approvals=(APPROVAL, newer))
    assert standing(facts, day(11.9)) is Standing.APPROVED
    assert standing(facts, day(12)) is Standing.REVOKED
    assert standing(facts, day(300)) is Standing.REVOKED


def test_the_first_that_holds_in_the_order_of_the_design():
    """Each layer put on top hides the one below."""
    facts = replace(FACTS, approvals=(replace(APPROVAL, is_conditional=True),))
    assert standing(facts, day(50)) is Standing.CONDITIONAL
    facts = replace(facts, approvals=(replace(facts.approvals[0], valid_until=day(40)),))
    assert standing(facts, day(50)) is Standing.EXPIRED
    facts = replace(facts, revisions=(*facts.revisions, RevisionFact(4, day(41))))
    assert standing(facts, day(50)) is Standing.LAPSED
    facts = replace(facts, suspensions=(suspended(42),))
    assert standing(facts, day(50)) is Standing.SUSPENDED
    facts = replace(facts, approvals=(replace(facts.approvals[0], revoked_at=day(43)),))
    assert standing(facts, day(50)) is Standing.REVOKED
    facts = replace(facts, retired_at=(day(60), day(44)))
    found = report(facts, day(50))
    assert list(found.holding) == [
        Standing.RETIRED,
        Standing.REVOKED,
        Standing.SUSPENDED,
        Standing.LAPSED,
        Standing.EXPIRED,
    ]
    assert found.standing is Standing.RETIRED
    assert found.until is None


def test_a_suspension_counts_without_any_approval_and_ends_when_lifted():
    facts = replace(FACTS, approvals=(), suspensions=(suspended(10, 12),))
    assert standing(facts, day(9)) is Standing.NOT_APPROVED
    assert standing(facts, day(10)) is Standing.SUSPENDED
    assert standing(facts, day(12)) is Standing.NOT_APPROVED


class TestConditions:
    def facts(self, *conditions: ConditionFact) -> StandingFacts:
        approval = replace(APPROVAL, is_conditional=True, conditions=conditions)
        return replace(FACTS, approvals=(approval,))

    def test_met_in_time_it_is_an_approval_like_any_other(self):
        facts = self.facts(ConditionFact(day(30), day(20)))
        assert standing(facts, day(19)) is Standing.CONDITIONAL
        assert report(facts, day(19)).until == day(30)
        assert standing(facts, day(20)) is Standing.APPROVED
        assert standing(facts, day(31)) is Standing.APPROVED

    def test_not_met_in_time_the_approval_revokes_itself_for_good(self):
        facts = self.facts(ConditionFact(day(30), day(31)))
        assert standing(facts, day(29.9)) is Standing.CONDITIONAL
        assert standing(facts, day(30)) is Standing.REVOKED
        assert standing(facts, day(32)) is Standing.REVOKED

    def test_one_of_two_open(self):
        facts = self.facts(ConditionFact(day(30), day(20)), ConditionFact(None, None))
        assert standing(facts, day(50)) is Standing.CONDITIONAL


class TestPolicyTransitions:
    def facts(self, *newer: PolicyRevisionFact) -> StandingFacts:
        return replace(FACTS, policy_revisions=(policy(1, 0), *newer))

    def test_at_once(self):
        facts = self.facts(policy(2, 10))
        assert standing(facts, day(9.9)) is Standing.APPROVED
        assert standing(facts, day(10)) is Standing.LAPSED

    def test_at_a_date(self):
        facts = self.facts(policy(2, 10, "at_date", 30))
        assert standing(facts, day(10)) is Standing.GRANDFATHERED
        assert report(facts, day(10)).until == day(30)
        assert standing(facts, day(30)) is Standing.LAPSED

    def test_at_the_next_review(self):
        facts = self.facts(policy(2, 10, "next_review"))
        assert standing(facts, day(10)) is Standing.GRANDFATHERED
        assert standing(facts, day(100)) is Standing.EXPIRED
        refused = replace(facts, reviews_ended=(day(5), day(40)))
        assert standing(refused, day(39)) is Standing.GRANDFATHERED
        assert standing(refused, day(40)) is Standing.LAPSED

    def test_the_review_that_granted_it_is_not_the_next_one(self):
        facts = replace(
            self.facts(policy(2, 4, "next_review")), reviews_ended=(APPROVAL.granted_at,)
        )
        assert standing(facts, day(6)) is Standing.GRANDFATHERED

    def test_each_newer_revision_must_let_it_count(self):
        facts = self.facts(policy(2, 10, "at_once"), policy(3, 20, "next_review"))
        assert standing(facts, day(21)) is Standing.LAPSED

    def test_a_condition_goes_before_grandfathering(self):
        facts = replace(
            self.facts(policy(2, 10, "next_review")),
            approvals=(replace(APPROVAL, is_conditional=True),),
        )
        assert standing(facts, day(11)) is Standing.CONDITIONAL

    def test_another_policy_for_the_environment(self):
        facts = replace(
            FACTS,
            bindings=(
                BindingFact("production", None, Interval(day(0), day(10))),
                BindingFact("strict", None, Interval(day(10))),
            ),
            policy_revisions=(policy(1, 0), replace(policy(1, 0), id="s1", policy="strict")),
        )
        assert standing(facts, day(9)) is Standing.APPROVED
        assert standing(facts, day(10)) is Standing.LAPSED

    def test_a_binding_for_the_tier_goes_before_one_for_all(self):
        facts = replace(
            FACTS,
            bindings=(
                BindingFact("production", None, Interval(day(0))),
                BindingFact("strict", 1, Interval(day(0))),
            ),
            tiers=(TierFact(2, Interval(day(0), day(8))), TierFact(1, Interval(day(8)))),
            policy_revisions=(policy(1, 0), replace(policy(1, 0), id="s1", policy="strict")),
        )
        assert policy_in_force(facts, day(7)).policy == "production"
        assert policy_in_force(facts, day(8)).policy == "strict"
        assert standing(facts, day(8)) is Standing.LAPSED

    def test_no_policy_no_approval_counts(self):
        facts = replace(FACTS, bindings=())
        assert policy_in_force(facts, day(6)) is None
        assert standing(facts, day(6)) is Standing.LAPSED


instants = st.integers(min_value=0, max_value=60).map(lambda number: day(number))


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    since = draw(instants)
    length = draw(st.none() | st.integers(min_value=0, max_value=20))
    return Interval(since, None if length is None else since + length * DAY)


@st.composite
def approvals(draw: st.DrawFn) -> ApprovalFact:
    granted = draw(instants)
    after = st.integers(min_value=0, max_value=40).map(lambda number: granted + number * DAY)
    return ApprovalFact(
        id=draw(st.uuids().map(str)),
        granted_at=granted,
        revision=draw(st.integers(1, 4)),
        policy_revision=draw(st.sampled_from(["p1", "p2", "s1"])),
        valid_until=draw(after),
        is_conditional=draw(st.booleans()),
        conditions=tuple(
            draw(
                st.lists(st.builds(ConditionFact, st.none() | after, st.none() | after), max_size=2)
            )
        ),
        revoked_at=draw(st.none() | after),
    )


@st.composite
def records(draw: st.DrawFn) -> StandingFacts:
    def many(strategy, size=3):
        return tuple(draw(st.lists(strategy, max_size=size)))

    return StandingFacts(
        registered_at=day(0),
        retired_at=many(instants, 1),
        revisions=many(st.builds(RevisionFact, st.integers(2, 4), instants)),
        tiers=many(st.builds(TierFact, st.integers(1, 4), intervals()), 2),
        bindings=many(
            st.builds(
                BindingFact,
                st.sampled_from(["production", "strict"]),
                st.none() | st.integers(1, 4),
                intervals(),
            )
        ),
        policy_revisions=(
            policy(1, 0),
            draw(
                st.sampled_from(
                    [policy(2, 20), policy(2, 20, "at_date", 40), policy(2, 20, "next_review")]
                )
            ),
            replace(policy(1, 10), id="s1", policy="strict"),
        ),
        approvals=many(approvals()),
        suspensions=many(st.builds(SuspensionFact, st.just("s"), st.just("stop"), intervals())),
        reviews_ended=many(instants),
    )


def as_recorded_by(facts: StandingFacts, at: datetime) -> StandingFacts:
    """What was on record at `at`: later rows are absent, later ends are not known yet."""

    def known(instant: datetime | None) -> datetime | None:
        return instant if instant is not None and instant <= at else None

    def interval(one):
        return replace(one, interval=Interval(one.interval.since, known(one.interval.until)))

    return StandingFacts(
        registered_at=facts.registered_at,
        retired_at=tuple(one for one in facts.retired_at if one <= at),
        revisions=tuple(one for one in facts.revisions if one.at <= at),
        tiers=tuple(interval(one) for one in facts.tiers if one.interval.since <= at),
        bindings=tuple(interval(one) for one in facts.bindings if one.interval.since <= at),
        policy_revisions=tuple(one for one in facts.policy_revisions if one.published_at <= at),
        approvals=tuple(
            replace(
                one,
                revoked_at=known(one.revoked_at),
                conditions=tuple(
                    replace(condition, closed_at=known(condition.closed_at))
                    for condition in one.conditions
                ),
            )
            for one in facts.approvals
            if one.granted_at <= at
        ),
        suspensions=tuple(interval(one) for one in facts.suspensions if one.interval.since <= at),
        reviews_ended=tuple(one for one in facts.reviews_ended if one <= at),
    )


@given(records(), instants)
def test_what_is_recorded_later_never_changes_an_earlier_answer(facts, at):
    assert report(facts, at).standing is report(as_recorded_by(facts, at), at).standing


@given(records(), instants)
def test_the_standing_is_the_first_that_holds_and_in_force_only_alone(facts, at):
    found = report(facts, at)
    order = list(Standing)
    assert next(iter(found.holding)) is found.standing
    assert [order.index(one) for one in found.holding] == sorted(map(order.index, found.holding))
    if found.standing.in_force:
        assert len(found.holding) == 1
        assert found.until is not None
        assert found.until > at


@given(records(), instants)
def test_without_new_records_an_approval_stands_exactly_until_it_says(facts, at):
    known = as_recorded_by(facts, at)
    found = report(known, at)
    if found.standing.in_force:
        assert standing(known, found.until - timedelta(microseconds=1)).in_force
        assert not standing(known, found.until).in_force


@pytest.mark.parametrize("name", list(Standing))
def test_in_force_is_said_of_three(name):
    assert name.in_force == (name in {"conditional", "approved", "grandfathered"})
