"""Limits of a monitor: what governance wrote into it, and whether a run's measurements keep them.

Pure. A limit is a JSON object:

    {"metric": "equal_opportunity_difference", "attribute": "sex", "op": "<=", "value": 0.1,
     "control": "equal-opportunity-by-sex", "bound": "value", "when_undefined": "ignore"}

`attribute` names what groups are compared by (`sex`, or `sex,race`); `slice` names one group
instead (`{"sex": "Female"}`); with neither the figure for everybody is meant. `bound` says which
end of the interval is held against the limit: `value` (the default), `lower` or `upper`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal, cast

from kernel.canonical import is_number
from kernel.errors import Invalid
from monitoring import metrics

Outcome = Literal["kept", "exceeded", "not_measured", "too_few_rows"]

OPERATORS = ("<=", ">=")
BOUNDS = ("value", "lower", "upper")
UNDEFINED = ("ignore", "breach")
BETWEEN = "*"
_NAMES = ("metric", "attribute", "slice", "op", "value", "control", "bound", "when_undefined")


@dataclass(frozen=True)
class Limit:
    """One limit. `slice` is as measurements carry it: `{"sex": "*"}` for a comparison by sex."""

    metric: str
    op: str
    value: float
    slice: Mapping[str, str] = field(default_factory=dict)
    control: str = ""
    bound: str = "value"
    when_undefined: str = "ignore"

    @property
    def key(self) -> str:
        """What tells it from the other limits of its monitor, as `auc >=` or `accuracy{sex=*} >=`."""
        inner = ",".join(f"{name}={self.slice[name]}" for name in sorted(self.slice))
        return f"{self.metric}{{{inner}}} {self.op}" if inner else f"{self.metric} {self.op}"

    @property
    def words(self) -> str:
        """What is limited, as `accuracy`, `equal opportunity difference between groups of sex`."""
        between = sorted(name for name, group in self.slice.items() if group == BETWEEN)
        groups = [
            f"{name} {group}" for name, group in sorted(self.slice.items()) if group != BETWEEN
        ]
        if between == ["feature"]:
            groups.append("of the feature that moved most")
        elif between:
            groups.append(metrics.between(", ".join(between)))
        return " ".join([metrics.spoken(self.metric), *groups])

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "slice": dict(self.slice),
            "op": self.op,
            "value": self.value,
            "control": self.control,
            "bound": self.bound,
            "when_undefined": self.when_undefined,
        }


@dataclass(frozen=True)
class Judgement:
    """What became of one limit in one run. `value` is the figure that was held against it."""

    limit: Limit
    outcome: Outcome
    reason: str
    value: float | None = None
    measurement: Mapping[str, Any] | None = None

    @property
    def breaks(self) -> bool:
        return self.outcome == "exceeded" or (
            self.outcome == "not_measured" and self.limit.when_undefined == "breach"
        )

    def to_json(self) -> dict[str, Any]:
        """The facts behind a breach, for its `detail`."""
        measured = self.measurement or {}
        return {
            "limit": self.limit.to_json(),
            "outcome": self.outcome,
            "reason": self.reason,
            "judged": self.value,
            **{
                name: measured.get(name)
                for name in ("value", "lower", "upper", "level", "n", "undefined", "grade")
            },
            "slice": dict(self.limit.slice),
            "control": self.limit.control,
        }


def parse_limits(value: object, path: str = "limits") -> tuple[Limit, ...]:
    """Read the limits of a monitor.

    Raises:
        Invalid: naming the field, as `limits[0].op`; also if two limits are about the same thing.
    """
    if not isinstance(value, list | tuple) or not value:
        raise Invalid("expected a list of at least one limit", field=path)
    limits = tuple(_parse(one, f"{path}[{index}]") for index, one in enumerate(value))
    seen: set[str] = set()
    for index, limit in enumerate(limits):
        if limit.key in seen:
            raise Invalid("the same thing is limited twice", field=f"{path}[{index}]")
        if len(limit.key) > 300:
            raise Invalid("the slice is too long", field=f"{path}[{index}].slice")
        seen.add(limit.key)
    return limits


def _parse(value: object, path: str) -> Limit:
    if not isinstance(value, Mapping):
        raise Invalid("expected an object", field=path)
    unknown = sorted(str(name) for name in value if name not in _NAMES)
    if unknown:
        raise Invalid(f"unknown name; known are {', '.join(_NAMES)}", field=f"{path}.{unknown[0]}")
    if not is_number(value.get("value")):
        raise Invalid("expected a finite number", field=f"{path}.value")
    return Limit(
        metric=_text(value, "metric", path, most=120),
        op=_choice(value, "op", OPERATORS, path),
        value=float(value["value"]),
        slice=_slice(value, path),
        control=_text(value, "control", path, most=200, default=""),
        bound=_choice(value, "bound", BOUNDS, path, default="value"),
        when_undefined=_choice(value, "when_undefined", UNDEFINED, path, default="ignore"),
    )


def _text(
    value: Mapping[str, Any], name: str, path: str, *, most: int, default: str | None = None
) -> str:
    text = value.get(name, default)
    if not isinstance(text, str) or (not text and default is None) or len(text) > most:
        raise Invalid(f"expected a text of up to {most} characters", field=f"{path}.{name}")
    return text


def _choice(
    value: Mapping[str, Any],
    name: str,
    choices: Sequence[str],
    path: str,
    *,
    default: str | None = None,
) -> str:
    chosen = value.get(name, default)
    if chosen not in choices:
        raise Invalid(f"expected one of {', '.join(choices)}", field=f"{path}.{name}")
    return cast(str, chosen)


def _slice(value: Mapping[str, Any], path: str) -> dict[str, str]:
    attribute = _text(value, "attribute", path, most=300, default="")
    given = value.get("slice", {})
    if not isinstance(given, Mapping) or not all(
        isinstance(name, str) and isinstance(group, str) for name, group in given.items()
    ):
        raise Invalid("expected an object of attribute to group", field=f"{path}.slice")
    if not attribute:
        return dict(given)
    compared = dict.fromkeys((name.strip() for name in attribute.split(",")), BETWEEN)
    if given and dict(given) != compared:
        raise Invalid("give either an attribute or a slice", field=f"{path}.slice")
    return compared


def judge_limits(
    limits: Iterable[Limit],
    measurements: Sequence[Mapping[str, Any]],
    *,
    rows: int | None,
    min_rows: int,
) -> list[Judgement]:
    """Hold the measurements of one run against each limit, in the order of the limits.

    A measurement is a mapping with `metric`, `slice`, `value`, `lower`, `upper`, `undefined` and
    what else is known of it. Fewer than `min_rows` rows judge nothing.
    """
    found: dict[tuple[str, frozenset[tuple[str, str]]], Mapping[str, Any]] = {}
    for one in measurements:
        found.setdefault((one["metric"], _frozen(one["slice"])), one)
    return [
        Judgement(limit, "too_few_rows", f"{rows or 0} rows, at least {min_rows} are wanted")
        if rows is None or rows < min_rows
        else _judge(limit, found.get((limit.metric, _frozen(limit.slice))))
        for limit in limits
    ]


def _judge(limit: Limit, measured: Mapping[str, Any] | None) -> Judgement:
    if measured is None:
        return Judgement(limit, "not_measured", "the check gave no such measurement")
    value = measured.get(limit.bound)
    if not is_number(value):
        why = measured.get("undefined") or f"it has no {limit.bound}"
        return Judgement(limit, "not_measured", f"not measured: {why}", None, measured)
    assert isinstance(value, int | float)
    kept = value <= limit.value if limit.op == "<=" else value >= limit.value
    what = limit.words if limit.bound == "value" else f"the {limit.bound} end of {limit.words}"
    side = "at most" if limit.op == "<=" else "at least"
    reason = f"{what} is {value:.4g}, and the limit is {side} {limit.value:.4g}"
    return Judgement(limit, "kept" if kept else "exceeded", reason, float(value), measured)


@dataclass(frozen=True)
class Past:
    """What is kept of a judgement."""

    outcome: str
    breaks: bool

    @property
    def tells(self) -> bool:
        """Was the limit held against a figure, or broken for want of one?

        What tells nothing, for too few rows or for want of a figure, neither keeps a limit nor breaks
        it: a count of windows in a row passes over it.
        """
        return self.breaks or self.outcome == "kept"


def acts(newest_first: Iterable[Past], consecutive: int) -> bool:
    """Does one limit's history call for a breach: did the last `consecutive` runs that tell break it?"""
    judged = (one for one in newest_first if one.tells)
    return sum(1 for _ in takewhile(lambda one: one.breaks, judged)) >= max(1, consecutive)


def _frozen(slice: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(slice.items())
