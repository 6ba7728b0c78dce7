"""Each trap of the drift libraries by its name: they mislead, the check does not."""

import os

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chisquare, ks_2samp

from monitoring.engine import comparing
from monitoring.engine.checks import drift
from monitoring.engine.checks.drift import chance
from monitoring.engine.profiles import Categories, counted
from tests.monitoring.engine.making import data_file, find, run, write

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


@pytest.mark.parametrize("config", [{}, {"exact": False}, {"conformance": True}])
@pytest.mark.parametrize("now", [1.6e308, 1e304])
def test_numbers_at_the_end_of_what_a_double_holds_are_compared(tmp_path, config, now):
    rng = np.random.default_rng(2)
    before, after = (np.clip(rng.normal(0, 0.3, 400), -1, 1) * size for size in (1.7e308, now))
    asked = {
        "kind": "drift",
        "dataset": data_file(write(tmp_path / "c.parquet", {"x": after})),
        "reference": data_file(write(tmp_path / "r.parquet", {"x": before})),
        "mapping": {"features": ["x"]},
        "config": config,
    }
    found = run(asked, tmp_path / "run")
    assert find(found, "wasserstein_normed", feature="x").undefined_reason == "not_finite"
    psi = find(found, "psi", feature="x")
    assert psi.detail["bins"] > 5
    assert psi.detail["drifted"] is (now == 1e304)


@pytest.mark.parametrize("side", ["dataset", "reference"])
def test_a_feature_without_a_value_tells_a_classifier_nothing_by_itself(tmp_path, side):
    rng = np.random.default_rng(3)
    both = {one: {"x": rng.normal(size=200), "gone": rng.normal(size=200)} for one in
            ("dataset", "reference")}  # fmt: skip
    both["dataset"]["gone"] = np.full(200, np.nan)
    if side == "reference":
        both["reference"]["gone"] = pa.array([None] * 199 + [1.0])
    asked = {
        "kind": "drift",
        **{one: data_file(write(tmp_path / f"{one}.parquet", both[one])) for one in both},
        "mapping": {"features": ["x", "gone"]},
        "config": {"multivariate": True},
    }
    area = find(run(asked, tmp_path / "run"), "domain_classifier_auc")
    # What is missing on one side alone tells it all.
    assert area.detail["drifted"] is (side == "dataset")


def compared(tmp_path, before, after, config=None, categorical=()):
    asked = {
        "kind": "drift",
        "dataset": data_file(write(tmp_path / "c.parquet", {"x": after})),
        "reference": data_file(write(tmp_path / "r.parquet", {"x": before})),
        "mapping": {"features": ["x"], "categorical": list(categorical)},
        "config": config or {},
    }
    return run(asked, tmp_path / "run")


STEPS = range(400)


@pytest.mark.parametrize("config", [{}, {"exact": False}])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pa.array([2**63 + n for n in STEPS], pa.uint64()), [2**63 + 2 * n for n in STEPS]),
        (pa.array([2**62 + n for n in STEPS]), [2**62 + 2 * n for n in STEPS]),
        (pa.array([-(2**62) + n for n in STEPS]), list(STEPS)),
    ],
)
def test_integers_that_floats_merge_are_never_called_calm(tmp_path, before, after, config):
    found = compared(tmp_path, before, pa.array(after, before.type), config)
    for metric in ("psi", "psi_deciles", "ks_statistic", "wasserstein_normed", "hellinger"):
        for feature in ("x", "*"):
            assert find(found, metric, feature=feature).undefined_reason == "precision_lost"
    assert find(found, "missing_rate_difference", feature="x").value == 0
    assert "integers_too_large" in [one.code for one in found.notes]


def test_large_integers_that_floats_hold_are_compared(tmp_path):
    before, after = ([2**53 - 1000 + step * n for n in STEPS] for step in (1, 2))
    found = compared(tmp_path, pa.array(before), pa.array(after))
    assert find(found, "ks_statistic", feature="x").value == 0.5
    assert not found.notes


@pytest.mark.parametrize("categorical", [(), ("x",)])
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
def test_a_boolean_that_became_a_number_is_told_and_compared(tmp_path, categorical, kind):
    before = [n % 4 == 0 for n in STEPS]
    for first, second in ((pa.bool_(), kind), (kind, pa.bool_())):
        arrays = {pa.bool_(): pa.array(before), kind: pa.array([int(one) for one in before], kind)}
        found = compared(tmp_path, arrays[first], arrays[second], categorical=categorical)
        assert find(found, "psi", feature="x").value == pytest.approx(0, abs=1e-9)
        (note,) = [one for one in found.notes if one.code == "column_type_changed"]
        assert note.finding
        assert "'x'" in note.text


def test_categories_written_as_floats_are_those_written_as_integers(tmp_path):
    """Whoever saves integers of which one is missing with pandas saves floats."""
    codes = [n % 3 for n in STEPS]
    floats = [None if n == 7 else float(n % 3) for n in STEPS]
    found = compared(tmp_path, pa.array(codes), pa.array(floats), categorical=["x"])
    assert find(found, "unseen_category_rate", feature="x").value == 0
    assert find(found, "psi", feature="x").value < 0.001


def test_the_largest_change_of_missing_values_may_be_a_fall(tmp_path):
    columns = {"gone": pa.array([None] * 400, pa.float64()), "x": pa.array([1.0] * 400)}
    now = {"gone": columns["x"], "x": columns["x"]}
    asked = {
        "kind": "drift",
        "dataset": data_file(write(tmp_path / "c.parquet", now)),
        "reference": data_file(write(tmp_path / "r.parquet", columns)),
        "mapping": {"features": ["x", "gone"]},
    }
    largest = find(run(asked, tmp_path / "run"), "missing_rate_difference", feature="*")
    assert (largest.value, largest.detail["feature"]) == (-1, "gone")
