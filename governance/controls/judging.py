"""Judging a policy's controls: pure, from facts and an instant to one result for each control."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from governance.controls import logic
from governance.controls.base import Control, Judgement
from governance.controls.facts import Facts, Missing
from governance.controls.measured import MetricAtLeast, MetricAtMost, MetricEach
from governance.controls.process import (
    CheckRecent,
    DeterministicOutput,
    MaxAttempts,
    NoOpenFindings,
    ValidationWritten,
)
from governance.controls.recorded import (
    ArtifactFormatSafe,
    ArtifactPinned,
    ClaimsMatch,
    CodeCommitRecorded,
    DatasetLineageComplete,
    EvidencePresent,
    SensitiveAttributeNotAnInput,
    TierSet,
    UseStated,
)
from governance.controls.results import ControlResult, Mode, Status

KINDS: dict[str, type[Control]] = {
    kind.kind: kind
    for kind in (
        ArtifactPinned,
        ArtifactFormatSafe,
        CodeCommitRecorded,
        DatasetLineageComplete,
        EvidencePresent,
        SensitiveAttributeNotAnInput,
        UseStated,
        TierSet,
        ClaimsMatch,
        MetricAtLeast,
        MetricAtMost,
        MetricEach,
        CheckRecent,
        NoOpenFindings,
        ValidationWritten,
        MaxAttempts,
        DeterministicOutput,
    )
}


@dataclass(frozen=True)
class AllOf:
    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class AnyOf:
    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Negation:
    part: "Condition"


Condition = Control | AllOf | AnyOf | Negation


@dataclass(frozen=True)
class Rule:
    """One named control of a policy, as its author wrote it."""

    id: str
    mode: Mode
    condition: Condition
    why: str = ""
    remedy: str = ""
    clause: str = ""


class HasControls(Protocol):
    @property
    def controls(self) -> Sequence[Rule]: ...


def judge(policy: HasControls, facts: Facts, now: datetime) -> list[ControlResult]:
    """Judge every control of `policy` on `facts` as of `now`, in the policy's order.

    Never raises: a control that cannot be judged, even by its own error, is `insufficient`.
    """
    return [judge_rule(rule, facts, now) for rule in policy.controls]


def judge_rule(rule: Rule, facts: Facts, now: datetime) -> ControlResult:
    judgement = _judge(rule.condition, facts, now)
    return ControlResult(
        control=rule.id,
        mode=rule.mode,
        status=judgement.status,
        sentence=sentence(rule.condition),
        reason=judgement.reason,
        figures=judgement.figures,
        evidence=judgement.evidence,
        remedy=rule.remedy,
        clause=rule.clause,
        why=rule.why,
    )


def _judge(condition: Condition, facts: Facts, now: datetime) -> Judgement:
    match condition:
        case AllOf(parts):
            judged = [_judge(part, facts, now) for part in parts]
            return _joined(logic.all_of(one.status for one in judged), judged)
        case AnyOf(parts):
            judged = [_judge(part, facts, now) for part in parts]
            return _joined(logic.any_of(one.status for one in judged), judged)
        case Negation(part):
            one = _judge(part, facts, now)
            return Judgement(logic.negation(one.status), one.reason, one.figures, one.evidence)
        case _:
            return _judge_control(condition, facts, now)


def _judge_control(control: Control, facts: Facts, now: datetime) -> Judgement:
    try:
        return control.judge(facts, now)
    except Missing as gap:
        words = str(gap).strip()
        return Judgement(Status.INSUFFICIENT, f"{words[:1].upper()}{words[1:]}.")
    except Exception as error:
        # A fault in a control must never read as a yes, nor stop the others from being judged.
        reason = f"The control could not be judged: {type(error).__name__}."
        return Judgement(Status.INSUFFICIENT, reason)


def _joined(status: Status, judged: Iterable[Judgement]) -> Judgement:
    """The reasons behind the joint status: those parts that have it, or all of them."""
    everything = list(judged)
    behind = [one for one in everything if one.status is status] or everything
    figures: list[dict[str, Any]] = [figure for one in everything for figure in one.figures]
    evidence = list(dict.fromkeys(found for one in everything for found in one.evidence))
    return Judgement(status, " ".join(one.reason for one in behind), figures, evidence)


def sentence(condition: Condition) -> str:
    """What a condition asks, in words."""
    match condition:
        case AllOf(parts):
            return f"All of: {_sentences(parts)}."
        case AnyOf(parts):
            return f"At least one of: {_sentences(parts)}."
        case Negation(part):
            return f"It is not so that: {_sentences((part,))}."
        case _:
            return condition.sentence()


def _sentences(parts: Iterable[Condition]) -> str:
    return "; ".join(f"{sentence(part).rstrip('.')}" for part in parts)
