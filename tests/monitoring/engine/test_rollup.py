"""A month is its days: whatever rows fall on which day, the sum measures what all rows would."""

import json
import math
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.errors import Invalid, Unprocessable
from monitoring.engine.cube.error_bins import ErrorBins, edges, merge_error_bins
from monitoring.engine.cube.medians import AboveMedian, merge_above_median
from monitoring.engine.cube.regression import (
    RegressionCube,
    merge_regressions,
    regression_cube,
    sorted_sizes,
)
from monitoring.engine.job import CheckJob, Comparator
from monitoring.engine.rollup import Part, RollupJob, roll_up
from tests.monitoring.engine.making import (
    data_file,
    find,
    loan_job,
    loans,
    mapping,
    quiet,
    run,
    sha256,
    source_of,
    train_xgboost,
    write,
)

ROWS = 240
PROXY = {
    "name": "faith",
    "state": "proxied",
    "proxy": {"version": "0190a0b0-0000-7000-8000-000000000001", "columns": {"A": "a", "B": "b"}},
}
DECIDED = {
    "label": "paid",
    "prediction": "decision",
    "score": "score",
    "sensitive": ["sex", "race"],
    "controls": ["region"],
    "features": ["income"],
}
NUMBERS = {
    "task": "regression",
    "label": "worth",
    "prediction": "guess",
    "sensitive": ["sex"],
    "controls": ["region"],
    "features": ["income"],
}
LEAST = {"minimum": {"default": 5}}
SEEDS = st.integers(0, 2**32 - 1)


def people(seed=3):
    columns = loans(ROWS, seed)
    rng = np.random.default_rng(seed)
    share = rng.random(ROWS)
    worth = rng.normal(5_000, 900, ROWS)
    return {
        **columns,
        "score": np.clip(share * 0.7 + 0.3 * np.asarray(columns["paid"]), 0, 1),
        "decision": share > 0.4,
        "points": rng.integers(0, 40, ROWS).astype(float),
        "a": share,
        "b": (1 - share) * 0.9,
        "worth": worth,
        # Some errors are a million times the others.
        "guess": worth + rng.normal(40, 200, ROWS) * 10.0 ** rng.choice([-3, 0, 3], ROWS),
    }


def cut(columns, seed, home, days):
    """One file of everything, and the same rows on some days, in no order."""
    rng = np.random.default_rng(seed)
    day = rng.integers(0, days, ROWS)
    day[:days] = range(days)
    table = pq.read_table(write(home / "all.parquet", columns))
    files = []
    for one in range(days):
        path = home / f"{one}.parquet"
        pq.write_table(table.take(rng.permutation(np.flatnonzero(day == one))), path)
        files.append(path)
    return home / "all.parquet", files


def rolled(kind, declared, config, seed, home, columns=None, of=loan_job, days=3):
    """The roll-up of some days, and the check of all rows with the same stream of chance."""
    everything, files = cut(columns or people(), seed, home, days)
    more = {"mapping": declared, "config": config, "floor": 1}
    parts = []
    for place, one in enumerate(files):
        outcome = run(of(kind, one, None, **more), home / f"w{place}")
        path = home / f"{place}.json"
        path.write_bytes(outcome.cube)
        parts.append(Part(path, outcome.cube_digest, outcome.grade))
    job = RollupJob(kind, tuple(parts), config, floor=1)
    month = roll_up(job, progress=quiet, libraries={})
    whole = run(of(kind, everything, None, **more, seed=job.seed), home / "whole")
    assert month.rows == whole.rows == ROWS
    return month, whole


def alike(ours, theirs, path=""):
    """Documents of which each number differs by 1e-12 of its size at most."""
    if isinstance(ours, dict):
        assert isinstance(theirs, dict), path
        assert set(ours) == set(theirs), path
        for name in ours:
            alike(ours[name], theirs[name], f"{path}.{name}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), path
        for place, pair in enumerate(zip(ours, theirs, strict=True)):
            alike(*pair, f"{path}[{place}]")
    elif isinstance(ours, float) and isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12), path
    else:
        assert ours == theirs, path


def same_figures(month, whole, but=()):
    found = [
        [one.to_json() for one in outcome.measurements if one.metric not in but]
        for outcome in (month, whole)
    ]
    assert found[0]
    alike(*found)


def sealed(outcome, *names):
    document = json.loads(outcome.cube)
    return {name: document[name] for name in names}


