"""Coverage of what the check of fairness tells, from drawn people to the interval in its result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from bench.checks.coverage import BOUNDS, register
from monitoring.engine.checks import fairness
from monitoring.engine.checks.fairness.counting import denominator, figure
from monitoring.engine.checks.tables import Confusion
from monitoring.engine.cube import Cell, Contingency
from monitoring.engine.statistics import Interval
from monitoring.metrics.fairness import COMPARISONS, CONDITIONAL, RATES

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


Groups = Mapping[str, People]

ALIKE: Groups = {
    "a": People(1_500, 0.4, 0.7, 0.2),
    "b": People(900, 0.4, 0.7, 0.2),
    "c": People(600, 0.4, 0.7, 0.2),
}
APART: Groups = {
    "a": People(1_500, 0.40, 0.85, 0.30),
    "b": People(900, 0.45, 0.70, 0.18),
    "c": People(600, 0.35, 0.50, 0.08),
}
TWO: Groups = {"a": APART["a"], "c": APART["c"]}
ELSEWHERE: Groups = {
    "a": People(800, 0.40, 0.75, 0.25),
    "b": People(700, 0.40, 0.70, 0.22),
    "c": People(500, 0.40, 0.65, 0.20),
}

FORMS = ("difference", "ratio", "difference_to_overall", "ratio_to_overall")
NAMES = ("demographic_parity", "equal_opportunity", "predictive_parity", "accuracy", "f1")
ODDS = tuple(
    f"equalized_odds_{form}" for form in (*FORMS, "mean_difference", "mean_ratio")
)  # fmt: skip
BETWEEN = (
    *(f"{name}_{form}" for name, form in product(NAMES, FORMS)),
    *(f"treatment_equality_{form}" for form in FORMS),
    *(f"balanced_accuracy_{form}" for form in FORMS[:2]),
    "false_negative_rate_ratio",
    "negative_predictive_value_difference",
    *ODDS,
)
EXTREMES = tuple(
    f"{rate}_{end}"
    for rate, end in product(
        ("selection_rate", "precision", "f1", "balanced_accuracy"), ("least", "greatest")
    )
)
BY_GROUP = ("impact_ratio", "demographic_parity_difference_to_reference")
STRATIFIED = ("demographic_parity_difference", "demographic_parity_ratio", ODDS[0])
TIES = (0.93, 0.99)
MEAN = "each gap at a part of the error"
TIED = "two of the groups are nearly alike, or all three"
NEARLY_ALIKE = (
    "accuracy_",
    "predictive_parity_",
    "precision_",
    "f1_greatest",
    "balanced_accuracy_g",
)
"""Of the groups that are apart by their other rates."""


def drawn(groups: Groups, rng: np.random.Generator, before: tuple[str, ...] = ()) -> list[Cell]:
    """Cells of a sample of the groups, whose names follow those of `before`."""
    cells = []
    for name, people in groups.items():
        counts = rng.multinomial(people.n, people.shares()).tolist()
        for (label, prediction), n in zip([(1, 1), (1, 0), (0, 1), (0, 0)], counts, strict=True):
            cells.append(Cell((*before, name), label, prediction, n))
    return cells


CONFIGS: Mapping[str, tuple[Groups, Mapping[str, object]]] = {
    "alike": (ALIKE, {"metrics": [*BETWEEN, *BY_GROUP], "ll144": {}}),
    "apart": (APART, {"metrics": [*RATES, *BETWEEN, *EXTREMES, *BY_GROUP], "ll144": {}}),
    "two groups": (TWO, {"metrics": [*BETWEEN, *BY_GROUP]}),
    "named reference": (APART, {"metrics": list(BY_GROUP), "reference": {"group": "a"}}),
}


@cache
def measured(about: str, run: int) -> Mapping[tuple[str, str], Interval]:
    """The intervals of one drawn data set by metric and group."""
    groups, config = CONFIGS[about]
    rng = np.random.default_rng([7, run, *about.encode()])
    result = fairness.measure(Contingency(("group",), tuple(drawn(groups, rng))), config, run)
    return _intervals(result)


def _intervals(result) -> Mapping[tuple[str, str], Interval]:
    return {
        (one.metric, one.slice["group"]): Interval(one.lower, one.upper)
        for one in result.measurements
        if one.lower is not None and one.upper is not None
    }


def truth(metric: str, groups: Groups) -> float:
    """What a comparison is of the people that samples are drawn from."""
    one = COMPARISONS[metric]
    found = []
    for rate in one.rates:
        tables = [people.table() for people in groups.values()]
        values = [figure(rate, table) for table in tables]
        overall = _overall(rate, tables) if one.against == "overall" else 0.0
        found.append(_compared(one.form, one.against, values, overall))
    if one.mean:
        return sum(found) / len(found)
    return min(found) if one.form in ("ratio", "least") else max(found)


def _overall(rate: str, tables: Sequence[Confusion]) -> float:
    """The rate of all together."""
    fields = ("tp", "fp", "tn", "fn", "predicted", "selected")
    sums = Confusion(**{name: sum(getattr(one, name) for one in tables) for name in fields})
    return figure(rate, sums)


def _compared(form: str, against: str, values: list[float], overall: float) -> float:
    low, high = min(values), max(values)
    if form in ("least", "greatest"):
        return low if form == "least" else high
    if against == "overall":
        if form == "difference":
            return max(high - overall, overall - low)
        return min(low / overall, overall / high)
    return high - low if form == "difference" else low / high


def _add(
    method: str,
    metric: str,
    about: str,
    group: str,
    true: float,
    bounds: tuple[float, float] = BOUNDS,
    why: str = "",
) -> None:
    name = f"{metric}, {about}" + (f", group {group}" if group != "*" else "")

    @register(method, name, true, bounds=bounds, why=why, source=about)
    def draw(rng: np.random.Generator, run: int) -> Interval:
        return measured(about, run)[metric, group]


def _bounds(metric: str, about: str) -> tuple[tuple[float, float], str]:
    if "mean" in metric:
        return TIES, MEAN
    if about == "apart" and metric.startswith(NEARLY_ALIKE):
        return TIES, TIED
    return BOUNDS, ""


def _between(about: str) -> None:
    groups = CONFIGS[about][0]
    for metric in BETWEEN:
        method = "a comparison of " + ("two groups" if about == "two groups" else "three groups")
        _add(method, metric, about, "*", truth(metric, groups), *_bounds(metric, about))


for _about in ("alike", "apart", "two groups"):
    _between(_about)
for _metric in RATES:
    _table = APART["c"].table()
    assert denominator(_metric, _table)
    _add("a rate", _metric, "apart", "c", figure(_metric, _table))
for _metric in EXTREMES:
    _true = truth(_metric, APART)
    _add("the least, the greatest", _metric, "apart", "*", _true, *_bounds(_metric, "apart"))
for _about, _group in product(("alike", "apart", "named reference"), ("b", "c")):
    _groups = CONFIGS[_about][0]
    _chosen = {name: figure("selection_rate", people.table()) for name, people in _groups.items()}
    _mine, _best = _chosen[_group], max(_chosen.values())
    _add("each group to a reference", BY_GROUP[0], _about, _group, _mine / _best)
    _add("each group to a reference", BY_GROUP[1], _about, _group, _mine - _best)
    if _about != "named reference":
        _add("Local Law 144", "ll144_impact_ratio", _about, _group, _mine / _best)
        _add("Local Law 144", "ll144_selection_rate", _about, _group, _mine)


# Within strata


@cache
def stratified(run: int) -> Mapping[tuple[str, str], Interval]:
    rng = np.random.default_rng([11, run])
    cells = [*drawn(APART, rng, ("x",)), *drawn(ELSEWHERE, rng, ("y",))]
    config = {"metrics": list(STRATIFIED), "controls": ["region"]}
    cube = Contingency(("region", "group"), tuple(cells))
    result = fairness.measure(cube, config, run, controls=["region"])
    found = [one for one in result.measurements if one.metric.startswith(CONDITIONAL)]
    return {(one.metric, "*"): Interval(one.lower, one.upper) for one in found}


for _metric in STRATIFIED:
    _worst = min if COMPARISONS[_metric].form == "ratio" else max
    _true = _worst(truth(_metric, APART), truth(_metric, ELSEWHERE))

    @register("the worst of two strata", CONDITIONAL + _metric, _true, source="strata")
    def conditional(rng: np.random.Generator, run: int, metric: str = _metric) -> Interval:
        return stratified(run)[CONDITIONAL + metric, "*"]


# Subgroups


SEXES, REGIONS = ("f", "m"), ("x", "y", "z")


@register(
    "all subgroups at once",
    "selection rate, 2 by 3 groups, 11 subgroups",
    0.0,
    bounds=(0.93, 0.99),
    why="Bonferroni's bound for subgroups that overlap",
)
def subgroups(rng: np.random.Generator, run: int) -> Interval:
    """The part that all intervals share, each less its truth: it contains 0 if all contain theirs."""
    sizes = {group: 150 + 90 * place for place, group in enumerate(product(SEXES, REGIONS))}
    rates = {group: 0.3 + 0.1 * (group == ("f", "x")) for group in sizes}
    cells = []
    for group, n in sizes.items():
        k = int(rng.binomial(n, rates[group]))
        cells += [Cell(group, 1, 1, k), Cell(group, 1, 0, n - k)]
    config = {"metrics": ["selection_rate"], "subgroups": {"depth": 2, "top": 100}}
    result = fairness.measure(Contingency(("sex", "region"), tuple(cells)), config, run)
    lower, upper, n = -1.0, 1.0, sum(sizes.values())
    for one in result.measurements:
        if one.metric.startswith("subgroup_"):
            wanted = [one.slice.get("sex"), one.slice.get("region")]
            inside = [
                g for g in sizes if all(w in (None, v) for w, v in zip(wanted, g, strict=True))
            ]
            mine, k = sum(sizes[g] for g in inside), sum(sizes[g] * rates[g] for g in inside)
            all_k = sum(sizes[g] * rates[g] for g in sizes)
            true = k / mine - (all_k - k) / (n - mine)
            lower, upper = max(lower, one.lower - true), min(upper, one.upper - true)
    return Interval(lower, upper)
