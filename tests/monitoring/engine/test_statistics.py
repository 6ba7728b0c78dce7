"""Intervals and tests against SciPy, statsmodels and scikit-learn, and on data without effects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from monitoring.engine import statistics
from monitoring.engine.statistics import generator

pairs = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(pairs, st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_is_scipys(pair, level):
    k, n = pair
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    got = statistics.wilson(k, n, level)
    assert got.lower == pytest.approx(expected.low, abs=1e-9)
    assert got.upper == pytest.approx(expected.high, abs=1e-9)


@given(pairs, pairs)
def test_newcombe_is_that_of_statsmodels(first, second):
    low, high = confint_proportions_2indep(*first, *second, method="newcomb", compare="diff")
    got = statistics.newcombe(first, second, 0.95)
    assert got.lower == pytest.approx(low, abs=1e-9)
    assert got.upper == pytest.approx(high, abs=1e-9)


@given(p_values)
def test_adjusted_p_values_are_those_of_statsmodels(values):
    for name, ours in (("holm", statistics.holm), ("fdr_bh", statistics.benjamini_hochberg)):
        assert ours(values) == pytest.approx(list(multipletests(values, method=name)[1]), abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=2, max_size=200))
def test_binned_area_is_within_its_certified_error_of_scikit_learns(rows):
    label, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    bins = np.minimum((score * 50).astype(int), 49)
    counts = [np.bincount(bins[label == side], minlength=50).tolist() for side in (1, 0)]
    area = statistics.area_under_curve(*counts)
    if label.min() == label.max():
        assert area is None
    else:
        assert abs(area.value - roc_auc_score(label, score)) <= area.bound + 1e-12


def test_same_seed_same_numbers_and_each_purpose_its_own():
    first, again = generator(7, "tpr", "sex"), generator(7, "tpr", "sex")
    other = generator(7, "tpr", "race")
    draws = first.random(5).tolist()
    assert draws == again.random(5).tolist()
    assert draws != other.random(5).tolist()


@pytest.mark.parametrize("sizes", [(400, 300), (500, 250, 150, 70, 30)])
def test_interval_of_a_gap_contains_zero_where_there_is_no_gap(sizes):
    """The percentile interval of a bootstrapped maximum minus minimum never does."""
    rng, runs, covered = np.random.default_rng(1), 120, 0
    for run in range(runs):
        k = [int(rng.binomial(n, 0.3)) for n in sizes]
        interval, _ = statistics.spread_interval(k, sizes, 0.95, generator(run, "gap"))
        covered += interval.lower <= 0
    assert covered / runs > 0.88


def test_permutation_test_holds_its_level_and_finds_a_gap():
    rng, runs = np.random.default_rng(2), 150
    sizes = [200, 150, 60]
    false = sum(
        statistics.permutation_p(
            [int(rng.binomial(n, 0.4)) for n in sizes], sizes, generator(run, "p")
        )
        <= 0.05
        for run in range(runs)
    )
    assert false / runs < 0.12
    assert statistics.permutation_p([120, 40, 20], sizes, generator(0, "p")) < 0.001


def test_chi_square_of_two_samples_keeps_its_false_alarms_at_the_level():
    """The one-sample form alarms in 49 to 99 of 100 cases here."""
    rng, runs = np.random.default_rng(3), 1_000
    shares = np.full(10, 0.1)
    alarms = sum(
        (statistics.chi_square_two_sample(*rng.multinomial(800, shares, size=2)) or 1) < 0.05
        for _ in range(runs)
    )
    assert 0.03 <= alarms / runs <= 0.07


def test_four_fifths_by_chance_has_an_interval_across_the_limit():
    interval, _ = statistics.ratio_interval([70, 22], [250, 100], 0.95, generator(1, "ratio"))
    assert 22 / 100 / (70 / 250) < 0.8
    assert interval.lower < 0.8 < interval.upper


def test_an_undefined_replicate_is_not_averaged_away():
    replicates = np.array([0.5] * 90 + [np.nan] * 10)
    assert statistics.percentile(replicates, 0.95) is None
