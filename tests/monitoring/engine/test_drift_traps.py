"""Each trap of the drift libraries by its name: they mislead, the check does not."""

import os

import numpy as np
import pytest
from scipy.stats import chisquare, ks_2samp

from monitoring.engine import comparing
from monitoring.engine.checks import drift
from monitoring.engine.checks.drift import chance
from monitoring.engine.profiles import Categories, counted
from tests.monitoring.engine.making import find

FULL = os.environ.get("TESTS_FULL") == "1"


def numbers(reference, current, name="x"):
    return comparing.compare_numbers(name, counted(reference), counted(current))


def categories(reference, current):
    """Counts by category of two samples."""
    pair = [
        Categories({f"c{k}": int(n) for k, n in enumerate(side) if n}, 0)
        for side in (reference, current)
    ]
    return comparing.compare_categories("x", *pair)


def drifted(result):
    return [one.metric for one in result.measurements if one.detail.get("drifted")]


@pytest.mark.parametrize(("k", "rows"), [(3, 800), (3, 8_000), (10, 800), (10, 8_000)])
def test_chi_squares_false_alarms_are_as_many_as_it_says(k, rows):
    """The one-sample test takes the reference for the truth: 20 to 99 % at a nominal 5 %."""
    rng = np.random.default_rng(k * rows)
    repeats = 10_000 if FULL else 700
    shares = np.full(k, 1 / k)
    pairs = rng.multinomial(rows, shares, size=(repeats, 2))
    ours = naive = 0
    for reference, current in pairs:
        one = chance.bins_test(categories(reference, current).bins, "bins")
        ours += one.p <= 0.05
        naive += chisquare(current, reference * (current.sum() / reference.sum())).pvalue <= 0.05
    assert 0.03 <= ours / repeats <= 0.07
    assert naive / repeats > 0.15


def test_ks_on_twenty_null_columns_is_corrected():
    """Without correction two of three calm days alarm."""
    rng = np.random.default_rng(2)
    days = 300 if FULL else 10
    alarmed = corrected = called = 0
    for _ in range(days):
        pairs = rng.normal(size=(20, 2, 800))
        result = drift.measure(
            [numbers(*pair, name=str(place)) for place, pair in enumerate(pairs)], {}
        )
        tests = [
            one.detail
            for one in result.measurements
            if one.metric == "ks_statistic" and "p" in one.detail
        ]
        alarmed += min(one["p"] for one in tests) <= 0.05
        corrected += min(one["p_holm"] for one in tests) <= 0.05
        called += bool(drifted(result))
    assert alarmed / days > 0.4
    assert corrected / days <= (0.08 if FULL else 0.2)
    assert called / days <= (0.08 if FULL else 0.2)


@pytest.mark.parametrize(("k", "rows"), [(100, 1_100), (300, 5_000)])
def test_jensen_shannon_of_many_categories_is_calibrated(k, rows):
    """Evidently's 0.1 is what chance gives so many categories."""
    rng = np.random.default_rng(k)
    repeats, beyond, called = (400 if FULL else 12), 0, 0
    for _ in range(repeats):
        result = drift.measure([categories(*rng.multinomial(rows, np.full(k, 1 / k), size=2))], {})
        got = find(result, "jensen_shannon", feature="x")
        assert got.value > 0.1
        assert got.detail["chance"] > 0.1
        called += bool(drifted(result))
        beyond += got.value > got.detail["chance"]
    assert max(beyond, called) / repeats <= (0.08 if FULL else 0.25)


@pytest.mark.parametrize("rows", [50, 100, 200])
def test_distances_of_small_windows_are_calibrated(rows):
    """Of a calm window of 50 rows Evidently's 0.1 says drift nearly always."""
    rng = np.random.default_rng(rows)
    repeats = 400 if FULL else 25
    large, called = 0, 0
    beyond = {"wasserstein_normed": 0, "psi": 0, "psi_deciles": 0}
    for seed in range(repeats):
        one = numbers(rng.normal(size=5_000), rng.normal(size=rows))
        result = drift.measure([one], {}, seed=seed)
        called += bool(drifted(result))
        large += find(result, "psi", feature="x").value >= 0.1
        for name in beyond:
            got = find(result, name, feature="x")
            beyond[name] += got.value > got.detail["chance"]
    assert large / repeats > 0.1 or rows == 200
    assert max(called, *beyond.values()) / repeats <= (0.09 if FULL else 0.2)


