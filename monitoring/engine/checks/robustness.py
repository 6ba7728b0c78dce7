"""Does the model still decide alike, and as well, if its inputs are a little off?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kernel.errors import Invalid
from monitoring.engine import intervals, requested, statistics
from monitoring.engine.documents import Fields
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.plots import histogram_plot, interval_plot
from monitoring.engine.results import (
    BETWEEN,
    INSUFFICIENT,
    NO_DENOMINATOR,
    NOT_AVAILABLE,
    CheckResult,
    MeasurementValue,
    Note,
    Plot,
)

FIELDS: Final = ("level", "rows", "minimum", "groupings", "perturbations")
ROWS: Final = 10_000
MINIMUM: Final = 30
REFUSED: Final = "refused_by_model"
"""The model gives no probability for such inputs."""
EDGES: Final = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Bins of absolute changes of a score."""
_LARGEST: Final = ("mean_score_change", "flip_rate", "accuracy_drop")


@dataclass(frozen=True)
class Settings:
    """`rows` are drawn by digest; without `perturbations` the usual ones are tried."""

    level: float = 0.95
    rows: int = ROWS
    minimum: int = MINIMUM
    groupings: tuple[tuple[str, ...], ...] = ()
    perturbations: tuple[requested.Perturbation, ...] = ()


def settings(config: Mapping[str, Any], mapping: ColumnMapping | None = None) -> Settings:
    """Read `config`; groupings must name attributes of `mapping` if it is given.

    Raises:
        Invalid: naming the field.
    """
    fields = Fields(config, "config", FIELDS)
    known = {one.name for one in mapping.sensitive} if mapping else None
    groupings = []
    for index, value in enumerate(fields.items("groupings")):
        names = (value,) if isinstance(value, str) else tuple(value)
        for name in names:
            if known is not None and name not in known:
                raise Invalid(
                    f"{name!r} is no sensitive attribute of the mapping",
                    field=f"config.groupings[{index}]",
                )
        groupings.append(names)
    return Settings(
        fields.number("level", 0.95, above=0.5, to=0.9999),
        fields.whole("rows", ROWS, least=100, most=200_000),
        fields.whole("minimum", MINIMUM, least=1, most=1_000_000),
        tuple(groupings),
        requested.perturbations(fields, "perturbations"),
    )


def measure(counted: Mapping[str, Any], config: Mapping[str, Any]) -> CheckResult:
    """Measurements of `perturbing.perturb`, for each perturbation by its name:

    `mean_score_change` and `max_score_change` (absolute), `flip_rate` of decisions, and with
    labels `accuracy_under_perturbation`, the paired `accuracy_drop` and `auc_under_perturbation`;
    with slice `{"perturbation": "*"}` the largest of them, its interval widened for the choice;
    `baseline_accuracy` and `baseline_auc` of the same rows as they are; `flip_rate` by group
    where groupings are asked for.
    """
    asked = settings(config)
    found = counted["perturbations"]
    measured = _baseline(counted, asked)
    for one in found:
        measured += _of(one, asked, asked.level)
    measured += _largest(found, asked)
    for one in found:
        measured += _groups(one, asked)
    refused = [one for one in found if one.get("refused")]
    notes = [
        Note(REFUSED, f"under {one['name']!r} the model gives no answer: {one['refused']}")
        for one in refused
    ]
    return CheckResult(measured, _plots(found, measured), notes)


def _baseline(counted: Mapping[str, Any], asked: Settings) -> list[MeasurementValue]:
    return [
        _accuracy("baseline_accuracy", {}, counted["baseline"], asked, asked.level),
        _area("baseline_auc", {}, counted["baseline"], asked, asked.level),
    ]


def _of(one: Mapping[str, Any], asked: Settings, level: float) -> list[MeasurementValue]:
    about = {"perturbation": str(one["name"])}
    if one.get("refused"):
        return [_undefined(name, about, None, REFUSED) for name in _METRICS]
    n = int(one["n"])
    mean = statistics.mean_interval(float(one["change"]), float(one["change_2"]), n, level)
    flips = int(one["to_positive"]) + int(one["to_negative"])
    method = _method(one)
    return [
        MeasurementValue(
            "mean_score_change",
            about,
            float(one["change"]) / n,
            max(0.0, mean.lower) if mean else None,
            min(1.0, mean.upper) if mean else None,
            level if mean else None,
            n,
            method=f"{method}; normal interval over rows",
            unit="probability",
        ),
        MeasurementValue(
            "max_score_change", about, float(one["most"]), n=n, method=method, unit="probability"
        ),
        _rate("flip_rate", about, (flips, n), asked, level, method, _turned(one)),
        _accuracy("accuracy_under_perturbation", about, one, asked, level),
        _drop(about, one, asked, level),
        _area("auc_under_perturbation", about, one, asked, level),
    ]


_METRICS: Final = (
    "mean_score_change",
    "max_score_change",
    "flip_rate",
    "accuracy_under_perturbation",
    "accuracy_drop",
    "auc_under_perturbation",
)


def _method(one: Mapping[str, Any]) -> str:
    column = "all columns" if one["column"] == requested.EVERY else str(one["column"])[:100]
    return f"{str(one['kind']).replace('_', ' ')} {one['amount']:g} of {column}"


def _turned(one: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(one[name]) for name in ("to_positive", "to_negative")}


