"""Two versions that predict numbers, on the same rows: who errs less, and how sure that is."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kernel.errors import Invalid
from monitoring.engine.checks.performance import measure_regression
from monitoring.engine.cube.paired import OTHER_SCORE
from monitoring.engine.cube.paired_errors import (
    PairedErrors,
    merge_paired_errors,
    paired_errors,
)
from monitoring.engine.cube.regression import regression_cube
from monitoring.engine.job import CheckJob, Comparator
from tests.monitoring.engine.making import (
    SPEC,
    find,
    loan_job,
    loans,
    mapping,
    matrix_of,
    run,
    source_of,
    write,
)

DECLARED = {"task": "regression", "label": "y", "prediction": "p", "sensitive": ["g"]}
ABSOLUTE, SQUARED = "mean_absolute_error_gain", "root_mean_squared_error_gain"


def opened(home, columns, name="x.parquet"):
    """The other model's answers `q` stand where the service puts them beside the rows."""
    source = source_of(write(home / name, columns), home)
    return replace(source, table=source.table.mutate(**{OTHER_SCORE: source.table.q}))


def paired(home, columns, name="x.parquet"):
    return paired_errors(opened(home, columns, name), mapping(**DECLARED))


def measured(home, columns, **config):
    declared, source = mapping(**DECLARED), opened(home, columns)
    sums, bins = regression_cube(source, declared)
    pairs = paired_errors(source, declared)
    return measure_regression(sums, None, config, 1, bins=bins, paired=pairs)


def drawn(rows=400, seed=6):
    rng = np.random.default_rng(seed)
    y, shared = rng.normal(1_000, 300, rows), rng.normal(0, 50, rows)
    return {
        "y": y,
        "p": y + shared + rng.normal(0, 20, rows),
        "q": y + shared + rng.normal(15, 60, rows),
        "g": rng.choice(["a", "b"], rows),
    }


def test_gains_are_differences_of_the_errors_with_paired_intervals(tmp_path):
    columns = drawn()
    found = measured(tmp_path, columns)
    for about in ({}, {"g": "a"}):
        rows = columns["g"] == "a" if about else np.ones(400, bool)
        a, b = (np.abs(columns[name] - columns["y"])[rows] for name in ("p", "q"))
        gain = find(found, ABSOLUTE, **about)
        assert gain.value == pytest.approx((b - a).mean(), rel=1e-12)
        test = stats.ttest_rel(b, a).confidence_interval(0.95)
        assert (gain.lower, gain.upper) == pytest.approx((test.low, test.high), rel=1e-9)
        assert gain.detail == pytest.approx({"this": a.mean(), "other": b.mean()}, rel=1e-12)
        assert gain.n == rows.sum()
        root = find(found, SQUARED, **about)
        roots = [math.sqrt((one**2).mean()) for one in (a, b)]
        assert root.value == pytest.approx(roots[1] - roots[0], rel=1e-12)
        effect = b**2 / (2 * roots[1]) - a**2 / (2 * roots[0])
        error = effect.std(ddof=1) / math.sqrt(len(a)) * stats.norm.ppf(0.975)
        assert root.upper - root.value == pytest.approx(error, rel=1e-9)
        assert root.lower < root.value < root.upper
    # As if each model had erred on rows of its own, it would be less sure.
    apart = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert gain.upper - gain.lower < apart.high - apart.low
    assert {plot.name for plot in found.plots} >= {f"{ABSOLUTE}_by_g"}


def test_a_model_gains_nothing_over_itself_and_few_rows_are_insufficient(tmp_path):
    columns = drawn(60)
    columns["q"] = columns["p"]
    found = measured(tmp_path, columns)
    for metric in (ABSOLUTE, SQUARED):
        gain = find(found, metric)
        assert (gain.value, gain.lower, gain.upper) == pytest.approx((0, 0, 0), abs=1e-9)
    few = measured(tmp_path, columns, minimum={ABSOLUTE: 100})
    assert find(few, ABSOLUTE).undefined_reason == "insufficient"
    exact = {**columns, "p": columns["y"]}
    assert find(measured(tmp_path, exact), SQUARED).lower is None


