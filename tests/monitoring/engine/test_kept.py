"""Predictions are kept for the next check of the same model and data, and for no other."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from monitoring.engine import sandbox
from monitoring.engine.job import CheckJob
from monitoring.engine.kept import MOST_SECONDS, Shelf, name_of
from monitoring.engine.run import run_check
from tests.monitoring.engine import making


@pytest.fixture(scope="module")
def lending(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    columns = making.loans()
    data = making.write(folder / "loans.parquet", columns)
    model = making.train_xgboost(folder / "model.json", columns)
    return CheckJob.from_json(making.loan_job("performance", data, model))


@pytest.fixture
def started(monkeypatch):
    """How often the sandbox was started."""
    counted: list[str] = []
    real = sandbox.run_child

    def counting(task, *rest):
        counted.append(task["operation"])
        return real(task, *rest)

    monkeypatch.setattr(sandbox, "run_child", counting)
    return counted


def outcome(job: CheckJob, workdir: Path):
    return run_check(job.kind, job=job, workdir=workdir, progress=making.quiet)


def test_two_checks_of_one_file_score_it_once_and_say_the_same(lending, tmp_path, started):
    kept = replace(lending, shelf=tmp_path / "shelf")
    first = outcome(kept, tmp_path / "1")
    second = outcome(kept, tmp_path / "2")
    third = outcome(replace(kept, shelf=None), tmp_path / "3")
    assert started == ["score", "score"]
    assert first.grade == second.grade == "re-performed"
    assert len({one.cube_digest for one in (first, second, third)}) == 1
    assert second.sandbox["scored"] == "for an earlier check"
    name = name_of(kept.artifact, kept.input_spec.to_json(), kept.dataset)
    assert first.sandbox["kept"] == second.sandbox["kept"] == [name]
    assert "kept" not in third.sandbox
    assert "scored" not in first.sandbox


def test_other_bytes_than_were_kept_are_not_used(lending, tmp_path, started):
    kept = replace(lending, shelf=tmp_path / "shelf")
    first = outcome(kept, tmp_path / "1")
    (rows,) = (tmp_path / "shelf").glob("*.parquet")
    content = bytearray(rows.read_bytes())
    content[len(content) // 2] ^= 1
    rows.write_bytes(bytes(content))
    assert outcome(kept, tmp_path / "2").cube_digest == first.cube_digest
    assert started == ["score", "score"]


def test_whatever_decides_the_predictions_names_them(lending):
    artifact, spec, data = lending.artifact, lending.input_spec.to_json(), lending.dataset
    names = {
        name_of(artifact, spec, data),
        name_of(replace(artifact, digest="0" * 64), spec, data),
        name_of(artifact, {**spec, "threshold": 0.7}, data),
        name_of(artifact, spec, replace(data, digest="1" * 64)),
    }
    assert len(names) == 4
    assert name_of(artifact, spec, replace(data, path=Path("elsewhere"))) in names


def test_what_was_longest_not_used_is_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr("monitoring.engine.kept.MOST_FILES", 2)
    shelf, made = Shelf(tmp_path / "shelf"), tmp_path / "made"
    made.write_bytes(b"rows")
    for name in ("a", "b", "c"):
        shelf.keep(name, made, {"rows": 1})
        for note in (tmp_path / "shelf").glob("*.json"):
            stat = note.stat()
            # Each time step is a second, whatever the file system's clock can tell apart.
            os.utime(note, (stat.st_atime - 1, stat.st_mtime - 1))
    assert shelf.take("a", tmp_path / "got") is None
    assert shelf.take("c", tmp_path / "got") == {"rows": 1}


def test_a_run_names_all_the_scores_that_it_kept(tmp_path):
    columns = making.loans()
    data = making.write(tmp_path / "loans.parquet", columns)
    other = making.write(tmp_path / "before.parquet", making.loans(seed=6))
    model = making.train_xgboost(tmp_path / "model.json", columns)
    second = making.train_xgboost(tmp_path / "second.json", making.loans(seed=7))
    told = making.loan_job("drift", data, model, reference=making.data_file(other))
    job = replace(CheckJob.from_json(told), shelf=tmp_path / "shelf")
    drift = outcome(job, tmp_path / "1")
    against = {
        "name": "2",
        "artifact": {
            "path": str(second),
            "digest": making.sha256(second),
            "format": "xgboost_json",
        },
        "input_spec": making.SPEC,
    }
    told = making.loan_job("performance", data, model, comparator=against)
    paired = outcome(replace(CheckJob.from_json(told), shelf=tmp_path / "shelf"), tmp_path / "2")
    stored = {one.stem for one in (tmp_path / "shelf").glob("*.parquet")}
    assert len(drift.sandbox["kept"]) == len(paired.sandbox["kept"]) == 2
    assert {*drift.sandbox["kept"], *paired.sandbox["kept"]} == stored
    Shelf(tmp_path / "shelf").forget(drift.sandbox["kept"])
    left = {one.stem for one in (tmp_path / "shelf").iterdir()}
    assert left == set(paired.sandbox["kept"]) - set(drift.sandbox["kept"])
    Shelf(tmp_path / "shelf").forget(["not there"])


def test_scores_are_kept_for_a_month_however_often_they_are_used(tmp_path):
    shelf, made = Shelf(tmp_path / "shelf"), tmp_path / "made"
    made.write_bytes(b"rows")
    for name in ("old", "new"):
        shelf.keep(name, made, {"rows": 1})
    aged = time.time() - MOST_SECONDS - 1
    os.utime(tmp_path / "shelf" / "old.parquet", (aged, aged))
    assert shelf.take("old", tmp_path / "got") is None
    assert shelf.take("new", tmp_path / "got") == {"rows": 1}
    shelf.tidy()
    assert {one.stem for one in (tmp_path / "shelf").iterdir()} == {"new"}
    Shelf(tmp_path / "nowhere").tidy()
