"""Attributions from safe formats, what the model may look at, and the state of the data."""

import numpy as np
import pytest

from monitoring.engine.checks import explainability
from monitoring.engine.inputs import InputSpec, encode
from tests.monitoring.engine.making import (
    SPEC,
    data_file,
    find,
    loan_job,
    loans,
    mapping,
    matrix_of,
    run,
    train_xgboost,
    write,
)


@pytest.fixture
def files(tmp_path):
    columns = loans()
    return write(tmp_path / "d.parquet", columns), train_xgboost(tmp_path / "m.json", columns)


def test_attributions_are_the_librarys_own(files, tmp_path):
    import xgboost

    data, model = files
    outcome = run(loan_job("explainability", data, model), tmp_path / "w")
    booster = xgboost.Booster(model_file=str(model))
    matrix = xgboost.DMatrix(matrix_of(loans()))
    expected = np.abs(booster.predict(matrix, pred_contribs=True)[:, :-1]).mean(axis=0)
    for place, name in enumerate(("income", "debt", "region")):
        got = find(outcome, "mean_abs_shap", feature=name)
        assert got.value == pytest.approx(expected[place], rel=1e-5)
        assert got.lower <= got.value <= got.upper
        assert got.unit == "log odds"
    assert find(outcome, "shap_additivity_error").value < 1e-4
    assert find(outcome, "deterministic_output").value == 1


def test_a_sensitive_input_is_told(files, tmp_path):
    data, model = files
    clean = run(loan_job("explainability", data, model), tmp_path / "a")
    assert find(clean, "sensitive_attribute_not_an_input").value == 1
    job = loan_job("explainability", data, model)
    job["mapping"]["sensitive"] = ["sex", {"name": "area", "column": "region"}]
    used = run(job, tmp_path / "b")
    assert find(used, "sensitive_attribute_not_an_input").value == 0
    assert find(used, "sensitive_attribute_not_an_input", attribute="area").value == 0
    assert find(used, "sensitive_attribute_not_an_input", attribute="sex").value == 1


EXPLAINED = {
    "rows": 100,
    "method": "m",
    "unit": "log odds",
    "additivity_error": 0.0,
    "scale": 2.0,
    "repeated": 100,
    "differing": 0,
    "order_differing": 0,
    "columns": [{"column": "income", "absolute": 50.0, "absolute_2": 30.0, "signed": -10.0}],
}


def measured(**changes):
    declared = mapping(label="paid", sensitive=["sex"])
    spec = InputSpec.from_json(SPEC)
    return explainability.measure({**EXPLAINED, **changes}, spec, declared, {})


def test_attributions_that_do_not_add_up_are_not_used():
    result = measured(additivity_error=0.3)
    got = find(result, "mean_abs_shap", feature="income")
    assert (got.value, got.undefined_reason) == (None, "not_additive")
    assert result.notes[0].finding


def test_a_model_that_answers_otherwise_each_time_is_told():
    assert find(measured(differing=1), "deterministic_output").value == 0
    assert find(measured(order_differing=1), "deterministic_output").value == 0


def test_the_inputs_of_one_column_count_together(tmp_path):
    """One-hot inputs are one feature; their Shapley values are summed before the size is taken."""
    from monitoring.engine.attributions import _by_column

    spec = InputSpec.from_json(
        {
            "features": [
                {"column": "a"},
                {"column": "b", "kind": "one_hot", "categories": ["x", "y"]},
            ]
        }
    )
    values = np.array([[1.0, 2.0, -2.0], [1.0, 0.5, 0.5]])
    found = _by_column(spec, values)
    assert [(one["column"], one["absolute"]) for one in found] == [("a", 2.0), ("b", 1.0)]


def test_onnx_is_explained_by_permutations(files, tmp_path):
    from tests.monitoring.engine.test_sandbox import _onnx_model

    columns = {name: loans(120)[name] for name in ("income", "region", "sex", "race", "paid")}
    columns["debt"] = [1.0] * 120
    data = write(tmp_path / "full.parquet", columns)
    job = loan_job("explainability", data, _onnx_model(tmp_path / "m.onnx"))
    job["artifact"]["format"] = "onnx"
    outcome = run(job, tmp_path / "w")
    assert find(outcome, "mean_abs_shap", feature="debt").value == pytest.approx(0, abs=1e-9)
    assert find(outcome, "mean_abs_shap", feature="region").value > 0.01
    assert find(outcome, "shap_additivity_error").value < 1e-6


def test_quality_counts_missing_repeated_and_leaked_rows(tmp_path):
    columns = loans(200)
    train = write(tmp_path / "train.parquet", columns)
    other = loans(100, seed=99)
    mixed = {
        name: [*list(columns[name])[:20], *list(other[name]), *list(other[name])[:10]]
        for name in columns
    }
    data = write(tmp_path / "test.parquet", mixed)
    outcome = run(loan_job("data_quality", data, None, reference=data_file(train)), tmp_path / "w")
    assert find(outcome, "rows").value == 130
    assert find(outcome, "duplicate_rate").value == pytest.approx(10 / 130)
    assert find(outcome, "leakage_rate").value == pytest.approx(20 / 130)
    absent = sum(value is None for value in mixed["debt"])
    assert find(outcome, "missing_rate", feature="debt").value == pytest.approx(absent / 130)
    assert find(outcome, "missing_rate", feature="*").detail["feature"] == "debt"
    assert find(outcome, "base_rate").value == pytest.approx(np.mean(mixed["paid"]))
    assert find(outcome, "schema_match").value == 1
    assert find(outcome, "constant_features").value == 0


def test_quality_tells_a_changed_schema_and_a_constant_column(tmp_path):
    columns = loans(100)
    train = write(tmp_path / "train.parquet", columns)
    changed = {**columns, "region": ["north"] * 100, "race": [1] * 100, "extra": [0] * 100}
    data = write(tmp_path / "test.parquet", changed)
    outcome = run(loan_job("data_quality", data, None, reference=data_file(train)), tmp_path / "w")
    match = find(outcome, "schema_match")
    assert match.value == 0
    assert match.detail == {"absent": [], "added": ["extra"], "changed": ["race"]}
    assert find(outcome, "constant_features").detail["features"] == ["region"]


def test_without_a_reference_leakage_is_not_available(tmp_path):
    data = write(tmp_path / "d.parquet", loans(100))
    outcome = run(loan_job("data_quality", data, None), tmp_path / "w")
    assert find(outcome, "leakage_rate").undefined_reason == "not_available"
    assert find(outcome, "schema_match").undefined_reason == "not_available"


def test_missing_numbers_are_given_to_trees_as_missing():
    import pyarrow as pa

    spec = InputSpec.from_json({"features": [{"column": "a"}]})
    assert np.isnan(encode(spec, pa.record_batch({"a": pa.array([None], pa.int64())}))[0, 0])