@given(SEEDS)
@settings(max_examples=2, deadline=None)
def test_decisions_with_slices_and_estimates(tmp_path_factory, seed):
    config = {**LEAST, "estimate": True}
    config["costs"] = {"false_positive": 3}
    home = tmp_path_factory.mktemp("days")
    month, whole = rolled("performance", DECIDED, config, seed, home, days=2)
    same_figures(month, whole)
    assert find(month, "estimated_accuracy", region="north").value is not None
    names = ("contingency", "scores", "expected", "slices")
    assert sealed(month, *names) == sealed(whole, *names)
    alike([one.to_json() for one in month.plots], [one.to_json() for one in whole.plots])
    assert not month.notes


def test_groupings_are_those_that_were_asked_for(tmp_path):
    config = {**LEAST, "groupings": ["race", "region"], "intersections": True}
    month, whole = rolled("performance", DECIDED, config, 1, tmp_path, days=2)
    same_figures(month, whole)
    groups = {tuple(one.slice) for one in month.measurements}
    assert groups == {(), ("race",), ("sex", "race"), ("region",)}


def test_fairness_with_proxied_groups_and_the_law_by_selection(tmp_path):
    declared = {**DECIDED, "sensitive": ["sex", "race", PROXY]}
    config = {
        **LEAST,
        "groupings": ["sex", ["sex", "race"], ["faith", "sex"]],
        "ll144": {"groupings": ["race", ["sex", "race"]], "exclude_below": 0.05},
        "controls": ["region"],
        "calibration": True,
        "metrics": ["selection_rate", "demographic_parity_difference", "equalized_odds_ratio"],
        "subgroups": {"depth": 2, "minimum": 5},
    }
    month, whole = rolled("fairness", declared, config, 6, tmp_path)
    same_figures(month, whole)
    assert find(month, "ll144_impact_ratio", race="A").value is not None
    assert find(month, "selection_rate", faith="A", sex="Male").detail["estimated"]
    names = ("contingency", "scores", "estimated")
    assert sealed(month, *names) == sealed(whole, *names)


def test_the_law_by_scores_of_few_values(tmp_path):
    declared = {**DECIDED, "score": "points"}
    config = {**LEAST, "ll144": {"mode": "scoring"}, "metrics": ["selection_rate"]}
    month, whole = rolled("fairness", declared, config, 7, tmp_path)
    same_figures(month, whole)
    assert find(month, "ll144_scoring_rate", sex="Male").value is not None
    assert sealed(month, "above_median") == sealed(whole, "above_median")


SCORED = st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 3).map(float)), max_size=12)


@given(st.lists(SCORED, min_size=1, max_size=4))
def test_the_median_of_days_by_score_is_that_of_all_rows(days):
    def counted(rows):
        return AboveMedian.counted(("g",), [((g,), score, 1) for g, score in rows])

    rows = [row for day in days for row in day]
    month = merge_above_median([counted(day) for day in days])
    assert month == counted(rows)
    if rows:
        median = float(np.median([score for _, score in rows]))
        assert month.median == median
        for (group,), above, n in month.cells:
            scores = [score for g, score in rows if g == group]
            assert (above, n) == (sum(score > median for score in scores), len(scores))
    assert AboveMedian.from_json(json.loads(json.dumps(month.to_json()))) == month


def test_the_law_by_scores_of_many_values_is_undefined_and_said(tmp_path, monkeypatch):
    from monitoring.engine.cube import medians

    monkeypatch.setattr(medians, "MOST_VALUES", 20)
    columns = people()
    columns["race"] = [None if at % 10 == 0 else one for at, one in enumerate(columns["race"])]
    config = {**LEAST, "ll144": {"mode": "scoring", "groupings": ["race"]}}
    config["metrics"] = ["selection_rate"]
    month, whole = rolled("fairness", DECIDED, config, 4, tmp_path, columns)
    for metric in ("ll144_scoring_rate", "ll144_impact_ratio"):
        assert find(whole, metric, race="A").value is not None
        assert find(month, metric, race="A").undefined_reason == "does_not_add_up"
    unknown = [find(one, "ll144_unknown", race="*") for one in (month, whole)]
    assert unknown[0] == unknown[1]
    assert unknown[0].value == ROWS / 10
    (note,) = [one for one in month.notes if one.code == "ll144_does_not_add_up"]
    assert "median" in note.text


def test_estimates_of_days_whose_labels_are_late(tmp_path):
    declared = {name: one for name, one in DECIDED.items() if name != "label"}
    config = {**LEAST, "estimate": True, "groupings": ["region"]}
    month, whole = rolled("performance", declared, config, 3, tmp_path, days=2)
    same_figures(month, whole)
    assert find(month, "estimated_auc", region="north").value is not None
    assert sealed(month, "expected", "slices") == sealed(whole, "expected", "slices")
    assert [one.code for one in month.notes] == ["missing_label"]


