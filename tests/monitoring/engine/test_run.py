"""The one entry: grades, findings, reproducible outcomes, errors that name the field."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kernel.errors import CountersignError, Invalid, Unprocessable
from monitoring.engine.job import KINDS, CheckJob
from monitoring.engine.run import main, run_check
from tests.monitoring.engine.making import (
    data_file,
    find,
    loan_job,
    loans,
    quiet,
    run,
    sha256,
    train_xgboost,
    write,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loans")
    data = write(folder / "loans.parquet", loans())
    other = write(folder / "later.parquet", loans(500, seed=6))
    return data, other, train_xgboost(folder / "model.json", loans())


def job_of(kind, files):
    data, other, model = files
    return loan_job(kind, data, model, reference=data_file(other))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("scored")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "oversight"])
def test_the_same_job_gives_the_same_digest_and_measurements(files, shelf, tmp_path, kind):
    """Oversight counts other data, in tests of its own."""
    job = CheckJob.from_json(job_of(kind, files))
    if kind != "performance":
        # One kind scores its rows twice; the others may share one scoring, as they do in use.
        job = replace(job, shelf=shelf)
    first, again = (
        run_check(kind, job=job, workdir=tmp_path / name, progress=quiet) for name in "ab"
    )
    assert first.cube_digest == again.cube_digest
    assert first.cube == again.cube
    assert first.measurements == again.measurements
    assert first.measurements
    assert first.grade == "re-performed"
    assert first.seed == again.seed
    json.dumps(first.to_json(), allow_nan=False)


def test_a_job_survives_json(files):
    job = CheckJob.from_json(job_of("fairness", files))
    assert CheckJob.from_json(json.loads(json.dumps(job.to_json()))) == job


@pytest.fixture(scope="module")
def performed(files, tmp_path_factory):
    """The model scored on the data once: what came of it, and the folder it was scored in."""
    folder = tmp_path_factory.mktemp("performed")
    outcome = run(loan_job("performance", files[0], files[2]), folder)
    assert outcome.grade == "re-performed"
    return outcome, folder / "sandbox-dataset"


@pytest.fixture(scope="module")
def supplied(files, performed, tmp_path_factory):
    """The data with the model's own decisions and scores in them, and an altered copy."""
    folder = tmp_path_factory.mktemp("supplied")
    found = pq.read_table(performed[1] / "predictions.parquet")
    table = pq.read_table(files[0])
    columns = {name: table[name] for name in table.column_names}
    score = found["countersign_score"].to_numpy().copy()
    columns |= {"score": score.copy(), "granted": score >= 0.5}
    honest = write(folder / "honest.parquet", columns)
    flipped = (score >= 0.5).copy()
    flipped[:7] = ~flipped[:7]
    score[:3] += 0.01
    altered = write(folder / "altered.parquet", {**columns, "granted": flipped, "score": score})
    return honest, altered


def with_predictions(job):
    more = {"prediction": "granted", "score": "score"}
    return {**job, "mapping": {**job["mapping"], **more}}


def test_supplied_predictions_that_agree_leave_the_highest_grade(files, supplied, tmp_path):
    outcome = run(with_predictions(loan_job("performance", supplied[0], files[2])), tmp_path / "x")
    assert outcome.grade == "re-performed"
    assert not outcome.notes


def test_supplied_predictions_that_disagree_are_a_finding(files, supplied, tmp_path):
    outcome = run(with_predictions(loan_job("fairness", supplied[1], files[2])), tmp_path / "x")
    assert outcome.grade == "recomputed"
    notes = {note.code: note for note in outcome.notes}
    assert notes["prediction_mismatch"].counts == {"rows": 600, "differing": 7}
    assert notes["prediction_mismatch"].finding
    assert notes["score_mismatch"].counts["differing"] == 3


def test_without_a_model_the_supplied_predictions_are_recomputed(performed, supplied, tmp_path):
    honest, _ = supplied
    outcome = run(with_predictions(loan_job("performance", honest, None)), tmp_path / "x")
    assert outcome.grade == "recomputed"
    scored, _ = performed
    assert find(outcome, "accuracy") == find(scored, "accuracy")
    assert find(outcome, "auc") == find(scored, "auc")


def test_a_pickle_with_predictions_is_recomputed_and_says_what_is_taken(supplied, tmp_path):
    job = with_predictions(loan_job("performance", supplied[0], None))
    model = tmp_path / "model.pkl"
    model.write_bytes(pickle.dumps({"weights": [1]}))
    job["artifact"] = {"path": str(model), "digest": sha256(model), "format": "pickle"}
    outcome = run(job, tmp_path / "x")
    assert outcome.grade == "recomputed"
    assert "formats taken: ONNX" in outcome.notes[0].text


