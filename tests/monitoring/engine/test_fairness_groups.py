"""Fairness beyond the default: references, strata of controls, subgroups, calibration."""

from datetime import UTC, datetime

import fairlearn.metrics as fair
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from governance.controls.judging import Rule, judge_rule
from governance.controls.measured import MetricAtLeast, MetricEach
from governance.controls.results import Mode, Status
from kernel.errors import Invalid
from monitoring.engine import statistics
from monitoring.engine.checks import fairness
from monitoring.engine.cube import Cell, Contingency
from monitoring.engine.results import CheckResult
from reports import charts
from tests.monitoring.engine.making import data_file, find, run, write

IMPACT = {"metrics": ["demographic_parity_ratio", "impact_ratio"]}
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def cube(attributes, counts):
    """Counts by group: (selected, n), with everybody of a positive outcome."""
    cells = []
    for group, (k, n) in counts.items():
        names = (group,) if isinstance(group, str) else group
        cells += [Cell(names, 1, 1, k)] if k else []
        cells += [Cell(names, 1, 0, n - k)] if n > k else []
    return Contingency(tuple(attributes), tuple(cells))


def judged(control, result: CheckResult) -> Status:
    """What governance says of the measurements of a run."""
    measured = [
        {**one.to_json(), "undefined": one.undefined_reason or "", "grade": "recomputed"}
        for one in result.measurements
    ]
    run = {
        "id": "r",
        "kind": "fairness",
        "purpose": "validation",
        "state": "succeeded",
        "grade": "recomputed",
        "dataset": {"name": "d", "digest": "1" * 64},
        "finished_at": "2026-11-01T10:00:00Z",
        "measurements": measured,
    }
    facts = {"runs": [run], "live": {"runs": []}, "datasets": []}
    return judge_rule(Rule("x", Mode.BLOCK, control), facts, NOW).status


def four_fifths(**more):
    return MetricEach(
        metric="impact_ratio", attribute="race", at_least=0.8, judge_by="interval", **more
    )


def test_trap_four_fifths_by_chance_at_500_is_insufficient_once_judged():
    """At n = 500 the rule is violated in most data sets in which everybody is treated alike."""
    sizes = {"a": 250, "b": 125, "c": 75, "d": 50}
    rng, violated, failed = np.random.default_rng(1), 0, 0
    for seed in range(12):
        counts = {group: (int(rng.binomial(n, 0.3)), n) for group, n in sizes.items()}
        result = fairness.measure(cube(["race"], counts), IMPACT, seed)
        ratio = find(result, "demographic_parity_ratio", race="*")
        whole = MetricAtLeast(
            metric="demographic_parity_ratio", attribute="race", limit=0.8, judge_by="interval"
        )
        if ratio.value < 0.8:
            violated += 1
            assert ratio.lower < 0.8
            crosses = ratio.upper > 0.8
            assert judged(whole, result) is (Status.INSUFFICIENT if crosses else Status.FAIL)
            failed += not crosses
            point = MetricAtLeast(metric="demographic_parity_ratio", attribute="race", limit=0.8)
            assert judged(point, result) is Status.FAIL
    assert violated >= 8
    assert failed <= 1


def test_four_fifths_is_judged_group_by_group():
    counts = {"a": (5_000, 10_000), "b": (2_500, 10_000), "c": (4_900, 10_000), "d": (20, 50)}
    result = fairness.measure(cube(["race"], counts), IMPACT, 1)
    assert judged(four_fifths(groups=("a", "c")), result) is Status.PASS
    assert judged(four_fifths(groups=("a", "b")), result) is Status.FAIL
    assert judged(four_fifths(groups=("a", "d")), result) is Status.INSUFFICIENT
    assert [plot.name for plot in result.plots] == ["impact_ratio_by_race"]


def test_the_highest_of_equals_may_not_be_the_highest():
    counts = {"a": (300, 1_000), "b": (298, 1_000)}
    result = fairness.measure(cube(["race"], counts), IMPACT, 1)
    best, other = (find(result, "impact_ratio", race=name) for name in "ab")
    assert (best.value, best.upper) == (1.0, 1.0)
    assert 0.8 < best.lower < 0.95
    assert other.lower < other.value < other.upper == 1.0
    assert other.detail["reference"] == {"race": "a"}


