"""Areas, curves and intervals from binned counts, against scikit-learn, SciPy and statsmodels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar

from monitoring.engine import curves, intervals, statistics
from monitoring.engine.checks.performance import comparison

BINS = 40
rows = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    min_size=1,
    max_size=80,
)
cells = st.tuples(*[st.integers(0, 300)] * 4)


def binned(drawn):
    label, score = np.array([row[0] for row in drawn]), np.array([row[1] for row in drawn])
    place = np.minimum((score * BINS).astype(int), BINS - 1)
    counts = [np.bincount(place[label == side], minlength=BINS).tolist() for side in (1, 0)]
    return label, score, place, counts


@given(rows)
def test_average_precision_is_scikit_learns_within_its_certified_error(drawn):
    label, score, place, counts = binned(drawn)
    area = curves.average_precision(*counts)
    if label.min() == label.max():
        assert area is None
        return
    assert area.value == pytest.approx(metrics.average_precision_score(label, place), abs=1e-12)
    exact = metrics.average_precision_score(label, score)
    assert abs(area.value - exact) <= area.bound + 1e-12


@given(rows)
def test_curves_pass_through_scikit_learns_points(drawn):
    label, _, place, counts = binned(drawn)
    ranked = curves.Ranked.of(*counts)
    roc = curves.roc_points(ranked)
    if label.min() == label.max():
        assert roc == []
        return
    known = metrics.roc_curve(label, place, drop_intermediate=False)[:2]
    assert {tuple(np.round(point, 9)) for point in roc} <= {
        tuple(np.round(point, 9)) for point in zip(*known, strict=True)
    }
    assert roc[0] == (0.0, 0.0)
    assert roc[-1] == (1.0, 1.0)
    precision, recall, _ = metrics.precision_recall_curve(label, place)
    found = {tuple(np.round(point, 9)) for point in curves.precision_points(ranked)}
    assert found <= {tuple(np.round(point, 9)) for point in zip(recall, precision, strict=True)}


@given(rows, st.integers(0, BINS))
def test_a_threshold_selects_as_scikit_learns_confusion_does(drawn, step):
    label, _, place, counts = binned(drawn)
    tp, fp, tn, fn = curves.Ranked.of(*counts).at(step / BINS)
    expected = metrics.confusion_matrix(label, place >= step, labels=[False, True])
    assert [[tn, fp], [fn, tp]] == expected.tolist()


@given(cells)
def test_matthews_correlation_is_scikit_learns(counts):
    tp, fp, tn, fn = counts
    found = intervals.matthews(tp, fp, tn, fn)
    margins = (tp + fp, tp + fn, tn + fp, tn + fn)
    if not all(margins):
        assert found is None
        return
    y, p = np.array([1, 0, 0, 1]), np.array([1, 1, 0, 0])
    expected = metrics.matthews_corrcoef(y, p, sample_weight=[tp, fp, tn, fn])
    assert found == pytest.approx(expected, abs=1e-9)
    around = intervals.matthews_interval(tp, fp, tn, fn, 0.95)
    assert -1 <= around.lower <= around.upper <= 1


def test_matthews_of_a_billion_rows_keeps_its_digits():
    assert intervals.matthews(4 * 10**8, 10**8, 4 * 10**8, 10**8) == pytest.approx(0.6, abs=1e-15)


@settings(max_examples=40)
@given(st.integers(1, 3_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_score_interval_of_two_values_is_wilsons(pair):
    k, n = pair
    expected = statistics.wilson(k, n, 0.95)
    found = intervals.score_interval((k, n - k), (1, 0), 0.95)
    assert found.lower == pytest.approx(expected.lower, abs=3e-7)
    assert found.upper == pytest.approx(expected.upper, abs=3e-7)


def tango(first, second, n):
    """Tango's interval of (first - second) / n by his own closed form of the nuisance, by search."""

    at = np.linspace(-0.9999, 0.9999, 200_001)
    a, b = 2 * n, -first - second + (2 * n - first + second) * at
    q = (np.sqrt(b * b - 4 * a * (-second * at * (1 - at))) - b) / (2 * a)
    spread = np.sqrt(n * (2 * q + at * (1 - at)))
    kept = at[np.abs(first - second - n * at) <= stats.norm.ppf(0.975) * spread]
    return kept[0], kept[-1]


@pytest.mark.parametrize(("first", "second", "n"), [(0, 0, 40), (1, 7, 30), (40, 12, 500)])
def test_the_score_interval_of_a_paired_difference_is_tangos(first, second, n):
    found = intervals.score_interval((first, n - first - second, second), (1, 0, -1), 0.95)
    low, high = tango(first, second, n)
    assert found.lower == pytest.approx(low, abs=2e-5)
    assert found.upper == pytest.approx(high, abs=2e-5)


