"""What the table says of each kind of check, beside what the check measures."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.errors import Invalid
from monitoring.engine.checks import oversight
from monitoring.engine.job import CheckJob
from monitoring.engine.mapping import ColumnMapping
from monitoring.limits import parse_limits
from monitoring.measurable import Asked, check_limits, check_names, offers
from monitoring.metrics.figures import BY_KIND, figure_of
from tests.monitoring.engine.making import loan_job, loans, mapping, run, train_xgboost, write

FAIR = {
    "groupings": ["sex"],
    "metrics": sorted(
        name
        for name in BY_KIND["fairness"]
        if not name.startswith(("conditional_", "subgroup_", "ll144_", "group_", "calibration_"))
    ),
    "controls": ["region"],
    "calibration": True,
    "subgroups": {"metrics": ["selection_rate", "accuracy"], "depth": 2},
    "ll144": {"mode": "selection"},
    "minimum": {"default": 11},
}
CONFIGS = {
    "performance": {
        "intersections": True,
        "estimate": True,
        "costs": {"false_negative": 5, "false_positive": 1},
    },
    "fairness": FAIR,
    "drift": {"window": "month", "multivariate": True, "importance": {"income": 2, "debt": 1}},
    "data_quality": {
        "identity": ["income", "region"],
        "schema": {"income": "numeric"},
        "freshness": {"most_days": 30},
        "volume": {"least": 1},
        "ranges": True,
        "rules": [{"column": "income", "rule": "between", "least": 0}],
    },
    "explainability": {"groupings": ["sex"], "proxy_screen": True, "rows": 200},
    "robustness": {"groupings": ["sex"], "rows": 300},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measurable")
    before, after = loans(600, seed=5), loans(600, seed=6)
    days = [datetime(2026, 1 + index % 2, 3, tzinfo=UTC) for index in range(600)]
    files = [
        write(folder / f"{name}.parquet", {**columns, "at": days})
        for name, columns in (("before", before), ("after", after))
    ]
    return folder, files, train_xgboost(folder / "model.json", before)


def job_of(kind, made):
    _, (before, after), model = made
    job = loan_job(kind, after, None if kind == "data_quality" else model, config=CONFIGS[kind])
    job["mapping"]["time"] = "at"
    if kind == "fairness":
        job["mapping"]["controls"] = ["region"]
    if kind in ("drift", "data_quality"):
        job["reference"] = loan_job(kind, before, None)["dataset"]
    if kind == "data_quality":
        job["as_of"] = "2026-03-01T00:00:00Z"
    return job


def asked_of(job, **more):
    read = CheckJob.from_json(job)
    return Asked(read.kind, read.config, read.mapping, has_reference="reference" in job, **more)


def held(measurements, known):
    """Each figure is in the table, within its range, and a limit on it may be written."""
    measured = [one for one in measurements if one.value is not None]
    for one in measured:
        figure, margin = figure_of(known.kind, one.metric), 1e-9
        assert figure is not None, one.metric
        assert figure.least - margin <= one.value <= figure.most + margin, one
        if one.lower is not None:
            assert figure.ends is not None, one.metric
            assert figure.ends[0] - margin <= one.lower <= one.upper <= figure.ends[1] + margin, one
        limit = {"metric": one.metric, "slice": dict(one.slice), "op": "<=", "value": 0.5}
        if figure.least <= 0.5 < figure.most and one.metric != "expected_cost":
            check_limits(parse_limits([limit]), known)
    assert {one.metric for one in measured} == set(offers(known))


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_a_check_measures_is_in_the_table_and_within_its_range(kind, made):
    job = job_of(kind, made)
    held(run(job, made[0]).measurements, asked_of(job, inputs=["income", "debt", "region"]))


def test_so_are_the_figures_of_predicted_numbers(tmp_path):
    columns = loans(300)
    columns["guess"] = columns["income"] + 1.5 * columns["income"] % 7
    job = loan_job("performance", write(tmp_path / "numbers.parquet", columns), None)
    job["config"] = {"quantiles": [0.5, 0.9, 0.975]}
    job["mapping"] |= {
        "label": "income", "prediction": "guess", "task": "regression", "features": ["debt"],
        "categorical": [],
    }  # fmt: skip
    held(run(job, tmp_path).measurements, asked_of(job))


def test_so_are_those_of_human_decisions():
    pairs = {
        (model, human, outcome): 40
        for model in ("approve", "deny")
        for human in ("approve", "deny")
        for outcome in ("approve", "deny")
    }
    counts = oversight.Counts(
        pairs,
        bins=[(10, 30)] * (len(oversight.EDGES) - 1) + [(1, 20)],
        fast=(10, 90),
        days={"2026-01-01": (50, 100), "2026-01-02": (60, 110)},
        slices={"sex": {"F": (20, 60)}},
        reviewers={"r1": (20, 60)},
        reviewer_count=4,
        reasons={"": 30, "new": 130},
    )
    known = Asked("oversight", {}, mapping())
    held(oversight.measure(counts, {}).measurements, known)
    held(oversight.measure(counts, {}).measurements, replace(known, config={"slices": ["sex"]}))


COLUMNS = {
    "label": "paid",
    "prediction": "decision",
    "score": "score",
    "sensitive": ["sex", {"name": "age", "edges": [40, 65]}],
    "features": ["income", "region"],
    "categorical": ["region"],
}
ACCURACY = {"metric": "accuracy", "op": ">=", "value": 0.8}
PSI = {"metric": "psi", "op": "<=", "value": 0.2, "attribute": "feature"}
GAP = {"metric": "demographic_parity_difference", "op": "<=", "value": 0.1, "attribute": "sex"}


@pytest.mark.parametrize(
    ("kind", "limit", "field", "said"),
    [
        ("performance", ACCURACY | {"metric": "acuracy"}, "metric", "measures no acuracy"),
        ("performance", PSI, "metric", "measures no psi"),
        ("performance", ACCURACY | {"metric": "accuracy_gain"}, "metric", "measured are accuracy"),
        ("performance", ACCURACY | {"metric": "mean_error"}, "metric", "as the check is"),
        ("performance", ACCURACY | {"attribute": "sex"}, "attribute", "any sex"),
        ("performance", ACCURACY | {"slice": {"nix": "A"}}, "slice", "everybody"),
        ("performance", ACCURACY | {"slice": {"age": "young"}}, "slice", "under 40"),
        ("performance", ACCURACY | {"slice": {"sex": "F", "age": "under 40"}}, "slice", "any sex"),
        ("performance", ACCURACY | {"value": 0}, "value", "ever break"),
        ("performance", ACCURACY | {"value": -5}, "value", "ever break"),
        ("performance", ACCURACY | {"op": "<=", "value": 1}, "value", "ever break"),
        ("performance", ACCURACY | {"value": 1.5}, "value", "ever keep"),
        ("performance", ACCURACY | {"op": "<=", "value": -0.1}, "value", "ever keep"),
        ("performance", ACCURACY | {"bound": "lower", "value": 0}, "value", "ever break"),
        ("fairness", GAP | {"attribute": "nix"}, "attribute", "attribute sex"),
        ("fairness", GAP | {"attribute": "sex,age"}, "attribute", "attribute age"),
        ("fairness", GAP | {"metric": "impact_ratio"}, "metric", "as the check is configured"),
        ("fairness", ACCURACY, "slice", "any sex"),
        ("drift", PSI | {"bound": "upper"}, "bound", "no interval"),
        ("drift", PSI | {"op": ">=", "value": -1}, "value", "ever break"),
        ("drift", PSI | {"metric": "ks_statistic", "value": 1}, "value", "ever break"),
        ("drift", PSI | {"metric": "jensen_shannon", "value": 0.9}, "value", "to 0.8326"),
        ("drift", {**PSI, "attribute": "", "slice": {"feature": "incme"}}, "slice", "income"),
        ("drift", {**PSI, "attribute": ""}, "slice", "attribute feature"),
        (
            "drift",
            {**PSI, "metric": "ks_statistic", "attribute": "", "slice": {"feature": "region"}},
            "slice",
            "income",
        ),
        ("data_quality", PSI | {"metric": "leakage_rate", "attribute": ""}, "metric", "rows"),
        ("oversight", ACCURACY | {"metric": "decisions", "value": 0}, "value", "ever break"),
    ],
)
def test_a_limit_that_holds_nothing_is_refused(kind, limit, field, said):
    own = {} if kind == "oversight" else COLUMNS
    known = Asked(kind, {}, ColumnMapping.from_json(own), has_reference=kind == "drift")
    with pytest.raises(Invalid) as caught:
        check_limits(parse_limits([limit]), known)
    assert caught.value.field == f"limits[0].{field}"
    assert said in caught.value.detail


@pytest.mark.parametrize(
    ("kind", "limit", "config"),
    [
        ("performance", ACCURACY | {"value": 1}, {}),
        ("performance", ACCURACY | {"slice": {"sex": "Nobody"}}, {}),
        ("performance", ACCURACY | {"slice": {"age": "under 40"}}, {}),
        ("performance", ACCURACY | {"slice": {"age": "unknown"}}, {}),
        ("fairness", GAP | {"value": 0}, {}),
        ("fairness", GAP | {"bound": "lower", "value": 0}, {}),
        ("fairness", GAP | {"attribute": "age,sex"}, {"intersections": True}),
        ("drift", PSI, {}),
        ("drift", {**PSI, "attribute": "", "slice": {"output": "score"}}, {}),
    ],
)
def test_one_that_hangs_on_the_data_is_not(kind, limit, config):
    known = Asked(kind, config, ColumnMapping.from_json(COLUMNS), has_reference=True)
    check_limits(parse_limits([limit]), known)


def test_costs_bound_what_a_decision_costs():
    config = {"costs": {"false_negative": 5, "true_positive": -1}}
    known = Asked("performance", config, ColumnMapping.from_json(COLUMNS))
    cost = {"metric": "expected_cost", "op": "<=", "value": 4.9}
    check_limits(parse_limits([cost]), known)
    with pytest.raises(Invalid) as caught:
        check_limits(parse_limits([cost | {"value": 5}]), known)
    assert caught.value.field == "limits[0].value"


def test_without_outcomes_only_what_needs_none_is_measured():
    unlabelled = ColumnMapping.from_json({**COLUMNS, "label": None})
    assert set(offers(Asked("fairness", {}, unlabelled))) == {
        "selection_rate",
        "demographic_parity_difference",
        "demographic_parity_ratio",
    }
    late = offers(Asked("performance", {"estimate": True}, unlabelled))
    assert "estimated_accuracy" in late
    assert "accuracy" not in late


@given(st.sampled_from([(k, n) for k in BY_KIND for n in BY_KIND[k]]), st.floats(-3, 3), st.data())
def test_a_limit_that_passes_could_be_kept_and_could_be_broken(known, value, data):
    kind, name = known
    op = data.draw(st.sampled_from(["<=", ">="]))
    figure = figure_of(kind, name)
    least, most = max(figure.least, -1e9), min(figure.most, 1e9)
    keeps = [one <= value if op == "<=" else one >= value for one in (least, most)]
    limits = parse_limits([{"metric": name, "op": op, "value": value}])
    if any(keeps) and not all(keeps):
        check_names(limits, kind)
    else:
        with pytest.raises(Invalid):
            check_names(limits, kind)
