"""What a decision rests on, and what it is: plain values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from governance.controls.results import ControlResult
from governance.standing import Interval, Standing, StandingFacts


class Answer(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    PENDING = "pending"


class Verdict(StrEnum):
    PASSED = "PASSED"
    FAILED = "FAILED"


class Purpose(StrEnum):
    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    RESTART = "restart"


class EnvironmentMode(StrEnum):
    OBSERVE = "observe"
    WARN = "warn"
    ENFORCE = "enforce"


@dataclass(frozen=True)
class Question:
    """What a pipeline asks: a digest, or a model and number, or all of them, which must then agree."""

    environment: str
    digest: str = ""
    model: str = ""
    number: int | None = None
    use: str = ""
    purpose: Purpose = Purpose.DEPLOY
    run_id: str = ""


@dataclass(frozen=True)
class Match:
    """A version that fits the question."""

    id: str
    model: str
    number: int
    artifact_digest: str

    def __str__(self) -> str:
        return f"{self.model} {self.number}"


@dataclass(frozen=True)
class BreachFact:
    id: str
    metric: str
    opened_at: datetime
    figure: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WaiverFact:
    """A granted waiver. The interval ends where it ends or was ended."""

    id: str
    controls: frozenset[str]
    interval: Interval


@dataclass(frozen=True)
class OpenReviewFact:
    id: str
    revision: int
    policy_revision: str


@dataclass(frozen=True)
class PolicyInForce:
    """The policy revision to judge by, and `judge`, which judges its controls at an instant.

    `awaits_people` names the controls that hold only once people have done what a review asks for.
    `restart_when_suspended` says whether what is suspended from new deployment may be restarted.
    `never_waived` names the controls that no waiver covers, whenever it was granted.
    """

    revision: str
    name: str
    number: int
    digest: str
    judge: Callable[[datetime], list[ControlResult]]
    decision_valid_for: timedelta
    rollback_window: timedelta
    restart_when_suspended: bool = True
    awaits_people: frozenset[str] = frozenset()
    never_waived: frozenset[str] = frozenset()


@dataclass(frozen=True)
class GateFacts:
    """One snapshot of everything a decision rests on.

    `matches` are the versions that fit and `hidden` says that there are more, of which the asker may
    not know; the rest is about the only one, and None where there is none.
    `live` are the intervals in which its digest ran in the environment for the use, let by by the
    gate. `breaches` are the unresolved ones.
    """

    question: Question
    matches: tuple[Match, ...] = ()
    mode: EnvironmentMode | None = None
    use: str | None = None
    standing: StandingFacts | None = None
    policy: PolicyInForce | None = None
    breaches: tuple[BreachFact, ...] = ()
    waivers: tuple[WaiverFact, ...] = ()
    open_review: OpenReviewFact | None = None
    live: tuple[Interval, ...] = ()
    dossier: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class Decision:
    """The answer. `judged` is what it would be under `enforce`; `path` how it was judged."""

    answer: Answer
    judged: Answer
    verdict: Verdict
    mode: EnvironmentMode
    path: Purpose
    standing: Standing
    summary: str
    reasons: tuple[ControlResult, ...]
    decided_at: datetime
    not_after: datetime | None
    waivers: tuple[str, ...] = ()
