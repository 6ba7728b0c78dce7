"""Whole runs of drift: windows, all features together, conformance, by hand as a worker does them."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from kernel.errors import Invalid
from monitoring.engine import conformance
from monitoring.engine.checks.drift import domain
from monitoring.engine.checks.drift.settings import DriftConfig
from tests.monitoring.engine.making import (
    data_file,
    find,
    loan_job,
    loans,
    run,
    train_xgboost,
    write,
)

ROWS = 700
START = datetime(2026, 1, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A reference, and a sample whose incomes rise half way through four weeks."""
    folder = tmp_path_factory.mktemp("drift")
    before, after = loans(ROWS, seed=1), loans(ROWS, seed=2)
    late = np.arange(ROWS) >= ROWS // 2
    after["income"] = after["income"] + 15 * late
    after["debt"] = [
        None if value is None else (np.inf if place == 5 else value)
        for place, value in enumerate(after["debt"])
    ]
    hours = 4 * 7 * 24 / ROWS
    when = [START + timedelta(hours=hours * place) for place in range(ROWS)]
    before["at"] = when
    after["at"] = [None if place % 100 == 7 else moment for place, moment in enumerate(when)]
    before["number"] = np.arange(ROWS, dtype=float)
    after["number"] = [np.nan if place == 3 else float(place) for place in range(ROWS)]
    return write(folder / "r.parquet", before), write(folder / "c.parquet", after)


def job(files, time="at", **config):
    made = loan_job("drift", files[1], None, reference=data_file(files[0]), config=config)
    made["mapping"]["time"] = time
    return made


@pytest.fixture(scope="module")
def everything(files, tmp_path_factory):
    return run(
        job(files, window="week", multivariate=True, conformance=True),
        tmp_path_factory.mktemp("run"),
    )


def test_windows_are_compared_one_after_the_other(everything, files, tmp_path):
    shares = {
        one.slice["window"]: one.value
        for one in everything.measurements
        if one.metric == "drifted_share" and "window" in one.slice
    }
    assert list(shares) == ["2026-01-26", "2026-02-02", "2026-02-09", "2026-02-16", "2026-02-23"]
    drifted = {
        one.slice["window"]: one.detail["drifted"]
        for one in everything.measurements
        if one.metric == "psi_deciles"
        and one.slice.get("feature") == "income"
        and len(one.slice) == 2
    }
    assert not drifted["2026-02-02"]
    assert drifted["2026-02-16"]
    assert drifted["2026-02-23"]
    got = find(everything, "psi", feature="region", window="2026-02-02")
    assert got.n == 173
    assert (
        find(everything, "positive_rate_difference", output="label", window="2026-02-02").n == 173
    )
    (note,) = [one for one in everything.notes if one.code == "rows_without_time"]
    assert note.counts == {"rows": 7}
    assert "windows" in [one.name for one in everything.plots]
    cube = json.loads(everything.cube)
    assert sum(one["rows"] for one in cube["windows"]["windows"]) == ROWS - 7
    # A window alone, chosen by a filter, gives the same figures.
    alone = job(files)
    alone["dataset"]["filters"] = [{"column": "at", "least": "2026-02-02", "below": "2026-02-09"}]
    single = run(alone, tmp_path)
    assert find(single, "psi", feature="income").value == pytest.approx(
        find(everything, "psi", feature="income", window="2026-02-02").value, abs=1e-12
    )


def test_windows_of_a_column_of_numbers(files, tmp_path):
    outcome = run(job(files, "number", window=350), tmp_path)
    first = find(outcome, "psi", feature="income", window="0")
    second = find(outcome, "psi", feature="income", window="350")
    # Not-a-number is in no window.
    assert (first.n, second.n) == (349, 350)
    assert second.detail["drifted"]
    assert not first.detail["drifted"]


@pytest.mark.parametrize(
    ("time", "window", "field"),
    [
        ("at", "fortnight", "config.window"),
        ("at", 7, "config.window"),
        ("number", "day", "config.window"),
        ("number", 0.01, "config.window"),
        (None, "day", "mapping.time"),
    ],
)
def test_a_window_that_cannot_be_made_is_named(files, tmp_path, time, window, field):
    with pytest.raises(Invalid) as caught:
        run(job(files, time, window=window), tmp_path)
    assert caught.value.field == field


