"""Fairness by group: rates with intervals, and comparisons between groups that may be compared.

Rates and comparisons are Fairlearn's, computed on weighted cells. What Fairlearn leaves out is
added: a group too small for a rate has none, and is excluded before a difference is formed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from monitoring.engine import statistics
from monitoring.engine.checks.tables import (
    ACCURACY,
    FALSE_NEGATIVE_RATE,
    FALSE_POSITIVE_RATE,
    GROUP_FIELDS,
    SELECTION_RATE,
    TRUE_POSITIVE_RATE,
    Confusion,
    GroupConfig,
    by_group,
    fraction,
    read_group_config,
)
from monitoring.engine.cube import Contingency, Group
from monitoring.engine.documents import Fields
from monitoring.engine.mapping import UNKNOWN
from monitoring.engine.plots import interval_plot
from monitoring.engine.results import (
    BETWEEN,
    INSUFFICIENT,
    MISSING_GROUP,
    NO_DENOMINATOR,
    CheckResult,
    MeasurementValue,
    Note,
    Plot,
)

RATES = (
    SELECTION_RATE,
    TRUE_POSITIVE_RATE,
    FALSE_POSITIVE_RATE,
    FALSE_NEGATIVE_RATE,
    ACCURACY,
)
DIFFERENCES = {
    "demographic_parity_difference": SELECTION_RATE,
    "equal_opportunity_difference": TRUE_POSITIVE_RATE,
    "false_positive_rate_difference": FALSE_POSITIVE_RATE,
    "accuracy_difference": ACCURACY,
}
RATIO = "demographic_parity_ratio"
ODDS = "equalized_odds_difference"
COMPARISONS = (*DIFFERENCES, RATIO, ODDS)


@dataclass(frozen=True)
class _Compared:
    """A grouping's groups, with the reason why one is left out of comparisons of a rate."""

    attributes: tuple[str, ...]
    tables: Mapping[Group, Confusion]
    left_out: Mapping[str, Mapping[Group, str]]

    def slice(self, group: Group) -> dict[str, str]:
        return dict(zip(self.attributes, group, strict=True))

    def label(self, group: Group) -> str:
        return ", ".join(group)

    def kept(self, *metrics: str) -> list[Group]:
        return [g for g in self.tables if not any(g in self.left_out[m] for m in metrics)]

    def excluded(self, *metrics: str) -> list[dict[str, Any]]:
        listed = []
        for group, table in self.tables.items():
            reasons = [(self.left_out[m][group], m) for m in metrics if group in self.left_out[m]]
            if reasons:
                reason, metric = reasons[0]
                n = fraction(metric, table)[1]
                listed.append({"group": self.slice(group), "reason": reason, "n": n})
        return listed


def measure(cube: Contingency, config: Mapping[str, Any], seed: int) -> CheckResult:
    """Rates of each group and the differences between groups.

    `config` may hold `groupings`, `intersections`, `minimum`, `level`, `include_missing` (see
    `tables.GroupConfig`). Measurements: each of `RATES` by group, unit "rate"; each of
    `COMPARISONS` for the grouping, whose slice has `*` for the attributes, and once more,
    undefined, for each group that had to be excluded. A difference of two groups has Newcombe's
    interval of the signed difference from the higher to the lower group, which contains 0 if the
    groups may be alike; `detail` names both, the excluded groups and the permutation test's p,
    adjusted by Holm and by Benjamini-Hochberg over all comparisons of the check.

    Raises:
        Invalid: naming the field of `config`.
    """
    fields = Fields(config, "config", GROUP_FIELDS)
    settings = read_group_config(fields, cube.attributes, RATES)
    measurements: list[MeasurementValue] = []
    plots: list[Plot] = []
    notes: list[Note] = []
    for attributes in settings.groupings:
        compared = _prepare(cube.by(attributes), settings)
        rates = _rates(cube.by(attributes), compared, settings)
        measurements += rates
        measurements += _comparisons(cube.by(attributes), compared, settings, seed)
        plots += _plots(compared, rates)
        notes += _notes(compared)
    return CheckResult(_adjusted(measurements), plots, notes)


def _prepare(cube: Contingency, settings: GroupConfig) -> _Compared:
    tables = by_group(cube)
    left_out: dict[str, dict[Group, str]] = {metric: {} for metric in RATES}
    for group, table in tables.items():
        for metric in RATES:
            n = fraction(metric, table)[1]
            if UNKNOWN in group and not settings.include_missing:
                left_out[metric][group] = MISSING_GROUP
            elif n == 0:
                left_out[metric][group] = NO_DENOMINATOR
            elif n < settings.least(metric):
                left_out[metric][group] = INSUFFICIENT
    return _Compared(cube.attributes, tables, left_out)


