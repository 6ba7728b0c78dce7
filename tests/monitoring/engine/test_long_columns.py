"""More rows than are sorted: counted into bins, or value by value, or refused; never held."""

import numpy as np
import pyarrow as pa
import pytest

from kernel.errors import TooLarge
from monitoring.engine import profiles
from tests.monitoring.engine.making import data_file, find, run, write

ROWS = 2_000


def columns(shift=0.0):
    rng = np.random.default_rng(8)
    few = rng.integers(0, 5, ROWS).astype(float)
    few[:9], few[9:12], few[12] = np.nan, np.inf, -0.0
    return {
        "x": rng.normal(shift, 1, ROWS),
        "few": pa.array([None if n == 20 else one for n, one in enumerate(few.tolist())]),
        "same": np.ones(ROWS),
        "t": np.arange(ROWS),
    }


def asked(tmp_path, kind="drift", now=None, **more):
    return {
        "kind": kind,
        "dataset": data_file(write(tmp_path / "c.parquet", now or columns(0.5))),
        "reference": data_file(write(tmp_path / "r.parquet", columns())),
        "mapping": {"features": ["x", "few", "same"], "time": "t"},
        **more,
    }


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(profiles, "MOST_SORTED", ROWS - 1)
    monkeypatch.setattr(profiles, "MOST_DIFFERENT", 50)


def test_long_columns_give_what_sorted_ones_give_within_their_bounds(tmp_path, monkeypatch):
    job = asked(tmp_path)
    exact = run(job, tmp_path / "e")
    monkeypatch.setattr(profiles, "MOST_SORTED", ROWS - 1)
    found = run(job, tmp_path / "f")
    assert [one.code for one in found.notes] == ["columns_in_bins"]
    assert not exact.notes
    for name in ("few", "same"):
        for one in exact.measurements:
            if one.slice.get("feature") == name:
                assert find(found, one.metric, feature=name).value == one.value
    for metric in ("wasserstein_normed", "ks_statistic"):
        one, other = (find(each, metric, feature="x") for each in (exact, found))
        assert other.value - 1e-9 <= one.value <= other.value + other.detail["bound"] + 1e-9
    psi = [find(each, "psi", feature="x").value for each in (exact, found)]
    assert psi[0] == psi[1]


def test_no_long_column_is_held(tmp_path, short, monkeypatch):
    monkeypatch.setattr(profiles, "_Gathered", None)
    found = run(asked(tmp_path), tmp_path / "w")
    assert find(found, "psi", feature="x").detail["drifted"]


def test_a_long_column_that_cannot_be_counted_is_refused_by_its_name(tmp_path, short):
    large = {**columns(), "x": np.random.default_rng(1).normal(0, 1, ROWS) * 1e19}
    with pytest.raises(TooLarge, match="'x' has 2000 rows and more than 50") as caught:
        run(asked(tmp_path, now=large), tmp_path / "w")
    assert caught.value.field == "dataset"
    with pytest.raises(TooLarge) as caught:
        run(asked(tmp_path, config={"window": 500}), tmp_path / "v")
    assert caught.value.field == "config.window"


def test_data_quality_counts_long_columns_too(tmp_path, short):
    found = run(asked(tmp_path, kind="data_quality"), tmp_path / "w")
    assert find(found, "constant_features").detail["features"] == ["same"]
    assert find(found, "missing_rate", feature="few").value == 10 / ROWS
    assert find(found, "missing_rate", feature="x").value == 0