@settings(max_examples=40)
@given(cells, st.lists(st.integers(-1000, 1000), min_size=4, max_size=4))
def test_a_score_interval_holds_the_mean_and_stays_within_the_values(counts, values):
    if not sum(counts):
        return
    found = intervals.score_interval(counts, values, 0.95)
    mean = np.dot(counts, values) / sum(counts)
    assert min(values) <= found.lower <= mean + 1e-9 * 1000
    assert mean - 1e-9 * 1000 <= found.upper <= max(values)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_that_of_statsmodels(first, second):
    exact, middle = comparison.mcnemar(first, second)
    expected = mcnemar([[0, first], [second, 0]], exact=True).pvalue
    assert exact == pytest.approx(expected, abs=1e-9)
    assert middle <= exact


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_students_interval_is_scipys(values):
    found = intervals.mean_interval(sum(values), sum(v * v for v in values), len(values), 0.95)
    if len(set(values)) == 1:
        return
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    size = 1e-5 * max(map(abs, values)) + 1e-9
    assert found.lower == pytest.approx(expected.low, abs=size)
    assert found.upper == pytest.approx(expected.high, abs=size)


@given(st.integers(1, 5_000), st.floats(0.01, 0.99), st.sampled_from([0.9, 0.95, 0.99]))
def test_ranks_around_a_quantile_hold_it_as_often_as_they_say_and_none_is_to_spare(n, share, level):
    low, high = intervals.quantile_ranks(n, share, level)

    def covered(low, high):
        """Where no value is far enough out the interval is open."""
        return stats.binom.cdf(high - 1, n, share) - stats.binom.cdf(low - 1, n, share)

    assert 0 <= low < high <= n + 1
    assert covered(low, high) >= level - 1e-9
    assert covered(low + 1, high - 1) < level


def test_an_area_without_error_has_a_width():
    found = intervals.area_interval(1.0, 0.0, (30, 30), 0.95)
    assert found.upper == 1.0
    assert 0.85 < found.lower < 0.97


@given(rows, st.integers(0, 5))
def test_the_paired_error_of_a_model_with_itself_is_nothing(drawn, shift):
    label, _, place, _ = binned(drawn)
    found = curves.paired_areas(place, place, np.ones(len(place)), label, BINS)
    if label.min() == label.max():
        assert found is None
        return
    assert found.error == pytest.approx(0, abs=1e-12)
    assert found.first == pytest.approx(metrics.roc_auc_score(label, place), abs=1e-12)


def test_the_paired_error_is_delongs():
    """By the definition: placements of each row under both scores, their covariance in each class."""
    rng = np.random.default_rng(3)
    label = (rng.random(300) < 0.4).astype(int)
    pair = np.minimum((rng.random((2, 300)) * 0.6 + label * 0.3) * BINS, BINS - 1).astype(int)
    found = curves.paired_areas(*pair, np.ones(300), label, BINS)
    placements = []
    for score in pair:
        wins = (score[label == 1][:, None] > score[label == 0]) + 0.5 * (
            score[label == 1][:, None] == score[label == 0]
        )
        placements.append((wins.mean(axis=1), wins.mean(axis=0)))
    gaps = [placements[0][side] - placements[1][side] for side in (0, 1)]
    expected = sum(gap.var(ddof=1) / len(gap) for gap in gaps) ** 0.5
    assert found.error == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "method",
    [
        "f1",
        "matthews_correlation",
        "expected_cost",
        "r2",
        "median_absolute_error",
        "absolute_error_p90",
        "expected_calibration_error",
    ],
)
def test_an_interval_contains_the_truth_about_as_often_as_it_says(method):
    """A hint of what `python -m bench.checks.coverage` shows with a thousand draws of each."""
    from bench.checks import coverage

    case = next(one for one in coverage.cases() if one.method == method)
    assert coverage.simulate(case, 150).kept(slack=0.045)


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_brier_score_of_hard_scores_is_a_proportion_of_errors(wrong, right):
    if not wrong + right:
        return
    n = wrong + right
    assert intervals.share_interval(wrong, wrong, n, 0.95) == statistics.wilson(wrong, n, 0.95)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=80))
def test_an_interval_of_a_mean_within_0_and_1_holds_it_and_has_a_width(values):
    total, squares = math.fsum(values), math.fsum(v * v for v in values)
    found = intervals.share_interval(total, squares, len(values), 0.95)
    assert 0 <= found.lower <= total / len(values) + 1e-12
    assert total / len(values) - 1e-12 <= found.upper <= 1
    assert found.upper - found.lower > 1 / (10 * len(values))


def test_smooth_scores_keep_students_width():
    values = np.random.default_rng(3).beta(2, 5, 2_000)
    sums = values.sum(), (values**2).sum(), 2_000
    ours = intervals.share_interval(*sums, 0.95)
    theirs = intervals.mean_interval(*sums, 0.95)
    assert ours.lower == pytest.approx(theirs.lower, abs=3e-4)
    assert ours.upper == pytest.approx(theirs.upper, abs=3e-4)
