"""Fairness on weighted cells equals Fairlearn on rows, without Fairlearn's traps."""

import warnings

import fairlearn.metrics as fair
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from kernel.errors import Invalid
from monitoring.engine.checks import fairness
from monitoring.engine.cube import Cell, Contingency
from tests.monitoring.engine.making import find

FAIRLEARN = {
    "selection_rate": fair.selection_rate,
    "true_positive_rate": fair.true_positive_rate,
    "false_positive_rate": fair.false_positive_rate,
    "false_negative_rate": fair.false_negative_rate,
    "accuracy": accuracy_score,
}
ONE = {"minimum": {"default": 1}}


def cube(*cells, attribute="sex"):
    return Contingency((attribute,), tuple(Cell((g,), y, p, n) for g, y, p, n in cells))


def group(name, tp, fn, fp=20, tn=80):
    return [(name, 1, 1, tp), (name, 1, 0, fn), (name, 0, 1, fp), (name, 0, 0, tn)]


cells = st.fixed_dictionaries(
    {(name, y, p): st.integers(0, 60) for name in ("a", "b", "c") for y in (0, 1) for p in (0, 1)}
).filter(lambda counts: any(counts.values()))


@settings(max_examples=25, deadline=None)
@given(cells)
@example(
    {
        (name, y, p): int((name, y, p) == ("c", 1, 1))
        for name in "abc"
        for y in (0, 1)
        for p in (0, 1)
    }
)
def test_rates_and_differences_are_fairlearns_on_the_rows(counts):
    rows = [key for key, n in counts.items() for _ in range(n)]
    names, y, p = (np.array([row[place] for row in rows]) for place in range(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # As a Series: Fairlearn squeezes an array of one row to no dimension, and refuses it.
        groups = pd.Series(names)
        frame = fair.MetricFrame(metrics=FAIRLEARN, y_true=y, y_pred=p, sensitive_features=groups)
    result = fairness.measure(cube(*[(*key, n) for key, n in counts.items() if n]), ONE, 1)
    for name in sorted(set(names)):
        for metric in FAIRLEARN:
            got = find(result, metric, sex=name)
            if got.value is not None:
                assert got.value == pytest.approx(frame.by_group[metric][name], abs=1e-12)
            else:
                assert got.n == 0
    _same_differences(result, frame, set(names), counts)


def _same_differences(result, frame, names, counts):
    defined = all(sum(counts[name, y, p] for p in (0, 1)) > 0 for name in names for y in (0, 1))
    if len(names) < 2 or not defined:
        return
    gaps, got = frame.difference(method="between_groups"), {}
    for metric in (*fairness.DIFFERENCES, fairness.ODDS):
        got[metric] = find(result, metric, sex="*").value
    for metric, rate in fairness.DIFFERENCES.items():
        assert got[metric] == pytest.approx(gaps[rate], abs=1e-12)
    worst = max(gaps["true_positive_rate"], gaps["false_positive_rate"])
    assert got[fairness.ODDS] == pytest.approx(worst, abs=1e-12)


def test_the_example_of_fairlearns_guide():
    y = [0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    p = [0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
    names = [
        "b",
        "b",
        "a",
        "b",
        "b",
        "c",
        "c",
        "c",
        "a",
        "a",
        "c",
        "a",
        "b",
        "c",
        "c",
        "b",
        "c",
        "c",
    ]
    rows = [Cell((g,), a, b, 1) for g, a, b in zip(names, y, p, strict=True)]
    result = fairness.measure(Contingency(("group",), tuple(rows)), ONE, 1)
    assert find(result, "demographic_parity_difference", group="*").value == pytest.approx(0.25)
    assert find(result, "demographic_parity_ratio", group="*").value == pytest.approx(2 / 3)
    assert find(result, "equalized_odds_difference", group="*").value == pytest.approx(1.0)


def test_undefined_is_not_zero():
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


def test_a_small_group_is_insufficient_and_does_not_set_the_reference():
    """300 of 600, 190 of 390 and 10 of 10 give 0.974, not 0.487: the ten set no highest rate."""
    selected = [("a", 600, 300), ("b", 390, 190), ("c", 10, 10)]
    counts = cube(
        *[(g, 1, 1, k) for g, _, k in selected],
        *[(g, 1, 0, n - k) for g, n, k in selected if n > k],
    )
    ratio = find(fairness.measure(counts, {}, 1), "demographic_parity_ratio", sex="*")
    assert ratio.value == pytest.approx(190 / 390 / 0.5)
    assert ratio.detail["highest"] == {"sex": "a"}
    assert [one["group"] for one in ratio.detail["excluded"]] == [{"sex": "c"}]


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


def test_a_missing_sensitive_value_is_counted_and_compared_with_nobody():
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
    assert len(tested) == 5
    assert all(one.detail["p"] <= one.detail["p_bh"] <= one.detail["p_holm"] for one in tested)


def test_intersections_are_compared_when_asked_for():
    rows = [Cell((s, r), y, p, 50) for s in "fm" for r in "xy" for y in (0, 1) for p in (0, 1)]
    result = fairness.measure(Contingency(("sex", "race"), tuple(rows)), {"intersections": True}, 1)
    assert find(result, "equal_opportunity_difference", sex="*", race="*").value == 0
    assert find(result, "selection_rate", sex="f", race="x").value == 0.5


def test_same_seed_same_measurements():
    counts = cube(*group("a", 60, 40), *group("b", 50, 50), *group("c", 40, 60))
    first, again = (fairness.measure(counts, {}, 9).measurements for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"groupings": ["race"]}, "config.groupings[0]"),
        ({"minimum": {"tpr": 3}}, "config.minimum.tpr"),
        ({"minimum": {"accuracy": 0}}, "config.minimum.accuracy"),
        ({"level": 1.5}, "config.level"),
        ({"level": float("nan")}, "config.level"),
        ({"limit": 0.1}, "config.limit"),
    ],
)
def test_a_wrong_configuration_names_its_field(config, field):
    with pytest.raises(Invalid) as caught:
        fairness.measure(cube(*group("a", 60, 40)), config, 1)
    assert caught.value.field == field
