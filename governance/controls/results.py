"""What judging a control yields: a status of three, and what a reader needs to check it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """`insufficient`: what is there neither shows that the control holds nor that it does not.

    It denies like `fail`. `waived` is never judged: the gate puts it in place of either.
    """

    PASS = "pass"  # noqa: S105 (a word, no secret)
    FAIL = "fail"
    INSUFFICIENT = "insufficient"
    WAIVED = "waived"


class Mode(StrEnum):
    BLOCK = "block"
    WARN = "warn"


@dataclass(frozen=True)
class ControlResult:
    """One control of a policy, judged.

    `sentence` says what the control asks, `reason` why it has its status, `remedy` what to do.
    `figures` are what was seen: `{"label", "value", "lower", "upper", "limit", "n", "unit",
    "grade", "run", ...}`, each key only where there is something to say. `evidence` holds ids of
    runs, evidence, validations and findings, and digests. `why` and `clause` are the policy's: why
    it asks, and what obliges it to.
    """

    control: str
    mode: Mode
    status: Status
    sentence: str
    reason: str
    figures: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)
    remedy: str = ""
    clause: str = ""
    why: str = ""

    @property
    def holds(self) -> bool:
        """True if the control stands in nobody's way by its own: it passed or is waived."""
        return self.status in (Status.PASS, Status.WAIVED)

    @property
    def blocks(self) -> bool:
        return self.mode is Mode.BLOCK and not self.holds

    def to_json(self) -> dict[str, Any]:
        return {
            "control": self.control,
            "mode": self.mode.value,
            "status": self.status.value,
            "sentence": self.sentence,
            "reason": self.reason,
            "figures": [dict(figure) for figure in self.figures],
            "evidence": list(self.evidence),
            "remedy": self.remedy,
            "clause": self.clause,
            "why": self.why,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "ControlResult":
        """Read what `to_json` wrote."""
        return cls(
            control=value["control"],
            mode=Mode(value["mode"]),
            status=Status(value["status"]),
            sentence=value["sentence"],
            reason=value["reason"],
            figures=[dict(figure) for figure in value["figures"]],
            evidence=list(value["evidence"]),
            remedy=value["remedy"],
            clause=value["clause"],
            why=value["why"],
        )


def blocking(results: Iterable[ControlResult]) -> list[ControlResult]:
    """The results that deny. Judging nothing is no pass: the caller must see to that itself."""
    return [result for result in results if result.blocks]
