"""Fairness on weighted cells equals Fairlearn on rows, without Fairlearn's traps."""

import warnings
from dataclasses import replace
from functools import partial

import fairlearn.metrics as fair
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from kernel.errors import Invalid
from monitoring.engine.checks import fairness
from monitoring.engine.cube import Cell, Contingency
from monitoring.engine.statistics import base
from monitoring.metrics import fairness as names
from tests.monitoring.engine.making import find

nan = float("nan")
FAIRLEARN = {
    "selection_rate": fair.selection_rate,
    "true_positive_rate": fair.true_positive_rate,
    "false_positive_rate": fair.false_positive_rate,
    "false_negative_rate": fair.false_negative_rate,
    "accuracy": sk.accuracy_score,
    "true_negative_rate": fair.true_negative_rate,
    "error_rate": sk.zero_one_loss,
    "precision": partial(sk.precision_score, zero_division=nan),
    "negative_predictive_value": partial(sk.precision_score, pos_label=0, zero_division=nan),
    "false_discovery_rate": lambda y, p: 1 - sk.precision_score(y, p, zero_division=nan),
    "false_omission_rate": lambda y, p: (
        1 - sk.precision_score(y, p, pos_label=0, zero_division=nan)
    ),
    "base_rate": lambda y, p: fair.mean_prediction(y, y),
    "f1": partial(sk.f1_score, zero_division=nan),
    "balanced_accuracy": sk.balanced_accuracy_score,
}
SCALARS = {
    "demographic_parity_difference": fair.demographic_parity_difference,
    "demographic_parity_ratio": fair.demographic_parity_ratio,
    "equal_opportunity_difference": fair.equal_opportunity_difference,
    "equal_opportunity_ratio": fair.equal_opportunity_ratio,
    "equalized_odds_difference": fair.equalized_odds_difference,
    "equalized_odds_ratio": fair.equalized_odds_ratio,
}
ONE = {"minimum": {"default": 1}}
EVERYTHING = {**ONE, "metrics": list(names.KNOWN)}


@pytest.fixture
def few_replicates(monkeypatch):
    """Values, not intervals, are looked at."""
    monkeypatch.setattr(base, "REPLICATES", 20)


def cube(*cells, attribute="sex"):
    return Contingency((attribute,), tuple(Cell((g,), y, p, n) for g, y, p, n in cells))


def group(name, tp, fn, fp=20, tn=80):
    return [(name, 1, 1, tp), (name, 1, 0, fn), (name, 0, 1, fp), (name, 0, 0, tn)]


def rows_of(counts):
    rows = [key for key, n in counts.items() for _ in range(n)]
    groups, y, p = (np.array([row[place] for row in rows]) for place in range(3))
    # As a Series: Fairlearn squeezes an array of one row to no dimension, and refuses it.
    return y, p, pd.Series(groups)


KEYS = [(name, y, p) for name in ("a", "b", "c") for y in (0, 1) for p in (0, 1)]
cells = st.fixed_dictionaries({key: st.integers(0, 40) for key in KEYS}).filter(
    lambda counts: any(counts.values())
)


@settings(max_examples=8, deadline=None)
@given(cells)
@example({key: int(key == ("c", 1, 1)) for key in KEYS})
@example({key: 7 * (key[0] != "b") for key in KEYS})
@example({key: 9 * (key[1] == 1) for key in KEYS})
def test_rates_and_comparisons_are_fairlearns_on_the_rows(counts):
    y, p, groups = rows_of(counts)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(base, "REPLICATES", 20)
        frame = fair.MetricFrame(metrics=FAIRLEARN, y_true=y, y_pred=p, sensitive_features=groups)
        result = fairness.measure(
            cube(*[(*key, n) for key, n in counts.items() if n]), EVERYTHING, 1
        )
        defined = _same_rates(result, frame, set(groups))
        _same_comparisons(result, frame, defined)


def _same_rates(result, frame, groups):
    """The rates that every group has."""
    defined = set()
    for rate in FAIRLEARN:
        got = {name: find(result, rate, sex=name) for name in groups}
        for name, one in got.items():
            if one.value is not None:
                assert one.value == pytest.approx(frame.by_group[rate][name], abs=1e-12)
            elif rate != "balanced_accuracy":
                assert one.n == 0
        if all(one.value is not None for one in got.values()) and len(groups) > 1:
            defined.add(rate)
    return defined


