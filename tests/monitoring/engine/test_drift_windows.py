"""Windows of time in drift: by UTC, named apart, and of times that have a date."""

import numpy as np
import pyarrow as pa
import pytest

from tests.monitoring.engine.making import data_file, run, write

ROWS = 90
X = np.random.default_rng(3).normal(size=ROWS)


def windows(tmp_path, times, window):
    """The windows by name with their rows, and the rows that are in none."""
    data = write(tmp_path / "d.parquet", {"x": X, "t": times})
    asked = {
        "kind": "drift",
        "dataset": data_file(data),
        "reference": data_file(data),
        "mapping": {"features": ["x"], "time": "t"},
        "config": {"window": window},
    }
    got = run(asked, tmp_path / "run")
    found = {
        one.slice["window"]: one.n
        for one in got.measurements
        if one.metric == "psi" and "window" in one.slice
    }
    keys = [(one.metric, tuple(sorted(one.slice.items()))) for one in got.measurements]
    assert len(keys) == len(set(keys))
    return found, sum(one.counts["rows"] for one in got.notes if one.code == "rows_without_time")


def test_a_text_is_in_the_window_of_its_instant(tmp_path):
    texts = ["2026-11-19T23:30:00-05:00", "2026-11-20T00:30:00+01:00", "2026-11-20"]
    assert windows(tmp_path, texts * 30, "day") == ({"2026-11-19": 30, "2026-11-20": 60}, 0)


def test_a_text_that_is_no_instant_is_in_no_window(tmp_path):
    found = windows(tmp_path, ["2026-11-20T12:00:00", "soon", None] * 30, "hour")
    assert found == ({"2026-11-20T12:00:00Z": 30}, 60)


@pytest.mark.parametrize("window", ["hour", "year"])
def test_a_time_without_a_date_is_in_no_window(tmp_path, window):
    times = pa.array([0, 2**62 // 10**6, -(2**62) // 10**6] * 30, pa.timestamp("s"))
    found, without = windows(tmp_path, times, window)
    assert list(found.values()) == [30]
    assert without == 60


@pytest.mark.parametrize(
    ("first", "width", "names"),
    [
        (10**9, 1, ["1000000000", "1000000001", "1000000002"]),
        (0, 0.1, ["0", "0.1", "0.2"]),
        (1e-9, 1e-9, ["0.000000001", "0.000000002", "0.000000003"]),
        (3e25, 1e25, ["3E+25", "4E+25", "5E+25"]),
    ],
)
def test_windows_of_numbers_are_named_apart(tmp_path, first, width, names):
    times = [first + width * (step + 0.5) for step in range(3)]
    found, _ = windows(tmp_path, [float(one) for one in times] * 30, width)
    assert found == dict.fromkeys(names, 30)


def test_a_type_that_changed_and_integers_too_large_are_so_in_windows_too(tmp_path):
    before = {"x": X > 0, "z": 2**62 + np.arange(ROWS), "t": [0] * ROWS}
    after = {**before, "x": (X > 0).astype(int)}
    asked = {
        "kind": "drift",
        "dataset": data_file(write(tmp_path / "c.parquet", after)),
        "reference": data_file(write(tmp_path / "r.parquet", before)),
        "mapping": {"features": ["x", "z"], "time": "t"},
        "config": {"window": 1},
    }
    got = run(asked, tmp_path / "run")
    found = {
        one.slice["feature"]: one.value if one.value is not None else one.undefined_reason
        for one in got.measurements
        if one.metric == "psi" and one.slice.get("window") == "0"
    }
    assert found == {"x": 0, "z": "precision_lost"}
