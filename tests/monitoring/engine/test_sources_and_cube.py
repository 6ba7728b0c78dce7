"""Opening data and reducing it: errors that name the column, a locked engine, exact cubes."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from kernel.errors import Invalid, Unprocessable
from monitoring.engine import cube
from monitoring.engine.sources import DataFile, Filter, open_source
from tests.monitoring.engine.making import data_file, mapping, source_of, write


@pytest.fixture
def people(tmp_path):
    return write(
        tmp_path / "people.parquet",
        {
            "sex": ["f", "f", "m", None, "m", "f"],
            "age": [20, 45, 70, 30, None, 41],
            "paid": [True, False, True, True, None, True],
            "decision": ["grant", "reject", "grant", "reject", "grant", None],
            "score": [0.9, 0.2, 0.7, 0.4, 0.6, 0.1],
            "year": [1994, 1994, 1995, 1995, 1994, 1994],
        },
    )


WHOLE = {
    "label": "paid",
    "prediction": "decision",
    "positive_prediction": "grant",
    "score": "score",
    "sensitive": ["sex"],
}


def test_a_missing_value_is_its_own_group_and_a_missing_label_no_outcome(people, tmp_path):
    counted = cube.contingency(source_of(people, tmp_path), mapping(**WHOLE))
    assert [(c.group[0], c.label, c.prediction, c.n) for c in counted.cells] == [
        ("f", 0, 0, 1),
        ("f", 1, None, 1),
        ("f", 1, 1, 1),
        ("m", None, 1, 1),
        ("m", 1, 1, 1),
        ("unknown", 1, 0, 1),
    ]


def test_a_number_becomes_bands(people, tmp_path):
    bands = [{"name": "age_group", "column": "age", "edges": [40, 65]}]
    counted = cube.contingency(source_of(people, tmp_path), mapping(label="paid", sensitive=bands))
    totals = dict.fromkeys(counted.groups(), 0)
    for cell in counted.cells:
        totals[cell.group] += cell.n
    assert totals == {
        ("under 40",): 2,
        ("40 to under 65",): 2,
        ("65 and over",): 1,
        ("unknown",): 1,
    }


def test_edges_that_differ_late_make_bands_of_their_own(tmp_path):
    path = write(
        tmp_path / "x.parquet", {"income": [1.0, 1_000_000.5, 1_000_001.5], "paid": [True] * 3}
    )
    bands = [{"name": "income", "edges": [1_000_000, 1_000_001]}]
    counted = cube.contingency(source_of(path, tmp_path), mapping(label="paid", sensitive=bands))
    assert counted.groups() == [
        ("1000001 and over",),
        ("1e+06 to under 1000001",),
        ("under 1e+06",),
    ]


def test_not_a_number_is_no_outcome_and_no_decision(tmp_path):
    columns = {"y": [1.0, 0.0, math.nan, None], "p": [math.nan, 1.0, 0.0, 1.0]}
    path = write(tmp_path / "x.parquet", columns)
    declared = mapping(label="y", positive=1, prediction="p")
    counted = cube.contingency(source_of(path, tmp_path), declared)
    assert [(c.label, c.prediction, c.n) for c in counted.cells] == [
        (None, 0, 1),
        (None, 1, 1),
        (0, 1, 1),
        (1, None, 1),
    ]


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("name", ["countersign_prediction", "Countersign_Score", "countersign_row"])
def test_data_bring_no_column_of_the_services_own(tmp_path, form, name):
    """Else a file could hand in what passes for the answers of the pinned model."""
    columns = {"paid": [True, False], name: [1, 0]}
    path = write(tmp_path / "x.parquet", columns)
    if form == "csv":
        path = tmp_path / "x.csv"
        path.write_text(f"paid,{name}\ntrue,1\nfalse,0\n")
    with pytest.raises(Invalid, match="service's own") as caught:
        source_of(path, tmp_path, format=form)
    assert list(caught.value.fields) == ["dataset"]


def test_filters_choose_rows_and_a_missing_value_is_not_kept(people, tmp_path):
    of_1994 = source_of(people, tmp_path, filters=[{"column": "year", "equals": 1994}])
    assert of_1994.rows == 4
    adults = source_of(people, tmp_path, filters=[{"column": "age", "least": 30, "below": 70}])
    assert adults.rows == 3


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"label": "payed"}, "mapping.label"),
        ({"label": "year"}, "mapping.label"),
        ({"label": "paid", "score": "sex"}, "mapping.score"),
        ({"label": "paid", "prediction": "decision"}, "mapping.prediction"),
        ({"sensitive": ["sex", "gender"]}, "mapping.sensitive[1]"),
        ({"features": ["sex"]}, "mapping.features[0]"),
        ({"sensitive": [{"name": "s", "column": "sex", "edges": [1]}]}, "mapping.sensitive[0]"),
    ],
)
def test_a_mapping_that_does_not_fit_names_its_field(people, tmp_path, fields, field):
    with pytest.raises(Invalid) as caught:
        mapping(**fields).check(source_of(people, tmp_path).schema)
    assert field in caught.value.fields


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"label": 3}, "mapping.label"),
        ({"lable": "paid"}, "mapping.lable"),
        ({"positive": float("nan")}, "mapping.positive"),
        ({"sensitive": [{"name": "a", "edges": [2, 1]}]}, "mapping.sensitive[0].edges"),
        ({"features": ["a"], "categorical": ["b"]}, "mapping.categorical"),
    ],
)
def test_a_malformed_mapping_names_its_field(value, field):
    with pytest.raises(Invalid) as caught:
        mapping(**value)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("one", "field"),
    [
        ({"column": "yaer", "equals": 1}, "dataset.filters[0]"),
        ({"column": "year", "equals": "x"}, "dataset.filters[0].equals"),
        ({"column": "sex", "least": 1}, "dataset.filters[0].least"),
    ],
)
def test_a_filter_that_does_not_fit_is_refused(people, tmp_path, one, field):
    with pytest.raises(Invalid) as caught:
        source_of(people, tmp_path, filters=[one])
    assert caught.value.field == field


@pytest.mark.parametrize(
    "one", [{"column": "a"}, {"column": "a", "equals": 1, "below": 2}, {"equals": 1}]
)
def test_a_malformed_filter_is_refused(one):
    with pytest.raises(Invalid):
        Filter.from_json(one, "filters[0]")


def test_bytes_that_are_not_those_of_the_digest_are_refused(people, tmp_path):
    with pytest.raises(Unprocessable) as caught:
        open_source(DataFile(people, "0" * 64), tmp_path)
    assert caught.value.field == "dataset.digest"


def test_the_engine_reaches_nothing_but_its_file(people, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    backend = source_of(people, tmp_path).backend
    for query in (
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM read_text('{secret}')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/other.db'",
        "SELECT * FROM 'http://127.0.0.1:9/x.parquet'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '64GB'",
    ):
        with pytest.raises(Exception, match=r"Permission|configuration"):
            backend.raw_sql(query).fetchall()
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"PAR1" + b"\x00" * 40 + b"PAR1", b"\x80\x04\x95abc.", b"\xff\xfe\x00a,b"],
)
def test_a_malformed_file_is_refused_or_has_no_rows(tmp_path, form, content):
    path = tmp_path / "bad"
    path.write_bytes(content)
    refusal = None
    try:
        rows = source_of(path, tmp_path, format=form).rows
    except Invalid as error:
        refusal = error
    if refusal is None:
        # A few letters are a CSV file of one heading: no rows, which the run refuses.
        assert (form, rows) == ("csv", 0)
    else:
        assert refusal.field == "dataset"
        assert "abc" not in refusal.detail


def test_csv_and_parquet_of_the_same_rows_give_the_same_cube(people, tmp_path):
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    text = tmp_path / "people.csv"
    pc.write_csv(pq.read_table(people), text)
    first = cube.contingency(source_of(people, tmp_path), mapping(**WHOLE))
    second = cube.contingency(source_of(text, tmp_path, format="csv"), mapping(**WHOLE))
    assert cube.seal(first.to_json()) == cube.seal(second.to_json())


@pytest.fixture
def scored(tmp_path):
    rng = np.random.default_rng(4)
    score = rng.random(3_000)
    label = rng.random(3_000) < score
    columns = {"label": label, "score": score, "g": rng.choice(["a", "b"], 3_000)}
    return write(tmp_path / "scored.parquet", columns), label, score


def test_scores_are_reduced_without_loss(scored, tmp_path):
    path, label, score = scored
    reduced = cube.score_cube(
        source_of(path, tmp_path), mapping(label="label", score="score", sensitive=["g"])
    )
    (sums,) = reduced.by(()).moments
    assert float(sums.squared) / sums.n == pytest.approx(brier_score_loss(label, score), abs=1e-10)
    assert float(sums.log) / sums.n == pytest.approx(log_loss(label, score), abs=1e-10)
    assert cube.ScoreCube.from_json(reduced.to_json()) == reduced


def test_cubes_of_two_halves_add_up_to_the_whole(scored, tmp_path):
    path, *_ = scored
    halves = []
    declared = mapping(label="label", score="score", sensitive=["g"], prediction="label")
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    for start in (0, 1_500):
        part = tmp_path / f"half{start}.parquet"
        pq.write_table(table.slice(start, 1_500), part)
        halves.append(source_of(part, tmp_path))
    whole = source_of(path, tmp_path)
    assert cube.merge(*[cube.contingency(one, declared) for one in halves]) == cube.contingency(
        whole, declared
    )
    assert cube.merge_scores(
        *[cube.score_cube(one, declared) for one in halves]
    ) == cube.score_cube(whole, declared)


def test_the_digest_does_not_depend_on_the_order_of_the_rows(scored, tmp_path):
    import pyarrow.parquet as pq

    path, *_ = scored
    table = pq.read_table(path)
    turned = tmp_path / "turned.parquet"
    pq.write_table(table.take(np.random.default_rng(1).permutation(len(table))), turned)
    declared = mapping(label="label", score="score", sensitive=["g"])
    digests = {
        cube.seal(cube.score_cube(source_of(one, tmp_path), declared).to_json())[1]
        for one in (path, turned, path)
    }
    assert len(digests) == 1


def test_a_score_outside_the_unit_interval_is_refused(tmp_path):
    path = write(tmp_path / "x.parquet", {"y": [True, False], "score": [0.5, 1.5]})
    with pytest.raises(Invalid) as caught:
        cube.score_cube(source_of(path, tmp_path), mapping(label="y", score="score"))
    assert caught.value.field == "mapping.score"


def test_a_path_with_a_pattern_is_refused(tmp_path):
    path = Path(write(tmp_path / "a*.parquet", {"x": [1]}))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(Invalid):
        open_source(DataFile(path, digest), tmp_path)


def test_a_data_file_survives_json(people):
    value = data_file(people, filters=[{"column": "year", "equals": 1994}])
    one = DataFile.from_json(value, "dataset")
    assert DataFile.from_json(one.to_json(), "dataset") == one