def test_one_far_above_all_others_is_the_highest_for_certain():
    counts = {"a": (900, 1_000), "b": (298, 1_000), "c": (300, 1_000)}
    best = find(fairness.measure(cube(["race"], counts), IMPACT, 1), "impact_ratio", race="a")
    assert (best.lower, best.value, best.upper) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("reference", "group", "rule"),
    [(None, "c", "highest"), ("largest", "b", "largest"), ({"race": "a"}, "a", "named")],
)
def test_the_group_of_reference_is_chosen(reference, group, rule):
    counts = {"a": (30, 100), "b": (200, 500), "c": (100, 200)}
    config = {"metrics": ["impact_ratio", "demographic_parity_difference_to_reference"]}
    if reference:
        config["reference"] = reference
    result = fairness.measure(cube(["race"], counts), config, 1)
    k, n = counts[group]
    for name, (mine, size) in counts.items():
        ratio = find(result, "impact_ratio", race=name)
        assert ratio.value == pytest.approx(mine / size / (k / n))
        assert ratio.detail["reference"] == {"race": group}
        assert ratio.detail["reference_rule"] == rule
        gap = find(result, "demographic_parity_difference_to_reference", race=name)
        assert gap.value == pytest.approx(mine / size - k / n)
        assert gap.lower <= gap.value <= gap.upper
        if rule != "highest" and name != group:
            katz = statistics.katz((mine, size), (k, n), 0.95)
            assert (ratio.lower, ratio.upper) == pytest.approx((katz.lower, katz.upper))


def test_a_named_reference_that_is_too_small_compares_with_nobody():
    counts = {"a": (5, 10), "b": (200, 500), "c": (100, 200)}
    config = {**IMPACT, "reference": {"race": "a"}}
    result = fairness.measure(cube(["race"], counts), config, 1)
    assert find(result, "impact_ratio", race="a").undefined_reason == "insufficient"
    assert find(result, "impact_ratio", race="b").undefined_reason == "no_denominator"


def strata_rows():
    rng = np.random.default_rng(3)
    n = 900
    sex, region = rng.choice(["f", "m"], n), rng.choice(["north", "south"], n)
    # The south selects fewer, and women live there: no disparity within a region.
    sex = np.where((region == "south") & (rng.random(n) < 0.6), "f", sex)
    p = (rng.random(n) < np.where(region == "south", 0.2, 0.6)).astype(int)
    return {"sex": sex, "region": region, "y": rng.integers(0, 2, n), "p": p}


def test_strata_of_controls_are_fairlearns_and_explain_a_difference(tmp_path):
    rows = strata_rows()
    names = ["demographic_parity_difference", "equal_opportunity_ratio", "accuracy_difference"]
    job = {
        "kind": "fairness",
        "dataset": data_file(write(tmp_path / "rows.parquet", rows)),
        "mapping": {
            "label": "y",
            "positive": 1,
            "prediction": "p",
            "sensitive": ["sex"],
            "controls": ["region"],
        },
        "config": {"metrics": names, "controls": ["region"]},
    }
    result = run(job, tmp_path)
    frame = fair.MetricFrame(
        metrics={"p": fair.selection_rate, "t": fair.true_positive_rate},
        y_true=rows["y"],
        y_pred=rows["p"],
        sensitive_features=pd.Series(rows["sex"], name="sex"),
        control_features=pd.Series(rows["region"], name="region"),
    )
    for region in ("north", "south"):
        gap = find(result, "demographic_parity_difference", sex="*", region=region)
        assert gap.value == pytest.approx(frame.difference()["p"][region], abs=1e-12)
        ratio = find(result, "equal_opportunity_ratio", sex="*", region=region)
        assert ratio.value == pytest.approx(frame.ratio()["t"][region], abs=1e-12)
    whole = find(result, "demographic_parity_difference", sex="*")
    within = find(result, "conditional_demographic_parity_difference", sex="*")
    assert whole.lower > 0
    assert within.lower == 0
    assert within.value == pytest.approx(max(frame.difference()["p"]), abs=1e-12)
    assert within.detail["stratum"] == {"region": frame.difference()["p"].idxmax()}
    assert within.detail["p"] > 0.05


def test_a_stratum_without_two_groups_is_told_and_left_out():
    counts = {("f", "x"): (50, 100), ("m", "x"): (40, 100), ("f", "y"): (50, 100)}
    config = {"metrics": ["demographic_parity_difference"], "controls": ["region"]}
    result = fairness.measure(cube(["sex", "region"], counts), config, 1, controls=["region"])
    within = find(result, "conditional_demographic_parity_difference", sex="*")
    assert within.value == pytest.approx(0.1)
    assert within.detail["strata_left_out"] == [{"region": "y"}]
    alone = find(result, "demographic_parity_difference", sex="*", region="y")
    assert alone.undefined_reason == "insufficient"


def test_subgroups_are_searched_and_the_search_is_paid_for():
    counts = {
        (sex, race): (60 if (sex, race) == ("f", "b") else 150, 300)
        for sex in "fm"
        for race in "abc"
    }
    asked = {"metrics": ["selection_rate"], "subgroups": {"top": 3}}
    found = fairness.measure(cube(["sex", "race"], counts), asked, 1)
    told = [one for one in found.measurements if one.metric.startswith("subgroup_")]
    assert len(told) == 3
    assert dict(told[0].slice) == {"sex": "f", "race": "b"}
    assert told[0].value == pytest.approx(60 / 300 - 750 / 1500)
    assert told[0].detail["searched"] == 11
    assert told[0].detail["p_max_t"] < 0.001
    for one in told:
        assert one.detail["p_alone"] <= one.detail["p_bh"]
        assert one.detail["p_alone"] <= one.detail["p_max_t"]
    assert found.plots[-1].name == "subgroup_selection_rate_difference"