def _undefined(
    metric: str, about: Mapping[str, str], n: int | None, reason: str
) -> MeasurementValue:
    return MeasurementValue(metric, about, None, n=n, undefined_reason=reason)


def _rate(
    metric: str,
    about: Mapping[str, str],
    counts: tuple[int, int],
    asked: Settings,
    level: float,
    method: str,
    detail: Mapping[str, Any],
) -> MeasurementValue:
    hits, n = counts
    if n < asked.minimum:
        return _undefined(metric, about, n, INSUFFICIENT)
    interval = statistics.wilson(hits, n, level)
    return MeasurementValue(
        metric,
        about,
        hits / n,
        interval.lower,
        interval.upper,
        level,
        n,
        method=f"{method}; Wilson interval",
        unit="rate",
        detail=detail,
    )


def _accuracy(
    metric: str, about: Mapping[str, str], one: Mapping[str, Any], asked: Settings, level: float
) -> MeasurementValue:
    if not int(one["labelled"]):
        return _undefined(metric, about, None, NOT_AVAILABLE)
    counts = int(one["right"]), int(one["labelled"])
    return _rate(metric, about, counts, asked, level, "of the rows drawn", {})


def _drop(
    about: Mapping[str, str], one: Mapping[str, Any], asked: Settings, level: float
) -> MeasurementValue:
    """Rows that were right and are wrong, less those the other way, over all: a paired mean."""
    n = int(one["labelled"])
    if not n:
        return _undefined("accuracy_drop", about, None, NOT_AVAILABLE)
    if n < asked.minimum:
        return _undefined("accuracy_drop", about, n, INSUFFICIENT)
    lost, won = int(one["lost"]), int(one["won"])
    counts, values = (won, n - lost - won, lost), (-1.0, 0.0, 1.0)
    interval = intervals.score_interval(counts, values, level)
    return MeasurementValue(
        "accuracy_drop",
        about,
        (lost - won) / n,
        interval.lower,
        interval.upper,
        level,
        n,
        method="paired, score interval",
        unit="rate",
        detail={"lost": lost, "won": won},
    )


def _area(
    metric: str, about: Mapping[str, str], one: Mapping[str, Any], asked: Settings, level: float
) -> MeasurementValue:
    n, positives = int(one["labelled"]), int(one["positives"])
    if not n:
        return _undefined(metric, about, None, NOT_AVAILABLE)
    if one["auc"] is None:
        return _undefined(metric, about, n, NO_DENOMINATOR)
    if min(positives, n - positives) < asked.minimum:
        return _undefined(metric, about, n, INSUFFICIENT)
    counts = positives, n - positives
    interval = intervals.area_interval(float(one["auc"]), float(one["auc_error"]), counts, level)
    return MeasurementValue(
        metric,
        about,
        float(one["auc"]),
        interval.lower,
        interval.upper,
        level,
        n,
        method="interval from DeLong's error",
        unit="area",
    )


def _largest(found: Sequence[Mapping[str, Any]], asked: Settings) -> list[MeasurementValue]:
    """The worst of the perturbations, with an interval at a level that makes up for choosing it."""
    answered = [one for one in found if not one.get("refused")]
    level = 1 - (1 - asked.level) / max(1, len(answered))
    widened = [value for one in answered for value in _of(one, asked, level)]
    measured = []
    for metric in _LARGEST:
        known = [one for one in widened if one.metric == metric and one.value is not None]
        about = {"perturbation": BETWEEN}
        if not known:
            reasons = [one.undefined_reason for one in widened if one.metric == metric]
            reason = next((one for one in reasons if one), REFUSED)
            measured.append(_undefined(metric, about, None, reason))
            continue
        worst = max(known, key=lambda one: one.value or 0.0)
        measured.append(
            MeasurementValue(
                metric,
                about,
                worst.value,
                worst.lower,
                worst.upper,
                asked.level if worst.level else None,
                worst.n,
                method="the largest of all, its interval widened for the choice",
                unit=worst.unit,
                detail={"perturbation": worst.slice["perturbation"]},
            )
        )
    return measured


def _groups(one: Mapping[str, Any], asked: Settings) -> list[MeasurementValue]:
    return [
        _rate(
            "flip_rate",
            {"perturbation": str(one["name"]), **group["slice"]},
            (int(group["flips"]), int(group["n"])),
            asked,
            asked.level,
            _method(one),
            {},
        )
        for group in one.get("groups", ())
    ]


def _plots(found: Sequence[Mapping[str, Any]], measured: Sequence[MeasurementValue]) -> list[Plot]:
    def of(metric: str) -> list[tuple[str, MeasurementValue]]:
        return [
            (one.slice["perturbation"], one)
            for one in measured
            if one.metric == metric
            and set(one.slice) == {"perturbation"}
            and one.slice["perturbation"] != BETWEEN
        ]

    plots = [interval_plot("flip_rate", "Decisions that change, by perturbation", of("flip_rate"))]
    baseline = [("as they are", one) for one in measured if one.metric == "baseline_accuracy"]
    if any(one.value is not None for _, one in baseline):
        title = "Accuracy under each perturbation"
        points = [*baseline, *of("accuracy_under_perturbation")]
        plots.append(interval_plot("accuracy_under_perturbation", title, points))
    histograms = [(str(one["name"]), one["histogram"]) for one in found if not one.get("refused")]
    if histograms:
        title = "How much scores change"
        plots.append(
            histogram_plot("score_change", title, EDGES, histograms, "absolute change of the score")
        )
    return plots