@given(SEEDS)
@settings(max_examples=2, deadline=None)
def test_numbers_with_slices(tmp_path_factory, seed):
    config = {**LEAST, "quantiles": [0.5, 0.9]}
    home = tmp_path_factory.mktemp("days")
    month, whole = rolled("performance", NUMBERS, config, seed, home)
    quantiles = ("median_absolute_error", "absolute_error_p90")
    same_figures(month, whole, but=quantiles)
    for metric in quantiles:
        for about in ({}, {"sex": "Male"}, {"region": "north"}):
            ours, exact = (find(one, metric, **about) for one in (month, whole))
            bound = ours.detail["certified_error"]
            assert abs(ours.value - exact.value) <= bound * (1 + 1e-9)
            assert bound <= exact.value / 128
            assert ours.lower <= exact.lower
            assert ours.upper >= exact.upper
    assert sealed(month, "error_bins") == sealed(whole, "error_bins")
    assert [one.code for one in month.notes] == ["binned_quantiles"]


sizes = st.floats(-1e100, 1e100) | st.floats(-1e3, 1e3) | st.sampled_from([0.0, 1e-300, 2.0, 0.5])
outcomes = st.tuples(sizes, sizes, st.sampled_from("ab"))


@given(st.lists(st.lists(outcomes, min_size=1, max_size=6), min_size=1, max_size=4))
@settings(max_examples=4, deadline=None)
def test_sums_of_residuals_of_any_size_add_up_digit_by_digit(tmp_path_factory, days):
    home = tmp_path_factory.mktemp("sizes")
    declared = mapping(task="regression", label="y", prediction="p", sensitive=["g"])

    def counted(rows, name):
        y, p, g = (list(column) for column in zip(*rows, strict=True))
        return regression_cube(
            source_of(write(home / name, {"y": y, "p": p, "g": g}), home), declared
        )

    whole, bins = counted([row for day in days for row in day], "all.parquet")
    parts = [counted(day, f"{place}.parquet") for place, day in enumerate(days)]
    month = merge_regressions([one for one, _ in parts])
    assert merge_regressions([one for one, _ in reversed(parts)]) == month
    assert merge_error_bins([one for _, one in parts]) == bins
    assert (month.rows, [one.n for one in month.groups]) == (
        whole.rows,
        [one.n for one in whole.groups],
    )
    assert month.frame.unit == whole.frame.unit
    for ours, theirs in zip(month.groups, whole.groups, strict=True):
        for name in ("e", "size", "e2", "e4"):
            # What lies under the last digit of the larger frame is cut once or once a row.
            assert abs(ours.sums[name] - theirs.sums[name]) <= theirs.n, name
    assert RegressionCube.from_json(json.loads(json.dumps(month.to_json()))) == month
    assert ErrorBins.from_json(json.loads(json.dumps(bins.to_json()))) == bins


@given(st.lists(st.floats(-1e140, 1e140), min_size=1, max_size=20))
@settings(max_examples=4, deadline=None)
def test_a_bin_holds_its_sizes(tmp_path_factory, errors):
    home = tmp_path_factory.mktemp("bins")
    path = write(home / "x.parquet", {"y": [0.0] * len(errors), "p": errors})
    declared, source = mapping(task="regression", label="y", prediction="p"), source_of(path, home)
    _, bins = regression_cube(source, declared)
    ranks = range(1, len(errors) + 1)
    exact = sorted_sizes(source, declared, (), {(): ranks})[()]
    for rank in ranks:
        low, high = bins.of(()).at(rank)
        assert low <= exact[rank] < high
        assert high - low <= max(low / 128, math.ldexp(1.0, -512))
    assert edges(0) == (1.0, 1 + 1 / 128)


def _compared(kind, data, _, *, other, **more):
    """A job whose comparator scores the rows, beside what the data say."""
    scoring = CheckJob.from_json(loan_job(kind, data, other))
    comparator = Comparator("version 1", scoring.artifact, scoring.input_spec)
    return {**loan_job(kind, data, None, **more), "comparator": comparator.to_json()}


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return train_xgboost(tmp_path_factory.mktemp("other") / "model.json", loans(60, seed=1))