def test_a_classifier_tells_the_samples_apart(everything):
    got = find(everything, "domain_classifier_auc")
    assert got.detail["drifted"]
    assert got.value > got.detail["threshold"] > got.detail["chance"] > 0.5
    assert got.lower > 0.5
    assert got.detail["features"][0]["feature"] == "income"
    assert got.n == 2 * ROWS


def test_a_classifier_cannot_tell_alike_samples_apart():
    rng = np.random.default_rng(1)
    read = DriftConfig.read({}, [], 3)

    def side(rows):
        return {
            "x": rng.normal(size=rows).tolist(),
            "c": rng.choice(["a", "b", None], rows).tolist(),
        }

    samples = domain.Samples(side(300), side(200), frozenset("c"))
    got = domain.classify(samples, read)
    assert got.test.p > 0.01
    assert got.value.value < 0.6
    assert domain.classify(samples, read) == got
    few = domain.classify(domain.Samples(side(99), side(500), frozenset("c")), read)
    assert few.value.undefined_reason == "insufficient"


def evidence(outcome):
    (found,) = [one for one in outcome.attachments if one.name == "conformance.json"]
    return json.loads(found.content)


def test_our_figures_are_evidentlys_on_the_same_rows(everything):
    proof = evidence(everything)
    assert proof["differing"] == 0
    assert proof["largest_difference"] <= 1e-9
    assert proof["rows"] == {"reference": ROWS, "current": ROWS}
    assert set(proof["libraries"]) == {"evidently"}
    compared = {(one["metric"], one["about"]["feature"]) for one in proof["compared"]}
    for metric in ("psi", "jensen_shannon", "hellinger", "wasserstein_normed", "ks_statistic"):
        assert {(metric, "income"), (metric, "debt")} <= compared
    assert {("psi", "region"), ("hellinger", "region")} <= compared
    (note,) = [one for one in everything.notes if one.code == "conformance"]
    assert not note.finding


def test_fairness_and_performance_are_the_libraries_on_the_same_rows(tmp_path):
    columns = loans(500)
    columns["sex"] = [None if place % 50 == 0 else sex for place, sex in enumerate(columns["sex"])]
    data, model = (
        write(tmp_path / "d.parquet", columns),
        train_xgboost(tmp_path / "m.json", columns),
    )
    outcome = run(loan_job("fairness", data, model, config={"conformance": True}), tmp_path / "w")
    proof = evidence(outcome)
    assert proof["differing"] == 0
    assert proof["largest_difference"] <= 1e-9
    assert set(proof["libraries"]) == {"fairlearn", "scikit-learn"}
    compared = {one["metric"] for one in proof["compared"]}
    assert {"accuracy", "auc", "brier_score", "true_positive_rate"} <= compared
    assert {"equalized_odds_difference", "demographic_parity_ratio"} <= compared


def test_another_figure_of_the_library_is_a_finding():
    lines = [
        conformance.line("evidently", "psi", {"feature": "x"}, 0.1, 0.1),
        conformance.line("evidently", "psi", {"feature": "y"}, 0.1, 0.1 + 1e-8),
    ]
    attachment, note = conformance.document("drift", {"reference": 1, "current": 1}, lines)
    assert note.finding
    assert note.code == "conformance_difference"
    assert json.loads(attachment.content)["differing"] == 1
    # Roots are compared as their squares: 1e-8 is the root of a rounding error.
    assert conformance.line("evidently", "hellinger", {}, 0.0, 1e-8).agrees


@pytest.fixture(scope="module")
def rents(tmp_path_factory):
    """A reference, and a sample whose predictions rise while its outcomes stay as they were."""
    folder = tmp_path_factory.mktemp("rents")
    files = []
    for place, rise in enumerate((0.0, 120.0)):
        rng = np.random.default_rng(place)
        size, rent = rng.normal(60, 15, ROWS), rng.normal(900, 200, ROWS)
        said = np.where(np.arange(ROWS) % 50 == 0, np.nan, rent + rng.normal(rise, 50, ROWS))
        when = np.arange(ROWS, dtype=float)
        files.append({"size": size, "rent": rent, "said": said, "when": when})
    return [write(folder / f"{place}.parquet", one) for place, one in enumerate(files)]


