"""Can a sensitive attribute be told from the model's inputs? If so, leaving it out is no remedy."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.engine import intervals, statistics
from monitoring.engine.plots import bar_plot, interval_plot
from monitoring.engine.results import BETWEEN, INSUFFICIENT, MeasurementValue, Plot

METHOD = "gradient boosting on the model's inputs, 5-fold cross-validated"


def measure(screened: Sequence[Mapping[str, Any]], level: float) -> list[MeasurementValue]:
    """Measurements of `proxies.screen`, for each attribute:

    `proxy_auc` by group against all others (0.5 no better than chance, 1 certain), and with slice
    `{attribute: "*"}` the highest of them, its interval widened for the choice;
    `proxy_balanced_accuracy`, the mean of the groups' recalls (chance: 1 / groups); and
    `proxy_auc_drop` by feature, how much the mean AUC loses if the feature is shuffled.
    """
    return [value for one in screened for value in _attribute(one, level)]


def _attribute(screened: Mapping[str, Any], level: float) -> list[MeasurementValue]:
    name, groups = str(screened["attribute"]), screened["groups"]
    known = [one for one in groups if one.get("auc") is not None]
    measured = [_area(name, one, level) for one in groups]
    between = {name: BETWEEN}
    if len(known) < 2:
        return [
            *measured,
            _undefined("proxy_auc", between),
            _undefined("proxy_balanced_accuracy", between),
        ]
    highest = max(known, key=lambda one: (one["auc"], one["group"]))
    # Two groups are one question; of more, the highest was chosen among as many intervals.
    chosen = 1 if len(known) == 2 else len(known)
    widened = _ends(highest, 1 - (1 - level) / chosen)
    measured.append(
        MeasurementValue(
            "proxy_auc",
            between,
            highest["auc"],
            *widened,
            level,
            int(screened["rows"]),
            method=f"{METHOD}, the group that is told best",
            unit="area",
            detail={"group": highest["group"], "left_out": screened["left_out"]},
        )
    )
    measured.append(_balanced(between, known, level, int(screened["rows"])))
    measured += [
        MeasurementValue(
            "proxy_auc_drop",
            {"feature": str(one["feature"]), name: BETWEEN},
            float(one["drop"]),
            n=int(screened["rows"]),
            method=f"{METHOD}, the feature shuffled",
            unit="area",
        )
        for one in screened["features"]
    ]
    return measured


def _area(name: str, group: Mapping[str, Any], level: float) -> MeasurementValue:
    about, n = {name: str(group["group"])}, int(group["n"])
    if group.get("auc") is None:
        return _undefined("proxy_auc", about, n)
    lower, upper = _ends(group, level)
    return MeasurementValue(
        "proxy_auc",
        about,
        group["auc"],
        lower,
        upper,
        level,
        n,
        method=f"{METHOD}, interval from DeLong's error",
        unit="area",
    )


def _ends(group: Mapping[str, Any], level: float) -> tuple[float, float]:
    counts = int(group["n"]), int(group["others"])
    found = intervals.area_interval(float(group["auc"]), float(group["error"]), counts, level)
    return found.lower, found.upper


def _balanced(
    about: Mapping[str, str], groups: Sequence[Mapping[str, Any]], level: float, n: int
) -> MeasurementValue:
    recalls = [(int(one["told"]), int(one["n"])) for one in groups]
    value = sum(told / size for told, size in recalls) / len(recalls)
    variance = (
        sum((rate := (told + 1) / (size + 2)) * (1 - rate) / size for told, size in recalls)
        / len(recalls) ** 2
    )
    width = statistics.z_of(level) * math.sqrt(variance)
    return MeasurementValue(
        "proxy_balanced_accuracy",
        about,
        value,
        max(0.0, value - width),
        min(1.0, value + width),
        level,
        n,
        method=f"{METHOD}, normal interval within groups",
        unit="rate",
        detail={"chance": 1 / len(recalls)},
    )


def _undefined(metric: str, about: Mapping[str, str], n: int | None = None) -> MeasurementValue:
    return MeasurementValue(
        metric, about, None, n=n, undefined_reason=INSUFFICIENT, method=METHOD, unit="area"
    )


def plots(measured: Sequence[MeasurementValue]) -> list[Plot]:
    """How well each group is told, and which features tell it."""
    drawn = []
    attributes = [
        name
        for one in measured
        if one.metric == "proxy_auc" and BETWEEN in one.slice.values()
        for name in one.slice
    ]
    for attribute in dict.fromkeys(attributes):
        by_group = [
            (group, one)
            for one in measured
            if one.metric == "proxy_auc"
            for name, group in one.slice.items()
            if name == attribute and group != BETWEEN
        ]
        title = f"How well the inputs tell {attribute}: area under the curve, 0.5 is chance"
        drawn.append(interval_plot(f"proxy_auc_{attribute}", title, by_group, "area"))
        bars = sorted(
            (
                (one.slice["feature"], one.value)
                for one in measured
                if one.metric == "proxy_auc_drop" and attribute in one.slice and one.value
            ),
            key=lambda bar: -bar[1],
        )
        if bars:
            title = f"What tells {attribute}: loss of area if the feature is shuffled"
            drawn.append(bar_plot(f"proxy_auc_drop_{attribute}", title, bars, "feature", "area"))
    return drawn
