"""Intervals and tests against SciPy, statsmodels and scikit-learn, and on data without effects."""

import math
import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from bench.checks import coverage
from monitoring.engine import statistics
from monitoring.engine.statistics import base, draws, generator, samples
from monitoring.engine.statistics.extremes import greatest, least
from monitoring.engine.statistics.samples import sample

OURS = "bench.checks.coverage_fairness"

pairs = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(pairs, st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_is_scipys(pair, level):
    k, n = pair
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    got = statistics.wilson(k, n, level)
    assert got.lower == pytest.approx(expected.low, abs=1e-9)
    assert got.upper == pytest.approx(expected.high, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(pairs, pairs)
def test_newcombe_is_that_of_statsmodels(first, second):
    low, high = confint_proportions_2indep(*first, *second, method="newcomb", compare="diff")
    got = statistics.newcombe(first, second, 0.95)
    assert got.lower == pytest.approx(low, abs=1e-9)
    assert got.upper == pytest.approx(high, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(p_values)
def test_adjusted_p_values_are_those_of_statsmodels(values):
    with pytest.MonkeyPatch.context() as patch:
        # The library collects garbage on every call, which takes most of a second here.
        patch.setattr("gc.collect", lambda: 0)
        for name, ours in (("holm", statistics.holm), ("fdr_bh", statistics.benjamini_hochberg)):
            expected = multipletests(values, method=name)[1]
            assert ours(values) == pytest.approx(list(expected), abs=1e-12)


@settings(max_examples=40, deadline=None)
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
def test_interval_of_a_gap_contains_zero_where_there_is_no_gap(sizes, monkeypatch):
    """The percentile interval of a bootstrapped maximum minus minimum never does."""
    monkeypatch.setattr(base, "REPLICATES", 1_000)
    rng, runs, covered = np.random.default_rng(1), 120, 0
    for run in range(runs):
        k = [int(rng.binomial(n, 0.3)) for n in sizes]
        interval, _ = statistics.spread_interval(k, sizes, 0.95, generator(run, "gap"))
        covered += interval.lower <= 0
    assert 0.88 < covered / runs < 1


def test_permutation_test_holds_its_level_and_finds_a_gap(monkeypatch):
    monkeypatch.setattr(base, "REPLICATES", 999)
    rng, runs = np.random.default_rng(2), 150
    sizes = [200, 150, 60]
    false = sum(
        statistics.permutation_p(
            [int(rng.binomial(n, 0.4)) for n in sizes], sizes, generator(run, "p")
        )
        <= 0.05
        for run in range(runs)
    )
    assert 0 < false / runs < 0.12
    assert statistics.permutation_p([120, 40, 20], sizes, generator(0, "p")) <= 0.001


SHAPES = {"share": samples.SHARE, "logarithm": samples.LOGARITHM, "log odds": samples.LOG_ODDS}


@pytest.mark.parametrize("shape", SHAPES)
def test_permutation_tests_are_those_of_all_ways_to_deal(shape, monkeypatch):
    """P by the probability of every table of three small groups, for each of the three statistics."""
    monkeypatch.setattr(base, "REPLICATES", 40_000)
    k, n, form = np.array([9, 4, 2]), np.array([16, 9, 12]), SHAPES[shape]
    total, everybody = int(k.sum()), int(n.sum())
    tables = [
        (a, b, total - a - b) for a in range(17) for b in range(10) if 0 <= total - a - b <= 12
    ]
    chance = stats.multivariate_hypergeom.pmf(np.array(tables), n, total)

    def figure(k, n):
        share = (k + 0.5) / (n + 1) if form.odd else k / n
        return float(form.value(np.array([share]))[0])

    def errors(table, i, j):
        gap = figure(table[i], n[i]) - figure(table[j], n[j])
        return gap / np.sqrt(1 / n[i] + 1 / n[j])

    def from_all(table, i):
        gap = figure(table[i], n[i]) - figure(total, everybody)
        return abs(gap) / np.sqrt(1 / n[i] - 1 / everybody)

    def exact(statistic):
        found = np.array([statistic(table) for table in tables])
        return chance[found >= statistic(k) - 1e-9].sum()

    dealt = statistics.Dealt([(k, n)], generator(1, shape))
    pairs = [(0, 1), (0, 2), (1, 2)]
    for ours, statistic in (
        (dealt.between(form), lambda t: max(abs(errors(t, *pair)) for pair in pairs)),
        (dealt.to_overall([1, 2], form), lambda t: max(from_all(t, 1), from_all(t, 2))),
        (dealt.under_the_best(2, form), lambda t: max(errors(t, 0, 2), errors(t, 1, 2))),
    ):
        assert ours == pytest.approx(exact(statistic), abs=0.012)


def test_a_mean_of_two_shares_is_tested_by_dealing_both(monkeypatch):
    """Balanced accuracy rests on positives and on negatives, each dealt apart."""
    monkeypatch.setattr(base, "REPLICATES", 20_000)
    halves = ([5, 8], [12, 9]), ([3, 10], [10, 15])
    value = abs((5 / 12 + 3 / 10) - (8 / 9 + 10 / 15))
    first, second = (stats.hypergeom(n[0] + n[1], k[0] + k[1], n[0]) for k, n in halves)
    p = sum(
        first.pmf(a) * second.pmf(b)
        for a in range(13)
        for b in range(11)
        if abs((a / 12 + b / 10) - ((13 - a) / 9 + (13 - b) / 15)) >= value - 1e-9
    )
    assert statistics.Dealt(halves, generator(1, "halves")).between() == pytest.approx(p, abs=0.01)


def test_a_small_group_does_not_hide_a_gap_between_large_ones():
    """Of 40,000 people a difference of 3 points is plain; ten people differ by more any day."""
    k, n = [6_000, 6_600, 4], [20_000, 20_000, 10]
    assert statistics.permutation_p(k, n, generator(1, "p")) < 0.001
    assert statistics.spread_interval(k, n, 0.95, generator(1, "gap"))[0].lower > 0.01


def test_people_are_dealt_alike_by_the_exact_draw_and_by_its_stand_in(monkeypatch):
    """A billion rows are more than the library's exact draw takes."""
    sizes, total = np.array([5_000, 3_000, 40, 2_000]), 3_000
    quick = statistics.dealt(sizes, total, generator(1, "dealt"))
    monkeypatch.setattr(draws, "_WIDE", math.inf)
    exact = statistics.dealt(sizes, total, generator(1, "dealt"))
    for drawn in (exact, quick):
        assert (drawn.sum(axis=1) == total).all()
        assert (drawn == np.rint(drawn)).all()
        assert (drawn >= 0).all()
        assert (drawn <= sizes).all()
        assert drawn.mean(axis=0) == pytest.approx(sizes * total / sizes.sum(), abs=1)
    assert np.cov(quick.T) == pytest.approx(np.cov(exact.T), rel=0.1, abs=10)
    monkeypatch.undo()
    billion = statistics.permutation_p(
        [300_000_000, 300_010_000], [1_000_000_000, 1_000_000_000], generator(1, "p")
    )
    assert billion == pytest.approx(0.63, abs=0.05)


@pytest.mark.parametrize("successes", [5, 600_000_000, 2_000_000_005])
def test_a_few_of_a_billion_are_dealt_as_if_put_back(successes):
    """A group of ten, or five successes, or five failures: no exact draw, and no normal one either."""
    sizes = np.array([1_000_000_000, 1_000_000_000, 10])
    drawn = statistics.dealt(sizes, successes, generator(1, "few"))
    assert (drawn.sum(axis=1) == successes).all()
    share = successes / sizes.sum()
    few = drawn[:, 2] if 5 < successes < 1e9 else np.minimum(drawn, sizes - drawn)[:, 0]
    law = stats.binom(10, share) if 5 < successes < 1e9 else stats.binom(5, 0.5)
    assert _distance(few, law) < 0.02


@pytest.mark.parametrize(("n", "share"), [(450, 0.5), (2_200, 0.05), (21_000, 0.005)])
def test_a_large_count_is_drawn_like_an_exact_one(n, share):
    """The distance between the distribution functions is what 300,000 draws make it by chance."""
    chance = 1.63 / math.sqrt(300_000)
    binomial = draws.binomial(n, share, 300_000, generator(1, "binomial", n))
    assert _distance(binomial, stats.binom(n, share)) < chance
    left = np.full(300_000, round(5 * n * share), np.float64)
    drawn = draws.hypergeometric(left, 5 * n, n, generator(1, "hypergeometric", n))
    assert _distance(drawn, stats.hypergeom(5 * n, round(5 * n * share), n)) < 1.2 * chance


def _distance(drawn, law):
    values, counts = np.unique(drawn, return_counts=True)
    return np.abs(np.cumsum(counts) / len(drawn) - law.cdf(values)).max()


FULL = bool(os.environ.get("TESTS_FULL"))
CASES = {case.name: case for case in coverage.cases() if FULL or case.draw.__module__ == OURS}


@pytest.mark.parametrize("name", CASES)
def test_intervals_contain_the_truth_as_often_as_they_say(name, monkeypatch):
    """1,000 simulations with TESTS_FULL=1, as `python -m bench.checks.coverage`; else a look."""
    if not FULL:
        monkeypatch.setattr(base, "REPLICATES", 300)
    runs = coverage.RUNS if FULL else 60
    found = coverage.simulate(CASES[name], runs)
    assert found.kept(slack=0.005 if FULL else 0.07), found


groups = st.lists(
    st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=2,
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(groups)
def test_intervals_contain_their_figure_and_stay_in_range(pairs):
    k, n = [list(one) for one in zip(*pairs, strict=True)]
    rates = [a / b for a, b in pairs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "REPLICATES", 200)
        gap, _ = statistics.spread_interval(k, n, 0.95, generator(1, "gap"))
        assert gap.lower <= max(rates) - min(rates) <= gap.upper <= 1
        if any(k):
            ratio, _ = statistics.ratio_interval(k, n, 0.95, generator(1, "ratio"))
            assert 0 <= ratio.lower <= min(rates) / max(rates) <= ratio.upper <= 1
        drawn = sample(k, n, generator(1, "sample"))
        low, high = least(drawn, 0.95), greatest(drawn, 0.95)
        assert low.lower <= min(rates) <= low.upper
        assert high.lower <= max(rates) <= high.upper


def test_many_groups_are_compared_in_bounded_memory():
    """1,225 pairs of 10,000 replicates are not held at once."""
    n = [1_000] * 50
    k = [300 + (place == 7) * 120 for place in range(50)]
    tracemalloc.start()
    interval, _ = statistics.spread_interval(k, n, 0.95, generator(1, "gap"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.02 < interval.lower < 0.12 < interval.upper
    assert peak < 120_000_000


@pytest.mark.parametrize("cells", [1, 4, 40])
def test_bootstrap_of_cells_is_a_multinomial_draw(cells):
    """The same mean and spread as a bootstrap of the rows; undefined if there are none."""
    table = list(range(1, cells + 1))
    drawn = statistics.multinomial(table, generator(1, "cells"))
    assert drawn.shape == (base.REPLICATES, cells)
    assert (drawn.sum(axis=1) == sum(table)).all()
    share = np.asarray(table) / sum(table)
    error = np.sqrt(sum(table) * share * (1 - share))
    assert np.abs(drawn.mean(axis=0) - table).max() <= 5 * error.max() / base.REPLICATES**0.5
    assert drawn.std(axis=0) == pytest.approx(error, rel=0.05, abs=1e-12)


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