def rent_job(rents, **more):
    return {
        "kind": "drift",
        "dataset": data_file(rents[1]),
        "mapping": {
            "task": "regression",
            "label": "rent",
            "prediction": "said",
            "features": ["size"],
            "time": "when",
        },
        "grade": "recomputed",
        **more,
    }


def test_predictions_and_outcomes_of_a_regression_are_compared_as_numbers(rents, tmp_path):
    job = rent_job(rents, reference=data_file(rents[0]), config={"window": 350})
    outcome = run(job, tmp_path / "rows")
    for metric in ("psi_deciles", "wasserstein_normed", "ks_statistic"):
        assert find(outcome, metric, output="prediction").detail["drifted"]
        assert not find(outcome, metric, output="label").detail["drifted"]
        assert find(outcome, metric, output="prediction", window="350").detail["drifted"]
    assert find(outcome, "missing_rate_difference", output="prediction").detail["current"] == 0.02
    assert find(outcome, "drifted_share").value == 0
    outputs = {one.slice["output"] for one in outcome.measurements if "output" in one.slice}
    assert outputs == {"prediction", "label"}
    assert {"predictions", "outcomes"} <= {one.name for one in outcome.plots}
    # The profiles of this run stand in for the rows of its reference.
    cube = tmp_path / "cube.json"
    cube.write_bytes(outcome.cube)
    stored = {"path": str(cube), "digest": outcome.cube_digest, "side": "reference"}
    again = run(rent_job(rents, reference_profile=stored), tmp_path / "profile")
    for output in ("prediction", "label"):
        one, other = (find(each, "psi_deciles", output=output) for each in (outcome, again))
        assert one.value == other.value


def test_a_feature_may_be_called_as_an_answer_is(rents, tmp_path):
    """A credit score is a feature: it is no answer of the model for its name."""
    tables = [
        pq.read_table(path).rename_columns(["label", "rent", "score", "when"]) for path in rents
    ]
    files = [tmp_path / f"{place}.parquet" for place in range(2)]
    for table, path in zip(tables, files, strict=True):
        pq.write_table(table, path)
    job = rent_job(files, reference=data_file(files[0]), config={"window": 350})
    job["mapping"] |= {"prediction": None, "features": ["score", "label"]}
    outcome = run(job, tmp_path / "w")
    assert find(outcome, "psi_deciles", feature="score").detail["drifted"]
    assert find(outcome, "psi_deciles", feature="score", window="350").detail["drifted"]
    assert find(outcome, "drifted_share").value == 0.5
    # The feature called label, and the outcome.
    feature, answer = (
        find(outcome, "ks_statistic", **about)
        for about in ({"feature": "label"}, {"output": "label"})
    )
    assert feature.value != answer.value
    compared = json.loads(outcome.cube)["comparisons"]
    assert [(one["column"], one.get("feature")) for one in compared] == [
        ("score", True),
        ("label", True),
        ("label", None),
    ]


def test_what_needs_rows_is_refused_of_a_stored_profile(files, tmp_path):
    from monitoring.engine.job import CheckJob
    from monitoring.engine.work import Clock, drift

    made = job(files, multivariate=True)
    del made["reference"]

    class Stored:
        def load(self):
            raise AssertionError("not reached")

    read = CheckJob.from_json(made)
    object.__setattr__(read, "reference_profile", Stored())
    with pytest.raises(Invalid) as caught:
        drift.work(read, tmp_path, Clock(lambda share, text: None))
    assert caught.value.field == "config.multivariate"


def test_the_same_job_gives_the_same_run(files, tmp_path):
    first, again = (run(job(files, window="month"), tmp_path / name) for name in ("a", "b"))
    assert again.cube_digest == first.cube_digest
    assert again.measurements == first.measurements
