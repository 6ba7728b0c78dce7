"""What a table of decisions and outcomes says: proportions, figures formed of them, counts, costs."""

from collections.abc import Mapping
from typing import Any

from monitoring.configs.performance import Costs
from monitoring.engine import intervals, statistics
from monitoring.engine.checks.performance.scope import Scope
from monitoring.engine.checks.tables import ACCURACY, SELECTION_RATE, Confusion
from monitoring.engine.results import NO_DENOMINATOR, MeasurementValue

COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
F1, BALANCED, NEGATIVE, MATTHEWS = (
    "f1",
    "balanced_accuracy",
    "negative_predictive_value",
    "matthews_correlation",
)
COST = "expected_cost"


def proportions(table: Confusion) -> dict[str, tuple[int, int]]:
    """Numerator and denominator of each proportion."""
    return {
        ACCURACY: (table.tp + table.tn, table.labelled),
        "precision": (table.tp, table.tp + table.fp),
        "recall": (table.tp, table.positives),
        "specificity": (table.tn, table.negatives),
        SELECTION_RATE: (table.selected, table.predicted),
        "base_rate": (table.positives, table.labelled),
    }


def decisions(table: Confusion, scope: Scope) -> list[MeasurementValue]:
    """Proportions with Wilson's interval; F1 by the binomial within it, balanced accuracy by MOVER."""
    measured = [_proportion(name, *pair, scope) for name, pair in proportions(table).items()]
    return [*measured, _f1(table, scope), _balanced(table, scope)]


def more_decisions(table: Confusion, scope: Scope) -> list[MeasurementValue]:
    """Negative predictive value (Wilson) and Matthews' correlation (delta method, Fisher's scale)."""
    found = _proportion(NEGATIVE, table.tn, table.tn + table.fn, scope)
    return [found, _matthews(table, scope)]


def _proportion(metric: str, k: int, n: int, scope: Scope) -> MeasurementValue:
    if not scope.enough(metric, n):
        return scope.too_few(metric, n, "rate")
    interval = statistics.wilson(k, n, scope.level)
    return scope.value(metric, k / n, interval, n, "wilson", "rate")


def _f1(table: Confusion, scope: Scope) -> MeasurementValue:
    """It rests on all but the true negatives, and is defined where there is but one class."""
    n = table.tp + table.fp + table.fn
    if not scope.enough(F1, n):
        return scope.too_few(F1, n, "rate")
    interval = intervals.f1_interval(table.tp, table.fp, table.fn, scope.level)
    value = 2 * table.tp / (2 * table.tp + table.fp + table.fn)
    return scope.value(F1, value, interval, table.labelled, "wilson of the overlap", "rate")


def _balanced(table: Confusion, scope: Scope) -> MeasurementValue:
    n = min(table.positives, table.negatives)
    if not scope.enough(BALANCED, n):
        return scope.too_few(BALANCED, n, "rate")
    pairs = (table.tp, table.positives), (table.tn, table.negatives)
    interval = intervals.mean_of_rates(*pairs, scope.level)
    value = (table.tp / table.positives + table.tn / table.negatives) / 2
    return scope.value(BALANCED, value, interval, table.labelled, "wilson, mover", "rate")


def _matthews(table: Confusion, scope: Scope) -> MeasurementValue:
    cells = table.tp, table.fp, table.tn, table.fn
    n, value = min(table.positives, table.negatives), intervals.matthews(*cells)
    if n and not scope.enough(MATTHEWS, n):
        return scope.too_few(MATTHEWS, n, "correlation")
    if value is None:
        return scope.undefined(MATTHEWS, NO_DENOMINATOR, n, "correlation")
    interval = intervals.matthews_interval(*cells, scope.level)
    return scope.value(
        MATTHEWS, value, interval, table.labelled, "delta method, fisher's z", "correlation"
    )


def counts(table: Confusion, scope: Scope) -> list[MeasurementValue]:
    return [
        scope.value(name, float(count), None, table.labelled, "counted", "count")
        for name, count in zip(COUNTS, (table.tp, table.fp, table.tn, table.fn), strict=True)
    ]


def cost(table: Confusion, costs: Costs, scope: Scope) -> MeasurementValue:
    """The mean cost of a decision, with the score interval of a multinomial mean."""
    cells, n = (table.tp, table.fp, table.tn, table.fn), table.labelled
    if not n or not scope.enough(COST, n):
        return scope.too_few(COST, n, costs.unit)
    interval = intervals.score_interval(cells, costs.of, scope.level)
    detail: Mapping[str, Any] = {"costs": costs.to_json()}
    return scope.value(
        COST, costs.mean(cells), interval, n, "multinomial score", costs.unit, detail
    )
