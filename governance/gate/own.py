"""The gate's own controls, beside those of the policy: is it clear what is asked, may it go?"""

from collections.abc import Iterator
from typing import Any

from governance.controls.results import ControlResult, Mode, Status
from governance.gate.facts import BreachFact, GateFacts
from governance.standing import Standing, StandingReport
from monitoring.metrics import spoken


def identity_controls(facts: GateFacts) -> Iterator[ControlResult]:
    """Is it clear what is asked about, where, and for what?"""
    question = facts.question
    yield own_result(
        "gate.environment_known",
        facts.mode is not None,
        "The environment is one that is governed.",
        f"The environment is {question.environment}."
        if facts.mode is not None
        else f"There is no environment {question.environment}.",
        remedy="Name a registered environment.",
    )
    yield _artifact(facts)
    if len(facts.matches) == 1 and not facts.hidden:
        known = facts.use is not None
        yield own_result(
            "gate.use_known",
            known,
            "The model is registered for the use.",
            f"The use is {facts.use}."
            if known
            else f"{facts.matches[0].model} has no use {question.use or 'by default'}.",
            remedy="Name a use that the model is registered for.",
        )


def _artifact(facts: GateFacts) -> ControlResult:
    question = facts.question
    sentence = "The artifact is that of exactly one registered version."
    asked = (
        f"sha256:{question.digest}" if question.digest else f"{question.model} {question.number}"
    )
    if not facts.matches:
        # One answer whether it does not exist or may not be asked about: a pipeline learns nothing.
        reason = f"{asked} belongs to no version" + (
            f" of {question.model}." if question.digest and question.model else "."
        )
        return own_result("gate.artifact_known", False, sentence, reason, remedy=_REGISTER)
    if len(facts.matches) > 1 or facts.hidden:
        names = sorted({match.model for match in facts.matches})
        models = " and ".join([*names, *(["another model"] if facts.hidden else [])])
        return own_result(
            "gate.artifact_known",
            False,
            sentence,
            f"{asked} is registered under {models}.",
            remedy="Name the model.",
        )
    match = facts.matches[0]
    return own_result(
        "gate.artifact_known",
        True,
        sentence,
        f"It is {match}.",
        evidence=[match.artifact_digest],
    )


_REGISTER = "Register the artifact, or deploy the bytes that were registered."


def own_controls(facts: GateFacts, found: StandingReport) -> Iterator[ControlResult]:
    """The gate's own controls on the standing, the policy and what monitoring found."""
    yield _standing(found, Standing.RETIRED, "gate.not_retired", "It is not retired.")
    yield _standing(found, Standing.REVOKED, "gate.not_revoked", "Its approval is not revoked.")
    yield _not_suspended(found)
    yield _no_breach(facts.breaches)
    yield _governed(facts, found)
    yield _approved(facts, found)
    yield _standing(
        found,
        Standing.LAPSED,
        "gate.not_lapsed",
        "It is approved as it is now, under the policy that is in force.",
        remedy="Submit it for review again.",
    )
    yield _standing(
        found,
        Standing.EXPIRED,
        "gate.not_expired",
        "The approval has not expired.",
        remedy="Submit it for review again.",
    )


def _standing(
    found: StandingReport, state: Standing, control: str, sentence: str, *, remedy: str = ""
) -> ControlResult:
    reason = found.holding.get(state)
    evidence = [found.approval.id] if found.approval and state is not Standing.RETIRED else []
    return own_result(
        control,
        reason is None,
        sentence,
        _spoken(reason) if reason else sentence,
        evidence=evidence,
        remedy=remedy,
    )


def _not_suspended(found: StandingReport) -> ControlResult:
    return own_result(
        "gate.not_suspended",
        not found.suspensions,
        "It is not suspended for the use in the environment.",
        _spoken(found.holding.get(Standing.SUSPENDED, "it is not suspended")),
        figures=[{"label": "effect", "value": one.effect} for one in found.suspensions],
        evidence=[one.id for one in found.suspensions],
        remedy="A risk officer lifts the suspension once its reason is gone.",
    )


def _no_breach(breaches: tuple[BreachFact, ...]) -> ControlResult:
    metrics = ", ".join(sorted({spoken(one.metric) for one in breaches}))
    return own_result(
        "gate.no_open_breach",
        not breaches,
        "No breach of its monitors is unresolved.",
        f"Unresolved: {metrics}." if breaches else "None is unresolved.",
        figures=[{"label": spoken(one.metric), **one.figure} for one in breaches],
        evidence=[one.id for one in breaches],
        remedy="Resolve the breach, or register and approve a version trained anew.",
    )


def _governed(facts: GateFacts, found: StandingReport) -> ControlResult:
    governed = facts.policy is not None and found.policy_revision is not None
    return own_result(
        "gate.policy_in_force",
        governed,
        "A policy governs the environment.",
        f"It is judged by {facts.policy.name} {facts.policy.number}."
        if governed and facts.policy
        else "No policy governs it.",
        evidence=[facts.policy.digest] if governed and facts.policy else [],
        remedy="Bind a policy to the environment.",
    )


def _approved(facts: GateFacts, found: StandingReport) -> ControlResult:
    review = facts.open_review
    if found.approval is not None:
        reason = _spoken(found.reason) if found.standing.in_force else "It was approved once."
    elif review is not None:
        reason = "Nobody approved it yet; its review is open."
    else:
        reason = _spoken(found.holding[Standing.NOT_APPROVED])
    return own_result(
        "gate.approved",
        found.approval is not None,
        "People approved it for the use in the environment.",
        reason,
        evidence=[found.approval.id] if found.approval else [],
        remedy="Sign the open review." if review else "Submit the version for review.",
    )


def own_result(
    control: str,
    holds: bool,
    sentence: str,
    reason: str,
    *,
    mode: Mode = Mode.BLOCK,
    status: Status | None = None,
    figures: list[dict[str, Any]] | None = None,
    evidence: list[str] | None = None,
    remedy: str = "",
) -> ControlResult:
    return ControlResult(
        control=control,
        mode=mode,
        status=status or (Status.PASS if holds else Status.FAIL),
        sentence=sentence,
        reason=reason,
        figures=figures or [],
        evidence=evidence or [],
        remedy="" if holds else remedy,
    )


def _spoken(reason: str) -> str:
    return reason[:1].upper() + reason[1:] + ("" if reason.endswith(".") else ".")
