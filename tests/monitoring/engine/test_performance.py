"""Performance from cubes equals scikit-learn on the rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from monitoring.engine import cube as cubes
from monitoring.engine.checks import performance
from monitoring.engine.cube import Cell, Contingency
from tests.monitoring.engine.making import data_file, find, mapping, run, source_of, write

ONE = {"minimum": {"default": 1}}
SKLEARN = {
    "accuracy": metrics.accuracy_score,
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
    "f1": metrics.f1_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60))
def test_decisions_are_scikit_learns(rows):
    y, p = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    counted = Contingency((), tuple(Cell((), a, b, 1) for a, b in rows))
    result = performance.measure(counted, None, ONE, 1)
    for name, function in SKLEARN.items():
        got = find(result, name)
        if got.value is not None:
            assert got.value == pytest.approx(function(y, p), abs=1e-12)
            # A multinomial bootstrap of very few rows may have no interval.
            assert got.lower is None or got.lower <= got.value + 1e-9
        else:
            assert got.undefined_reason == "no_denominator"
    assert find(result, "auc").undefined_reason == "not_available"


@pytest.fixture
def measured(tmp_path):
    rng = np.random.default_rng(8)
    score = rng.beta(1, 4, 20_000)
    label, group = rng.random(20_000) < score, rng.choice(["a", "b"], 20_000, p=[0.999, 0.001])
    path = write(tmp_path / "s.parquet", {"y": label, "s": score, "d": score > 0.5, "g": group})
    source, declared = (
        source_of(path, tmp_path),
        mapping(label="y", score="s", prediction="d", sensitive=["g"]),
    )
    scores = cubes.score_cube(source, declared)
    result = performance.measure(cubes.contingency(source, declared), scores, {}, 1)
    return result, label, score, group


def test_scores_are_scikit_learns(measured):
    result, label, score, _ = measured
    auc = find(result, "auc")
    exact = metrics.roc_auc_score(label, score)
    assert abs(auc.value - exact) <= auc.detail["certified_error"] < 1e-3
    assert auc.lower < exact < auc.upper
    expected = metrics.brier_score_loss(label, score)
    assert find(result, "brier_score").value == pytest.approx(expected, abs=1e-9)
    assert find(result, "log_loss").value == pytest.approx(metrics.log_loss(label, score), abs=1e-9)


def test_calibration_error_is_that_of_ten_equal_bins(measured):
    result, label, score, _ = measured
    place = np.minimum((score * 10).astype(int), 9)
    expected = sum(
        abs(score[place == b].mean() - label[place == b].mean()) * (place == b).mean()
        for b in range(10)
        if (place == b).any()
    )
    assert find(result, "expected_calibration_error").value == pytest.approx(expected, abs=1e-9)


def test_a_group_that_is_too_small_is_insufficient(measured):
    result, *_, group = measured
    n = int((group == "b").sum())
    assert n < 30
    for name in ("accuracy", "recall", "auc", "brier_score"):
        assert find(result, name, g="b").undefined_reason in ("insufficient", "no_denominator")


def test_rows_without_label_or_prediction_are_told():
    rows = (
        Cell((), 1, 1, 50),
        Cell((), 0, 0, 50),
        Cell((), None, 1, 7),
        Cell((), 1, None, 3),
    )
    result = performance.measure(Contingency((), rows), None, {}, 1)
    assert find(result, "accuracy").n == 100
    assert find(result, "selection_rate").n == 107
    assert {note.code: note.counts["rows"] for note in result.notes} == {
        "missing_prediction": 3,
        "missing_label": 7,
    }


def test_plots_are_data(measured):
    result, *_ = measured
    names = {plot.name: plot for plot in result.plots}
    assert {"confusion", "calibration", "roc", "precision_recall", "accuracy_by_g"} == set(names)
    curve = names["roc"].series[0]["points"]
    assert curve[0] == {"x": 0.0, "y": 0.0}
    assert curve[-1] == {"x": 1.0, "y": 1.0}
    assert [point["y"] for point in curve] == sorted(point["y"] for point in curve)


def test_f1_is_defined_where_every_outcome_is_positive(tmp_path):
    columns = {"y": [1] * 400, "p": [1] * 206 + [0] * 194}
    path = write(tmp_path / "x.parquet", columns)
    job = {
        "kind": "performance",
        "dataset": data_file(path),
        "mapping": {"label": "y", "positive": 1, "prediction": "p"},
        "grade": "recomputed",
    }
    found = find(run(job, tmp_path / "w"), "f1")
    assert found.value == pytest.approx(metrics.f1_score(columns["y"], columns["p"]))
    assert found.lower < found.value < found.upper
