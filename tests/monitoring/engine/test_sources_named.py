"""A table or query of a named source is counted where it is, and gives the cubes of the same rows in
a file."""

import datetime
import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernel.errors import Conflict, Invalid, Unavailable, Unprocessable
from monitoring.engine import cube, rows
from monitoring.engine.cube import medians
from monitoring.engine.cube.medians import above_median
from monitoring.engine.cube.paired import OTHER_SCORE
from monitoring.engine.cube.paired_errors import paired_errors
from monitoring.engine.cube.regression import regression_cube
from monitoring.engine.sources import (
    DataTable,
    EngineLimits,
    data_from_json,
    localized,
    open_source,
    snapshot,
)
from monitoring.engine.sources.files import connect_locked
from registry.sources import backends, catalogue, rowdigest
from tests.monitoring.engine.making import (
    data_file,
    loan_job,
    loans,
    mapping,
    run,
    source_of,
    train_xgboost,
)

DDL = """CREATE SCHEMA scoring; CREATE TABLE scoring."People" (
    "Id" integer, paid boolean, decision text, score double precision, sex text, "Age" real,
    income double precision, debt double precision, region text, race char(1),
    amount numeric(10, 2), day date, seen timestamp, level smallint)"""
NAMES = (
    "Id paid decision score sex Age income debt region race amount day seen level".split()  # noqa: SIM905
)


def people(count: int = 400) -> list[tuple[object, ...]]:
    """Rows with all that databases write differently: floats of every size, none, NaN, ties."""
    made = loans(count, seed=9)
    chance = np.random.default_rng(3)
    score = chance.random(count)
    score[:9] = [0.0, 1.0, 1e-300, 2**-13, 1 - 2**-53, 0.5, 0.1, 1 / 3, 5e-324]
    age = np.float32(chance.integers(18, 90, count) + chance.choice([0.0, 0.5], count))
    start = datetime.datetime(2024, 1, 1, 10)  # noqa: DTZ001 - a column without a time zone
    return [
        (
            at,
            None if at % 29 == 0 else bool(made["paid"][at]),
            None if at % 31 == 0 else ["grant", "reject"][at % 2],
            None if at % 13 == 0 and at > 9 else float(score[at]),
            None if at % 17 == 0 else ["f", "m", "é:ö", "日本", "it's", ""][at % 6],
            float("nan") if at % 23 == 0 else float(age[at]),
            float(made["income"][at]) * [1, 1e18, -1e-9][at % 3],
            made["debt"][at],
            str(made["region"][at]),
            str(made["race"][at]),
            Decimal(at * 7 % 1000) / 100,
            start.date() + datetime.timedelta(days=at % 90),
            start + datetime.timedelta(seconds=at, microseconds=at % 3 * 123_400),
            at % 5,
        )
        for at in range(count)
    ]


TYPES = (
    pa.int64(), pa.bool_(), pa.string(), pa.float64(), pa.string(), pa.float32(), pa.float64(),
    pa.float64(), pa.string(), pa.string(), pa.decimal128(12, 2), pa.date32(), pa.timestamp("us"),
    pa.int8(),
)  # fmt: skip

MAPPED = {
    "label": "paid",
    "prediction": "decision",
    "positive_prediction": "grant",
    "score": "score",
    "sensitive": [
        "sex",
        "level",
        {"name": "age", "column": "Age", "edges": [40, 65]},
    ],
    "features": ["income", "debt", "region", "amount"],
    "categorical": ["region"],
}


@pytest.fixture(scope="module")
def warehouse(postgres_server, tmp_path_factory):
    """(URL of a database, the same rows in a parquet file, the rows' digest)."""
    url = postgres_server.create("warehouse")
    made = people()
    with psycopg.connect(url, autocommit=True) as link:
        link.execute(DDL)
        link.execute("CREATE TABLE secret (x integer)")
        with link.cursor().copy('COPY scoring."People" FROM STDIN') as copy:
            for row in made:
                copy.write_row(row)
    path = tmp_path_factory.mktemp("people") / "people.parquet"
    columns = dict(zip(NAMES, zip(*made, strict=True), strict=True))
    kinds = dict(zip(NAMES, TYPES, strict=True))
    table = pa.table({name: pa.array(columns[name], kinds[name]) for name in sorted(NAMES)})
    order = np.random.default_rng(1).permutation(len(made))
    pq.write_table(table.take(order), path)
    backend = connect_locked([path], EngineLimits())
    digest = rowdigest.digest(backend, backend.read_parquet(path)).digest
    backend.disconnect()
    return url, path, digest