def _frame(cube: Contingency, metrics: Sequence[str], groups: Sequence[Group]) -> Any:
    """Fairlearn's MetricFrame over the weighted cells of these groups."""
    import fairlearn.metrics as fair
    import pandas as pd
    from sklearn.metrics import accuracy_score

    functions = {
        SELECTION_RATE: fair.selection_rate,
        TRUE_POSITIVE_RATE: fair.true_positive_rate,
        FALSE_POSITIVE_RATE: fair.false_positive_rate,
        FALSE_NEGATIVE_RATE: fair.false_negative_rate,
        ACCURACY: accuracy_score,
    }
    wanted = set(groups)
    needs_label = any(metric != SELECTION_RATE for metric in metrics)
    cells = [
        cell
        for cell in cube.cells
        if cell.group in wanted
        and cell.prediction is not None
        and not (needs_label and cell.label is None)
    ]
    weights = [cell.n for cell in cells]
    return fair.MetricFrame(
        metrics={metric: functions[metric] for metric in metrics},
        y_true=[cell.label or 0 for cell in cells],
        y_pred=[cell.prediction for cell in cells],
        sensitive_features=pd.Series(
            [cube.groups().index(cell.group) for cell in cells], name="group"
        ),
        sample_params={metric: {"sample_weight": weights} for metric in metrics},
    )


def _rates(cube: Contingency, compared: _Compared, settings: GroupConfig) -> list[MeasurementValue]:
    measured: list[MeasurementValue] = []
    order = cube.groups()
    for metric in RATES:
        # A missing group has rates of its own; it is only kept out of comparisons.
        shown = [
            group
            for group, table in compared.tables.items()
            if fraction(metric, table)[1] >= settings.least(metric)
        ]
        values = _frame(cube, [metric], shown).by_group[metric] if shown else {}
        for group, table in compared.tables.items():
            k, n = fraction(metric, table)
            base = MeasurementValue(
                metric, compared.slice(group), 0.0, n=n, method="fairlearn, wilson", unit="rate"
            )
            if group in shown:
                interval = statistics.wilson(k, n, settings.level)
                base = replace(
                    base,
                    value=float(values[order.index(group)]),
                    lower=interval.lower,
                    upper=interval.upper,
                    level=settings.level,
                )
            else:
                reason = INSUFFICIENT if n else NO_DENOMINATOR
                base = replace(
                    base,
                    value=None,
                    undefined_reason=reason,
                    detail={"minimum": settings.least(metric)},
                )
            measured.append(base)
    return measured


def _comparisons(
    cube: Contingency, compared: _Compared, settings: GroupConfig, seed: int
) -> list[MeasurementValue]:
    measured: list[MeasurementValue] = []
    for name, metric in DIFFERENCES.items():
        measured.append(_difference(name, metric, cube, compared, settings, seed))
        if name == "demographic_parity_difference":
            measured.append(_ratio(cube, compared, settings, seed))
    measured.append(_odds(cube, compared, settings, seed))
    for one in list(measured):
        for left in one.detail["excluded"]:
            measured.append(
                MeasurementValue(
                    one.metric,
                    left["group"],
                    None,
                    n=left["n"],
                    undefined_reason=left["reason"],
                    method="excluded from the comparison",
                    unit=one.unit,
                )
            )
    return measured


def _too_few(name: str, compared: _Compared, unit: str, metrics: Sequence[str]) -> MeasurementValue:
    kept = compared.kept(*metrics)
    return MeasurementValue(
        name,
        dict.fromkeys(compared.attributes, BETWEEN),
        None,
        n=sum(fraction(metrics[0], compared.tables[group])[1] for group in kept),
        undefined_reason=INSUFFICIENT,
        unit=unit,
        detail={"excluded": compared.excluded(*metrics), "groups": len(kept)},
    )


def _difference(
    name: str,
    metric: str,
    cube: Contingency,
    compared: _Compared,
    settings: GroupConfig,
    seed: int,
) -> MeasurementValue:
    kept = compared.kept(metric)
    if len(kept) < 2:
        return _too_few(name, compared, "rate", [metric])
    pairs = [fraction(metric, compared.tables[group]) for group in kept]
    k, n = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    stream = statistics.generator(seed, name, *compared.attributes)
    interval, method = statistics.spread_interval(k, n, settings.level, stream)
    value = float(_frame(cube, [metric], kept).difference(method="between_groups")[metric])
    return MeasurementValue(
        name,
        dict.fromkeys(compared.attributes, BETWEEN),
        value,
        interval.lower,
        interval.upper,
        settings.level,
        sum(n),
        method=f"fairlearn, {method}",
        unit="rate",
        detail={
            **_extremes(metric, compared, kept),
            "p": statistics.permutation_p(k, n, stream),
        },
    )


