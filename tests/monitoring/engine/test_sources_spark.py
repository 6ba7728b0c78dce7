"""The same expressions on DuckDB and on a local Spark: equal counts, figures to 1e-12.

`make test-spark` installs PySpark beside the environment; elsewhere this is skipped with the reason.
"""

import shutil
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from monitoring.engine import cube, rows
from monitoring.engine.checks import performance
from monitoring.engine.cube.paired import OTHER_SCORE
from monitoring.engine.cube.paired_errors import paired_errors
from monitoring.engine.cube.regression import regression_cube
from tests.monitoring.engine.making import loans, mapping, source_of, write

MAPPED = {
    "label": "paid",
    "prediction": "decision",
    "score": "score",
    "sensitive": [
        "sex",
        "race",
        {"name": "age", "column": "age", "edges": [40, 65]},
        {"name": "exact age", "column": "age"},
    ],
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The rows of one parquet file, opened by DuckDB and by Spark."""
    if shutil.which("java") is None:
        pytest.skip(
            "Spark needs Java: apt-get install openjdk-17-jre-headless, then make test-spark"
        )
    sql = pytest.importorskip("pyspark.sql", reason="PySpark is not installed: make test-spark")
    import ibis

    folder = tmp_path_factory.mktemp("spark")
    chance = np.random.default_rng(1)
    columns = loans(2_000)
    score = chance.random(2_000)
    score[:6] = [0.0, 1.0, 1e-300, 0.5, 2**-13, 1 - 2**-53]
    age = np.float32(chance.integers(18, 90, 2_000))
    age[::17] = np.nan
    columns |= {"score": score, "decision": score > 0.5, "age": age}
    path = write(folder / "loans.parquet", columns)
    duck = source_of(path, folder)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    builder = sql.SparkSession.builder.master("local[2]").appName("countersign-tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    backend = ibis.pyspark.connect(session)
    yield duck, replace(duck, table=backend.read_parquet(str(path)), backend=backend)
    duck.close()
    session.stop()


def test_counts_are_equal(both):
    declared = mapping(**MAPPED)
    first, second = (cube.contingency(one, declared) for one in both)
    assert first == second
    assert {cell.group[2] for cell in first.cells} == {
        "under 40",
        "40 to under 65",
        "65 and over",
        "unknown",
    }


def test_scores_are_equal_and_logarithms_to_1e_12(both):
    """Java's logarithm and C's differ in the last bit of a few values."""
    declared = mapping(**{**MAPPED, "sensitive": ["sex", "race"]})
    first, second = (cube.score_cube(one, declared) for one in both)
    assert first.cells == second.cells
    for one, other in zip(first.moments, second.moments, strict=True):
        assert (one.group, one.n, one.squared) == (other.group, other.n, other.squared)
        assert one.squared_2 == other.squared_2
        for name in ("log", "log_2"):
            gap = abs(getattr(one, name) - getattr(other, name)) / one.n
            assert gap <= Decimal("1e-12")


def test_sums_and_bins_of_numbers_are_equal(both):
    declared = mapping(task="regression", label="income", prediction="debt", sensitive=["sex"])
    sums, bins = zip(*(regression_cube(one, declared) for one in both), strict=True)
    assert sums[0] == sums[1]
    assert bins[0] == bins[1]
    pairs = [
        paired_errors(
            replace(one, table=one.table.mutate(**{OTHER_SCORE: one.table.score})), declared
        )
        for one in both
    ]
    assert pairs[0] == pairs[1]


def test_figures_are_equal_to_1e_12(both):
    declared = mapping(**{**MAPPED, "sensitive": ["sex", "race"]})
    results = [
        performance.measure(
            cube.contingency(one, declared), cube.score_cube(one, declared), {}, 1
        ).measurements
        for one in both
    ]
    assert len(results[0]) == len(results[1]) > 20
    for one, other in zip(*results, strict=True):
        assert (one.metric, one.slice, one.n) == (other.metric, other.slice, other.n)
        for name in ("value", "lower", "upper"):
            mine, theirs = getattr(one, name), getattr(other, name)
            assert (mine is None) == (theirs is None)
            if mine is not None:
                assert mine == pytest.approx(theirs, rel=1e-12, abs=1e-12)


def test_rows_that_are_alike_are_the_same_ones(both):
    found = [rows.repeated(one, ["sex", "race", "region", "age"]) for one in both]
    assert found[0] == found[1] > 0