def test_pairs_of_two_versions(tmp_path, other):
    def of(*given, **more):
        return _compared(*given, other=other, **more)

    month, whole = rolled("performance", DECIDED, dict(LEAST), 5, tmp_path, of=of, days=2)
    same_figures(month, whole)
    for about in ({}, {"sex": "Male"}, {"region": "north"}):
        assert find(month, "accuracy_gain", **about).value is not None
        assert find(month, "auc_gain", **about).value is not None
    assert sealed(month, "paired", "compared_with") == sealed(whole, "paired", "compared_with")
    document = json.loads(month.cube)
    document["compared_with"] = {**document["compared_with"], "artifact": "0" * 64}
    parts = (
        Part(tmp_path / "0.json", *_digest(tmp_path / "0.json")),
        _part(tmp_path, "b", document),
    )
    mixed = roll_up(RollupJob("performance", parts, dict(LEAST)), progress=quiet, libraries={})
    assert find(mixed, "accuracy").value is not None
    assert find(mixed, "accuracy_gain").undefined_reason == "does_not_add_up"
    assert [one.code for one in mixed.notes] == ["compared_with_several"]
    assert "paired" not in json.loads(mixed.cube)


def _digest(path):
    return sha256(path), "recomputed"


def test_integers_that_floats_merge_stay_untold_in_a_sum(tmp_path):
    columns = {**people(), "code": 2**62 + np.arange(ROWS)}
    reference = data_file(write(tmp_path / "reference.parquet", columns))

    def of(*given, **more):
        return loan_job(*given, **more, reference=reference)

    declared = {"features": ["income", "code"]}
    month, whole = rolled("drift", declared, {}, 2, tmp_path, columns, of)
    for one in (month, whole):
        assert find(one, "psi", feature="code").undefined_reason == "precision_lost"
        assert find(one, "psi", feature="income").value is not None


def test_what_needs_the_rows_is_undefined_and_said(tmp_path):
    columns = people()
    reference = data_file(write(tmp_path / "reference.parquet", people(9)))
    config = {"multivariate": True}

    def of(*given, **more):
        return loan_job(*given, **more, reference=reference)

    declared = {"features": ["income", "points", "worth"], "label": "paid"}
    month, whole = rolled("drift", declared, config, 2, tmp_path, columns, of, days=1)
    assert find(whole, "domain_classifier_auc").value is not None
    assert find(month, "domain_classifier_auc").undefined_reason == "does_not_add_up"
    (note,) = [one for one in month.notes if one.code == "needs_rows"]
    assert "multivariate" in note.text


def _outcome(declared, config, home, kind="performance", columns=None):
    path = write(home / "x.parquet", columns or people())
    return run(loan_job(kind, path, None, mapping=declared, config=config, floor=1), home / "w")


def _part(home, name, document):
    from monitoring.engine import cube

    data, digest = cube.seal(document)
    path = home / f"{name}.json"
    path.write_bytes(data)
    return Part(path, digest, "recomputed")


def test_cubes_that_do_not_fit_are_refused_by_name(tmp_path):
    document = json.loads(_outcome(NUMBERS, {}, tmp_path).cube)
    older = {**document, "regression": {**document["regression"], "bits": 15}}
    lacking = {name: part for name, part in document.items() if name != "error_bins"}
    other = {**document, "mapping": mapping(**{**NUMBERS, "label": "guess"}).to_json()}
    for wrong, error in ((older, Unprocessable), (lacking, Unprocessable), (other, Invalid)):
        parts = (_part(tmp_path, "a", document), _part(tmp_path, "b", wrong))
        with pytest.raises(error) as caught:
            roll_up(RollupJob("performance", parts, {}), progress=quiet, libraries={})
        assert caught.value.field == "made_of"
    torn = replace(_part(tmp_path, "a", document), digest="0" * 64)
    with pytest.raises(Unprocessable):
        roll_up(RollupJob("performance", (torn,), {}), progress=quiet, libraries={})


def test_small_groups_of_a_sum_stay_hidden(tmp_path):
    document = json.loads(_outcome(DECIDED, LEAST, tmp_path).cube)
    parts = (_part(tmp_path, "a", document), _part(tmp_path, "b", document))
    config = {**LEAST, "groupings": [["sex", "race"]]}
    month = roll_up(RollupJob("performance", parts, config), progress=quiet, libraries={})
    small = [one for one in month.measurements if one.detail.get("n_below") == 11]
    assert small
    assert month.public_cube is not None
    counts = [cell[-1] for cell in json.loads(month.public_cube)["contingency"]["cells"]]
    assert "<11" in counts
    assert all(n is None or n == "<11" or n >= 11 for n in counts)
