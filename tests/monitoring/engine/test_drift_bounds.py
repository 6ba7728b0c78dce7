"""Distances of bins lie within their bounds, wherever the numbers lie and however close together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.engine import column_profiles, profiles
from monitoring.engine.comparing import compare_numbers
from tests.monitoring.engine.making import data_file, find, run, write

ROWS = 3_000


def held(exact, found, metric="wasserstein_normed"):
    """Is the exact figure at least the found one, and at most its bound larger?"""
    slack = 1e-9 * max(1.0, exact.value)
    bound = found.detail.get("bound", 0.0)
    assert found.value - slack <= exact.value <= found.value + bound + slack, metric


@pytest.mark.parametrize(
    ("offset", "sd"), [(1.7e9, 1.0), (1e8, 1.0), (1e9, 1e-3), (1e12, 1e3), (-1e15, 1e3), (0, 0.01)]
)
def test_an_offset_falsifies_no_distance(tmp_path, offset, sd):
    rng = np.random.default_rng(4)
    before = {"x": offset + rng.normal(0, sd, ROWS)}
    after = {"x": offset + rng.normal(sd, sd, ROWS)}
    asked = {
        "kind": "drift",
        "dataset": data_file(write(tmp_path / "c.parquet", after)),
        "reference": data_file(write(tmp_path / "r.parquet", before)),
        "mapping": {"features": ["x"]},
    }
    exact = run(asked, tmp_path / "e")
    bins = run({**asked, "config": {"exact": False}}, tmp_path / "b")
    for metric in ("wasserstein_normed", "ks_statistic"):
        one, other = (find(each, metric, feature="x") for each in (exact, bins))
        held(one, other)
        assert other.detail["bound"] < 0.05
        assert one.detail["drifted"] == other.detail["drifted"] is True


@settings(max_examples=60, deadline=None)
@given(
    offset=st.floats(-1e14, 1e14),
    sd=st.floats(1e-3, 1e6),
    shift=st.floats(-3, 3),
    seed=st.integers(0, 99),
    sizes=st.tuples(st.integers(30, 900), st.integers(30, 900)),
)
def test_the_true_distance_lies_within_the_bound(offset, sd, shift, seed, sizes):
    rng = np.random.default_rng(seed)
    before = profiles.counted(offset + sd * rng.normal(0, 1, sizes[0]))
    after = profiles.counted(offset + sd * rng.normal(shift, 1, sizes[1]))
    edges = column_profiles.profile_edges(profiles.counted(np.repeat(before.values, 1)[::3]))
    exact = compare_numbers("x", before, after)
    found = column_profiles.compare(
        "x", *(column_profiles.of_numbers(one, edges) for one in (before, after))
    )
    slack = 1e-12 * max(abs(before.values[0]), abs(before.values[-1]))
    assert found.deviation == pytest.approx(exact.deviation, rel=1e-6, abs=slack)
    # Sums are of values rounded to 1e-9.
    assert found.distance - min(found.distance_bound, 1e-8) - slack <= exact.distance
    assert exact.distance <= found.distance + found.distance_bound + slack
    gaps = exact.gap[0] / exact.gap[1], found.gap[0] / found.gap[1]
    assert gaps[1] - 1e-12 <= gaps[0] <= gaps[1] + found.gap_bound + 1e-12
