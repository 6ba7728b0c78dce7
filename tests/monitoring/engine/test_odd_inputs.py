"""Odd files, values and names: counted for what they are, or refused by what is wrong."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.errors import Invalid
from monitoring.engine import cube
from monitoring.engine.inputs import InputSpec
from monitoring.engine.proxies import screen
from monitoring.engine.sources import ROW
from tests.monitoring.engine.making import (
    data_file,
    find,
    mapping,
    run,
    source_of,
    write,
)

ROWS = 240
RNG = np.random.default_rng(9)
DECIDED = {"y": RNG.integers(0, 2, ROWS), "p": RNG.integers(0, 2, ROWS)}
BY_G = {"label": "y", "positive": 1, "prediction": "p", "sensitive": ["g"]}
WITHOUT_OUTCOMES = {"positive": 1, "prediction": "p", "score": "s", "sensitive": ["g"]}


def fairness(tmp_path, columns, declared=BY_G, **config):
    data = write(tmp_path / "d.parquet", columns)
    asked = {
        "kind": "fairness",
        "dataset": data_file(data),
        "mapping": declared,
        "config": config,
    }
    return run(asked, tmp_path / "run")


def groups_of(values, tmp_path):
    path = write(tmp_path / "g.parquet", {"g": values})
    source = source_of(path, tmp_path)
    try:
        return {
            cell.group[0]: cell.n
            for cell in cube.contingency(source, mapping(sensitive=["g"])).cells
        }
    finally:
        source.close()


def test_no_group_is_called_as_the_comparison_between_groups(tmp_path):
    values = RNG.choice(["*", "**", "a", "*b"], ROWS)
    found = fairness(tmp_path, {**DECIDED, "g": values}, minimum={"default": 11})
    keys = [(one.metric, tuple(sorted(one.slice.items()))) for one in found.measurements]
    assert len(keys) == len(set(keys))
    for name, given_ in (("**", "*"), ("***", "**"), ("*b", "*b"), ("a", "a")):
        rate = find(found, "selection_rate", g=name)
        assert rate.value == pytest.approx(DECIDED["p"][values == given_].mean())


@settings(max_examples=12)
@given(st.lists(st.text(alphabet="*a ", max_size=4), min_size=1, max_size=12))
def test_groups_that_differ_stay_apart(tmp_path_factory, values):
    found = groups_of(pa.array(values, pa.string()), tmp_path_factory.mktemp("g"))
    assert "*" not in found
    assert sorted(found.values()) == sorted(values.count(one) for one in set(values))


def test_both_zeros_are_one_group(tmp_path):
    assert groups_of(pa.array([0.0, -0.0, 0.0, 1.5]), tmp_path) == {"0.0": 3, "1.5": 1}


def test_a_file_may_have_a_column_of_any_name(tmp_path):
    values = RNG.choice(["a", "b"], ROWS)
    declared = {**BY_G, "sensitive": ["File_Row_Number"]}
    columns = {**DECIDED, "File_Row_Number": values}
    found = fairness(tmp_path, columns, declared)
    rate = find(found, "selection_rate", File_Row_Number="a")
    assert rate.value == pytest.approx(DECIDED["p"][values == "a"].mean())
    source = source_of(tmp_path / "d.parquet", tmp_path)
    assert set(source.schema) == set(columns)
    rows = source.table.order_by(ROW).to_pyarrow().to_pydict()
    source.close()
    assert rows[ROW] == list(range(ROWS))
    assert rows["File_Row_Number"] == values.tolist()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a,b\n1,2\n1,2,3\n4,5\n", "line 3 has 3 fields and the header 2"),
        (b'a,b\n1,2\n1,"secret\n4,5\n', "a quote is out of place"),
        (b"a,b\n1,2\n3,\xff\xfe\n", "line 3"),
    ],
)
def test_of_a_malformed_csv_file_the_line_is_told_and_nothing_in_it(tmp_path, text, said):
    path = tmp_path / "bad.csv"
    path.write_bytes(text)
    with pytest.raises(Invalid) as caught:
        source_of(path, tmp_path, format="csv")
    assert caught.value.field == "dataset"
    assert said in caught.value.detail
    assert "secret" not in caught.value.detail


HOURS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(48)]


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
@pytest.mark.parametrize(
    ("one", "kept"),
    [
        ({"equals": "2026-01-01T05:00:00Z"}, 1),
        ({"equals": "2026-01-01T05:00:00+05:00"}, 1),
        ({"least": "2026-01-02"}, 24),
        ({"below": "2026-01-01T05:00:00+05:00"}, 0),
        ({"least": "2026-01-01T19:00:00-05:00"}, 24),
    ],
)
def test_instants_of_filters_are_in_utc(tmp_path, zone, one, kept):
    type_ = pa.timestamp("us", zone)
    values = pa.array([at if zone else at.replace(tzinfo=None) for at in HOURS], type_)
    path = write(tmp_path / "t.parquet", {"at": values})
    source = source_of(path, tmp_path, filters=[{"column": "at", **one}])
    assert source.rows == kept
    source.close()


@pytest.mark.parametrize(("one", "kept"), [("2026-01-02", 24), ("2026-01-01T12:00:00Z", 24)])
def test_days_are_compared_with_instants(tmp_path, one, kept):
    days = pa.array([at.date() for at in HOURS])
    path = write(tmp_path / "d.parquet", {"at": days})
    source = source_of(path, tmp_path, filters=[{"column": "at", "least": one}])
    assert source.rows == kept
    source.close()


@pytest.mark.parametrize("text", ["nope", "", "2026-13-01", "0001-01-01T00:00:00+14:00"])
@pytest.mark.parametrize("end", ["equals", "least", "below"])
def test_a_text_that_is_no_instant_is_named(tmp_path, text, end):
    path = write(tmp_path / "t.parquet", {"at": pa.array(HOURS)})
    with pytest.raises(Invalid) as caught:
        source_of(path, tmp_path, filters=[{"column": "at", end: text}])
    assert caught.value.field == f"dataset.filters[0].{end}"


def test_a_column_of_times_of_day_holds_no_instants(tmp_path):
    path = write(tmp_path / "t.parquet", {"at": pa.array([1, 2], pa.time64("us"))})
    with pytest.raises(Invalid) as caught:
        source_of(path, tmp_path, filters=[{"column": "at", "least": "2026-01-01"}])
    assert caught.value.field == "dataset.filters[0].least"


def timed(tmp_path, kind, times, **config):
    data = write(tmp_path / f"{kind}.parquet", {"x": RNG.normal(size=len(times)), "at": times})
    asked = {
        "kind": kind,
        "dataset": data_file(data),
        "reference": data_file(data),
        "mapping": {"features": ["x"], "time": "at"},
        "config": config,
        "as_of": "2026-11-21T04:30:00Z",
    }
    return run(asked, tmp_path / f"run-{kind}")


def test_an_instant_that_is_written_as_text_is_in_its_own_offset(tmp_path):
    times = pa.array(["2026-11-19T23:30:00-05:00"] * 40 + ["2026-11-19T23:30:00"] * 40)
    found = timed(tmp_path, "data_quality", times, freshness={})
    assert find(found, "age_days").value == pytest.approx(1)
    drifted = timed(tmp_path, "drift", times, window="day")
    days = {one.slice["window"] for one in drifted.measurements if "window" in one.slice}
    assert days == {"2026-11-19", "2026-11-20"}


# Selection rates alone


def selections():
    return {"p": DECIDED["p"], "s": RNG.random(ROWS), "g": RNG.choice(["F", "M"], ROWS)}


def test_selection_rates_are_measured_without_outcomes(tmp_path):
    columns = selections()
    found = fairness(tmp_path, columns, WITHOUT_OUTCOMES)
    assert {one.metric for one in found.measurements} == {
        "selection_rate",
        "demographic_parity_difference",
        "demographic_parity_ratio",
    }
    rates = {g: columns["p"][columns["g"] == g].mean() for g in "FM"}
    assert find(found, "selection_rate", g="F").value == pytest.approx(rates["F"])
    gap = find(found, "demographic_parity_difference", g="*")
    assert gap.value == pytest.approx(abs(rates["F"] - rates["M"]))
    assert "no_outcomes" in {note.code for note in found.notes}


@pytest.mark.parametrize("mode", ["selection", "scoring"])
def test_the_law_needs_no_outcomes(tmp_path, mode):
    found = fairness(tmp_path, selections(), WITHOUT_OUTCOMES, ll144={"mode": mode})
    assert max(
        one.value for one in found.measurements if one.metric == "ll144_impact_ratio"
    ) == pytest.approx(1)


def test_what_is_asked_for_by_name_needs_its_outcomes(tmp_path):
    with pytest.raises(Invalid) as caught:
        fairness(tmp_path, selections(), WITHOUT_OUTCOMES, metrics=["selection_rate", "precision"])
    assert caught.value.field == "config.metrics[1]"


def test_estimated_groups_have_selection_rates_without_outcomes(tmp_path):
    of_a = RNG.random(ROWS)
    proxied = {
        "name": "race",
        "state": "proxied",
        "proxy": {
            "version": "00000000-0000-0000-0000-000000000001",
            "columns": {"A": "a", "B": "b"},
        },
    }
    columns = {**selections(), "a": of_a, "b": 1 - of_a}
    declared = {**WITHOUT_OUTCOMES, "sensitive": [proxied]}
    found = fairness(tmp_path, columns, declared, conformance=True)
    assert {one.metric for one in found.measurements} == {
        "selection_rate",
        "demographic_parity_difference",
        "demographic_parity_ratio",
    }


def test_a_group_of_reference_that_is_not_there_is_told(tmp_path):
    columns = {**DECIDED, "g": RNG.choice(["F", "M"], ROWS)}
    found = fairness(tmp_path, columns, reference={"g": "Nobody"})
    assert "unknown_reference" in {note.code for note in found.notes}
    named = fairness(tmp_path, columns, reference={"g": "F"})
    assert "unknown_reference" not in {note.code for note in named.notes}


# Nothing is left


def test_the_law_with_no_category_left_has_no_ratio(tmp_path):
    groups = [f"c{row % 60}" for row in range(ROWS)]
    found = fairness(tmp_path, {**DECIDED, "g": groups}, ll144={"exclude_below": 0.5})
    ratios = [one for one in found.measurements if one.metric == "ll144_impact_ratio"]
    assert len(ratios) == 60
    assert all(one.value is None for one in ratios)


def test_the_law_with_no_known_category_tells_how_many_are_unknown(tmp_path):
    found = fairness(tmp_path, {**DECIDED, "g": pa.nulls(ROWS, pa.string())}, ll144={})
    assert find(found, "ll144_unknown", g="*").value == ROWS
    assert not [one for one in found.measurements if one.metric == "ll144_impact_ratio"]


def test_the_proxy_screen_passes_over_an_input_without_values(tmp_path):
    sex = np.array(["F", "M"] * (ROWS // 2))
    columns = {
        "telling": (sex == "F") + RNG.normal(0, 0.1, ROWS),
        "empty": pa.array([None] * ROWS, pa.float64()),
        "nan": np.full(ROWS, np.nan),
        "sex": sex,
    }
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    source = source_of(tmp_path / "d.parquet", tmp_path)
    spec = InputSpec.from_json({"features": [{"column": name} for name in list(columns)[:3]]})
    (found,) = screen(source, spec, mapping(sensitive=["sex"]), 200, 1)
    source.close()
    assert min(group["auc"] for group in found["groups"]) > 0.9
    drops = {one["feature"]: one["drop"] for one in found["features"]}
    assert drops["telling"] > 0.3
    assert drops["empty"] == drops["nan"] == 0