def _ratio(
    cube: Contingency, compared: _Compared, settings: GroupConfig, seed: int
) -> MeasurementValue:
    kept = compared.kept(SELECTION_RATE)
    pairs = [fraction(SELECTION_RATE, compared.tables[group]) for group in kept]
    k, n = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if len(kept) < 2:
        return _too_few(RATIO, compared, "ratio", [SELECTION_RATE])
    if not any(k):
        few = _too_few(RATIO, compared, "ratio", [SELECTION_RATE])
        return replace(few, undefined_reason=NO_DENOMINATOR)
    stream = statistics.generator(seed, RATIO, *compared.attributes)
    interval, method = statistics.ratio_interval(k, n, settings.level, stream)
    frame = _frame(cube, [SELECTION_RATE], kept)
    return MeasurementValue(
        RATIO,
        dict.fromkeys(compared.attributes, BETWEEN),
        float(frame.ratio(method="between_groups")[SELECTION_RATE]),
        interval.lower,
        interval.upper,
        settings.level,
        sum(n),
        method=f"fairlearn, {method}",
        unit="ratio",
        detail=_extremes(SELECTION_RATE, compared, kept),
    )


def _odds(
    cube: Contingency, compared: _Compared, settings: GroupConfig, seed: int
) -> MeasurementValue:
    """The larger of the differences of true and of false positive rates.

    Each has an interval at half the error, so that both hold together; the larger one lies
    between the larger of their lower and of their upper ends.
    """
    both = [TRUE_POSITIVE_RATE, FALSE_POSITIVE_RATE]
    kept = compared.kept(*both)
    if len(kept) < 2:
        return _too_few(ODDS, compared, "rate", both)
    intervals, methods, p_values = [], [], []
    for metric in both:
        pairs = [fraction(metric, compared.tables[group]) for group in kept]
        k, n = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        stream = statistics.generator(seed, ODDS, metric, *compared.attributes)
        interval, method = statistics.spread_interval(k, n, (1 + settings.level) / 2, stream)
        intervals.append(interval)
        methods.append(method)
        p_values.append(statistics.permutation_p(k, n, stream))
    differences = _frame(cube, both, kept).difference(method="between_groups")
    worst = max(both, key=lambda metric: float(differences[metric]))
    return MeasurementValue(
        ODDS,
        dict.fromkeys(compared.attributes, BETWEEN),
        float(differences[worst]),
        max(one.lower for one in intervals),
        max(one.upper for one in intervals),
        settings.level,
        sum(compared.tables[group].labelled for group in kept),
        method=f"fairlearn, {methods[0]}, bonferroni",
        unit="rate",
        detail={
            **_extremes(worst, compared, kept, *both),
            "worst": worst,
            "p": min(1.0, 2 * min(p_values)),
        },
    )


def _extremes(
    metric: str, compared: _Compared, kept: Sequence[Group], *metrics: str
) -> dict[str, Any]:
    def rate(group: Group) -> float:
        k, n = fraction(metric, compared.tables[group])
        return k / n

    return {
        "highest": compared.slice(max(kept, key=rate)),
        "lowest": compared.slice(min(kept, key=rate)),
        "excluded": compared.excluded(*(metrics or (metric,))),
        "groups": len(kept),
    }


def _adjusted(measurements: list[MeasurementValue]) -> list[MeasurementValue]:
    tested = [index for index, one in enumerate(measurements) if "p" in one.detail]
    p_values = [float(measurements[index].detail["p"]) for index in tested]
    adjusted = list(measurements)
    columns = zip(
        tested, statistics.holm(p_values), statistics.benjamini_hochberg(p_values), strict=True
    )
    for index, p_holm, p_bh in columns:
        one = measurements[index]
        adjusted[index] = replace(one, detail={**one.detail, "p_holm": p_holm, "p_bh": p_bh})
    return adjusted


def _plots(compared: _Compared, rates: Sequence[MeasurementValue]) -> list[Plot]:
    name = "_".join(compared.attributes)
    by = " and ".join(compared.attributes).replace("_", " ")
    return [
        interval_plot(
            f"{metric}_by_{name}",
            f"{metric.replace('_', ' ').capitalize()} by {by}",
            [(", ".join(one.slice.values()), one) for one in rates if one.metric == metric],
        )
        for metric in (SELECTION_RATE, TRUE_POSITIVE_RATE, FALSE_POSITIVE_RATE)
    ]


def _notes(compared: _Compared) -> list[Note]:
    missing = sum(table.predicted for group, table in compared.tables.items() if UNKNOWN in group)
    by = ", ".join(compared.attributes)
    if not missing:
        return []
    return [
        Note(
            "missing_sensitive_value",
            f"{missing} rows have no value of {by}: counted apart and compared with nobody",
            {"rows": missing},
        )
    ]
