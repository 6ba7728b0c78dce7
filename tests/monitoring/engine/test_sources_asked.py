"""A model is asked about the rows of a table as about those of a file: re-performed, explained,
perturbed, and scored by a customer's endpoint."""

import json

import numpy as np
import pytest

from kernel.errors import Invalid
from monitoring.engine import run as engine
from monitoring.engine.sources import EngineLimits
from monitoring.engine.sources.files import connect_locked
from registry.sources import catalogue, rowdigest
from tests.monitoring.engine.making import find, loan_job, loans, run, train_xgboost, write
from tests.monitoring.engine.test_rescoring import right, scorer
from tests.monitoring.engine.test_sources_named import table, warehouse

__all__ = ["scorer", "table", "warehouse"]

ASKED = {
    "performance": {},
    "fairness": {},
    "robustness": {"groupings": ["sex"], "perturbations": [
        {"column": "income", "kind": "noise", "amount": 0.5},
        {"column": "region", "kind": "swap_category", "amount": 1},
    ]},
    "explainability": {
        "groupings": ["sex"],
        "slices": [{"name": "well off", "column": "income", "least": 55}],
        "proxy_screen": True,
        "proxy_rows": 200,
        "reason_codes": {"top": 2, "most": 10, "decision": "any"},
    },
}  # fmt: skip


def guesses(columns):
    """What somebody without a model would say."""
    return columns["income"] > 50


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """(DuckDB file, the same rows in a parquet file, a model, what names the table)."""
    import duckdb

    folder = tmp_path_factory.mktemp("lake")
    columns = loans(400)
    columns["guess"] = guesses(columns)
    file = write(folder / "d.parquet", columns)
    model = train_xgboost(folder / "m.json", columns)
    with duckdb.connect(folder / "lake.duckdb") as link:
        link.execute(f"CREATE TABLE loans AS FROM '{file}' ORDER BY income")
    listed = folder / "lake.toml"
    listed.write_text(
        f'[sources.lake]\nurl = "duckdb://{folder / "lake.duckdb"}"\ntables = ["loans"]\n'
    )
    backend = connect_locked([file], EngineLimits())
    digest = rowdigest.digest(backend, backend.read_parquet(file)).digest
    backend.disconnect()
    return listed, file, model, {"source": "lake", "table": "loans", "digest": digest}


@pytest.fixture
def named(lake, monkeypatch):
    listed, file, model, where = lake
    monkeypatch.setenv(catalogue.VARIABLE, str(listed))
    return file, model, where


def both(kind, file, model, where, tmp_path, **more):
    job = {**loan_job(kind, file, model, config=ASKED[kind]), "seed": 3, **more}
    return [
        run({**job, "dataset": dataset}, tmp_path / name)
        for name, dataset in (("file", job["dataset"]), ("table", where))
    ]


def same(outcomes):
    first, second = outcomes
    assert [one.grade for one in outcomes] == ["re-performed"] * 2
    assert [one.rows for one in outcomes] == [400, 400]
    assert len(first.measurements) > 5
    assert first.measurements == second.measurements
    cubes = [json.loads(one.cube) for one in outcomes]
    for one in cubes:
        one.pop("dataset"), one.pop("blind")
    assert cubes[0] == cubes[1]


@pytest.mark.parametrize("kind", ASKED)
def test_a_check_that_asks_the_model_measures_the_same_on_a_table(named, tmp_path, kind):
    file, model, where = named
    outcomes = both(kind, file, model, where, tmp_path)
    same(outcomes)
    assert json.loads(outcomes[1].cube)["dataset"]["table"] == "loans"
    if kind == "explainability":
        found = [json.loads(one.attachments[0].content)["rows"] for one in outcomes]
        for rows in found:
            assert len(rows) == 10
            for row in rows:
                del row["row"]
        assert found[0] == found[1]


def test_rows_of_postgresql_are_asked_about_too(warehouse, table, tmp_path):
    model = train_xgboost(tmp_path / "model.json", loans())
    same(both("robustness", warehouse[1], model, table, tmp_path))


