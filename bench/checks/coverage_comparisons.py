"""Coverage of what the check of fairness tells, from drawn people to the interval in its result."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from bench.checks.coverage import BOUNDS, register
from monitoring.engine.checks import fairness
from monitoring.engine.checks.fairness.counting import denominator, figure, parts
from monitoring.engine.checks.tables import Confusion
from monitoring.engine.cube import Cell, Contingency
from monitoring.engine.statistics import Interval
from monitoring.metrics.fairness import COMPARISONS, RATES

LARGE = 1_000_000_000


@dataclass(frozen=True)
class People:
    """A group: how many, the share of positives, and the rates at which both are selected."""

    n: int
    base_rate: float
    true_positive_rate: float
    false_positive_rate: float

    def shares(self) -> list[float]:
        """Of true positives, false negatives, false positives, true negatives."""
        p, t, f = self.base_rate, self.true_positive_rate, self.false_positive_rate
        return [p * t, p * (1 - t), (1 - p) * f, (1 - p) * (1 - f)]

    def table(self) -> Confusion:
        """The truth, as counts of very many."""
        tp, fn, fp, tn = (round(LARGE * self.n * share) for share in self.shares())
        return Confusion(tp, fp, tn, fn, tp + fn + fp + tn, tp + fp)


ALIKE = {
    "a": People(1_500, 0.4, 0.7, 0.2),
    "b": People(900, 0.4, 0.7, 0.2),
    "c": People(600, 0.4, 0.7, 0.2),
}
APART = {
    "a": People(1_500, 0.40, 0.85, 0.30),
    "b": People(900, 0.45, 0.70, 0.18),
    "c": People(600, 0.35, 0.50, 0.08),
}
TOLD = ("f1", "balanced_accuracy", "treatment_equality")
BETWEEN = (
    "equalized_odds_difference",
    "equalized_odds_ratio",
    "equalized_odds_mean_difference",
    "demographic_parity_difference_to_overall",
    "demographic_parity_ratio_to_overall",
    "f1_difference",
    "balanced_accuracy_difference",
    "treatment_equality_ratio",
)
EXTREME = ("selection_rate_least", "selection_rate_greatest")
BY_GROUP = "impact_ratio"


@cache
def measured(about: str, run: int) -> Mapping[tuple[str, str], Interval]:
    """The intervals of one drawn data set by metric and group."""
    groups = {"alike": ALIKE, "apart": APART}[about]
    rng = np.random.default_rng([7, run, *about.encode()])
    cells = []
    for name, people in groups.items():
        drawn = rng.multinomial(people.n, people.shares()).tolist()
        for (label, prediction), n in zip([(1, 1), (1, 0), (0, 1), (0, 0)], drawn, strict=True):
            cells.append(Cell((name,), label, prediction, n))
    config = {"metrics": [*TOLD, *BETWEEN, *EXTREME, BY_GROUP]}
    result = fairness.measure(Contingency(("group",), tuple(cells)), config, run)
    return {
        (one.metric, one.slice["group"]): Interval(one.lower, one.upper)
        for one in result.measurements
        if one.lower is not None and one.upper is not None
    }


def truth(metric: str, groups: Mapping[str, People]) -> float:
    """What a comparison is of the people that samples are drawn from."""
    one = COMPARISONS[metric]
    found = []
    for rate in one.rates:
        tables = [people.table() for people in groups.values()]
        values = [figure(rate, table) for table in tables]
        pairs = [parts(rate, table) for table in tables] if one.against == "overall" else []
        overall = sum(k for k, _ in pairs) / max(1, sum(n for _, n in pairs))
        found.append(_compared(one.form, one.against, values, overall))
    if one.mean:
        return sum(found) / len(found)
    return min(found) if one.form in ("ratio", "least") else max(found)


def _compared(form: str, against: str, values: list[float], overall: float) -> float:
    low, high = min(values), max(values)
    if form in ("least", "greatest"):
        return low if form == "least" else high
    if against == "overall":
        if form == "difference":
            return max(high - overall, overall - low)
        return min(low / overall, overall / high)
    return high - low if form == "difference" else low / high


def _add(method: str, metric: str, about: str, group: str, true: float) -> None:
    mean = "mean" in metric and about == "alike"
    why = "each gap at half of the error" if mean else ""

    @register(method, f"{metric}, {about}", true, bounds=(0.93, 0.99) if mean else BOUNDS, why=why)
    def draw(rng: np.random.Generator, run: int) -> Interval:
        return measured(about, run)[metric, group]


assert set(TOLD) <= set(RATES)
for _about, _groups in (("alike", ALIKE), ("apart", APART)):
    for _metric in BETWEEN:
        _add("comparison", _metric, _about, "*", truth(_metric, _groups))
for _metric in TOLD:
    _table = APART["c"].table()
    assert denominator(_metric, _table)
    _add("rate", _metric, "apart", "c", figure(_metric, _table))
for _metric in EXTREME:
    _add("extreme", _metric, "apart", "*", truth(_metric, APART))
_RATES = {name: figure("selection_rate", people.table()) for name, people in APART.items()}
for _group in ("b", "c"):
    _true = _RATES[_group] / max(_RATES.values())
    _add(f"to the highest, group {_group}", BY_GROUP, "apart", _group, _true)
_add("to the highest, of equals", BY_GROUP, "alike", "b", 1.0)