def _same_comparisons(result, frame, defined):
    expected = {}
    for against, method in (("groups", "between_groups"), ("overall", "to_overall")):
        expected["difference", against] = frame.difference(method=method)
        expected["ratio", against] = frame.ratio(method=method)
    expected["least", "groups"], expected["greatest", "groups"] = (
        frame.group_min(),
        frame.group_max(),
    )
    for one in names.COMPARISONS.values():
        (rate, *more) = one.rates
        if more or rate not in defined or one.against == "reference":
            continue
        got = find(result, one.name, sex="*")
        wanted = expected[one.form, one.against][rate]
        if got.value is None:
            assert got.undefined_reason == "no_denominator"
            assert not np.isfinite(wanted)
        else:
            assert got.value == pytest.approx(wanted, abs=1e-12)


@pytest.mark.usefixtures("few_replicates")
@pytest.mark.parametrize("seed", [3, 4])
def test_the_librarys_named_disparities_are_ours(seed):
    drawn = np.random.default_rng(seed).integers(1, 12, len(KEYS)).tolist()
    counts = dict(zip(KEYS, drawn, strict=True))
    y, p, groups = rows_of(counts)
    result = fairness.measure(cube(*[(*key, n) for key, n in counts.items()]), EVERYTHING, 1)
    for name, function in SCALARS.items():
        for suffix, more in (("", {}), ("_to_overall", {"method": "to_overall"})):
            got = find(result, name + suffix, sex="*").value
            assert got == pytest.approx(function(y, p, sensitive_features=groups, **more))
    for form in ("difference", "ratio"):
        function = SCALARS[f"equalized_odds_{form}"]
        got = find(result, f"equalized_odds_mean_{form}", sex="*").value
        assert got == pytest.approx(function(y, p, sensitive_features=groups, agg="mean"))


def test_every_interval_contains_its_own_figure():
    counts = cube(*group("a", 60, 40), *group("b", 58, 42), *group("c", 40, 60), *group("d", 0, 50))
    for one in fairness.measure(counts, {**EVERYTHING, "minimum": {}}, 1).measurements:
        if one.value is not None:
            assert one.lower <= one.value <= one.upper, one


