"""The gate's decision on plain facts: what denies, what it names, and what never lets by."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.controls.results import ControlResult, Mode, Status
from governance.gate import (
    Answer,
    BreachFact,
    EnvironmentMode,
    GateFacts,
    Match,
    OpenReviewFact,
    PolicyInForce,
    Purpose,
    Question,
    Verdict,
    WaiverFact,
    decide,
)
from governance.standing import (
    ApprovalFact,
    BindingFact,
    Interval,
    PolicyRevisionFact,
    RevisionFact,
    Standing,
    StandingFacts,
    SuspensionFact,
    Transition,
)

DIGEST = "ab" * 32
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def control(status=Status.PASS, mode=Mode.BLOCK, name="fairness") -> ControlResult:
    return ControlResult(
        name,
        mode,
        status,
        "It is fair.",
        "The difference is 0.153 (0.112 to 0.194).",
        remedy="Mitigate it.",
    )


def policy(*results: ControlResult, **more) -> PolicyInForce:
    return PolicyInForce(
        revision="p1",
        name="production",
        number=1,
        digest="cd" * 32,
        judge=lambda at: list(results or (control(),)),
        decision_valid_for=HOUR,
        rollback_window=30 * DAY,
        **more,
    )


APPROVAL = ApprovalFact("a1", NOW - 10 * DAY, 1, "p1", NOW + 90 * DAY)
STANDING = StandingFacts(
    registered_at=NOW - 20 * DAY,
    bindings=(BindingFact("production", None, Interval(NOW - 30 * DAY)),),
    policy_revisions=(
        PolicyRevisionFact("p1", "production", 1, NOW - 30 * DAY, Transition.AT_ONCE),
    ),
    approvals=(APPROVAL,),
)
MATCH = Match("v2", "income-screening", 2, DIGEST)
QUESTION = Question("production", digest=DIGEST)
FACTS = GateFacts(
    QUESTION,
    matches=(MATCH,),
    mode=EnvironmentMode.ENFORCE,
    use="default",
    standing=STANDING,
    policy=policy(),
)


def standing(**changes) -> GateFacts:
    return replace(FACTS, standing=replace(STANDING, **changes))


def denying(decision) -> list[str]:
    return [result.control for result in decision.reasons if result.blocks]


def test_everything_in_order_allows_and_says_on_what():
    decision = decide(FACTS, NOW)
    assert decision.answer is Answer.ALLOW
    assert decision.verdict is Verdict.PASSED
    assert decision.not_after == NOW + HOUR
    assert decision.standing is Standing.APPROVED
    names = [result.control for result in decision.reasons]
    assert names == [
        "gate.environment_known",
        "gate.artifact_known",
        "gate.use_known",
        "gate.not_retired",
        "gate.not_revoked",
        "gate.not_suspended",
        "gate.no_open_breach",
        "gate.policy_in_force",
        "gate.approved",
        "gate.not_lapsed",
        "gate.not_expired",
        "fairness",
    ]
    assert all(result.status is Status.PASS for result in decision.reasons)


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        (replace(FACTS, matches=(), standing=None), "gate.artifact_known"),
        (
            replace(FACTS, matches=(MATCH, replace(MATCH, model="other")), standing=None),
            "gate.artifact_known",
        ),
        (replace(FACTS, mode=None), "gate.environment_known"),
        (replace(FACTS, use=None), "gate.use_known"),
        (replace(FACTS, policy=None), "gate.policy_in_force"),
        (standing(bindings=()), "gate.policy_in_force"),
        (standing(retired_at=(NOW,)), "gate.not_retired"),
        (
            standing(approvals=(replace(APPROVAL, revoked_at=NOW - HOUR),)),
            "gate.not_revoked",
        ),
        (
            standing(suspensions=(SuspensionFact("s", "no_new_deployment", Interval(NOW - HOUR)),)),
            "gate.not_suspended",
        ),
        (
            replace(FACTS, breaches=(BreachFact("b", "psi", NOW - HOUR, {"value": 0.4}),)),
            "gate.no_open_breach",
        ),
        (standing(approvals=()), "gate.approved"),
        (standing(revisions=(RevisionFact(2, NOW - HOUR),)), "gate.not_lapsed"),
        (standing(approvals=(replace(APPROVAL, valid_until=NOW),)), "gate.not_expired"),
        (replace(FACTS, policy=policy(control(Status.FAIL))), "fairness"),
        (replace(FACTS, policy=policy(control(Status.INSUFFICIENT))), "fairness"),
        (replace(FACTS, policy=policy(control(mode=Mode.WARN))), "gate.controls_judged"),
    ],
)
def test_one_thing_wrong_denies_and_is_named(facts, named):
    decision = decide(facts, NOW)
    assert decision.answer is Answer.DENY
    assert decision.verdict is Verdict.FAILED
    assert decision.not_after is None
    assert named in denying(decision)
    blamed = next(result for result in decision.reasons if result.control == named)
    assert blamed.reason
    assert blamed.control in decision.summary or named == "gate.policy_in_force"


def test_nothing_known_at_all_denies():
    assert decide(GateFacts(QUESTION), NOW).answer is Answer.DENY
    # a match of which nothing could be loaded
    half = GateFacts(QUESTION, (MATCH,), EnvironmentMode.ENFORCE, "default")
    assert decide(half, NOW).answer is Answer.DENY


def test_the_unknown_digest_is_told_as_such():
    reasons = decide(replace(FACTS, matches=(), standing=None), NOW).reasons
    assert f"sha256:{DIGEST} belongs to no version." in [result.reason for result in reasons]


def test_a_control_in_warn_that_fails_lets_by():
    warned = control(Status.FAIL, Mode.WARN, "race")
    decision = decide(replace(FACTS, policy=policy(control(), warned)), NOW)
    assert decision.answer is Answer.ALLOW
    assert warned in decision.reasons


class TestPending:
    review = OpenReviewFact("r1", 1, "p1")
    waiting = replace(standing(approvals=()), open_review=review)

    def test_an_open_review_with_nothing_failing(self):
        decision = decide(self.waiting, NOW)
        assert decision.answer is Answer.PENDING
        assert decision.verdict is Verdict.FAILED
        assert denying(decision) == ["gate.approved"]

    def test_lapsed_and_submitted_again(self):
        facts = replace(
            standing(revisions=(RevisionFact(2, NOW - HOUR),)),
            open_review=replace(self.review, revision=2),
        )
        assert decide(facts, NOW).answer is Answer.PENDING

    def test_what_people_have_yet_to_write_is_awaited(self):
        unwritten = policy(
            control(),
            control(Status.INSUFFICIENT, name="validated"),
            awaits_people=frozenset({"validated"}),
        )
        assert decide(replace(self.waiting, policy=unwritten), NOW).answer is Answer.PENDING
        bad = policy(
            control(),
            control(Status.FAIL, name="validated"),
            awaits_people=frozenset({"validated"}),
        )
        assert decide(replace(self.waiting, policy=bad), NOW).answer is Answer.DENY

    @pytest.mark.parametrize("status", [Status.FAIL, Status.INSUFFICIENT])
    def test_not_with_a_control_that_does_not_hold(self, status):
        facts = replace(self.waiting, policy=policy(control(status)))
        assert decide(facts, NOW).answer is Answer.DENY

    def test_not_with_a_review_of_an_older_revision_or_policy(self):
        stale = replace(self.review, revision=7)
        assert decide(replace(self.waiting, open_review=stale), NOW).answer is Answer.DENY
        other = replace(self.review, policy_revision="p0")
        assert decide(replace(self.waiting, open_review=other), NOW).answer is Answer.DENY

    def test_not_while_suspended_or_breached(self):
        breached = replace(self.waiting, breaches=(BreachFact("b", "psi", NOW),))
        assert decide(breached, NOW).answer is Answer.DENY


class TestWaivers:
    waiver = WaiverFact("w1", frozenset({"fairness"}), Interval(NOW - DAY, NOW + HOUR / 2))
    facts = replace(FACTS, policy=policy(control(Status.FAIL)), waivers=(waiver,))

    def test_it_stands_in_for_the_control_and_shortens_the_allow(self):
        decision = decide(self.facts, NOW)
        assert decision.answer is Answer.ALLOW
        assert decision.waivers == ("w1",)
        assert decision.not_after == NOW + HOUR / 2
        waived = decision.reasons[-1]
        assert waived.status is Status.WAIVED
        assert waived.reason.startswith("Waived until")
        assert "w1" in waived.evidence

    def test_not_before_it_is_granted_nor_after_it_ends(self):
        assert decide(self.facts, NOW - 2 * DAY).answer is Answer.DENY
        assert decide(self.facts, NOW + HOUR / 2).answer is Answer.DENY

    def test_not_the_gates_own_controls(self):
        own = replace(self.waiver, controls=frozenset({"gate.approved", "gate.not_lapsed"}))
        facts = replace(standing(approvals=()), waivers=(own,))
        assert decide(facts, NOW).answer is Answer.DENY

    def test_one_that_is_not_needed_is_not_named(self):
        decision = decide(replace(self.facts, policy=policy()), NOW)
        assert decision.waivers == ()
        assert decision.not_after == NOW + HOUR


class TestModes:
    @pytest.mark.parametrize("mode", [EnvironmentMode.OBSERVE, EnvironmentMode.WARN])
    def test_the_pipeline_passes_and_the_verdict_says_failed(self, mode):
        decision = decide(replace(standing(approvals=()), mode=mode), NOW)
        assert decision.answer is Answer.ALLOW
        assert decision.judged is Answer.DENY
        assert decision.verdict is Verdict.FAILED
        assert f"mode is {mode.value}" in decision.summary
        assert "gate.approved" in decision.summary

    def test_what_would_be_allowed_anyway_has_passed(self):
        decision = decide(replace(FACTS, mode=EnvironmentMode.OBSERVE), NOW)
        assert (decision.answer, decision.verdict) == (Answer.ALLOW, Verdict.PASSED)


def asked(purpose: Purpose, facts: GateFacts, *live: Interval) -> GateFacts:
    return replace(facts, question=replace(QUESTION, purpose=purpose), live=live)


RUNNING = Interval(NOW - 5 * DAY)
RETIRED_LATELY = Interval(NOW - 20 * DAY, NOW - 2 * DAY)


class TestRollback:
    @pytest.mark.parametrize(
        "facts",
        [
            standing(revisions=(RevisionFact(2, NOW - HOUR),)),
            standing(approvals=(replace(APPROVAL, valid_until=NOW - DAY),)),
            standing(
                policy_revisions=(
                    *STANDING.policy_revisions,
                    PolicyRevisionFact("p2", "production", 2, NOW - HOUR, Transition.AT_ONCE),
                )
            ),
            replace(FACTS, policy=policy(control(Status.FAIL))),
        ],
    )
    def test_it_passes_over_lapse_expiry_and_newer_policy(self, facts):
        assert decide(facts, NOW).answer is Answer.DENY
        decision = decide(asked(Purpose.ROLLBACK, facts, RETIRED_LATELY), NOW)
        assert decision.answer is Answer.ALLOW
        assert decision.path is Purpose.ROLLBACK
        assert [one for one in decision.reasons if not one.holds and one.mode is Mode.WARN]

    @pytest.mark.parametrize(
        "facts",
        [
            standing(retired_at=(NOW,)),
            standing(approvals=(replace(APPROVAL, revoked_at=NOW - HOUR),)),
            standing(approvals=()),
            standing(suspensions=(SuspensionFact("s", "no_new_deployment", Interval(NOW - HOUR)),)),
            replace(FACTS, breaches=(BreachFact("b", "psi", NOW),)),
        ],
    )
    def test_never_over_these(self, facts):
        assert decide(asked(Purpose.ROLLBACK, facts, RETIRED_LATELY), NOW).answer is Answer.DENY

    def test_what_was_live_too_long_ago_or_never_is_a_deployment(self):
        lapsed = standing(revisions=(RevisionFact(2, NOW - HOUR),))
        for live in [(), (Interval(NOW - 80 * DAY, NOW - 31 * DAY),), (Interval(NOW + DAY),)]:
            decision = decide(asked(Purpose.ROLLBACK, lapsed, *live), NOW)
            assert decision.answer is Answer.DENY
            assert decision.path is Purpose.DEPLOY


class TestRestart:
    @pytest.mark.parametrize(
        "facts",
        [
            standing(revisions=(RevisionFact(2, NOW - HOUR),)),
            standing(approvals=()),
            standing(retired_at=(NOW,)),
            replace(FACTS, breaches=(BreachFact("b", "psi", NOW),)),
            replace(FACTS, policy=policy(control(Status.FAIL))),
            standing(suspensions=(SuspensionFact("s", "no_new_deployment", Interval(NOW - HOUR)),)),
        ],
    )
    def test_what_runs_may_be_restarted(self, facts):
        decision = decide(asked(Purpose.RESTART, facts, RUNNING), NOW)
        assert decision.answer is Answer.ALLOW
        assert decision.path is Purpose.RESTART

    @pytest.mark.parametrize(
        "facts",
        [
            standing(approvals=(replace(APPROVAL, revoked_at=NOW - HOUR),)),
            standing(retired_at=(NOW,), approvals=(replace(APPROVAL, revoked_at=NOW - HOUR),)),
            standing(suspensions=(SuspensionFact("s", "stop", Interval(NOW - HOUR)),)),
            standing(suspensions=(SuspensionFact("s", "fall_back", Interval(NOW - HOUR)),)),
            replace(
                standing(
                    suspensions=(SuspensionFact("s", "no_new_deployment", Interval(NOW - HOUR)),)
                ),
                policy=policy(restart_when_suspended=False),
            ),
        ],
    )
    def test_not_when_revoked_or_suspended_so(self, facts):
        assert decide(asked(Purpose.RESTART, facts, RUNNING), NOW).answer is Answer.DENY

    def test_what_does_not_run_is_a_deployment(self):
        lapsed = standing(revisions=(RevisionFact(2, NOW - HOUR),))
        decision = decide(asked(Purpose.RESTART, lapsed, RETIRED_LATELY), NOW)
        assert decision.answer is Answer.DENY
        assert decision.path is Purpose.DEPLOY


statuses = st.sampled_from([Status.PASS, Status.FAIL, Status.INSUFFICIENT])


@given(
    results=st.lists(st.tuples(statuses, st.sampled_from(list(Mode))), max_size=4),
    approved=st.booleans(),
    retired=st.booleans(),
    revoked=st.booleans(),
    suspended=st.booleans(),
    breached=st.booleans(),
    lapsed=st.booleans(),
    reviewed=st.booleans(),
    purpose=st.sampled_from(list(Purpose)),
    mode=st.none() | st.sampled_from(list(EnvironmentMode)),
    matches=st.integers(0, 2),
)
def test_allow_is_only_ever_what_nothing_blocks(
    results,
    approved,
    retired,
    revoked,
    suspended,
    breached,
    lapsed,
    reviewed,
    purpose,
    mode,
    matches,
):
    approval = replace(APPROVAL, revoked_at=NOW - HOUR if revoked else None)
    facts = GateFacts(
        replace(QUESTION, purpose=purpose),
        matches=(MATCH, replace(MATCH, model="other"))[:matches],
        mode=mode,
        use="default",
        standing=replace(
            STANDING,
            retired_at=(NOW,) if retired else (),
            approvals=(approval,) if approved else (),
            revisions=(RevisionFact(2, NOW),) if lapsed else (),
            suspensions=(SuspensionFact("s", "stop", Interval(NOW)),) if suspended else (),
        ),
        policy=replace(
            policy(),
            judge=lambda at: [
                control(status, how, f"c{n}") for n, (status, how) in enumerate(results)
            ],
        ),
        breaches=(BreachFact("b", "psi", NOW),) if breached else (),
        open_review=OpenReviewFact("r", 2 if lapsed else 1, "p1") if reviewed else None,
        live=(RUNNING,),
    )
    decision = decide(facts, NOW)
    blocked = denying(decision)
    assert (decision.judged is Answer.ALLOW) == (not blocked)
    assert (decision.verdict is Verdict.PASSED) == (decision.judged is Answer.ALLOW)
    if mode in (EnvironmentMode.ENFORCE, None):
        assert decision.answer is decision.judged
    else:
        assert decision.answer is Answer.ALLOW
    if decision.judged is Answer.ALLOW:
        assert matches == 1
        assert mode is not None
        assert not (approved and revoked)
        assert not suspended
        if purpose is Purpose.DEPLOY:
            assert approved
            assert not any((retired, breached, lapsed))
            assert all(status is Status.PASS for status, how in results if how is Mode.BLOCK)
            assert any(how is Mode.BLOCK for _, how in results)
    assert decision.reasons
    assert (decision.not_after is None) == (decision.answer is not Answer.ALLOW)