def test_the_distances_false_alarms_are_as_many_as_it_says():
    """The area between two distribution functions, by the law of its moments."""
    rng = np.random.default_rng(11)
    repeats = 4_000 if FULL else 300
    reference = rng.lognormal(size=(repeats, 1_000))
    current = rng.lognormal(size=(repeats, 150))
    alarms = 0
    for before, after in zip(reference, current, strict=True):
        one = comparing.compare_numbers("x", counted(before), counted(after))
        alarms += chance.area(one, 0.95)[0].p <= 0.05
    assert 0.02 <= alarms / repeats <= 0.08


def test_a_p_value_of_many_rows_is_no_effect():
    rng = np.random.default_rng(4)
    one = numbers(rng.normal(0, 1, 300_000), rng.normal(0.02, 1, 300_000))
    result = drift.measure([one], {})
    got = find(result, "ks_statistic", feature="x")
    assert got.detail["p_holm"] < 0.01
    assert not drifted(result)


def test_one_outlier_does_not_hide_a_shift():
    """Equal bins over both samples are emptied by it; deciles and distances are not."""
    rng = np.random.default_rng(1)
    reference = rng.normal(0, 1, 20_000)
    current = np.append(rng.normal(1, 1, 19_999), 1e4)
    result = drift.measure([numbers(reference, current)], {})
    assert find(result, "psi", feature="x").value < 0.1
    assert find(result, "psi_deciles", feature="x").value > 0.5
    assert {"psi_deciles", "ks_statistic", "wasserstein_normed"} <= set(drifted(result))
    assert find(result, "drifted_share").value == 1


def test_sixty_percent_missing_is_drift():
    rng = np.random.default_rng(2)
    one = comparing.compare_numbers(
        "x", counted(rng.normal(size=1_000)), counted(rng.normal(size=400), 600)
    )
    result = drift.measure([one], {})
    got = find(result, "missing_rate_difference", feature="x")
    assert got.value == pytest.approx(0.6)
    assert got.lower > 0.5
    assert drifted(result) == ["missing_rate_difference"]


def test_all_missing_is_drift():
    one = comparing.compare_numbers("x", counted(np.arange(90.0)), counted(np.empty(0), 80))
    assert drifted(drift.measure([one], {})) == ["missing_rate_difference"]


def test_one_row_of_an_unseen_category_is_counted_and_alarms_nobody():
    """Evidently's p is then 0."""
    result = drift.measure([categories([500, 500, 0], [500, 499, 1])], {})
    assert find(result, "unseen_category_rate", feature="x").value == pytest.approx(0.001)
    assert find(result, "cramers_v", feature="x").detail["p"] > 0.05
    assert not drifted(result)
    many = drift.measure([categories([500, 500, 0], [480, 480, 40])], {})
    assert "unseen_category_rate" in drifted(many)


def test_unseen_categories_are_expected_where_most_are_rare():
    rng = np.random.default_rng(5)
    repeats, alarms = (2_000 if FULL else 150), 0
    for _ in range(repeats):
        pair = rng.multinomial(300, np.full(400, 1 / 400), size=2)
        one = categories(*pair)
        test, limit = chance.unseen(one.bins, one.unseen, 0.95)
        assert limit > 0.3
        alarms += test.p <= 0.05
    assert alarms / repeats <= 0.09


def test_the_index_keeps_its_tails_and_empty_bins():
    """Values beyond the reference's ends, and bins that one side lacks, count."""
    reference = np.linspace(0, 1, 1_000)
    current = np.concatenate([np.linspace(0, 1, 700), np.full(150, -5.0), np.full(150, 9.0)])
    one = numbers(reference, current)
    assert sum(one.bins.current) == sum(one.deciles.current) == 1_000
    result = drift.measure([one], {})
    assert find(result, "psi", feature="x").value > 0.5
    assert find(result, "psi_deciles", feature="x").value > 0.1
    assert {"psi", "psi_deciles"} <= set(drifted(result))


def test_ks_of_two_samples_is_scipys_where_samples_are_large():
    rng = np.random.default_rng(6)
    pair = rng.normal(size=15_000), rng.normal(0.02, 1, 12_000)
    got = find(drift.measure([numbers(*pair)], {}), "ks_statistic", feature="x")
    assert got.detail["p"] == pytest.approx(ks_2samp(*pair).pvalue, rel=1e-9)