def write_sources(path, monkeypatch, url, more=""):
    path.write_text(
        f'[sources.warehouse]\nurl = "{url}"\ntables = ["scoring.*"]\n{more}'
        "[sources.warehouse.queries]\n"
        "known = 'SELECT * FROM scoring.\"People\"'\n"
        "slow = 'SELECT pg_sleep(60)::text AS x'\n"
    )
    monkeypatch.setenv(catalogue.VARIABLE, str(path))


@pytest.fixture
def table(warehouse, tmp_path, monkeypatch):
    """The job's document for the table of the warehouse."""
    url, _, digest = warehouse
    write_sources(tmp_path / "sources.toml", monkeypatch, url)
    return {"source": "warehouse", "table": "scoring.People", "digest": digest}


def opened(value, tmp_path):
    return open_source(data_from_json(value, "dataset"), tmp_path)


def query_of(table, name="known"):
    digest = catalogue.current().sources["warehouse"].query_digest(name)
    return {**table, "table": None, "query": name, "query_digest": digest}


def test_the_rows_of_a_table_have_the_digest_of_the_same_rows_in_a_file(table, tmp_path):
    """Whatever their order, the order of the columns and the width of their integers."""
    for one in (table, query_of(table)):
        source = opened(one, tmp_path)
        assert source.rows == 400
        source.close()


def test_the_cubes_of_a_table_are_those_of_the_file(warehouse, table, tmp_path):
    exact = {"name": "exact age", "column": "Age"}
    declared = mapping(**{**MAPPED, "sensitive": [*MAPPED["sensitive"], exact]})
    seals = []
    for source in (source_of(warehouse[1], tmp_path), opened(table, tmp_path)):
        declared.check(source.schema)
        counted = cube.contingency(source, declared).to_json()
        scored = cube.score_cube(source, declared).to_json()
        repeated = rows.repeated(source, ["sex", "level", "Age"])
        seals.append((cube.seal(counted), cube.seal(scored), repeated))
        source.close()
    assert seals[0] == seals[1]


def test_sums_and_bins_of_a_table_are_those_of_the_file(warehouse, table, tmp_path, monkeypatch):
    """Numbers of every size, whose squares are too small for a float of PostgreSQL."""
    monkeypatch.setattr(medians, "MOST_VALUES", 100)
    numbers = mapping(task="regression", label="income", prediction="debt", sensitive=["sex"])
    proxy = {"version": "0190a0b0-0000-7000-8000-000000000001", "columns": {"A": "score"}}
    crossed = {"name": "race", "state": "proxied", "proxy": proxy}
    decided = mapping(**{**MAPPED, "score": "level", "sensitive": ["sex", crossed]})
    seals = []
    for source in (source_of(warehouse[1], tmp_path), opened(table, tmp_path)):
        pair = replace(source, table=source.table.mutate(**{OTHER_SCORE: source.table.score}))
        near = mapping(task="regression", label="score", prediction="score")
        found = [*regression_cube(source, numbers), *regression_cube(source, near)]
        found += [paired_errors(pair, numbers), above_median(source, decided)]
        found.append(above_median(source, replace(decided, score="income")))
        found.append(
            cube.estimated_contingency(source, decided, decided.proxied[0], decided.sensitive)
        )
        seals.append([cube.seal(one.to_json()) for one in found])
        source.close()
    assert seals[0] == seals[1]


