"""The state of the data: what is missing, repeated, leaked or of another schema."""

import numpy as np
import pytest

from monitoring.engine.inputs import InputSpec, encode
from tests.monitoring.engine.making import data_file, find, loan_job, loans, run, write


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
