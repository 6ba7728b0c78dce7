"""What a check yields: measurements, plots as data, notes. Never a verdict.

A measurement's `slice` says what it is about: `{}` everybody, `{"sex": "Female"}` one group,
`{"sex": "*"}` a comparison between the groups of an attribute, `{"feature": "age"}` one column.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Grade = Literal["claimed", "recomputed", "re-performed"]

INSUFFICIENT = "insufficient"
"""The denominator is under the declared minimum."""
NO_DENOMINATOR = "no_denominator"
"""Nobody the metric could be formed over, for instance no positives."""
MISSING_GROUP = "missing_group"
"""The sensitive value is missing: counted, and kept out of comparisons."""
NOT_AVAILABLE = "not_available"
"""The data has no column from which this could be measured."""

TOO_FEW_TO_SHOW = "too_few_to_show"
"""So few people that the value would tell what each of them had."""
NOT_COLLECTED = "not_collected"
"""Nobody asked the people for the attribute, which a person signed with a reason and an end."""
DECLARATION_LAPSED = "declaration_lapsed"
"""The attribute is not collected, and nobody's signature says so any more."""
DOES_NOT_ADD_UP = "does_not_add_up"
"""Of a sum of stored cubes: it does not follow from what each of them holds."""

BETWEEN = "*"


@dataclass(frozen=True)
class MeasurementValue:
    """One number, or why there is none.

    `value`, `lower` and `upper` are in `unit` ("rate", "ratio", "count", "nats", ...); `level` is
    the confidence level of the two-sided interval; `n` the denominator the value was formed over.
    `detail` holds what a reader needs beside it: excluded groups, the test's p, extreme groups.
    """

    metric: str
    slice: Mapping[str, str]
    value: float | None
    lower: float | None = None
    upper: float | None = None
    level: float | None = None
    n: int | None = None
    undefined_reason: str | None = None
    method: str = ""
    unit: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) == (self.undefined_reason is None):
            raise ValueError(f"{self.metric}: exactly one of value and undefined_reason is given")
        for number in (self.value, self.lower, self.upper):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{self.metric}: {number} is not a finite number")

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "slice": dict(self.slice),
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "level": self.level,
            "n": self.n,
            "undefined_reason": self.undefined_reason,
            "method": self.method,
            "unit": self.unit,
            "detail": dict(self.detail),
        }


@dataclass(frozen=True)
class Plot:
    """A chart as data, drawn alike on a page and in a report.

    `kind` is one of `bar`, `interval`, `line`, `histogram`, `confusion`. Each series is
    `{"name": str, "points": [...]}`; a point of `interval` is `{"label", "value", "lower",
    "upper"}`, of `bar` `{"label", "value"}`, of `line` `{"x", "y"}`, of `histogram`
    `{"from", "to", "value"}`. A null value is drawn as a gap with its `reason`.
    """

    name: str
    kind: str
    title: str
    x_label: str
    y_label: str
    series: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "title": self.title,
            "x_label": self.x_label,
            "y_label": self.y_label,
            "series": [dict(one) for one in self.series],
        }


@dataclass(frozen=True)
class Note:
    """Something a person should know about a run. `finding` is true if it contradicts a claim."""

    code: str
    text: str
    counts: Mapping[str, int | float] = field(default_factory=dict)
    finding: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "text": self.text,
            "counts": dict(self.counts),
            "finding": self.finding,
        }


@dataclass(frozen=True)
class CheckResult:
    measurements: list[MeasurementValue]
    plots: list[Plot] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True)
class Attachment:
    """A file that a run leaves as evidence beside its cube.

    A `restricted` one tells of single rows: it is for those who may read the whole cube, and is erased
    with it.
    """

    name: str
    media_type: str
    content: bytes
    restricted: bool = False


@dataclass(frozen=True)
class CheckOutcome:
    """Everything a run leaves. The same job gives the same `cube_digest` and `measurements`.

    `public_cube` is what everybody may see of a cube that holds small counts, or stands beside a
    restricted attachment; None if nothing is restricted.
    """

    kind: str
    grade: Grade
    cube: bytes
    cube_digest: str
    measurements: list[MeasurementValue]
    plots: list[Plot]
    notes: list[Note]
    attachments: list[Attachment]
    engine: str
    libraries: Mapping[str, str]
    seed: int
    rows: int
    timings: Mapping[str, float]
    sandbox: Mapping[str, Any]
    public_cube: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """The outcome without the bytes of the cube and the attachments."""
        return {
            "kind": self.kind,
            "grade": self.grade,
            "cube_digest": self.cube_digest,
            "cube_bytes": len(self.cube),
            "measurements": [one.to_json() for one in self.measurements],
            "plots": [one.to_json() for one in self.plots],
            "notes": [one.to_json() for one in self.notes],
            "attachments": [
                {
                    "name": one.name,
                    "media_type": one.media_type,
                    "bytes": len(one.content),
                    "restricted": one.restricted,
                }
                for one in self.attachments
            ],
            "engine": self.engine,
            "libraries": dict(self.libraries),
            "seed": self.seed,
            "rows": self.rows,
            "timings": dict(self.timings),
            "sandbox": dict(self.sandbox),
        }
