"""From facts to an answer."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from governance.controls.results import ControlResult, Mode, Status
from governance.gate.facts import (
    Answer,
    Decision,
    EnvironmentMode,
    GateFacts,
    PolicyInForce,
    Purpose,
    Verdict,
    WaiverFact,
)
from governance.gate.own import identity_controls, own_controls, own_result
from governance.standing import Standing, StandingReport, report

# Effects of a suspension that reach what runs already.
STOPPING = frozenset({"fall_back", "stop"})


def decide(facts: GateFacts, now: datetime) -> Decision:
    """Answer the question on these facts at `now`. Never raises for what the facts hold."""
    identity = list(identity_controls(facts))
    if any(result.blocks for result in identity) or facts.standing is None:
        return _decision(facts, now, identity, Purpose.DEPLOY, None, ())
    found = report(facts.standing, now)
    path, notes = _path(facts, now)
    own = [*identity, *notes, *own_controls(facts, found)]
    judged, used = _policy(facts, now)
    reasons = _pass_over(own, judged, path, facts.policy)
    return _decision(facts, now, reasons, path, found, used)


def _path(facts: GateFacts, now: datetime) -> tuple[Purpose, list[ControlResult]]:
    """The way it is judged. A fast path that is not open leads back to the full judgement."""
    purpose = facts.question.purpose
    if purpose is Purpose.DEPLOY:
        return purpose, []
    if purpose is Purpose.RESTART:
        open_ = any(one.holds(now) for one in facts.live)
        sentence = "A restart is of what is live in the environment."
        seen = "It is live there." if open_ else "It is not live there; judged as a deployment."
    else:
        window = facts.policy.rollback_window if facts.policy else timedelta(0)
        open_ = any(
            one.since <= now and (one.until is None or one.until >= now - window)
            for one in facts.live
        )
        sentence = f"A rollback is to what was live there within {window.days} days."
        seen = "It was live there." if open_ else "It was not live there; judged as a deployment."
    note = own_result(f"gate.{purpose.value}_path", open_, sentence, seen, mode=Mode.WARN)
    return (purpose if open_ else Purpose.DEPLOY), [note]


def _policy(facts: GateFacts, now: datetime) -> tuple[list[ControlResult], tuple[WaiverFact, ...]]:
    """The policy's controls judged at `now`, waivers applied, and the waivers that were needed."""
    if facts.policy is None:
        return [], ()
    results = facts.policy.judge(now)
    if not any(result.mode is Mode.BLOCK for result in results):
        # Nothing that could deny was judged, and judging nothing is no pass.
        results = [
            *results,
            own_result(
                "gate.controls_judged",
                False,
                "The policy judges at least one blocking control.",
                "It judged none.",
                status=Status.INSUFFICIENT,
            ),
        ]
    active = [one for one in facts.waivers if one.interval.holds(now)]
    used: dict[str, WaiverFact] = {}
    waived = []
    for result in results:
        waiver = next((one for one in active if result.control in one.controls), None)
        if result.blocks and waiver is not None and result.control not in facts.policy.never_waived:
            used[waiver.id] = waiver
            result = _waive(result, waiver)
        waived.append(result)
    return waived, tuple(used.values())


def _waive(result: ControlResult, waiver: WaiverFact) -> ControlResult:
    until = waiver.interval.until
    end = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return replace(
        result,
        status=Status.WAIVED,
        reason=f"Waived{end}. {result.reason}",
        evidence=[*result.evidence, waiver.id],
    )


_ROLLBACK_BLOCKS = frozenset(
    {
        "gate.not_retired",
        "gate.not_revoked",
        "gate.not_suspended",
        "gate.no_open_breach",
        "gate.approved",
    }
)
_IDENTITY = frozenset({"gate.environment_known", "gate.artifact_known", "gate.use_known"})