@pytest.mark.parametrize("kind", ["performance", "fairness", "drift", "data_quality"])
def test_a_check_of_a_table_measures_what_a_check_of_the_file_does(
    kind, warehouse, table, tmp_path
):
    filters = [{"column": "level", "least": 1}]
    files = {"dataset": {**data_file(warehouse[1]), "filters": filters}}
    tables = {"dataset": {**table, "filters": filters}}
    if kind == "drift":
        files["reference"], tables["reference"] = data_file(warehouse[1]), table
    outcomes = [
        run({"kind": kind, "mapping": MAPPED, "seed": 7, **where}, tmp_path / name)
        for name, where in (("files", files), ("tables", tables))
    ]
    assert outcomes[0].measurements == outcomes[1].measurements
    assert [one.engine for one in outcomes] == ["duckdb", "postgresql"]
    assert {one.grade for one in outcomes} == {
        "re-performed" if kind == "data_quality" else "recomputed"
    }
    first, second = (json.loads(one.cube) for one in outcomes)
    assert second["dataset"]["table"] == "scoring.People"
    assert len(second["blind"]) == 64
    assert second["blind"] != second["dataset"]["digest"]
    for place in ("dataset", "reference", "blind"):
        first.pop(place, None), second.pop(place, None)
    assert first == second


def test_a_model_is_scored_on_the_rows_of_a_table(warehouse, table, tmp_path):
    model = train_xgboost(tmp_path / "model.json", loans())
    file = loan_job("performance", warehouse[1], model)
    outcomes = [
        run({**job, "seed": 1}, tmp_path / name)
        for name, job in (("file", file), ("table", {**file, "dataset": table}))
    ]
    assert [one.grade for one in outcomes] == ["re-performed"] * 2
    assert outcomes[0].measurements == outcomes[1].measurements
    assert json.loads(outcomes[1].cube)["dataset"]["digest"] == warehouse[2]


def test_rows_are_chosen_by_their_digests(table, tmp_path):
    drawn = []
    for name in ("first", "second"):
        source = opened({**table, "filters": [{"column": "level", "below": 3}]}, tmp_path)
        file = snapshot(source, tmp_path / f"{name}.parquet", most=50)
        source.close()
        drawn.append(pq.read_table(file.path))
    assert str(drawn[0].to_pylist()) == str(drawn[1].to_pylist())
    assert len(drawn[0]) == 50
    everything = localized(data_from_json(table, "dataset"), tmp_path)
    assert pq.read_metadata(everything.path).num_rows == 400


def test_other_rows_than_were_registered_are_refused(warehouse, table, tmp_path):
    url, _, _ = warehouse
    with psycopg.connect(url, autocommit=True) as link:
        link.execute('CREATE TABLE scoring.changed AS SELECT * FROM scoring."People"')
        link.execute('UPDATE scoring.changed SET score = score + 2e-16 WHERE "Id" = 77')
    with pytest.raises(Unprocessable) as caught:
        opened({**table, "table": "scoring.changed"}, tmp_path)
    assert caught.value.field == "dataset.digest"


def test_a_query_that_the_operator_changed_is_another_one(table, tmp_path):
    with pytest.raises(Conflict) as caught:
        opened({**query_of(table), "query_digest": "0" * 64}, tmp_path)
    assert caught.value.field == "dataset.query"