def test_the_example_of_fairlearns_guide():
    y = [0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    p = [0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
    groups = "bbabbcccaacabccbcc"
    rows = [Cell((g,), a, b, 1) for g, a, b in zip(groups, y, p, strict=True)]
    asked = {**ONE, "metrics": [*names.DEFAULT, "equalized_odds_ratio"]}
    result = fairness.measure(Contingency(("group",), tuple(rows)), asked, 1)
    assert find(result, "demographic_parity_difference", group="*").value == pytest.approx(0.25)
    assert find(result, "demographic_parity_ratio", group="*").value == pytest.approx(2 / 3)
    assert find(result, "equalized_odds_difference", group="*").value == pytest.approx(1.0)
    assert find(result, "equalized_odds_ratio", group="*").value == 0


def test_trap_an_undefined_true_positive_rate_is_not_zero():
    """Fairlearn gives a group without positives a true positive rate of 0, and a gap of 0.6."""
    counts = cube(*group("a", 60, 40), *group("b", 55, 45), ("c", 0, 1, 40), ("c", 0, 0, 60))
    result = fairness.measure(counts, {}, 1)
    rate = find(result, "true_positive_rate", sex="c")
    assert (rate.value, rate.undefined_reason, rate.n) == (None, "no_denominator", 0)
    gap = find(result, "equal_opportunity_difference", sex="*")
    assert gap.value == pytest.approx(0.05)
    assert gap.detail["excluded"] == [{"group": {"sex": "c"}, "reason": "no_denominator", "n": 0}]
    left = find(result, "equal_opportunity_difference", sex="c")
    assert (left.value, left.undefined_reason) == (None, "no_denominator")
    y, p, groups = rows_of({("a", 1, 1): 60, ("a", 1, 0): 40, ("c", 0, 1): 40})
    assert fair.equal_opportunity_difference(y, p, sensitive_features=groups) == 0.6


def test_odds_compare_the_groups_that_have_both_rates():
    """c has no negatives: its true positive rate counts elsewhere, and not in equalised odds."""
    counts = cube(
        *group("a", 60, 40), *group("b", 55, 45, 10, 90), ("c", 1, 1, 10), ("c", 1, 0, 90)
    )
    result = fairness.measure(counts, {"minimum": {"default": 1}}, 1)
    assert find(result, "equal_opportunity_difference", sex="*").value == pytest.approx(0.5)
    odds = find(result, "equalized_odds_difference", sex="*")
    assert odds.value == pytest.approx(0.1)
    assert odds.detail["worst"] == "false_positive_rate"
    assert [one["group"] for one in odds.detail["excluded"]] == [{"sex": "c"}]


def test_trap_the_percentile_interval_of_a_gap_never_contains_0():
    """Fairlearn's excludes 0 for data without any difference; ours does not."""
    sizes, rng = {"a": 250, "b": 125, "c": 75, "d": 50}, np.random.default_rng(4)
    selected = {name: int(rng.binomial(n, 0.3)) for name, n in sizes.items()}
    counts = {(g, 1, 1): k for g, k in selected.items()}
    counts |= {(g, 1, 0): sizes[g] - k for g, k in selected.items()}
    result = fairness.measure(cube(*[(*key, n) for key, n in counts.items()]), {}, 1)
    gap = find(result, "demographic_parity_difference", sex="*")
    assert gap.lower == 0 < gap.value < gap.upper
    assert gap.detail["p"] > 0.05
    y, p, groups = rows_of(counts)
    library = fair.MetricFrame(
        metrics=lambda y_true, y_pred: y_pred.mean(),
        y_true=y,
        y_pred=p,
        sensitive_features=groups,
        n_boot=60,
        ci_quantiles=[0.025, 0.975],
        random_state=1,
    )
    assert library.difference_ci()[0] > 0


def test_trap_the_excluded_group_does_not_set_the_denominator():
    """300 of 600, 190 of 390 and 10 of 10 give 0.974, not 0.487: the ten set no highest rate."""
    selected = [("a", 600, 300), ("b", 390, 190), ("c", 10, 10)]
    counts = cube(
        *[(g, 1, 1, k) for g, _, k in selected],
        *[(g, 1, 0, n - k) for g, n, k in selected if n > k],
    )
    asked = {"metrics": [*names.DEFAULT, "impact_ratio"], "ll144": {}}
    result = fairness.measure(counts, asked, 1)
    ratio = find(result, "demographic_parity_ratio", sex="*")
    assert ratio.value == pytest.approx(190 / 390 / 0.5)
    assert round(ratio.value, 3) == 0.974
    assert ratio.detail["highest"] == {"sex": "a"}
    assert [one["group"] for one in ratio.detail["excluded"]] == [{"sex": "c"}]
    for metric in ("impact_ratio", "ll144_impact_ratio"):
        assert round(find(result, metric, sex="b").value, 3) == 0.974
        assert find(result, metric, sex="c").value is None


def test_fewer_than_two_groups_left_is_insufficient():
    result = fairness.measure(cube(*group("a", 60, 40), *group("b", 5, 4)), {}, 1)
    gap = find(result, "equal_opportunity_difference", sex="*")
    assert (gap.value, gap.undefined_reason, gap.n) == (None, "insufficient", 100)


def test_two_alike_groups_have_an_interval_that_contains_zero():
    result = fairness.measure(cube(*group("a", 60, 40), *group("b", 58, 42)), {}, 1)
    gap = find(result, "equal_opportunity_difference", sex="*")
    assert gap.lower < 0 < gap.value < gap.upper
    assert gap.detail["highest"] == {"sex": "a"}
    assert gap.detail["p"] > 0.5
    odds = find(result, "equalized_odds_difference", sex="*")
    assert odds.lower == 0 < odds.value < odds.upper


@pytest.mark.usefixtures("few_replicates")
def test_trap_a_missing_sensitive_value_is_counted_and_compared_with_nobody():
    """Fairlearn refuses the rows."""
    with pytest.raises(ValueError, match="missing"):
        fair.demographic_parity_difference([1, 0], [1, 0], sensitive_features=["a", None])
    counts = cube(*group("a", 60, 40), *group("b", 58, 42), *group("unknown", 5, 95))
    result = fairness.measure(counts, {}, 1)
    assert find(result, "true_positive_rate", sex="unknown").value == pytest.approx(0.05)
    gap = find(result, "equal_opportunity_difference", sex="*")
    assert gap.value == pytest.approx(0.02)
    assert gap.detail["excluded"][0]["reason"] == "missing_group"
    assert result.notes[0].counts == {"rows": 200}
    included = fairness.measure(counts, {"include_missing": True}, 1)
    assert find(included, "equal_opportunity_difference", sex="*").value == pytest.approx(0.55)


def test_p_values_are_adjusted_over_all_comparisons_of_the_check():
    result = fairness.measure(cube(*group("a", 90, 10), *group("b", 20, 80)), {}, 1)
    tested = [one for one in result.measurements if "p" in one.detail]
    assert {one.metric for one in tested} == set(names.DEFAULT_COMPARISONS)
    assert all(one.detail["p"] <= one.detail["p_bh"] <= one.detail["p_holm"] for one in tested)


def test_ratios_and_differences_to_everybody_have_p_values():
    """Where groups differ all are small, where they are alike none; the reference has none."""
    asked = {
        "metrics": [
            "demographic_parity_ratio_to_overall",
            "demographic_parity_difference_to_overall",
            "balanced_accuracy_difference",
            "balanced_accuracy_ratio",
            "f1_ratio",
            "treatment_equality_ratio",
            "equalized_odds_ratio_to_overall",
            "impact_ratio",
            "demographic_parity_difference_to_reference",
        ]
    }
    far = [Cell((g,), y, p, n) for g, cells in (
        ("a", {(1, 1): 90, (1, 0): 10, (0, 1): 30, (0, 0): 70}),
        ("b", {(1, 1): 40, (1, 0): 60, (0, 1): 10, (0, 0): 90}),
        ("c", {(1, 1): 88, (1, 0): 12, (0, 1): 29, (0, 0): 71}),
    ) for (y, p), n in cells.items()]  # fmt: skip
    alike = [replace(one, n=[90, 11, 30, 69][place % 4]) for place, one in enumerate(far)]
    for reference in ({}, {"reference": "largest"}, {"reference": {"sex": "a"}}):
        for cells, found in ((far, True), (alike, False)):
            counts = Contingency(("sex",), tuple(cells))
            result = fairness.measure(counts, {**asked, **reference}, 1)
            for one in result.measurements:
                if one.metric in asked["metrics"] and one.slice["sex"] in ("*", "b"):
                    assert (one.detail["p"] < 0.002) == found, one
                    assert one.detail["p"] <= one.detail["p_bh"] <= one.detail["p_holm"]
            best = find(result, "impact_ratio", sex="a")
            assert "p" not in best.detail


@pytest.mark.usefixtures("few_replicates")
def test_intersections_are_compared_when_asked_for():
    rows = [Cell((s, r), y, p, 50) for s in "fm" for r in "xy" for y in (0, 1) for p in (0, 1)]
    result = fairness.measure(Contingency(("sex", "race"), tuple(rows)), {"intersections": True}, 1)
    assert find(result, "equal_opportunity_difference", sex="*", race="*").value == 0
    assert find(result, "selection_rate", sex="f", race="x").value == 0.5


def test_same_seed_same_measurements():
    counts = cube(*group("a", 60, 40), *group("b", 50, 50), *group("c", 40, 60))
    first, again = (fairness.measure(counts, {}, 9).measurements for _ in range(2))
    assert first == again


@pytest.mark.usefixtures("few_replicates")
def test_todays_figures_are_the_default_and_others_are_asked_for():
    counts = cube(*group("a", 60, 40), *group("b", 50, 50))
    told = dict.fromkeys(one.metric for one in fairness.measure(counts, {}, 1).measurements)
    assert tuple(told) == names.DEFAULT
    asked = fairness.measure(counts, {"metrics": ["precision", "predictive_parity_ratio"]}, 1)
    assert [(one.metric, dict(one.slice)) for one in asked.measurements] == [
        ("precision", {"sex": "a"}),
        ("precision", {"sex": "b"}),
        ("predictive_parity_ratio", {"sex": "*"}),
    ]
    assert [plot.name for plot in asked.plots] == ["precision_by_sex"]


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"groupings": ["race"]}, "config.groupings[0]"),
        ({"minimum": {"tpr": 3}}, "config.minimum.tpr"),
        ({"minimum": {"accuracy": 0}}, "config.minimum.accuracy"),
        ({"level": 1.5}, "config.level"),
        ({"level": nan}, "config.level"),
        ({"limit": 0.1}, "config.limit"),
        ({"metrics": ["accuracy", "tpr"]}, "config.metrics[1]"),
        ({"reference": "lowest"}, "config.reference"),
        ({"reference": {"race": "a"}}, "config.reference.race"),
        ({"reference": {"sex": 3}}, "config.reference.sex"),
        ({"reference": {"sex": "z"}, "metrics": ["impact_ratio"]}, "config.reference.sex"),
        ({"controls": ["region"]}, "config.controls[0]"),
        ({"calibration": True}, "config.calibration"),
        ({"subgroups": {"depth": 0}}, "config.subgroups.depth"),
        ({"subgroups": {"metrics": ["f1"]}}, "config.subgroups.metrics[0]"),
        ({"ll144": {"mode": "both"}}, "config.ll144.mode"),
        ({"ll144": {"groupings": [["race"]]}}, "config.ll144.groupings[0]"),
        ({"ll144": {"exclude_below": 0.9}}, "config.ll144.exclude_below"),
    ],
)
def test_a_wrong_configuration_names_its_field(config, field, few_replicates):
    with pytest.raises(Invalid) as caught:
        fairness.measure(cube(*group("a", 60, 40)), config, 1)
    assert caught.value.field == field


def test_a_group_in_which_nobody_was_decided_about_has_no_rate():
    counts = cube(*group("a", 60, 40), *group("b", 58, 42), ("c", 1, None, 30))
    result = fairness.measure(counts, {}, 1)
    rate = find(result, "selection_rate", sex="c")
    assert (rate.value, rate.undefined_reason, rate.n) == (None, "no_denominator", 0)
