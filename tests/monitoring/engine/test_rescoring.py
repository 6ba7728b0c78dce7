"""Re-scoring of a sample, scoring by a customer's endpoint, and two models on the same rows."""

import hashlib
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from kernel.conf import ConfigurationError
from kernel.errors import CountersignError, Invalid, Unavailable, Unprocessable
from monitoring.engine import endpoints, sampling
from monitoring.engine.endpoints import Endpoint
from monitoring.engine.job import CheckJob
from monitoring.engine.run import run_check
from monitoring.engine.sampling import Rescoring
from tests.monitoring.engine.making import (
    find,
    loan_job,
    loans,
    matrix_of,
    quiet,
    sha256,
    source_of,
    train_xgboost,
    write,
)

ROWS = 600
SECRET = "sixteen letters or more"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Loans with the model's own scores and decisions, an altered copy, and two models."""
    from xgboost import Booster

    folder = tmp_path_factory.mktemp("rescoring")
    columns = loans(ROWS)
    first = train_xgboost(folder / "first.json", columns)
    second = train_xgboost(folder / "second.json", loans(60, seed=9))
    score = Booster(model_file=str(first)).inplace_predict(matrix_of(columns)).astype(float)
    given = {**columns, "score": score, "granted": score >= 0.5}
    honest = write(folder / "honest.parquet", given)
    flipped = given["granted"].copy()
    flipped[:120] = ~flipped[:120]
    altered = write(folder / "altered.parquet", {**given, "granted": flipped})
    return folder, honest, altered, first, second


def job_of(data, model, *, supplied=True, **more):
    job = loan_job("performance", data, model)
    if supplied:
        job["mapping"] = {**job["mapping"], "prediction": "granted", "score": "score"}
    return replace(CheckJob.from_json(job), **more)


def check(job, workdir):
    return run_check("performance", job=job, workdir=workdir, progress=quiet)


def sample(rows=200, salt=""):
    return Rescoring("sample", rows, salt)


def test_the_rows_of_a_sample_are_those_with_the_smallest_digests(files, tmp_path):
    _, honest, *_ = files
    source, digest = source_of(honest, tmp_path), sha256(honest)
    chosen = sampling.chosen(source, digest, sample(salt="later"))
    found = sorted(chosen.select("countersign_row").to_pyarrow()["countersign_row"].to_pylist())
    source.close()

    def place(row):
        return hashlib.sha256(f"{digest}:later:{row}".encode()).hexdigest()

    assert found == sorted(sorted(range(ROWS), key=place)[:200])


def test_a_sample_that_agrees_verifies_what_was_supplied(files, tmp_path):
    _, honest, _, model, _ = files
    outcome = check(job_of(honest, model, rescoring=sample()), tmp_path)
    assert outcome.grade == "re-performed"
    assert outcome.rows == ROWS
    note = next(one for one in outcome.notes if one.code == "rescored_sample")
    assert note.counts["scored"] == 200
    assert note.counts["differing"] == 0
    assert note.counts["most_share"] == pytest.approx(1 - 0.05 ** (1 / 200))
    assert not note.finding
    rows = pq.read_table(tmp_path / "sandbox-dataset" / "rows.parquet")
    assert rows.num_rows == 200
    assert rows.column_names == ["countersign_row", "income", "debt", "region"]
    assert json.loads(outcome.cube)["model"]["artifact"] == sha256(model)
    whole = check(job_of(honest, model), tmp_path / "whole")
    assert find(whole, "accuracy").value == find(outcome, "accuracy").value


def test_a_sample_that_differs_is_a_finding_and_no_re_performance(files, tmp_path):
    _, _, altered, model, _ = files
    outcome = check(job_of(altered, model, rescoring=sample()), tmp_path)
    assert outcome.grade == "recomputed"
    notes = {note.code: note for note in outcome.notes}
    assert notes["prediction_mismatch"].finding
    share = notes["prediction_mismatch"].counts["differing"] / 200
    assert 0.1 < share < 0.3
    assert notes["rescored_sample"].counts["most_share"] > share


def test_a_sample_has_nothing_to_verify_without_predictions(files, tmp_path):
    _, honest, _, model, _ = files
    with pytest.raises(Invalid) as caught:
        check(job_of(honest, model, supplied=False, rescoring=sample()), tmp_path)
    assert caught.value.field == "config.rescoring"


def test_large_datasets_are_sampled_and_small_ones_scored_whole():
    assert Rescoring().samples(sampling.ALL_UP_TO + 1)
    assert not Rescoring().samples(sampling.ALL_UP_TO)
    assert Rescoring("sample").samples(10_001)
    assert not Rescoring("sample").samples(10_000)


