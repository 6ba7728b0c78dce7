"""Measurements of a run, arranged to be read: by group where groups are compared, else in a list. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The figures of each kind of check that stand in its first line.
_HEADLINES: Mapping[str, tuple[str, ...]] = {
    "performance": ("accuracy", "auc", "recall"),
    "fairness": ("equal_opportunity_difference",),
    "drift": ("psi_deciles", "psi"),
    "explainability": ("mean_abs_shap",),
    "data_quality": ("rows", "duplicate_rate"),
    "oversight": ("override_rate", "fast_decision_rate"),
    "robustness": ("flip_rate", "accuracy_drop"),
}


@dataclass(frozen=True)
class Column:
    """A metric measured for several groups, and how, where that is the same for all of them."""

    metric: str
    method: str


@dataclass(frozen=True)
class Crossing:
    """One attribute: a row for each of its groups, a column for each metric, None where unmeasured.

    `n` is that of all of them, or None if they differ and each must tell its own.
    """

    attribute: str
    n: int | None
    columns: list[Column]
    rows: list[tuple[str, list[Any | None]]]


@dataclass(frozen=True)
class Arranged:
    """`grade` is that of all of them, or empty if they differ and each must tell its own."""

    listed: list[Any]
    crossings: list[Crossing]
    grade: str


def arrange(measured: Iterable[Any]) -> Arranged:
    """Put measurements of single groups of one attribute into a table with a row for each group.

    What is about everybody, about several attributes at once, or compares groups, is listed.
    """
    found = list(measured)
    by: dict[str, list[Any]] = {}
    for one in found:
        attribute = _single(one)
        if attribute:
            by.setdefault(attribute, []).append(one)
    crossed = {
        attribute: rows
        for attribute, rows in by.items()
        if len({one.slice[attribute] for one in rows}) > 1
    }
    listed = [one for one in found if _single(one) not in crossed]
    grades = {one.grade for one in found}
    return Arranged(
        listed,
        [_crossing(attribute, rows) for attribute, rows in crossed.items()],
        next(iter(grades)) if len(grades) == 1 else "",
    )


def _single(one: Any) -> str:
    """The attribute that a measurement is about one group of, or nothing."""
    if len(one.slice) != 1:
        return ""
    ((attribute, group),) = one.slice.items()
    return "" if group == "*" else str(attribute)


def _crossing(attribute: str, measured: Sequence[Any]) -> Crossing:
    metrics = list(dict.fromkeys(one.metric for one in measured))
    cells = {(one.slice[attribute], one.metric): one for one in measured}
    groups = dict.fromkeys(one.slice[attribute] for one in measured)
    counts = {one.n for one in measured}
    return Crossing(
        attribute,
        next(iter(counts)) if len(counts) == 1 else None,
        [
            Column(metric, _method(one for one in measured if one.metric == metric))
            for metric in metrics
        ],
        [(group, [cells.get((group, metric)) for metric in metrics]) for group in groups],
    )


def _method(measured: Iterable[Any]) -> str:
    said = {one.method for one in measured if one.method}
    return said.pop() if len(said) == 1 else ""


def headline(kind: str, measured: Iterable[Any]) -> list[Any]:
    """The one to three figures that tell most of a check: for everybody, or between its groups.

    Of explainability they are the features that weigh most.
    """
    wanted = _HEADLINES.get(kind, ())
    if kind == "explainability":
        weights = [one for one in measured if one.metric in wanted and _single(one)]
        return sorted(weights, key=lambda one: -(one.value or 0.0))[:3]
    found = [
        one
        for one in measured
        if one.metric in wanted
        and len(one.slice) < 2
        and all(group == "*" for group in one.slice.values())
        and (one.slice or not one.attribute)
    ]
    first = [name for name in wanted if any(one.metric == name for one in found)]
    if kind == "drift":
        first = first[:1]
    return [one for name in first for one in found if one.metric == name][:3]