@pytest.mark.parametrize("kind", ["explainability", "robustness"])
def test_what_draws_rows_needs_them_pinned_whatever_the_grade(named, tmp_path, kind):
    file, model, where = named
    loose = {**where, "digest": "1" * 64, "digest_of": "relation"}
    job = {**loan_job(kind, file, model), "dataset": loose}
    for grade in ("re-performed", "recomputed"):
        with pytest.raises(Invalid, match="digest") as caught:
            run({**job, "grade": grade}, tmp_path)
        assert caught.value.field == "dataset"


def test_of_a_larger_table_rows_are_drawn(named, tmp_path, monkeypatch):
    file, model, where = named
    monkeypatch.setattr(engine, "EXPLAINED", 150)
    job = {**loan_job("explainability", file, model), "dataset": where}
    outcome = run(job, tmp_path / "all")
    assert find(outcome, "mean_abs_shap", feature="income").n == 150


def test_the_supplied_predictions_of_a_table_are_compared_with_another_model(named, tmp_path):
    """No artifact of the version's own is needed for that."""
    file, model, where = named
    job, other = loan_job("performance", file, None), loan_job("performance", file, model)
    job["mapping"]["prediction"] = "guess"
    job["comparator"] = {
        "name": "version 1",
        "artifact": other["artifact"],
        "input_spec": other["input_spec"],
    }
    outcome = run({**job, "dataset": where}, tmp_path)
    assert outcome.grade == "recomputed"
    right = loans(400)["paid"] == guesses(loans(400))
    gain = find(outcome, "accuracy_gain")
    assert gain.detail["only_this"] > 0
    assert find(outcome, "accuracy").value == pytest.approx(right.mean())


# A customer's endpoint


def endpoint_job(file, where, kind="performance", **more):
    return {
        **loan_job(kind, file, None),
        "dataset": where,
        "scoring_endpoint": "credit",
        "artifact_digest": "a" * 64,
        **more,
    }


@pytest.mark.parametrize("kind", ["performance", "fairness"])
def test_an_endpoint_is_sent_the_inputs_of_a_tables_rows(named, scorer, tmp_path, kind):
    file, _, where = named
    scorer.answer = right("a" * 64)
    outcomes = [
        run(endpoint_job(file, dataset, kind, seed=1), tmp_path / name)
        for name, dataset in (("file", loan_job(kind, file, None)["dataset"]), ("table", where))
    ]
    assert [one.grade for one in outcomes] == ["recomputed"] * 2
    assert outcomes[0].measurements == outcomes[1].measurements
    sent = [json.loads(body)["rows"] for _, body in scorer.asked]
    # 400 rows in batches of 250, the first twice, of the file and of the table.
    assert [len(rows) for rows in sent] == [250, 250, 150] * 2
    assert {frozenset(row) for rows in sent for row in rows} == {
        frozenset({"income", "debt", "region"})
    }
    incomes = sorted(row["income"] for rows in sent[4:] for row in rows)
    assert incomes == sorted(loans(400)["income"])
    assert json.loads(outcomes[1].cube)["model"] == {"artifact": "a" * 64, "endpoint": "credit"}
    assert json.loads(outcomes[1].cube)["dataset"]["table"] == "loans"


def test_a_tables_filter_says_which_rows_leave(named, scorer, tmp_path):
    file, _, where = named
    scorer.answer = right("a" * 64)
    kept = {**where, "filters": [{"column": "sex", "equals": "Female"}]}
    outcome = run(endpoint_job(file, kept), tmp_path)
    assert outcome.rows == np.sum(loans(400)["sex"] == "Female")
    sent = sum(len(json.loads(body)["rows"]) for _, body in scorer.asked[1:])
    assert sent == outcome.rows


def test_rows_that_changed_or_that_nothing_pins_are_sent_nowhere(named, scorer, tmp_path):
    file, _, where = named
    loose = {**where, "digest": "1" * 64, "digest_of": "relation"}
    with pytest.raises(Invalid, match="digest") as caught:
        run(endpoint_job(file, loose), tmp_path / "loose")
    assert caught.value.field == "dataset"
    assert scorer.asked == []