@pytest.mark.parametrize(("rows", "differing"), [(10_000, 0), (10_000, 3), (50, 49)])
def test_the_share_that_a_sample_does_not_exclude_is_clopper_and_pearsons(rows, differing):
    found = sampling.most_differing(rows, differing)
    assert stats.binom.cdf(differing, rows, found) == pytest.approx(0.05, abs=1e-9)


# A customer's endpoint


class _Scorer(BaseHTTPRequestHandler):
    """Answers as the server's attributes say; keeps what it was asked."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((dict(self.headers), body))
        status, answer = self.server.answer(json.loads(body), len(self.server.asked))
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def scorer(monkeypatch, tmp_path):
    server = HTTPServer(("127.0.0.1", 0), _Scorer)
    server.asked, server.answer = [], None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    place = f"127.0.0.1:{server.server_port}"
    listed = tmp_path / "endpoints.toml"
    listed.write_text(
        f'[endpoints.credit]\nurl = "http://{place}/score"\nsecret = "${{SCORING}}"\nbatch = 250\n'
    )
    monkeypatch.setenv(endpoints.VARIABLE, str(listed))
    monkeypatch.setenv("SCORING", SECRET)
    monkeypatch.setenv("COUNTERSIGN_OUTBOUND_ALLOW", place)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def right(digest, altered=0):
    """Answers with half the income in hundreds as score, or something else for the first rows."""

    def answer(asked, _):
        scores = [row["income"] / 200 for row in asked["rows"]]
        scores[:altered] = [0.999] * altered
        return 200, {"artifact_digest": digest, "scores": scores}

    return answer


def by_endpoint(data, digest, **more):
    return job_of(data, None, scoring_endpoint="credit", artifact_digest=digest, **more)


def test_an_endpoint_scores_signed_batches_and_the_grade_stays_recomputed(files, scorer, tmp_path):
    _, honest, *_ = files
    scorer.answer = right("a" * 64)
    outcome = check(by_endpoint(honest, "a" * 64, supplied=False), tmp_path)
    assert outcome.grade == "recomputed"
    income = np.array(pq.read_table(honest)["income"])
    paid = np.array(pq.read_table(honest)["paid"])
    expected = np.mean((income / 200 >= 0.5) == paid)
    assert find(outcome, "accuracy").value == pytest.approx(expected, abs=1e-9)
    assert "scored_by_endpoint" in {note.code for note in outcome.notes}
    assert json.loads(outcome.cube)["model"] == {"artifact": "a" * 64, "endpoint": "credit"}
    # 600 rows in batches of 250, the first twice.
    assert len(scorer.asked) == 4
    headers, body = scorer.asked[0]
    asked = json.loads(body)
    assert set(asked["rows"][0]) == {"income", "debt", "region"}
    assert asked["artifact_digest"] == "a" * 64
    named = {name.lower(): value for name, value in headers.items()}
    signed = endpoints.sign(SECRET, named["webhook-id"], int(named["webhook-timestamp"]), body)
    assert named["webhook-signature"] == signed


def test_an_endpoint_that_differs_from_what_was_supplied_is_a_finding(files, scorer, tmp_path):
    _, honest, *_ = files
    scorer.answer = right("b" * 64, altered=5)
    outcome = check(by_endpoint(honest, "b" * 64), tmp_path)
    codes = {note.code: note for note in outcome.notes}
    assert codes["score_mismatch"].finding
    assert outcome.grade == "recomputed"


def test_a_sample_may_be_verified_by_an_endpoint(files, scorer, tmp_path):
    _, honest, *_ = files
    scorer.answer = right("c" * 64)
    outcome = check(by_endpoint(honest, "c" * 64, rescoring=sample()), tmp_path)
    counted = {note.code: note.counts for note in outcome.notes}
    assert counted["rescored_sample"]["scored"] == 200
    assert sum(len(json.loads(body)["rows"]) for _, body in scorer.asked) == 400


ROW = [{"x": 1.0}, {"x": None}]
DIGEST = "d" * 64
WRONG = {
    "another artifact": {"artifact_digest": "e" * 64, "scores": [0.1, 0.2]},
    "answers to": {"artifact_digest": DIGEST, "scores": [0.1]},
    "finite number": {"artifact_digest": DIGEST, "scores": [0.1, "0.2"]},
    "0 or 1": {"artifact_digest": DIGEST, "predictions": [1, 2]},
    "neither": {"artifact_digest": DIGEST},
    "unknown field": {"artifact_digest": DIGEST, "scores": [0, 1], "more": 1},
    "no JSON": b"<html>",
    "the endpoint's answer": b"[" * 200_000,
    "artifact_digest": {"scores": [0.1, 0.2]},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_that_is_not_of_the_contract_is_refused(wrong):
    answer = WRONG[wrong]
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with pytest.raises(Unprocessable) as caught:
        endpoints.read_answer(data, DIGEST, 2)
    assert caught.value.field == "config.scoring_endpoint"
    told = "serves artifact" if wrong == "another artifact" else wrong
    assert told in caught.value.detail


def test_what_fails_for_a_while_is_tried_again_and_then_given_up(scorer):
    pauses = []
    scorer.answer = lambda asked, count: (
        (503, {}) if count < 3 else (200, {"artifact_digest": DIGEST, "predictions": [1, 0]})
    )
    found = endpoints.ask(endpoints.named("credit"), DIGEST, ROW, sleep=pauses.append)
    assert found.predictions == [1, 0]
    assert found.scores is None
    assert pauses == [0.5, 2.0]
    assert len({body for _, body in scorer.asked}) == 1
    scorer.answer = lambda asked, count: (503, {})
    with pytest.raises(Unavailable):
        endpoints.ask(endpoints.named("credit"), DIGEST, ROW, sleep=pauses.append)
    scorer.answer = lambda asked, count: (302, {})
    with pytest.raises(Unprocessable, match="302"):
        endpoints.ask(endpoints.named("credit"), DIGEST, ROW, sleep=pauses.append)


def test_a_private_address_needs_the_operators_word(scorer, monkeypatch):
    monkeypatch.delenv("COUNTERSIGN_OUTBOUND_ALLOW")
    with pytest.raises(Invalid, match="not a public address"):
        endpoints.ask(endpoints.named("credit"), DIGEST, ROW)
    assert scorer.asked == []


def test_a_user_picks_a_name_and_learns_no_url_and_no_secret(scorer):
    with pytest.raises(Invalid, match="known are: credit"):
        endpoints.named("https://elsewhere.example")
    assert "127.0.0.1" not in repr(endpoints.named("credit"))
    assert SECRET not in repr(endpoints.named("credit"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[endpoints.a]\nurl = "ftp://x"\nsecret = "0123456789abcdef"', "endpoints.a.url"),
        ('[endpoints.a]\nurl = "https://x.org"\nsecret = "short"', "endpoints.a.secret"),
        ('[endpoints.a]\nurl = "https://x.org"\nsecret = "${NOT_THERE}"', "NOT_THERE"),
        ('[endpoints."A B"]\nurl = "https://x.org"\nsecret = "0123456789abcdef"', "endpoints.A B"),
        ("[endpoints", "TOML"),
    ],
)
def test_the_operators_file_names_what_is_wrong(tmp_path, text, told):
    path = tmp_path / "e.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        endpoints.catalogue({endpoints.VARIABLE: str(path)})


def test_a_row_that_is_no_json_is_never_sent():
    endpoint = Endpoint("x", "https://x.example", SECRET)
    with pytest.raises(Invalid) as caught:
        endpoints.ask(endpoint, DIGEST, [{"x": float("nan")}])
    assert caught.value.field == "dataset"


# Two models on the same rows


def comparator(files):
    folder, _, _, _, second = files
    job = CheckJob.from_json(loan_job("performance", folder / "honest.parquet", second))
    from monitoring.engine.job import Comparator

    return Comparator("version 1", job.artifact, job.input_spec)


def test_the_version_in_production_is_compared_row_by_row(files, tmp_path):
    from sklearn.metrics import brier_score_loss, roc_auc_score
    from xgboost import Booster

    _, honest, _, first, second = files
    outcome = check(job_of(honest, first, supplied=False, comparator=comparator(files)), tmp_path)
    assert outcome.grade == "re-performed"
    columns = pq.read_table(honest).to_pydict()
    paid, sex = np.array(columns["paid"]), np.array(columns["sex"])
    ours, other = (
        Booster(model_file=str(model)).inplace_predict(matrix_of(columns)).astype(float)
        for model in (first, second)
    )
    for about in ({}, {"sex": "Female"}):
        rows = sex == "Female" if about else np.ones(ROWS, bool)
        right_ours, right_other = ((s[rows] >= 0.5) == paid[rows] for s in (ours, other))
        gain = find(outcome, "accuracy_gain", **about)
        assert gain.value == pytest.approx(right_ours.mean() - right_other.mean(), abs=1e-9)
        assert gain.lower < gain.value < gain.upper
        assert gain.detail["only_this"] == int((right_ours & ~right_other).sum())
        test = stats.binomtest(
            gain.detail["only_other"], gain.detail["only_this"] + gain.detail["only_other"]
        )
        assert gain.detail["p_exact"] == pytest.approx(test.pvalue, abs=1e-9)
        auc = find(outcome, "auc_gain", **about)
        exact = roc_auc_score(paid[rows], ours[rows]) - roc_auc_score(paid[rows], other[rows])
        assert abs(auc.value - exact) <= auc.detail["certified_error"] + 1e-12
        brier = brier_score_loss(paid[rows], other[rows]) - brier_score_loss(paid[rows], ours[rows])
        assert find(outcome, "brier_score_gain", **about).value == pytest.approx(brier, abs=1e-9)
    shares = {plot.name: plot for plot in outcome.plots}["right_by_sex"].series
    assert sum(one["points"][0]["value"] for one in shares) == pytest.approx(1)
    kept = json.loads(outcome.cube)
    assert kept["compared_with"]["artifact"] == sha256(second)
    assert kept["paired"]["pairs"]["attributes"] == ["sex", "race"]


def test_supplied_predictions_may_be_compared_too(files, tmp_path):
    _, honest, _, _, _ = files
    outcome = check(job_of(honest, None, comparator=comparator(files)), tmp_path)
    assert outcome.grade == "recomputed"
    assert find(outcome, "accuracy_gain").value > 0


def test_a_comparator_that_cannot_be_scored_names_what_asked_for_it(files, tmp_path):
    _, honest, _, first, _ = files
    broken = replace(
        comparator(files), artifact=replace(comparator(files).artifact, digest="0" * 64)
    )
    with pytest.raises(CountersignError) as caught:
        check(job_of(honest, first, comparator=broken), tmp_path)
    assert caught.value.field == "config.compare_with"
    assert "version 1 cannot be compared with" in caught.value.detail


# Numbers


@pytest.mark.parametrize("form", ["xgboost_json", "lightgbm"])
def test_a_regression_is_re_performed_if_the_input_specification_says_number(tmp_path, form):
    from sklearn.metrics import mean_absolute_error, r2_score

    columns = loans(ROWS)
    columns["debt"] = [5.0 if value is None else value for value in columns["debt"]]
    matrix = matrix_of(columns)
    columns["worth"] = matrix[:, 0] * 1_000 - 300 * matrix[:, 1]
    path, predict = _regressor(tmp_path, form, matrix, columns["worth"])
    expected = predict(matrix)
    data = write(tmp_path / "worth.parquet", {**columns, "guess": expected})
    job = loan_job("performance", data, path)
    job["mapping"] = {"label": "worth", "prediction": "guess", "task": "regression"}
    job["artifact"]["format"] = form
    asked = CheckJob.from_json({**job, "input_spec": {**job["input_spec"], "output": "number"}})
    outcome = check(asked, tmp_path / "w")
    assert outcome.grade == "re-performed"
    error = mean_absolute_error(columns["worth"], expected)
    assert find(outcome, "mean_absolute_error").value == pytest.approx(error, rel=1e-6)
    r2 = r2_score(columns["worth"], expected)
    assert find(outcome, "r2").value == pytest.approx(r2, abs=1e-6)
    off = write(tmp_path / "off.parquet", {**columns, "guess": expected + 1})
    told = check(
        replace(asked, dataset=replace(asked.dataset, path=off, digest=sha256(off))), tmp_path / "o"
    )
    assert told.grade == "recomputed"
    assert told.notes[0].finding
    # Without the word the same model is not taken for one that gives probabilities.
    plain = check(CheckJob.from_json(job), tmp_path / "p")
    assert plain.grade == "recomputed"
    assert plain.notes[0].code == "artifact_not_scored"


def _regressor(folder, form, matrix, worth):
    if form == "lightgbm":
        import lightgbm

        options = {"objective": "regression", "verbosity": -1, "num_threads": 1, "seed": 1}
        booster = lightgbm.train(options, lightgbm.Dataset(matrix, worth), 10)
        booster.save_model(folder / "model.txt")
        return folder / "model.txt", booster.predict
    from xgboost import XGBRegressor

    model = XGBRegressor(n_estimators=10, max_depth=3, n_jobs=1, random_state=1).fit(matrix, worth)
    booster = model.get_booster()
    booster.save_model(folder / "model.json")
    return folder / "model.json", lambda asked: booster.inplace_predict(asked).astype(float)
