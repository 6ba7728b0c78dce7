"""What every kind of control is: typed parameters, a sentence, and a judgement of facts."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from governance.controls.facts import Facts
from governance.controls.results import Status
from monitoring import metrics

Grade = Literal["claimed", "recomputed", "re-performed"]
Check = Literal[
    "performance", "fairness", "drift", "explainability", "data_quality", "robustness", "oversight"
]
DatasetPurpose = Literal["training", "validation", "test", "reference", "production"]
Severity = Literal["low", "medium", "high", "critical"]

GRADES: tuple[Grade, ...] = ("claimed", "recomputed", "re-performed")
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")


@dataclass(frozen=True)
class Judgement:
    """A status and what it rests on. Kinds return it; a policy's rule makes a result of it."""

    status: Status
    reason: str
    figures: list[dict[str, Any]] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Control(ABC):
    """One kind of control with its parameters, which are its dataclass fields.

    `judge` is pure and raises `facts.Missing` where a fact is absent or mistyped: that is
    `insufficient`. It returns `pass` only for what it has seen to hold.
    """

    kind: ClassVar[str]

    @abstractmethod
    def sentence(self) -> str:
        """What it asks, as one sentence that a risk officer can read."""

    @abstractmethod
    def judge(self, facts: Facts, now: datetime) -> Judgement:
        """Judge the facts as they are at `now`."""

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield (parameter, what is wrong) where parameters leave nothing that could ever fire."""
        yield from ()


def parameter(
    default: Any = dataclasses.MISSING, *, least: float | None = None, most: float | None = None
) -> Any:
    """A field of a control with bounds: of a number, or of the length of a text or a list."""
    bounds: Mapping[str, Any] = {"least": least, "most": most}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=bounds)
    if default is dataclasses.MISSING:
        return field(metadata=bounds)
    return field(default=default, metadata=bounds)


def at_least(grade: str, wanted: str) -> bool:
    """True if `grade` is one of the three and not under `wanted`."""
    return grade in GRADES and GRADES.index(grade) >= GRADES.index(wanted)


def show(value: float) -> str:
    """A number as it stands in a reason: three decimals, or four digits if it is large."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def listed(words: tuple[str, ...] | list[str], joint: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f" {joint} ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def spoken(name: str) -> str:
    """A name of the record in words; metrics as they are called everywhere."""
    return metrics.spoken(name)
