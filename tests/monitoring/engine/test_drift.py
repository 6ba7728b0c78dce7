"""Drift on histograms equals Evidently and SciPy on rows, without Evidently's traps."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from evidently.legacy.calculations.stattests import (
    jensenshannon_stat_test,
    ks_stat_test,
    psi_stat_test,
    wasserstein_stat_test,
)
from evidently.legacy.core import ColumnType
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.engine import comparing
from monitoring.engine.checks import drift
from monitoring.engine.profiles import Categories, Numbers
from tests.monitoring.engine.making import find

ONE = {"minimum": 1}


def numbers(values, missing=0, infinite=0, whole=False):
    found, counts = np.unique(np.asarray(values, float), return_counts=True)
    return Numbers(found, counts.astype(np.int64), missing, infinite, whole)


def categories(values, missing=0):
    return Categories(
        {str(k): int(v) for k, v in pd.Series(values).value_counts().items()}, missing
    )


def evidently(test, reference, current, kind):
    ours = pd.Series(reference), pd.Series(current)
    return float(test.func(*ours, kind, 0.1)[0])


whole = st.lists(st.integers(-50, 50), min_size=1, max_size=150)
floats = st.lists(
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)), min_size=1, max_size=150
)
samples = st.one_of(
    st.tuples(whole, whole, st.just(True)), st.tuples(floats, floats, st.just(False))
)


@settings(max_examples=150, deadline=None)
@given(samples)
def test_numeric_figures_are_evidentlys(pair):
    reference, current, is_whole = pair
    result = drift.measure(
        [
            comparing.compare_numbers(
                "x", numbers(reference, whole=is_whole), numbers(current, whole=is_whole)
            )
        ],
        ONE,
    )
    if not is_whole:
        reference, current = [float(x) for x in reference], [float(x) for x in current]
    for name, test in (
        ("psi", psi_stat_test),
        ("jensen_shannon", jensenshannon_stat_test),
        ("wasserstein_normed", wasserstein_stat_test),
    ):
        expected = evidently(test, reference, current, ColumnType.Numerical)
        got = find(result, name, feature="x").value
        if not math.isnan(expected):
            assert got == pytest.approx(expected, rel=1e-9, abs=1e-7)
    p = find(result, "ks_statistic", feature="x").detail["p"]
    assert p == pytest.approx(evidently(ks_stat_test, reference, current, ColumnType.Numerical))


@settings(max_examples=60, deadline=None)
@given(*[st.lists(st.sampled_from("abcdef"), min_size=1, max_size=80)] * 2)
def test_categorical_figures_are_evidentlys(reference, current):
    one = comparing.compare_categories("x", categories(reference), categories(current))
    result = drift.measure([one], ONE)
    for name, test in (("psi", psi_stat_test), ("jensen_shannon", jensenshannon_stat_test)):
        expected = evidently(test, reference, current, ColumnType.Categorical)
        if not math.isnan(expected):
            got = find(result, name, feature="x").value
            assert got == pytest.approx(expected, rel=1e-9, abs=1e-7)


def test_large_samples_have_scipys_asymptotic_p():
    rng = np.random.default_rng(6)
    reference, current = rng.normal(0, 1, 15_000), rng.normal(0.02, 1, 12_000)
    one = comparing.compare_numbers("x", numbers(reference), numbers(current))
    got = find(drift.measure([one], {}), "ks_statistic", feature="x")
    expected = evidently(ks_stat_test, reference, current, ColumnType.Numerical)
    assert got.detail["p"] == pytest.approx(expected, rel=1e-9)


def test_one_outlier_does_not_hide_a_shift():
    rng = np.random.default_rng(1)
    reference = rng.normal(0, 1, 20_000)
    current = np.append(rng.normal(1, 1, 19_999), 1e4)
    one = comparing.compare_numbers("x", numbers(reference), numbers(current))
    result = drift.measure([one], {})
    assert find(result, "psi", feature="x").value < 0.1
    assert find(result, "psi_deciles", feature="x").value > 0.5


def test_missing_values_are_drift():
    rng = np.random.default_rng(2)
    one = comparing.compare_numbers(
        "x", numbers(rng.normal(size=1_000)), numbers(rng.normal(size=400), missing=600)
    )
    got = find(drift.measure([one], {}), "missing_rate_difference", feature="x")
    assert got.value == pytest.approx(0.6)
    assert got.lower > 0.5


def test_an_unseen_category_is_counted_and_does_not_alarm_alone():
    reference = categories(["a"] * 500 + ["b"] * 500)
    current = categories(["a"] * 500 + ["b"] * 499 + ["c"])
    result = drift.measure([comparing.compare_categories("x", reference, current)], {})
    assert find(result, "unseen_category_rate", feature="x").value == pytest.approx(0.001)
    assert find(result, "cramers_v", feature="x").detail["p"] > 0.05


def test_the_index_keeps_its_tails():
    """Values beyond the reference's ends and bins that one side lacks count."""
    reference = numbers(np.linspace(0, 1, 1_000))
    current = numbers(np.concatenate([np.linspace(0, 1, 700), np.full(150, -5), np.full(150, 9)]))
    result = drift.measure([comparing.compare_numbers("x", reference, current)], {})
    assert find(result, "psi", feature="x").value > 0.5
    assert find(result, "psi_deciles", feature="x").value > 0.1


