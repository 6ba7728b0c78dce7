"""Drift on histograms equals Evidently and SciPy on rows; its traps are in `test_drift_traps`."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from evidently.legacy.calculations.stattests import (
    hellinger_stat_test,
    jensenshannon_stat_test,
    ks_stat_test,
    psi_stat_test,
    wasserstein_stat_test,
)
from evidently.legacy.core import ColumnType
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, ks_2samp, kstwo, wasserstein_distance

from kernel.errors import Invalid
from monitoring.engine import column_profiles, comparing, cube, profiles
from monitoring.engine.checks import drift
from monitoring.engine.checks.drift import chance
from monitoring.engine.profiles import Categories, counted
from tests.monitoring.engine.making import find

ONE = {"minimum": 1}
SHARED = {
    "psi": psi_stat_test,
    "jensen_shannon": jensenshannon_stat_test,
    "hellinger": hellinger_stat_test,
}
ROOTS = ("jensen_shannon", "hellinger")


def numbers(values, missing=0, whole=False):
    return counted(np.asarray(values, float), missing, whole=whole)


def categories(values, missing=0):
    return Categories(
        {str(k): int(v) for k, v in pd.Series(values, dtype=object).value_counts().items()}, missing
    )


def compared(reference, current, **more):
    return comparing.compare_numbers("x", numbers(reference, **more), numbers(current, **more))


def evidently(test, reference, current, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(test.func(pd.Series(reference), pd.Series(current), kind, 0.1)[0])


def same(name, ours, native):
    """To 1e-9; distances that are roots as their squares, since a root of 1e-16 is 1e-8."""
    if math.isnan(native):
        # The root of a rounding error below 0.
        return name in ROOTS and ours < 1e-7
    if name in ROOTS:
        ours, native = ours**2, native**2
    return ours == pytest.approx(native, rel=1e-9, abs=1e-9)


def strange(values):
    """Ties, a constant, one row, many alike; NaN and infinities are added to any of them."""
    odd = st.sampled_from([math.nan, math.inf, -math.inf])
    return st.lists(st.one_of(values, values, values, odd), min_size=1, max_size=120)


whole = st.lists(st.integers(-50, 50), min_size=1, max_size=120)
floats = strange(st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 3)))
ties = strange(st.sampled_from([0.0, -0.0, 1.5, 2.0, 1e9]))
samples = st.one_of(
    st.tuples(whole, whole, st.just(True)),
    st.tuples(floats, floats, st.just(False)),
    st.tuples(ties, ties, st.just(False)),
    st.tuples(floats, ties, st.just(False)),
)


@settings(max_examples=80, deadline=None)
@given(samples)
def test_numeric_figures_are_evidentlys(pair):
    reference, current, is_whole = pair
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = compared(reference, current, whole=is_whole)
    result = drift.measure([one], ONE)
    # Evidently drops what is missing or endless before it compares.
    kept = [[x for x in side if math.isfinite(x)] for side in (reference, current)]
    if not kept[0] or not kept[1]:
        got = find(result, "psi", feature="x")
        assert (got.value, got.undefined_reason) == (None, "no_denominator")
        return
    if not is_whole:
        kept = [[float(x) for x in side] for side in kept]
    for name, test in SHARED.items():
        expected = evidently(test, *kept, ColumnType.Numerical)
        assert same(name, find(result, name, feature="x").value, expected)
    normed = evidently(wasserstein_stat_test, *kept, ColumnType.Numerical)
    assert same("", find(result, "wasserstein_normed", feature="x").value, normed)
    p = find(result, "ks_statistic", feature="x").detail["p"]
    assert p == pytest.approx(evidently(ks_stat_test, *kept, ColumnType.Numerical), abs=1e-9)
    missing = find(result, "missing_rate_difference", feature="x")
    assert missing.n == len(current)


@settings(max_examples=40, deadline=None)
@given(*[st.lists(st.sampled_from("abcdef"), min_size=1, max_size=80)] * 2)
def test_categorical_figures_are_evidentlys_and_the_test_scipys(reference, current):
    one = comparing.compare_categories("x", categories(reference), categories(current))
    result = drift.measure([one], ONE)
    for name, test in SHARED.items():
        expected = evidently(test, reference, current, ColumnType.Categorical)
        assert same(name, find(result, name, feature="x").value, expected)
    got = find(result, "cramers_v", feature="x")
    if got.detail.get("test") == "two-sample chi-square":
        table = np.array([one.bins.reference, one.bins.current])
        expected = chi2_contingency(table, correction=False)
        assert got.detail["p"] == pytest.approx(expected.pvalue, rel=1e-9)
        assert got.value == pytest.approx(math.sqrt(expected.statistic / table.sum()), abs=1e-12)


def test_large_samples_have_scipys_asymptotic_p():
    rng = np.random.default_rng(6)
    reference, current = rng.normal(0, 1, 15_000), rng.normal(0.02, 1, 12_000)
    one = compared(reference, current)
    got = find(drift.measure([one], {}), "ks_statistic", feature="x")
    expected = evidently(ks_stat_test, reference, current, ColumnType.Numerical)
    assert got.detail["p"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [10_000, 77_777, 400_000])
@pytest.mark.parametrize("excess", [0.01, 2.1999, 2.2001, 4, 40, 369, 371])
def test_the_p_of_many_rows_is_scipys(n, excess):
    gap = math.sqrt(excess / n)
    one = comparing.Comparison(
        "x", "numeric", 0, 0, comparing.Histogram((2 * n,), (2 * n,)), gap=(int(gap * 1e12), 10**12)
    )
    test, _ = chance.kolmogorov(one, 0.95)
    expected = kstwo.sf(one.gap[0] / one.gap[1], n)
    assert test.p == pytest.approx(expected, rel=1e-12, abs=1e-300)


@settings(max_examples=60, deadline=None)
@given(samples, st.integers(1, 9))
def test_columns_compared_in_parts_are_compared_as_one(pair, chunk):
    sides = [counted(np.asarray([x for x in side if math.isfinite(x)], float)) for side in pair[:2]]
    if not sides[0].n or not sides[1].n:
        return
    whole = comparing.compare_numbers("x", *sides)
    edges = column_profiles.profile_edges(sides[0])
    profiled = [column_profiles.of_numbers(side, edges) for side in sides]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "CHUNK", chunk)
        patch.setattr(profiles, "CHUNK", chunk)
        assert comparing.compare_numbers("x", *sides) == whole
        assert [column_profiles.of_numbers(side, edges) for side in sides] == profiled
    rows = [np.repeat(side.values, side.counts) for side in sides]
    assert whole.distance == pytest.approx(wasserstein_distance(*rows), rel=1e-9, abs=1e-12)
    assert whole.gap[0] / whole.gap[1] == pytest.approx(ks_2samp(*rows).statistic, abs=1e-12)
    assert whole.deviation == pytest.approx(np.std(rows[0]), rel=1e-9, abs=1e-9)


def test_a_small_window_is_insufficient():
    rng = np.random.default_rng(3)
    result = drift.measure([compared(rng.normal(size=900), rng.normal(size=9))], {})
    assert find(result, "psi", feature="x").undefined_reason == "insufficient"
    assert find(result, "missing_rate_difference", feature="x").value == 0
    assert find(result, "drifted_share").value == 0


def test_the_largest_index_names_its_feature_and_answers_stand_apart():
    same, moved = categories(["a", "b"] * 100), categories(["a"] * 180 + ["b"] * 20)
    result = drift.measure(
        [
            comparing.compare_categories("calm", same, same),
            comparing.compare_categories("moved", same, moved),
            replace(
                comparing.compare_categories(
                    "prediction", categories([0, 1] * 100), categories([0] * 150 + [1] * 50)
                ),
                answer=True,
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


def many(seed, ids=3_000, rows=40_000):
    rng = np.random.default_rng(seed)
    return categories([f"id{one:05d}" for one in rng.zipf(1.2, rows) % ids])


def test_of_many_categories_the_cube_holds_the_most_frequent_and_the_rest_as_one():
    before, after = many(1), many(2)
    one = comparing.compare_categories("x", before, after)
    held = one.to_json()["bins"]
    categories_ = len(set(before.counts) | set(after.counts))
    assert categories_ > 2_000
    assert held["pooled"] == categories_ - comparing.KEPT
    assert len(held["reference"]) == len(held["current"]) == len(held["names"])
    assert len(held["names"]) == comparing.KEPT + 1
    assert held["names"][-1] is None
    assert (sum(held["reference"]), sum(held["current"])) == (before.n, after.n)
    # The most frequent of both together; of equally frequent ones the first by name.
    both = {
        name: before.counts.get(name, 0) + after.counts.get(name, 0)
        for name in {*before.counts, *after.counts}
    }
    first = sorted(sorted(both, key=lambda name: (-both[name], name))[: comparing.KEPT])
    assert held["reference"][:-1] == [before.counts.get(name, 0) for name in first]
    assert held["current"][:-1] == [after.counts.get(name, 0) for name in first]
    assert [name for name in held["names"] if name] == [
        name for name in first if max(before.counts.get(name, 0), after.counts.get(name, 0)) >= 11
    ]


def test_figures_of_many_categories_count_each(monkeypatch):
    pair = many(1), many(2)
    result = drift.measure([comparing.compare_categories("x", *pair)], {})
    monkeypatch.setattr(comparing, "KEPT", 10_000)
    whole = drift.measure([comparing.compare_categories("x", *pair)], {})
    for metric in ("psi", "jensen_shannon", "hellinger", "cramers_v"):
        got, same = (find(each, metric, feature="x") for each in (result, whole))
        assert (got.value, got.detail["p"]) == (same.value, same.detail["p"])
        assert got.detail["pooled_in_cube"] > 1_000
        assert "pooled_in_cube" not in same.detail
    table = [
        [side.counts.get(name, 0) for name in sorted({*pair[0].counts, *pair[1].counts})]
        for side in pair
    ]
    expected = chi2_contingency(table, correction=False).statistic / np.sum(table)
    assert find(result, "cramers_v", feature="x").value == pytest.approx(math.sqrt(expected))


def test_few_numbers_that_became_many_are_held_as_few_bins():
    """Evidently takes the values themselves as bins if the reference has few."""
    one = compared([1.0, 2.0] * 500, np.random.default_rng(1).normal(size=5_000).tolist())
    held = one.to_json()["bins"]
    assert len(one.bins.names) > 5_000
    assert len(held["names"]) == comparing.KEPT + 1
    assert sum(held["current"]) == 5_000


def test_a_figure_that_is_no_number_is_undefined():
    result = drift.measure([compared([-1.7e308] * 40 + [1.7e308] * 40, [0.0] * 50)], {})
    assert find(result, "wasserstein_normed", feature="x").undefined_reason == "not_finite"


def test_values_whose_squares_are_no_numbers_are_sealed_and_give_no_false_calm():
    """A deviation without end would make any distance 0."""
    one = compared([1e200, 2e200, 3e200] * 20, [7e200, 8e200, 9e200] * 20)
    got = find(drift.measure([one], {}), "wasserstein_normed", feature="x")
    assert (got.value, got.undefined_reason) == (None, "not_finite")
    assert cube.seal(one.to_json())


def shifted(**config):
    rng = np.random.default_rng(8)
    calm, moved = rng.normal(size=2_000), rng.normal(0.5, 1, size=2_000)
    pair = [
        comparing.compare_numbers(name, numbers(rng.normal(size=2_000)), numbers(current))
        for name, current in (("calm", calm), ("moved", moved))
    ]
    return drift.measure(pair, config)


def test_drifted_needs_effect_chance_and_corrected_test():
    result = shifted()
    moved, calm = (find(result, "psi_deciles", feature=name) for name in ("moved", "calm"))
    assert moved.detail["drifted"]
    assert not calm.detail["drifted"]
    assert moved.detail["rule"] == "at least 0.1, beyond chance, and p by holm at most 0.05"
    assert moved.detail["chance"] < moved.detail["threshold"] < moved.value
    assert moved.detail["p"] <= moved.detail["p_bh"] <= moved.detail["p_holm"] <= 0.05
    assert calm.detail["p_holm"] > 0.05
    share = find(result, "drifted_share")
    assert (share.value, share.n) == (0.5, 2)
    assert list(share.detail["features"]) == ["moved"]
    assert not find(shifted(thresholds={"psi_deciles": 3}), "psi_deciles", feature="moved").detail[
        "drifted"
    ]


def test_figures_of_one_test_count_once_in_the_correction():
    result = shifted(correction="bh")
    tests = {
        (one.slice["feature"], one.detail["test"], one.detail["p"]): one.detail["p_holm"]
        for one in result.measurements
        if "p" in one.detail and one.slice.get("feature") in ("moved", "calm")
    }
    # Bins, deciles, the area and Kolmogorov-Smirnov: four a column.
    assert len(tests) == 8
    least = min(tests, key=lambda key: key[2])
    assert tests[least] == pytest.approx(8 * least[2])


def test_importance_orders_the_features_and_weighs_the_share():
    result = shifted(importance={"moved": 3.0, "calm": 1.0})
    assert result.measurements[0].slice == {"feature": "moved"}
    weighed = find(result, "drifted_importance_share")
    assert weighed.value == 0.75
    assert [one["feature"] for one in weighed.detail["ranking"]] == ["moved", "calm"]
    with pytest.raises(Invalid) as caught:
        shifted(importance={"other": 1.0})
    assert caught.value.field == "config.importance.other"


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"alpha": 0}, "config.alpha"),
        ({"correction": "bonferroni"}, "config.correction"),
        ({"thresholds": {"psy": 0.1}}, "config.thresholds.psy"),
        ({"thresholds": {"psi": -1}}, "config.thresholds.psi"),
        ({"importance": {"moved": "much"}}, "config.importance.moved"),
    ],
)
def test_a_wrong_configuration_is_named(config, field):
    with pytest.raises(Invalid) as caught:
        shifted(**config)
    assert caught.value.field == field


def test_what_moved_most_is_drawn():
    result = shifted()
    drawn = {one.name: one for one in result.plots}
    assert drawn["distribution-1"].title == "moved now and in the reference"
    assert drawn["distribution-1"].kind == "histogram"
    rare = comparing.compare_categories(
        "town", categories(["a"] * 90 + ["b"] * 3), categories(["a"] * 50 + ["c"] * 40)
    )
    (plot,) = [one for one in drift.measure([rare], {}).plots if one.name == "distribution-1"]
    # What fewer rows share than may be named is told together.
    assert [point["label"] for point in plot.series[0]["points"]] == ["a", "c", "other"]


def test_evidentlys_report_carries_our_figures_and_tests_each_column():
    from evidently.core.report import Snapshot

    from monitoring.engine import evidently_report

    result = shifted()
    page, html = evidently_report.report(result.measurements, "0" * 64, html=True)
    (alone,) = evidently_report.report(result.measurements, "0" * 64, html=False)
    assert (alone.name, alone.media_type) == ("evidently.json", "application/json")
    assert (html.name, html.media_type) == ("evidently.html", "text/html")
    document = json.loads(page.content)
    figures = {metric["value"] for metric in document["metrics"]}
    assert find(result, "psi", feature="moved").value in figures
    status = {test["name"].split(":")[0]: test["status"] for test in document["tests"]}
    assert status == {
        "figures of calm that drifted": "SUCCESS",
        "figures of moved that drifted": "FAIL",
    }
    # What was kept of it can be opened again: the metrics' classes are found by name.
    again = Snapshot.loads(evidently_report.run(result.measurements, "0" * 64).dumps())
    assert {one["value"] for one in again.dict()["metrics"]} == figures