def _pass_over(
    own: list[ControlResult],
    judged: list[ControlResult],
    path: Purpose,
    policy: PolicyInForce | None,
) -> list[ControlResult]:
    """Lower to `warn` what a fast path passes over."""
    if path is Purpose.DEPLOY:
        return [*own, *judged]

    def blocks(result: ControlResult) -> bool:
        if result.control in _IDENTITY:
            return True
        if path is Purpose.ROLLBACK:
            return result.control in _ROLLBACK_BLOCKS
        if result.control == "gate.not_suspended":
            stopping = any(figure["value"] in STOPPING for figure in result.figures)
            return stopping or policy is None or not policy.restart_when_suspended
        return result.control == "gate.not_revoked"

    return [
        result if blocks(result) else replace(result, mode=Mode.WARN) for result in [*own, *judged]
    ]


# What an open review may still bring about: these alone failing is no refusal yet.
_AWAITED = frozenset({"gate.approved", "gate.not_lapsed", "gate.not_expired"})


def _judgement(
    facts: GateFacts, found: StandingReport | None, reasons: Iterable[ControlResult]
) -> Answer:
    if found is None:
        return Answer.DENY
    blocking = [result for result in reasons if result.blocks]
    if not blocking:
        return Answer.ALLOW
    review = facts.open_review
    if review is None or review.revision != found.revision:
        return Answer.DENY
    governing = found.policy_revision
    if governing is None or review.policy_revision != governing.id:
        return Answer.DENY
    awaited = _AWAITED | (facts.policy.awaits_people if facts.policy else frozenset())
    waiting = all(
        result.control in awaited
        and (result.control in _AWAITED or result.status is Status.INSUFFICIENT)
        for result in blocking
    )
    return Answer.PENDING if waiting else Answer.DENY


def _decision(
    facts: GateFacts,
    now: datetime,
    reasons: list[ControlResult],
    path: Purpose,
    found: StandingReport | None,
    used: tuple[WaiverFact, ...],
) -> Decision:
    mode = facts.mode or EnvironmentMode.ENFORCE
    judged = _judgement(facts, found, reasons)
    answer = judged if mode is EnvironmentMode.ENFORCE else Answer.ALLOW
    return Decision(
        answer=answer,
        judged=judged,
        verdict=Verdict.PASSED if judged is Answer.ALLOW else Verdict.FAILED,
        mode=mode,
        path=path,
        standing=found.standing if found else Standing.NOT_APPROVED,
        summary=_summary(facts, answer, judged, mode, path, reasons),
        reasons=tuple(reasons),
        decided_at=now,
        not_after=_not_after(facts, now, found, path, used) if answer is Answer.ALLOW else None,
        waivers=tuple(sorted(waiver.id for waiver in used)),
    )


def _not_after(
    facts: GateFacts,
    now: datetime,
    found: StandingReport | None,
    path: Purpose,
    used: tuple[WaiverFact, ...],
) -> datetime:
    """An allow holds for the policy's time at most, and never past what it rests on."""
    valid_for = facts.policy.decision_valid_for if facts.policy else timedelta(minutes=5)
    ends = [now + valid_for]
    if path is Purpose.DEPLOY:
        if found is not None and found.until is not None:
            ends.append(found.until)
        ends.extend(one.interval.until for one in used if one.interval.until is not None)
    return min(ends)


def _summary(
    facts: GateFacts,
    answer: Answer,
    judged: Answer,
    mode: EnvironmentMode,
    path: Purpose,
    reasons: list[ControlResult],
) -> str:
    who = str(facts.matches[0]) if len(facts.matches) == 1 else "the artifact"
    where = f"{who} in {facts.question.environment}"
    blocking = [result for result in reasons if result.blocks]
    why = f"{blocking[0].control}: {blocking[0].reason}" if blocking else ""
    more = f" ({len(blocking) - 1} more)" if len(blocking) > 1 else ""
    if judged is Answer.ALLOW:
        return f"Allowed: {where}" + ("." if path is Purpose.DEPLOY else f", {path.value}.")
    if judged is Answer.PENDING:
        said = f"Pending: {where} awaits its review. {why}{more}"
    else:
        said = f"Denied: {where}. {why}{more}"
    return (
        f"Let by, because the environment's mode is {mode.value}. {said}"
        if answer is not judged
        else said
    )
