"""A column without any value is what is declared of it, and all of it is missing."""

import numpy as np
import pyarrow as pa
import pytest

from kernel.errors import Invalid
from monitoring.engine.joining import join
from monitoring.engine.sources import DataFile, open_source
from tests.monitoring.engine.making import (
    data_file,
    find,
    loan_job,
    loans,
    run,
    sha256,
    train_xgboost,
    write,
)

ROWS = 240
RNG = np.random.default_rng(3)
WHOLE = {
    "x": RNG.normal(size=ROWS),
    "c": RNG.choice(["a", "b"], ROWS),
    "y": RNG.integers(0, 2, ROWS),
    "p": RNG.integers(0, 2, ROWS),
    "s": RNG.random(ROWS),
    "g": RNG.choice(["F", "M"], ROWS),
}
COLUMNS = {"features": ["x", "c"], "categorical": ["c"]}
DECISIONS = {"label": "y", "positive": 1, "prediction": "p", "score": "s", "sensitive": ["g"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("empty")


def emptied(folder, format, *names):
    """The rows as a file in which some columns have no value."""
    path = folder / f"{'_'.join(names) or 'whole'}.{format}"
    if format == "parquet":
        return write(path, {**WHOLE, **{name: pa.nulls(ROWS) for name in names}})
    lines = [
        ",".join("" if name in names else str(WHOLE[name][row]) for name in WHOLE)
        for row in range(ROWS)
    ]
    path.write_text("\n".join([",".join(WHOLE), *lines]) + "\n")
    return path


def job(kind, path, mapping, **more):
    dataset = data_file(path, format=path.suffix[1:])
    return {"kind": kind, "dataset": dataset, "mapping": mapping, **more}


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_feature_that_is_all_missing_is_drift(folder, tmp_path, format):
    reference = data_file(emptied(folder, format), format=format)
    found = run(
        job("drift", emptied(folder, format, "x", "c"), COLUMNS, reference=reference), tmp_path
    )
    for name in ("x", "c"):
        assert find(found, "missing_rate_difference", feature=name).value == 1
        assert find(found, "psi", feature=name).undefined_reason == "no_denominator"
    assert find(found, "drifted_share").value == 1


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_a_feature_that_the_reference_has_no_value_of_is_compared(folder, tmp_path, format):
    reference = data_file(emptied(folder, format, "x", "c"), format=format)
    found = run(job("drift", emptied(folder, format), COLUMNS, reference=reference), tmp_path)
    assert find(found, "missing_rate_difference", feature="x").value == -1


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_what_is_all_missing_has_a_missing_rate_of_one(folder, tmp_path, format):
    path = emptied(folder, format, "x", "c", "g", "y")
    mapping = {**COLUMNS, "label": "y", "positive": 1, "sensitive": ["g"]}
    found = run(job("data_quality", path, mapping), tmp_path)
    for name in ("x", "c"):
        assert find(found, "missing_rate", feature=name).value == 1
    assert find(found, "missing_rate", feature="*").value == 1
    assert find(found, "base_rate").undefined_reason == "no_denominator"


@pytest.mark.parametrize("format", ["parquet", "csv"])
@pytest.mark.parametrize("positive", [1, True, "yes"])
def test_figures_are_estimated_before_any_outcome_has_come(folder, tmp_path, format, positive):
    mapping = {**DECISIONS, "positive": positive, "positive_prediction": 1}
    asked = job("performance", emptied(folder, format, "y"), mapping, config={"estimate": True})
    found = run(asked, tmp_path)
    assert find(found, "estimated_accuracy").value is not None
    assert find(found, "accuracy").undefined_reason == "no_denominator"
    assert find(found, "selection_rate").value == pytest.approx(WHOLE["p"].mean())


def test_people_of_no_known_group_are_compared_with_nobody(folder, tmp_path):
    found = run(job("fairness", emptied(folder, "parquet", "g"), DECISIONS), tmp_path)
    assert find(found, "demographic_parity_difference", g="*").value is None
    assert find(found, "selection_rate", g="unknown").n == ROWS


def test_a_model_is_scored_without_a_feature(tmp_path):
    columns = loans(ROWS)
    model = train_xgboost(tmp_path / "m.json", columns)
    data = write(
        tmp_path / "d.parquet", {**columns, "debt": pa.nulls(ROWS), "region": pa.nulls(ROWS)}
    )
    found = run(loan_job("performance", data, model), tmp_path / "run")
    assert found.grade == "re-performed"
    assert find(found, "accuracy").value is not None


@pytest.mark.parametrize(
    ("values", "mapping", "field"),
    [
        (["a", None], COLUMNS, "mapping.features[0]"),
        ([[1], None], COLUMNS, "mapping.features[0]"),
        (["a", None], {"label": "x", "positive": 1, "features": ["c"]}, "mapping.label"),
    ],
)
def test_a_column_with_a_value_is_what_its_file_says(tmp_path, values, mapping, field):
    data = write(tmp_path / "d.parquet", {"x": pa.array(values), "c": pa.array(["u", "v"])})
    with pytest.raises(Invalid) as caught:
        run(job("data_quality", data, mapping), tmp_path / "run")
    assert field in caught.value.fields


def test_batches_of_a_window_fit_together_if_one_has_no_value(tmp_path):
    texts = ["x,c\n1.5,u\n2.5,v\n", "x,c\n,u\n,v\n"]
    files = []
    for place, text in enumerate(texts):
        path = tmp_path / f"{place}.csv"
        path.write_text(text)
        files.append(DataFile(path, sha256(path), "csv"))
    joined = join(files, tmp_path / "window.parquet", tmp_path)
    source = open_source(joined, tmp_path)
    assert source.table.order_by("countersign_row").x.to_pyarrow().to_pylist() == [
        1.5,
        2.5,
        None,
        None,
    ]
    source.close()