def test_rows_that_one_of_them_has_no_number_for_are_in_neithers_favour(tmp_path):
    columns = {"y": [1.0, 2.0, 3.0], "p": [1.5, 2.5, np.nan], "g": ["a"] * 3}
    columns["q"] = [2.0, np.inf, 3.0]
    found = measured(tmp_path, columns, minimum={"default": 1})
    gain = find(found, ABSOLUTE)
    assert (gain.value, gain.n, gain.lower) == (0.5, 1, None)
    columns["p"] = [np.nan] * 3
    with pytest.raises(Invalid) as caught:
        paired(tmp_path, columns)
    assert caught.value.field == "config.compare_with"


sizes = st.floats(-1e100, 1e100) | st.floats(-1e3, 1e3) | st.sampled_from([0.0, 1e-200])
rows_of = st.lists(st.tuples(sizes, sizes, sizes, st.sampled_from("ab")), min_size=1, max_size=6)


@given(st.lists(rows_of, min_size=1, max_size=3))
@settings(max_examples=6, deadline=None)
def test_pairs_of_days_add_up(tmp_path_factory, days):
    home = tmp_path_factory.mktemp("pairs")

    def counted(rows, name):
        y, p, other, g = (list(column) for column in zip(*rows, strict=True))
        return paired(home, {"y": y, "p": p, "q": other, "g": g}, name)

    whole = counted([row for day in days for row in day], "all.parquet")
    parts = [counted(day, f"{place}.parquet") for place, day in enumerate(days)]
    month = merge_paired_errors(parts)
    assert merge_paired_errors(parts[::-1]) == month
    assert (month.unit, month.attributes) == (whole.unit, whole.attributes)
    for ours, theirs in zip(month.groups, whole.groups, strict=True):
        assert (ours.group, ours.n) == (theirs.group, theirs.n)
        for name, units in ours.sums.items():
            assert abs(units - theirs.sums[name]) <= theirs.n, name
    assert PairedErrors.from_json(json.loads(json.dumps(month.to_json()))) == month


def test_the_version_in_production_predicts_the_same_rows(tmp_path):
    from xgboost import XGBRegressor

    columns = loans(500)
    columns["worth"] = np.asarray(columns["income"]) * 10
    path = write(tmp_path / "x.parquet", columns)
    models = []
    for place, trees in enumerate((15, 3)):
        model = XGBRegressor(n_estimators=trees, max_depth=3, n_jobs=1, random_state=1)
        model.fit(matrix_of(columns), columns["worth"])
        models.append(tmp_path / f"{place}.json")
        model.get_booster().save_model(models[-1])
    spec = {"features": SPEC["features"], "output": "number"}
    declared = {
        "task": "regression",
        "label": "worth",
        "sensitive": ["sex"],
        "controls": ["region"],
    }
    job = {**loan_job("performance", path, models[0]), "mapping": declared, "input_spec": spec}
    other = CheckJob.from_json({**loan_job("performance", path, models[1]), "input_spec": spec})
    comparator = Comparator("version 1", other.artifact, other.input_spec)
    outcome = run({**job, "comparator": comparator.to_json()}, tmp_path / "w")
    assert outcome.grade == "re-performed"
    from xgboost import Booster

    errors = []
    for path in models:
        guess = Booster(model_file=str(path)).inplace_predict(matrix_of(columns))
        errors.append(np.abs(guess.astype(float) - columns["worth"]).mean())
    for about in ({}, {"sex": "Female"}, {"region": "north"}):
        gain = find(outcome, ABSOLUTE, **about)
        assert 0 < gain.lower < gain.value < gain.upper
    assert find(outcome, ABSOLUTE).value == pytest.approx(errors[1] - errors[0], rel=1e-6)
    document = json.loads(outcome.cube)
    assert document["compared_with"] == other_identity(other)
    assert document["paired_errors"]["attributes"] == ["sex"]
    assert document["slices"]["paired_errors"]["attributes"] == ["region"]


def other_identity(job):
    return {"artifact": job.artifact.digest, "input_spec": job.input_spec.digest}