@pytest.mark.parametrize("kind", ["performance", "fairness", "explainability"])
def test_a_pickle_without_predictions_is_refused(files, tmp_path, kind):
    model = tmp_path / "model.json"
    model.write_bytes(pickle.dumps({"weights": [1]}))
    with pytest.raises(Invalid, match="formats taken: ONNX") as caught:
        run(loan_job(kind, files[0], model), tmp_path / "x")
    assert caught.value.field == "artifact"


def test_sensitive_attributes_and_labels_never_reach_the_model(performed):
    given = pq.read_schema(performed[1] / "rows.parquet").names
    assert given == ["countersign_row", "income", "debt", "region"]


def broken(job, **changes):
    return {**job, **changes}


def test_wrong_jobs_name_their_field(files, tmp_path):
    data, _, model = files
    job = loan_job("performance", data, model)
    nolabel = {**job["mapping"], "label": None}
    cases = {
        "kind": broken(job, kind="accuracy"),
        "dataset.digest": broken(job, dataset=data_file(data) | {"digest": "abc"}),
        "dataset.path": broken(job, dataset=data_file(data) | {"path": str(tmp_path / "no")}),
        "mapping.label": broken(job, mapping=nolabel),
        "input_spec": broken(job, input_spec=None),
        "config.limit": broken(job, config={"limit": 1}),
        "seed": broken(job, seed=-1),
        "grade": broken(job, grade="claimed"),
        "sandbox.memory": broken(job, sandbox={"memory": 0}),
        "reference": loan_job("drift", data, model),
        "dataset": broken(
            job, dataset=data_file(data, filters=[{"column": "income", "least": 9e9}])
        ),
        "config.identity": broken(loan_job("data_quality", data, None), config={"identity": ["x"]}),
    }
    for field, value in cases.items():
        with pytest.raises(CountersignError) as caught:
            run(value, tmp_path / "w")
        assert caught.value.field == field, (field, caught.value.detail)


def test_an_artifact_that_is_not_its_digest_is_refused(files, tmp_path):
    data, _, model = files
    job = loan_job("performance", data, model)
    job["artifact"] = {**job["artifact"], "digest": "0" * 64}
    with pytest.raises(Unprocessable) as caught:
        run(job, tmp_path)
    assert caught.value.field == "artifact.digest"


def test_the_grade_asked_for_is_not_exceeded(files, tmp_path):
    with pytest.raises(Invalid) as caught:
        run(loan_job("performance", files[0], files[2], grade="recomputed"), tmp_path)
    assert caught.value.field == "grade"


def test_progress_rises_to_one_and_may_end_the_run(supplied, tmp_path):
    shares = []
    job = CheckJob.from_json(with_predictions(loan_job("fairness", supplied[0], None)))
    run_check(
        "fairness", job=job, workdir=tmp_path / "a", progress=lambda share, _: shares.append(share)
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    class Cancelled(Exception):
        pass

    def cancel(share, text):
        if share > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_check("fairness", job=job, workdir=tmp_path / "b", progress=cancel)


def test_the_command_writes_outcome_cube_and_attachments(supplied, tmp_path, capsys):
    order = tmp_path / "job.json"
    order.write_text(json.dumps(with_predictions(loan_job("performance", supplied[0], None))))
    assert main([str(order), str(tmp_path / "out")]) == 0
    outcome = json.loads((tmp_path / "out" / "outcome.json").read_text())
    cube = (tmp_path / "out" / "cube.json").read_bytes()
    import hashlib

    assert hashlib.sha256(cube).hexdigest() == outcome["cube_digest"]
    order.write_text("{}")
    assert main([str(order), str(tmp_path / "out")]) == 1
    assert "kind" in capsys.readouterr().err
    assert main([]) == 64


def test_importing_the_entry_imports_no_heavy_library():
    code = (
        "import sys, monitoring.engine.run\n"
        "heavy = 'evidently shap fairlearn numba pandas sklearn ibis duckdb django'.split()\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_drift_needs_no_model_and_explains_nothing_of_it(files, tmp_path):
    data, other, _ = files
    outcome = run(loan_job("drift", data, None, reference=data_file(other)), tmp_path)
    assert outcome.grade == "recomputed"
    assert find(outcome, "psi", feature="income").value < 0.2
    assert [one.name for one in outcome.attachments] == ["evidently.json"]
    assert json.loads(outcome.cube)["model"] is None


def test_quiet_is_what_progress_looks_like():
    quiet(0.5, "text")
