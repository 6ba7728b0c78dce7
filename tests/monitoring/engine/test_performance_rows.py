"""What performance measures on rows, through the cubes, against scikit-learn on the same rows."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from kernel.errors import Invalid
from monitoring.engine import cube as cubes
from monitoring.engine import results
from monitoring.engine.checks import performance
from monitoring.engine.cube.expected import ExpectedCube, expected_cube
from monitoring.engine.cube.regression import RegressionCube
from tests.monitoring.engine.making import find, mapping, run, source_of, write
from tests.monitoring.engine.test_run import data_file

ONE = {"minimum": {"default": 1}}
DECIDED = {"label": "y", "prediction": "d", "score": "s"}
NUMBERS = {"label": "y", "prediction": "p", "task": "regression"}


def measure(folder, columns, declared, config=None):
    path = write(folder / "rows.parquet", columns)
    job = {"kind": "performance", "dataset": data_file(path), "mapping": declared}
    return run({**job, "config": {**ONE, **(config or {})}}, folder / "w")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("performance")


@pytest.fixture(scope="module")
def scored(folder):
    """Twenty thousand calibrated rows of two regions, everything asked for."""
    rng = np.random.default_rng(8)
    score = rng.beta(1, 2, 20_000)
    label, region = rng.random(20_000) < score, rng.choice(["n", "s"], 20_000)
    columns = {"y": label, "s": score, "d": score >= 0.5, "region": region}
    config = {
        "costs": {"false_positive": 5, "false_negative": 100, "unit": "EUR"},
        "sweep": 20,
        "curves_by_group": True,
        "estimate": True,
    }
    declared = {**DECIDED, "controls": ["region"]}
    return measure(folder, columns, declared, config), label, score, region


SKLEARN = {
    "matthews_correlation": lambda y, s: metrics.matthews_corrcoef(y, s >= 0.5),
    "negative_predictive_value": lambda y, s: metrics.precision_score(~y, s < 0.5),
    "brier_score": metrics.brier_score_loss,
    "log_loss": metrics.log_loss,
    "calibration_bias": lambda y, s: np.mean(s - y),
    "expected_cost": lambda y, s: np.mean(5 * (~y & (s >= 0.5)) + 100 * (y & (s < 0.5))),
}


@pytest.mark.parametrize("about", [{}, {"region": "s"}])
def test_each_figure_is_scikit_learns_for_everybody_and_for_a_slice(scored, about):
    outcome, label, score, region = scored
    rows = region == about["region"] if about else np.ones(len(label), bool)
    for name, function in SKLEARN.items():
        found = find(outcome, name, **about)
        expected = function(label[rows], score[rows])
        assert found.value == pytest.approx(expected, abs=1e-9), name
        assert found.lower < expected < found.upper
    for name, function in (
        ("auc", metrics.roc_auc_score),
        ("average_precision", metrics.average_precision_score),
    ):
        found, expected = find(outcome, name, **about), function(label[rows], score[rows])
        assert abs(found.value - expected) <= found.detail["certified_error"] + 1e-12
        assert found.detail["certified_error"] < 2e-3


def test_calibrated_scores_are_told_from_others_by_chance_alone(scored, folder):
    outcome, label, score, _ = scored
    calibrated = find(outcome, "expected_calibration_error")
    assert calibrated.lower == 0
    assert calibrated.detail["p"] > 0.05
    assert 0 <= calibrated.detail["corrected"] < calibrated.value <= calibrated.upper
    assert calibrated.value < 3 * calibrated.detail["if_calibrated"]
    off = measure(folder, {"y": label, "s": score**2, "d": score >= 0.5}, DECIDED)
    found = find(off, "expected_calibration_error")
    assert found.detail["p"] < 0.001
    assert 0 < found.lower < found.detail["corrected"] < found.value <= found.upper
    bias = find(off, "calibration_bias")
    assert bias.upper < 0


def test_the_sweep_is_data_to_draw(scored):
    outcome, label, score, region = scored
    plots = {plot.name: plot for plot in outcome.plots}
    assert {
        "threshold_sweep",
        "threshold_cost",
        "threshold_selection_rate_by_region",
        "threshold_recall_by_region",
        "roc_by_region",
        "precision_recall_by_region",
        "calibration_by_region",
    } <= set(plots)
    assert all(plot.kind == "line" for name, plot in plots.items() if "threshold" in name)
    lines = {one["name"]: one["points"] for one in plots["threshold_sweep"].series}
    point = lines["recall"][6]
    assert point["x"] == 0.3
    expected = metrics.recall_score(label, score >= 0.3)
    assert point["y"] == pytest.approx(expected, abs=1e-9)
    assert point["lower"] < expected < point["upper"]
    groups = {
        one["name"]: one["points"] for one in plots["threshold_selection_rate_by_region"].series
    }
    assert groups["n"][10]["y"] == pytest.approx(np.mean(score[region == "n"] >= 0.5), abs=1e-9)
    from reports.plots import read

    for plot in plots.values():
        assert read(plot.to_json()).series
    json.dumps([plot.to_json() for plot in plots.values()], allow_nan=False)


def test_estimates_are_near_the_truth_and_never_pass_for_measured(scored):
    outcome, label, score, _ = scored
    truth = {
        "accuracy": metrics.accuracy_score(label, score >= 0.5),
        "precision": metrics.precision_score(label, score >= 0.5),
        "recall": metrics.recall_score(label, score >= 0.5),
        "specificity": metrics.recall_score(~label, score < 0.5),
        "f1": metrics.f1_score(label, score >= 0.5),
        "base_rate": label.mean(),
        "auc": metrics.roc_auc_score(label, score),
    }
    for name, expected in truth.items():
        found = find(outcome, f"estimated_{name}")
        assert found.value == pytest.approx(expected, abs=0.02)
        assert found.detail["estimated"] is True
        assert "expected" in found.method
        assert "estimated" not in find(outcome, name).detail


def test_estimates_need_no_label_and_no_label_needs_estimates(folder):
    rng = np.random.default_rng(2)
    score = rng.random(500)
    columns = {"s": score, "d": score >= 0.4}
    late = {"prediction": "d", "score": "s"}
    outcome = measure(folder, columns, late, {"estimate": True})
    expected = np.where(score >= 0.4, score, 1 - score).mean()
    assert find(outcome, "estimated_accuracy").value == pytest.approx(expected, abs=1e-9)
    assert find(outcome, "accuracy").undefined_reason == "no_denominator"
    with pytest.raises(Invalid) as caught:
        measure(folder, columns, late)
    assert caught.value.field == "mapping.label"
    with pytest.raises(Invalid) as caught:
        measure(folder, columns, {"prediction": "d"}, {"estimate": True})
    assert caught.value.field == "config.estimate"


def test_ties_nulls_and_scores_that_are_no_number(tmp_path):
    label = [True, False, None, True, False, True, False, True]
    score = [0.5, 0.5, 0.5, None, float("nan"), 1.0, 0.0, 0.5]
    path = write(tmp_path / "r.parquet", {"y": label, "s": score, "d": [True] * 8})
    source, declared = source_of(path, tmp_path), mapping(**DECIDED)
    scores = cubes.score_cube(source, declared)
    result = performance.measure(cubes.contingency(source, declared), scores, ONE, 1)
    y, s = np.array([1, 0, 1, 0, 1]), np.array([0.5, 0.5, 1.0, 0.0, 0.5])
    assert find(result, "auc").value == pytest.approx(metrics.roc_auc_score(y, s), abs=1e-9)
    assert find(result, "average_precision").value == pytest.approx(
        metrics.average_precision_score(y, s), abs=1e-9
    )
    assert find(result, "log_loss").value == pytest.approx(metrics.log_loss(y, s), abs=1e-9)
    assert find(result, "brier_score").n == 5
    expected = expected_cube(source, declared)
    assert ExpectedCube.from_json(json.loads(json.dumps(expected.to_json()))) == expected
    assert sum(cell.n for cell in expected.cells) == 6
    source.close()


@pytest.mark.parametrize("wrong", [float("inf"), -0.1, 1.1])
def test_a_score_that_is_no_probability_names_its_column(tmp_path, wrong):
    columns = {"y": [True, False], "s": [0.5, wrong], "d": [True, False]}
    with pytest.raises(Invalid) as caught:
        measure(tmp_path, columns, DECIDED)
    assert caught.value.field == "mapping.score"


def test_groupings_are_of_attributes_or_of_controls(folder):
    columns = {"y": [True, False] * 50, "d": [True] * 100, "sex": ["a", "b"] * 50}
    columns["region"] = ["n"] * 60 + ["s"] * 40
    declared = {"label": "y", "prediction": "d", "sensitive": ["sex"], "controls": ["region"]}
    outcome = measure(folder, columns, declared)
    assert find(outcome, "accuracy", region="n").n == 60
    assert find(outcome, "accuracy", sex="a").value == 1.0
    assert find(outcome, "accuracy").n == 100
    alone = measure(folder, columns, declared, {"groupings": ["region"]})
    assert {tuple(one.slice) for one in alone.measurements} == {(), ("region",)}
    with pytest.raises(Invalid) as caught:
        measure(folder, columns, declared, {"groupings": [["sex", "region"]]})
    assert caught.value.field == "config.groupings[0]"


# Regression

numbers = st.floats(-1e6, 1e6, allow_nan=False) | st.sampled_from([0.0, 1e-9, 1e12])


@settings(max_examples=12)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=40))
def test_a_regression_is_scikit_learns(folder, drawn):
    y, p = np.array([row[0] for row in drawn]), np.array([row[1] for row in drawn])
    outcome = measure(folder, {"y": y, "p": p}, NUMBERS)
    size = np.abs(p - y).max() + 1e-300
    expected = {
        "mean_absolute_error": metrics.mean_absolute_error(y, p),
        "root_mean_squared_error": metrics.root_mean_squared_error(y, p),
        "mean_error": np.mean(p - y),
        "median_absolute_error": np.median(np.abs(p - y)),
        "absolute_error_p90": np.quantile(np.abs(p - y), 0.9),
    }
    for name, value in expected.items():
        found = find(outcome, name)
        assert found.value == pytest.approx(value, abs=1e-9 * size, rel=1e-9), name
        if found.lower is not None:
            assert found.lower <= found.value + 1e-9 * size
            assert found.value <= found.upper + 1e-9 * size
    r2 = find(outcome, "r2")
    if len(y) > 1 and np.ptp(y) > 1e-6 * np.abs(y).max():
        assert r2.value == pytest.approx(metrics.r2_score(y, p), rel=1e-6, abs=1e-9)
    if len(set(y)) == 1:
        assert r2.undefined_reason == "no_denominator"


def test_a_regression_by_group_with_missing_and_endless_values(folder):
    rng = np.random.default_rng(4)
    y = rng.normal(250_000, 60_000, 3_000)
    p = y + rng.normal(5_000, 20_000, 3_000)
    region = rng.choice(["n", "s"], 3_000)
    known_y, known_p = y.copy(), p.copy()
    known_y[:3], known_p[3:5] = np.nan, np.inf
    columns = {"y": known_y, "p": known_p, "region": region}
    outcome = measure(folder, columns, {**NUMBERS, "sensitive": ["region"]})
    for about in ({}, {"region": "n"}):
        rows = np.arange(3_000) >= 5
        rows &= (region == about["region"]) if about else True
        r2 = find(outcome, "r2", **about)
        assert r2.value == pytest.approx(metrics.r2_score(y[rows], p[rows]), abs=1e-9)
        assert r2.lower < r2.value < r2.upper
        error = find(outcome, "mean_absolute_error", **about)
        assert error.value == pytest.approx(np.abs(p - y)[rows].mean(), rel=1e-9)
        p90 = find(outcome, "absolute_error_p90", **about)
        assert p90.value == pytest.approx(np.quantile(np.abs(p - y)[rows], 0.9), rel=1e-9)
        assert p90.lower < p90.value < p90.upper
    noted = {one.code: one.counts for one in outcome.notes}
    assert noted == {"missing_outcome": {"rows": 3}, "infinite_number": {"rows": 2}}
    assert outcome.grade == "recomputed"


def test_a_regression_tells_of_every_row_that_it_leaves_out_and_why(folder):
    y = np.arange(40.0)
    p = y + 1
    y[:3], p[2:6] = (np.inf, np.nan, -np.inf), (np.nan, 1e300, -1e150, 9e149)
    outcome = measure(folder, {"y": y, "p": p}, NUMBERS)
    assert find(outcome, "mean_absolute_error").n == 35
    noted = {one.code: (one.counts["rows"], one.text) for one in outcome.notes}
    assert {code: rows for code, (rows, _) in noted.items()} == {
        "missing_outcome": 2,
        "infinite_number": 1,
        "too_large_number": 2,
    }
    kept = json.loads(outcome.cube)["regression"]
    assert (kept["rows"], kept["infinite"], kept["too_large"]) == (40, 1, 2)
    assert RegressionCube.from_json(kept).to_json() == kept
    assert "1e+150 or more in size" in noted["too_large_number"][1]


@pytest.mark.parametrize(("number", "told"), [(1e300, "0 rows"), (np.inf, "30 rows")])
def test_numbers_that_cannot_be_summed_are_not_called_missing(folder, number, told):
    with pytest.raises(Invalid, match=f"can be used: {told} have an infinite one") as caught:
        measure(folder, {"y": np.full(30, number), "p": np.zeros(30)}, NUMBERS)
    assert caught.value.field == "mapping.prediction"


def test_a_regression_names_what_it_lacks(folder):
    columns = {"y": [1.0, 2.0], "p": ["a", "b"]}
    with pytest.raises(Invalid) as caught:
        measure(folder, columns, NUMBERS)
    assert caught.value.field == "mapping.prediction"
    with pytest.raises(Invalid) as caught:
        measure(folder, {"y": [None, 1.0], "p": [1.0, None]}, NUMBERS)
    assert caught.value.field == "mapping.prediction"


def test_measured_again_from_the_kept_cube(scored):
    """Whoever has the cube has the figures: nothing was read from the rows beside it."""
    outcome, *_ = scored
    kept = json.loads(outcome.cube)
    again = performance.measure(
        cubes.Contingency.from_json(kept["contingency"]),
        cubes.ScoreCube.from_json(kept["scores"]),
        ONE,
        outcome.seed,
    )
    for one in again.measurements:
        assert isinstance(one, results.MeasurementValue)
        assert find(outcome, one.metric).value == one.value


shares = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]) | st.just(float("nan"))


@settings(max_examples=12)
@given(st.lists(st.tuples(st.booleans(), shares), min_size=1, max_size=30))
def test_scores_of_any_rows_are_scikit_learns(folder, drawn):
    """One row, a single class, ties, constant scores, scores that are no number."""
    label, score = np.array([row[0] for row in drawn]), np.array([row[1] for row in drawn])
    outcome = measure(folder, {"y": label, "s": score, "d": score >= 0.5}, DECIDED)
    y, s = label[~np.isnan(score)], score[~np.isnan(score)]
    if not len(y):
        assert find(outcome, "brier_score").undefined_reason == "no_denominator"
        return
    brier = metrics.brier_score_loss(y, s, pos_label=True)
    assert find(outcome, "brier_score").value == pytest.approx(brier, abs=1e-9)
    loss = metrics.log_loss(y, s, labels=[False, True])
    assert find(outcome, "log_loss").value == pytest.approx(loss, abs=1e-9)
    for name, function in (
        ("auc", metrics.roc_auc_score),
        ("average_precision", metrics.average_precision_score),
    ):
        found = find(outcome, name)
        if y.all() or not y.any():
            assert found.undefined_reason == "no_denominator"
        else:
            assert abs(found.value - function(y, s)) <= found.detail["certified_error"] + 1e-9