def test_a_small_window_is_insufficient_and_chance_is_told():
    rng = np.random.default_rng(3)
    small = comparing.compare_numbers(
        "x", numbers(rng.normal(size=900)), numbers(rng.normal(size=9))
    )
    assert find(drift.measure([small], {}), "psi", feature="x").undefined_reason == "insufficient"
    null = [
        find(
            drift.measure(
                [
                    comparing.compare_numbers(
                        "x", numbers(rng.normal(size=5_000)), numbers(rng.normal(size=200))
                    )
                ],
                {},
            ),
            "psi_deciles",
            feature="x",
        )
        for _ in range(200)
    ]
    beyond = sum(one.value > one.detail["chance"] for one in null) / len(null)
    assert 0.01 < beyond < 0.11


def test_the_largest_index_names_its_feature_and_answers_stand_apart():
    same, moved = categories(["a", "b"] * 100), categories(["a"] * 180 + ["b"] * 20)
    result = drift.measure(
        [
            comparing.compare_categories("calm", same, same),
            comparing.compare_categories("moved", same, moved),
            comparing.compare_categories(
                "prediction", categories([0, 1] * 100), categories([0] * 150 + [1] * 50)
            ),
        ],
        {},
    )
    top = find(result, "psi", feature="*")
    assert top.detail["feature"] == "moved"
    assert top.value == find(result, "psi", feature="moved").value
    assert find(result, "positive_rate_difference", output="prediction").value == pytest.approx(
        -0.25
    )


def test_an_empty_column_is_undefined_not_zero():
    one = comparing.compare_numbers("x", numbers([1.0, 2.0] * 50), numbers([], missing=40))
    result = drift.measure([one], {})
    assert find(result, "psi", feature="x").undefined_reason == "no_denominator"
    assert find(result, "missing_rate_difference", feature="x").value == 1.0


def test_a_comparison_names_no_rare_value():
    compared = comparing.compare_categories(
        "x", categories(["a"] * 30 + ["c"] * 3), categories(["a"] * 30)
    )
    assert compared.to_json()["bins"]["names"] == ["a", None]


def test_evidentlys_report_carries_our_figures():
    from monitoring.engine import evidently_report

    one = comparing.compare_categories(
        "x", categories(["a", "b"] * 50), categories(["a"] * 60 + ["b"] * 40)
    )
    result = drift.measure([one], {})
    (attachment,) = evidently_report.report(result.measurements, "0" * 64, html=False)
    document = json.loads(attachment.content)
    figures = {metric["value"] for metric in document["metrics"]}
    assert find(result, "psi", feature="x").value in figures
    assert attachment.media_type == "application/json"