def test_a_search_where_there_is_nothing_finds_nothing(monkeypatch):
    monkeypatch.setattr(statistics.base, "REPLICATES", 1_000)
    rng, alarms, alone, runs = np.random.default_rng(8), 0, 0, 25
    asked = {"metrics": ["selection_rate"], "subgroups": {"top": 100}}
    for seed in range(runs):
        counts = {
            (sex, race): (int(rng.binomial(60, 0.4)), 60) for sex in "fm" for race in "abcdef"
        }
        found = fairness.measure(cube(["sex", "race"], counts), asked, seed)
        told = [one for one in found.measurements if one.metric.startswith("subgroup_")]
        alarms += min(one.detail["p_max_t"] for one in told) <= 0.05
        alone += min(one.detail["p_alone"] for one in told) <= 0.05
        assert len(told) == 20
    assert alarms <= 4
    assert alone >= 8


def test_subgroups_may_be_of_controls_too_and_have_a_least_size():
    counts = {
        ("f", "x"): (10, 100),
        ("f", "y"): (50, 100),
        ("m", "x"): (50, 100),
        ("m", "y"): (5, 9),
    }
    config = {"metrics": ["selection_rate"], "subgroups": {"controls": True, "minimum": 50}}
    found = fairness.measure(cube(["sex", "region"], counts), config, 1, controls=["region"])
    told = [dict(m.slice) for m in found.measurements if m.metric.startswith("subgroup_")]
    assert told[0] == {"sex": "f", "region": "x"}
    assert {"sex": "m", "region": "y"} not in told


def scored_job(tmp_path, scores):
    rng, n = np.random.default_rng(2), 800
    sex = rng.choice(["f", "m"], n)
    score = np.round(rng.random(n), 6)
    y = (rng.random(n) < np.where(sex == "f", score * 0.7, score)).astype(int)
    rows = {"sex": sex, "score": score, "y": y, "p": (score > 0.5).astype(int)}
    return rows, {
        "kind": "fairness",
        "dataset": data_file(write(tmp_path / "rows.parquet", rows)),
        "mapping": {
            "label": "y",
            "positive": 1,
            "prediction": "p",
            "sensitive": ["sex"],
            **({"score": "score"} if scores else {}),
        },
        "config": {"metrics": ["selection_rate"], "calibration": True},
    }


def test_calibration_within_groups(tmp_path):
    rows, job = scored_job(tmp_path, True)
    result = run(job, tmp_path)
    larges = {}
    for name in "fm":
        here = rows["sex"] == name
        score, y = rows["score"][here], rows["y"][here]
        bins = np.minimum((score * 10).astype(int), 9)
        error = sum(
            abs(score[bins == one].mean() - y[bins == one].mean()) * (bins == one).mean()
            for one in range(10)
        )
        got = find(result, "group_calibration_error", sex=name)
        assert got.value == pytest.approx(error, abs=1e-9)
        assert (got.lower > 0) == (name == "f")
        assert got.lower <= got.detail["corrected"] < got.value <= got.upper
        large = find(result, "calibration_in_the_large", sex=name)
        larges[name] = large
        assert large.value == pytest.approx((score - y).mean(), abs=1e-9)
        width = t.ppf(0.975, len(y) - 1) * (score - y).std(ddof=1) / len(y) ** 0.5
        assert large.upper - large.value == pytest.approx(width, abs=1e-9)
    assert larges["f"].lower > 0.05
    assert larges["m"].lower < 0 < larges["m"].upper
    gap = find(result, "calibration_in_the_large_difference", sex="*")
    assert gap.value == pytest.approx(larges["f"].value - larges["m"].value)
    assert 0 < gap.lower < gap.value < gap.upper
    curve = next(plot for plot in result.plots if plot.name == "calibration_by_sex")
    assert [one["name"] for one in curve.series] == ["f", "m", "ideal"]


def test_calibration_without_scores_is_refused(tmp_path):
    _, job = scored_job(tmp_path, False)
    with pytest.raises(Invalid) as caught:
        run(job, tmp_path)
    assert caught.value.field == "config.calibration"


def test_every_chart_can_be_drawn(tmp_path):
    rows, job = scored_job(tmp_path, True)
    asked = {"metrics": ["precision", "impact_ratio"], "calibration": True, "subgroups": {}}
    result = run({**job, "config": {**asked, "ll144": {"mode": "scoring"}}}, tmp_path)
    names = {plot.name: charts.svg(plot.to_json()) for plot in result.plots}
    assert set(names) == {
        "precision_by_sex",
        "impact_ratio_by_sex",
        "calibration_in_the_large_by_sex",
        "calibration_by_sex",
        "subgroup_selection_rate_difference",
        "ll144_impact_ratio_by_sex",
    }
    assert all("<svg" in drawn for drawn in names.values())
    assert len(rows["sex"]) == result.rows