def test_rows_that_no_digest_pins_are_counted_and_never_re_performed(warehouse, table, tmp_path):
    loose = {**table, "digest": "1" * 64, "digest_of": "relation"}
    outcome = run({"kind": "data_quality", "dataset": loose, "mapping": MAPPED}, tmp_path)
    assert outcome.grade == "recomputed"
    model = train_xgboost(tmp_path / "model.json", loans())
    job = {**loan_job("performance", warehouse[1], model), "dataset": loose}
    with pytest.raises(Invalid) as caught:
        run(job, tmp_path / "scored")
    assert "no" in caught.value.detail
    assert "digest" in caught.value.detail


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"source": "wherehouse"}, "dataset.source"),
        ({"table": "public.secret"}, "dataset.table"),
        ({"table": "scoring.People; DROP TABLE secret"}, "dataset.table"),
        ({"table": 'scoring."People"'}, "dataset.table"),
        ({"table": "scoring.people"}, "dataset.table"),
        ({"table": None, "query": "unknown"}, "dataset.query"),
        ({"query": "known"}, "dataset.table"),
        ({"table": None}, "dataset.table"),
        ({"filters": [{"column": "nobody", "equals": 1}]}, "dataset.filters[0]"),
        ({"url": "postgresql://evil"}, "dataset.url"),
    ],
)
def test_a_wrong_name_is_refused_by_its_field(table, tmp_path, value, field):
    with pytest.raises(Invalid) as caught:
        opened({**table, **value}, tmp_path)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO public.secret VALUES (1)",
        "CREATE TABLE public.mine (x integer)",
        'DROP TABLE scoring."People"',
        "SET transaction_read_only = off",
        "SELECT set_config('transaction_read_only', 'off', false)",
    ],
)
def test_a_source_is_only_read(table, statement):
    with (
        backends.connection(catalogue.current().sources["warehouse"]) as backend,
        pytest.raises(psycopg.Error),
    ):
        backend.con.execute(statement)


def test_all_questions_of_a_check_see_one_moment(warehouse, table, tmp_path):
    with psycopg.connect(warehouse[0], autocommit=True) as link:
        link.execute('CREATE TABLE scoring.moving AS SELECT * FROM scoring."People"')
        source = opened({**table, "table": "scoring.moving"}, tmp_path)
        link.execute("DELETE FROM scoring.moving WHERE level = 1")
        counted = cube.contingency(source, mapping(label="paid"))
        assert counted.rows == 400
        source.close()


def test_a_query_that_takes_too_long_is_ended(warehouse, table, tmp_path, monkeypatch):
    write_sources(tmp_path / "s.toml", monkeypatch, warehouse[0], "timeout_seconds = 1\n")
    with pytest.raises(Invalid, match="did not answer within 1 seconds"):
        opened({**query_of(table, "slow"), "digest_of": "relation"}, tmp_path)


def test_a_secret_is_in_no_error(tmp_path, monkeypatch, caplog, table):
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "hunter2 &/")
    url = "postgresql://reader:${WAREHOUSE_PASSWORD}@127.0.0.1:9/none"
    write_sources(tmp_path / "s.toml", monkeypatch, url)
    with pytest.raises(Unavailable) as caught:
        opened(table, tmp_path)
    told = f"{caught.value} {caught.value.__cause__} {caught.value.fields} {caplog.text}"
    named = catalogue.current().sources["warehouse"]
    assert named.address({"WAREHOUSE_PASSWORD": "hunter2 &/"}).count("hunter2%20%26%2F") == 1
    for word in ("hunter2", "127.0.0.1", "reader"):
        assert word not in told + repr(named) + json.dumps(named.to_json())
    assert caught.value.__suppress_context__
    monkeypatch.delenv("WAREHOUSE_PASSWORD")
    with pytest.raises(Unavailable, match="WAREHOUSE_PASSWORD"):
        opened(table, tmp_path)


def test_a_file_of_duckdb_is_a_source_too(warehouse, table, tmp_path, monkeypatch):
    import duckdb

    path = tmp_path / "lake.duckdb"
    with duckdb.connect(path) as link:
        link.execute(f"CREATE TABLE people AS FROM '{warehouse[1]}'")
    (tmp_path / "lake.toml").write_text(
        f'[sources.lake]\nurl = "duckdb://{path}"\ntables = ["people"]\n'
    )
    monkeypatch.setenv(catalogue.VARIABLE, str(tmp_path / "lake.toml"))
    source = opened({**table, "source": "lake", "table": "people"}, tmp_path)
    assert source.rows == 400
    for statement in ("INSERT INTO people SELECT * FROM people", "ATTACH '/tmp/x.db'"):
        with pytest.raises(duckdb.Error):
            source.backend.raw_sql(statement)
    source.close()


def test_a_table_survives_json(table):
    one = data_from_json(query_of(table), "dataset")
    assert isinstance(one, DataTable)
    assert data_from_json(one.to_json(), "dataset") == one
