"""New York City's Local Law 144: the worked examples of the rule, and what a summary must tell."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kernel.errors import Invalid
from monitoring.engine.checks import fairness
from monitoring.engine.cube import Cell, Contingency
from monitoring.engine.cube.medians import AboveMedian, above_median
from monitoring.engine.statistics import base
from tests.monitoring.engine.making import data_file, find, mapping, run, source_of, write

GIVEN = os.environ.get("COUNTERSIGN_VECTORS")
SHARED = Path(GIVEN) if GIVEN else Path(__file__).parents[4] / "shared" / "vectors"
CENSUS = SHARED.parent / "data" / "census_income_1994_1995.parquet"
LAW = {"metrics": ["selection_rate"], "ll144": {}}

# Sex: applicants, selected, impact ratio.
SEX = {"M": (1390, 667, 1.000), "F": (1181, 555, 0.979)}
RACE = {
    "Hispanic": (408, 204, 0.97),
    "White": (797, 412, 1.00),
    "Black": (390, 170, 0.84),
    "Pacific": (119, 52, 0.85),
    "Asian": (616, 302, 0.95),
    "Native": (41, 18, 0.85),
    "Two": (213, 96, 0.87),
}
BOTH = {
    ("M", "Hispanic"): (205, 90, 0.841),
    ("M", "White"): (412, 215, 1.000),
    ("M", "Black"): (226, 95, 0.806),
    ("M", "Pacific"): (87, 37, 0.815),
    ("M", "Asian"): (321, 167, 0.997),
    ("M", "Native"): (24, 11, 0.878),
    ("M", "Two"): (115, 52, 0.866),
    ("F", "Hispanic"): (190, 82, 0.827),
    ("F", "White"): (385, 197, 0.981),
    ("F", "Black"): (164, 75, 0.876),
    ("F", "Pacific"): (32, 15, 0.898),
    ("F", "Asian"): (295, 135, 0.877),
    ("F", "Native"): (17, 7, 0.789),
    ("F", "Two"): (98, 44, 0.860),
}
# Scoring: people, share above the median in percent, impact ratio; as printed, so cut to one digit.
SCORED_SEX = {"M": (92, 54.3, 1.00), "F": (76, 44.7, 0.82)}
SCORED_RACE = {
    "Hispanic": (28, 64.2, 1.00),
    "White": (40, 37.5, 0.58),
    "Black": (32, 50.0, 0.78),
    "Pacific": (8, 62.5, 0.97),
    "Asian": (24, 41.7, 0.65),
    "Native": (16, 62.5, 0.97),
    "Two": (20, 50.0, 0.78),
}


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch):
    monkeypatch.setattr(base, "REPLICATES", 500)


def cube(attributes, counts):
    cells = []
    for group, (n, k, *_) in counts.items():
        names = (group,) if isinstance(group, str) else group
        cells += [Cell(names, None, 1, k), Cell(names, None, 0, n - k)]
    return Contingency(attributes, tuple(cells))


@pytest.mark.parametrize(("attribute", "table"), [("sex", SEX), ("race", RACE)])
def test_the_rules_example_of_selection(attribute, table):
    config = {**LAW, "ll144": {"exclude_below": 0}}
    result = fairness.measure(cube((attribute,), table), config, 1)
    for group, (n, k, ratio) in table.items():
        rate = find(result, "ll144_selection_rate", **{attribute: group})
        assert (rate.value, rate.n, rate.detail["count"]) == (k / n, n, k)
        got = find(result, "ll144_impact_ratio", **{attribute: group})
        assert got.value == pytest.approx(ratio, abs=0.006)
        assert got.lower <= got.value <= got.upper
        assert ("p" in got.detail) == (ratio < 1)
    under = {"sex": "F", "race": "Black"}[attribute]
    found = find(result, "ll144_impact_ratio", **{attribute: under}).detail
    assert (found["p"] < 0.05) == (under == "Black")
    assert found["p"] <= found["p_bh"] <= found["p_holm"]


def test_the_rules_example_of_intersections_with_unknown_people():
    counts = {**BOTH, ("unknown", "unknown"): (250, 100)}
    result = fairness.measure(cube(("sex", "race"), counts), LAW, 1)
    small = {("F", "Pacific"), ("M", "Native"), ("F", "Native")}
    for (sex, race), (n, k, ratio) in BOTH.items():
        got = find(result, "ll144_impact_ratio", sex=sex, race=race)
        rate = find(result, "ll144_selection_rate", sex=sex, race=race)
        assert (rate.value, rate.n) == (k / n, n)
        if (sex, race) in small:
            assert (got.value, got.undefined_reason) == (None, "excluded_small_category")
            assert rate.detail["share"] < 0.02
        else:
            assert got.value == pytest.approx(ratio, abs=0.0006)
            assert got.detail["reference"] == {"sex": "M", "race": "White"}
    unknown = find(result, "ll144_unknown", sex="*", race="*")
    assert (unknown.value, unknown.unit, unknown.n) == (250, "count", 2571 + 250)
    for sex, (n, k, ratio) in SEX.items():
        rate = find(result, "ll144_selection_rate", sex=sex)
        assert (rate.n, rate.detail["count"]) == (n, k)
        got = find(result, "ll144_impact_ratio", sex=sex)
        assert got.value == pytest.approx(ratio, abs=0.0006)
    told = [one for one in result.measurements if one.metric.startswith("ll144_")]
    assert not any("unknown" in one.slice.values() for one in told)
    assert "ll144_impact_ratio_by_sex_race" in [plot.name for plot in result.plots]


def test_a_category_under_two_percent_is_excluded_unless_the_auditor_keeps_it():
    """Of 2,571 people 51.42 are two percent: 41 are fewer."""
    excluded = fairness.measure(cube(("race",), RACE), LAW, 1)
    assert find(excluded, "ll144_impact_ratio", race="Native").value is None
    assert find(excluded, "ll144_selection_rate", race="Native").n == 41
    kept = fairness.measure(cube(("race",), RACE), {**LAW, "ll144": {"exclude_below": 0.01}}, 1)
    assert find(kept, "ll144_impact_ratio", race="Native").value == pytest.approx(0.85, abs=0.006)


def test_trap_a_small_category_with_the_highest_rate_sets_no_reference():
    """VerifyWise divides by the rate of the ten and tells 0.487."""
    counts = {"a": (600, 300), "b": (390, 190), "c": (10, 10)}
    result = fairness.measure(cube(("race",), counts), LAW, 1)
    assert find(result, "ll144_impact_ratio", race="a").value == 1
    assert round(find(result, "ll144_impact_ratio", race="b").value, 3) == 0.974
    assert find(result, "ll144_selection_rate", race="c").value == 1
    assert find(result, "ll144_impact_ratio", race="c").value is None


@pytest.mark.parametrize(("attribute", "table"), [("sex", SCORED_SEX), ("race", SCORED_RACE)])
def test_the_rules_example_of_scoring(attribute, table):
    counts = {
        group: (n, round(n * share / 100), ratio) for group, (n, share, ratio) in table.items()
    }
    assert sum(n for n, _, _ in counts.values()) == 168
    assert sum(k for _, k, _ in counts.values()) == 84
    above = AboveMedian(
        (attribute,), 71.0, tuple(((group,), k, n) for group, (n, k, _) in counts.items())
    )
    config = {"metrics": ["selection_rate"], "ll144": {"mode": "scoring", "exclude_below": 0}}
    result = fairness.measure(cube((attribute,), counts), config, 1, above_median=above)
    for group, (n, share, ratio) in table.items():
        rate = find(result, "ll144_scoring_rate", **{attribute: group})
        assert rate.n == n
        assert 100 * rate.value == pytest.approx(share, abs=0.1)
        got = find(result, "ll144_impact_ratio", **{attribute: group})
        assert got.value == pytest.approx(ratio, abs=0.006)


def scoring_job(tmp_path, rows, **more):
    columns = {"label": "y", "positive": 1, "prediction": "p", "sensitive": ["sex"], **more}
    return {
        "kind": "fairness",
        "dataset": data_file(write(tmp_path / "rows.parquet", rows)),
        "mapping": columns,
        "config": {"metrics": ["selection_rate"], "ll144": {"mode": "scoring"}},
    }


def scored(rows):
    rng = np.random.default_rng(rows)
    sex = rng.choice(["f", "m", "x"], rows, p=[0.5, 0.3, 0.2])
    score = rng.integers(0, 100, rows).astype(float)
    columns = {
        "sex": [None if one == "x" else str(one) for one in sex],
        "score": score,
        "y": np.ones(rows, np.int64),
        "p": rng.integers(0, 2, rows),
    }
    return sex, score, columns


def test_scoring_rates_are_of_scores_above_the_median_of_all_rows(tmp_path):
    sex, score, columns = scored(501)
    result = run(scoring_job(tmp_path, columns, score="score"), tmp_path)
    assert find(result, "ll144_unknown", sex="*").value == np.count_nonzero(sex == "x")
    for name in ("f", "m"):
        rate = find(result, "ll144_scoring_rate", sex=name)
        assert rate.value == np.mean(score[sex == name] > np.median(score))
    (note,) = [one for one in result.notes if one.code == "ll144_median"]
    assert note.counts == {"median": np.median(score)}


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_the_median_is_numpys_whatever_the_rows_and_ties(tmp_path, rows):
    sex, score, columns = scored(rows)
    source = source_of(write(tmp_path / "rows.parquet", columns), tmp_path)
    declared = mapping(label="y", positive=1, prediction="p", score="score", sensitive=["sex"])
    found = above_median(source, declared)
    source.close()
    assert found == AboveMedian.from_json(found.to_json())
    assert found.median == np.median(score)
    for (name,), (above, n) in found.by(["sex"]).items():
        here = score[sex == ("x" if name == "unknown" else name)]
        assert (above, n) == (np.count_nonzero(here > np.median(score)), len(here))


def test_the_scoring_mode_without_scores_is_refused(tmp_path):
    columns = {"sex": ["f", "m"], "y": [1, 1], "p": [0, 1]}
    with pytest.raises(Invalid) as caught:
        run(scoring_job(tmp_path, columns), tmp_path)
    assert caught.value.field == "mapping.score"


def test_nobody_selected_has_no_ratio():
    result = fairness.measure(cube(("sex",), {"f": (50, 0), "m": (50, 0)}), LAW, 1)
    assert find(result, "ll144_selection_rate", sex="f").value == 0
    assert find(result, "ll144_impact_ratio", sex="f").undefined_reason == "no_denominator"


@pytest.mark.skipif(not CENSUS.exists(), reason="the census handed over is not here")
def test_the_rates_of_the_census_by_the_check(tmp_path):
    table = pq.read_table(CENSUS, columns=["income_over_50k", "sex", "race", "age"])
    table = table.append_column("decision", table["income_over_50k"])
    pq.write_table(table, tmp_path / "census.parquet")
    adults = [{"column": "age", "least": 18}]
    job = {
        "kind": "fairness",
        "dataset": data_file(tmp_path / "census.parquet", filters=adults),
        "mapping": {
            "label": "income_over_50k",
            "prediction": "decision",
            "sensitive": ["sex", "race"],
        },
        "config": {"metrics": ["selection_rate"], "ll144": {}},
    }
    result = run(job, tmp_path)
    assert result.rows == 215_574
    expected = {
        ("sex", "Male"): (101_045, 14.449),
        ("sex", "Female"): (114_529, 3.4629),
        ("race", "Asian or Pacific Islander"): (6_194, 10.1227),
        ("race", "White"): (184_187, 9.1858),
        ("race", "Black"): (19_794, 4.1274),
        ("race", "Other"): (3_275, 3.8473),
        ("race", "Amer Indian Aleut or Eskimo"): (2_124, 3.6252),
    }
    for (attribute, group), (n, percent) in expected.items():
        for metric in ("selection_rate", "ll144_selection_rate"):
            one = find(result, metric, **{attribute: group})
            assert one.n == n
            assert 100 * one.value == pytest.approx(percent, abs=6e-4)
    small = find(result, "ll144_impact_ratio", race="Other")
    assert small.undefined_reason == "excluded_small_category"
    women = find(result, "ll144_impact_ratio", sex="Female")
    assert women.value == pytest.approx(3.4629 / 14.449, abs=1e-4)


def test_small_categories_are_told_down_to_the_floor_and_no_further(tmp_path):
    """The law asks for the numbers of excluded and of unknown people; who they are stays hidden."""
    sizes = {"A": 600, "B": 380, "C": 15, "D": 5, None: 12}
    sex = [name for name, n in sizes.items() for _ in range(n)]
    columns = {"sex": sex, "paid": [at % 2 == 0 for at in range(len(sex))], "all": ["x"] * len(sex)}
    columns["kin"] = [None] * 4 + ["k"] * (len(sex) - 4)
    path = write(tmp_path / "law.parquet", columns)
    job = {
        "kind": "fairness",
        "dataset": data_file(path),
        "mapping": {"prediction": "paid", "sensitive": ["sex", "kin"]},
        "config": {**LAW, "ll144": {"groupings": ["sex", "kin"]}},
    }
    found = run(job, tmp_path / "w")
    told = find(found, "ll144_selection_rate", sex="C")
    assert (told.value, told.n) == (pytest.approx(8 / 15), 15)
    ratio = find(found, "ll144_impact_ratio", sex="C")
    assert (ratio.undefined_reason, ratio.n) == ("excluded_small_category", 15)
    assert find(found, "ll144_unknown", sex="*").value == 12
    hidden = find(found, "ll144_selection_rate", sex="D")
    assert (hidden.value, hidden.n, hidden.undefined_reason) == (None, None, "too_few_to_show")
    assert find(found, "ll144_impact_ratio", sex="D").n is None
    few = find(found, "ll144_unknown", kin="*")
    assert (few.value, few.undefined_reason) == (None, "too_few_to_show")
