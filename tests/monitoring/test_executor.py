"""Real runs: the engine on real bytes, without broker or worker."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import OperationalError

from kernel.errors import Unavailable
from kernel.identifiers import uuid7
from kernel.moments import now
from monitoring import executor, selectors, services
from monitoring.models import CheckRun
from registry.store import open_blob
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db


def execute(run):
    return executor.execute(run.pk, beat=None)


def break_engine(monkeypatch, error):
    def stop(kind, *, job, workdir, progress):
        progress(0.5, "counting")
        raise error

    monkeypatch.setattr("monitoring.engine.run.run_check", stop)


def test_a_check_runs_from_the_row_to_its_measurements():
    run = execute(helpers.request(data=helpers.dataset(helpers.rows(400, right=0.9))))
    assert (run.state, run.grade, run.rows, run.error) == ("succeeded", "recomputed", 400, "")
    accuracy = run.measurements.get(metric="accuracy", slice={})
    assert accuracy.value == pytest.approx(0.9)
    assert accuracy.lower < 0.9 < accuracy.upper
    assert run.measurements.filter(metric="accuracy", slice={"sex": "F"}).exists()
    assert json.load(open_blob(run.cube_id))["rows"] == 400
    assert "duckdb" in run.libraries
    assert not list((settings.COUNTERSIGN.data_dir / "scratch").iterdir())


def test_the_same_check_on_the_same_data_gives_the_same_digests():
    version, data = helpers.version(), helpers.dataset()
    one, other = (execute(helpers.request(version, data=data)) for _ in range(2))
    assert (one.cube_id, one.result_digest) == (other.cube_id, other.result_digest)


def test_filters_choose_the_rows():
    config = {"filters": [{"column": "sex", "equals": "F"}]}
    assert execute(helpers.request(config=config)).rows == 200


def test_nobody_executes_what_somebody_executes():
    run = helpers.request()
    services.claim_run(run.pk, actor=helpers.SYSTEM)
    assert execute(run) is None


def test_wrong_data_fails_for_good_and_says_why():
    data = helpers.dataset(b"outcome,decision\n1,1\n0,0\n")
    run = execute(helpers.request(data=data))
    assert (run.state, run.attempt) == ("failed", 1)
    assert "no column 'score'" in run.error


def test_a_sandbox_that_does_not_start_is_tried_again(monkeypatch):
    run = helpers.request()
    break_engine(monkeypatch, Unavailable("the sandbox could not be started"))
    assert execute(run).state == "queued"
    monkeypatch.undo()
    run = execute(run)
    assert (run.state, run.attempt, run.error) == ("succeeded", 2, "")


def test_an_unexpected_error_tells_its_kind_and_no_data(monkeypatch):
    run = helpers.request()
    break_engine(monkeypatch, RuntimeError("row 17: Jane Doe"))
    run = execute(run)
    assert run.state == "queued"
    assert "RuntimeError" in run.error
    assert "Jane" not in run.error


def test_the_engine_stops_when_its_attempt_is_lost(monkeypatch):
    run = helpers.request()
    reached = []

    def work(kind, *, job, workdir, progress):
        services.cancel_run(run, actor=helpers.developer())
        progress(0.5, "counting")
        reached.append("the end")

    monkeypatch.setattr("monitoring.engine.run.run_check", work)
    assert execute(run).state == "cancelled"
    assert reached == []


def test_a_beat_that_finds_the_attempt_lost_stops_the_work(monkeypatch):
    monkeypatch.setattr(services, "heartbeat", lambda *args, **kwargs: False)
    with executor.Heart(uuid7(), 1, beat=0.001) as heart:
        assert heart.lost.wait(timeout=30)
        with pytest.raises(executor.AttemptLost):
            heart.progress(0.5, "counting")


def test_a_beat_that_the_database_misses_loses_nothing(monkeypatch):
    beats = iter([OperationalError("locked"), OperationalError("locked"), False])

    def heartbeat(*args, **kwargs):
        beat = next(beats)
        if isinstance(beat, Exception):
            raise beat
        return beat

    monkeypatch.setattr(services, "heartbeat", heartbeat)
    with executor.Heart(uuid7(), 1, beat=0.001) as heart:
        assert heart.lost.wait(timeout=30)
    assert next(beats, None) is None


def test_a_check_that_takes_too_long_is_not_tried_again(monkeypatch):
    run = helpers.request()
    break_engine(monkeypatch, SoftTimeLimitExceeded())
    assert execute(run).state == "failed"


def test_a_monitor_is_evaluated_here_and_now():
    watch = helpers.monitor()
    good = helpers.batch(watch, 0)
    bad = helpers.batch(watch, 1, data=helpers.rows(400, right=0.6))
    assert executor.evaluate(watch, good).state == "succeeded"
    assert not selectors.open_breaches(watch.version).exists()
    run = executor.evaluate(watch, bad)
    breach = selectors.open_breaches(watch.version, watch.use, watch.environment).get()
    assert breach.run == run
    assert breach.detail["value"] == pytest.approx(0.6)
    assert executor.evaluate(watch, bad) == run, "what is done is not done again"


def test_what_a_killed_attempt_left_is_taken_over_and_cleared():
    run = helpers.request()
    left = settings.COUNTERSIGN.data_dir / "scratch" / f"{run.pk}-1"
    left.mkdir(parents=True)
    (left / "rows.parquet").write_bytes(b"half")
    services.claim_run(run.pk, actor=helpers.SYSTEM)
    CheckRun.objects.filter(pk=run.pk).update(leased_until=now() - timedelta(seconds=1))
    run = execute(run)
    assert (run.state, run.attempt) == ("succeeded", 2)
    assert not left.exists()


def test_a_stored_artifact_goes_to_the_engine_with_its_input_spec(tmp_path):
    spec = {"features": [{"column": "x"}], "threshold": 0.5}
    version = helpers.version(
        stored=factories.store_bytes(b"{L\x00"),
        input_spec=spec,
        artifact_name="model.ubj",
        artifact_format="xgboost_ubj",
    )
    job = executor.job_of(helpers.request(version), tmp_path)
    assert job.artifact.format == "xgboost_ubj"
    assert job.artifact.path.read_bytes() == b"{L\x00"
    assert job.input_spec.columns() == ("x",)
    assert job.grade == "re-performed"


def test_pages_and_services_load_no_heavy_library():
    code = (
        "import django, sys; django.setup();"
        "import monitoring.urls, monitoring.admin, monitoring.tasks, monitoring.selectors;"
        "heavy = {'evidently', 'shap', 'fairlearn', 'numba', 'pandas', 'numpy', 'duckdb', 'ibis'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=settings.BASE_DIR,
        env={
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "COUNTERSIGN_DATA_DIR": str(settings.COUNTERSIGN.data_dir),
            "PATH": "",
        },
    )
    assert done.stdout.strip() == "[]", done.stderr
