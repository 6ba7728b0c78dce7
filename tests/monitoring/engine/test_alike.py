"""Rows are alike by their values, whatever types hold these: across files, types and missing values."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.engine import rows
from tests.monitoring.engine.making import data_file, find, run, source_of, write

ROWS = 40


def leaked(tmp_path, now, before):
    """The share of rows of `now` that `before` has too."""
    data, known = write(tmp_path / "now.parquet", now), write(tmp_path / "before.parquet", before)
    asked = {
        "kind": "data_quality",
        "dataset": data_file(data),
        "reference": data_file(known),
        "mapping": {"features": ["id"]},
        "config": {"identity": list(now)},
    }
    return find(run(asked, tmp_path / "run"), "leakage_rate").value


WHOLE = list(range(-3, ROWS - 3))
LARGE = [2**53 + 2 * n for n in range(ROWS)]
HUGE = [2**63 + 2**12 * n for n in range(ROWS)]
PARTS = [n / 8 for n in range(ROWS)]
CENTS = [n / 100 for n in range(1, ROWS + 1)]
SMALL = [Decimal(n).scaleb(-7) for n in range(1, ROWS + 1)]
DAYS = [date(2026, 1, 1 + n % 28) for n in range(ROWS)]
SAME = {
    "an integer and a float": (pa.array(WHOLE), pa.array(WHOLE, pa.float64())),
    "widths of integers": (pa.array(WHOLE, pa.int8()), pa.array(WHOLE, pa.int64())),
    "integers above 2**53": (pa.array(LARGE), pa.array(np.array(LARGE, float))),
    "unsigned integers": (pa.array(HUGE, pa.uint64()), pa.array(list(map(float, HUGE)))),
    "a whole decimal": (pa.array(WHOLE), pa.array(list(map(Decimal, WHOLE)), pa.decimal128(20, 4))),
    "decimals of two scales": (
        pa.array(list(map(Decimal, PARTS)), pa.decimal128(38, 10)),
        pa.array(list(map(Decimal, PARTS)), pa.decimal128(9, 4)),
    ),
    "a decimal and a float": (
        pa.array([Decimal(str(one)) for one in CENTS], pa.decimal128(38, 18)),
        pa.array(CENTS),
    ),
    "a small decimal": (pa.array(SMALL, pa.decimal128(20, 7)), pa.array(list(map(float, SMALL)))),
    "two zeros": (pa.array([0.0] * ROWS), pa.array([-0.0] * ROWS)),
    "a zero and an integer": (pa.array([0] * ROWS), pa.array([-0.0] * ROWS)),
    "floats of two widths": (pa.array(CENTS, pa.float32()), pa.array(CENTS)),
    "not-a-number and none": (
        pa.array([np.nan, *CENTS], from_pandas=False),
        pa.array([None, *CENTS], pa.float64()),
    ),
    "infinity": (pa.array([np.inf, -np.inf]), pa.array([np.inf, -np.inf], pa.float32())),
    "days and instants": (
        pa.array(DAYS),
        pa.array([datetime.combine(one, time()) for one in DAYS]),
    ),
    "an instant with a zone": (
        pa.array([datetime(2026, 1, 1, 12, tzinfo=UTC)], pa.timestamp("us", "America/New_York")),
        pa.array([datetime(2026, 1, 1, 12, tzinfo=UTC).replace(tzinfo=None)], pa.timestamp("us")),
    ),
}
OTHERS = {
    "a boolean is no number": (pa.array([True] * ROWS), pa.array([1] * ROWS)),
    "nearly the same float": (pa.array(CENTS), pa.array([one + 1e-12 for one in CENTS])),
    "integers that floats merge": (
        pa.array([2**53 + 1 + 2 * n for n in range(ROWS)]),
        pa.array(np.array(LARGE, float)),
    ),
    "decimals that floats merge": (
        pa.array([Decimal("0.12345678901234567891")], pa.decimal128(30, 20)),
        pa.array([Decimal("0.12345678901234567892")], pa.decimal128(30, 20)),
    ),
    "none and a zero": (pa.array([None] * ROWS, pa.float64()), pa.array([0.0] * ROWS)),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_values_in_other_types_are_leaked(tmp_path, name):
    one, other = SAME[name]
    beside = {"id": range(len(one))}
    assert leaked(tmp_path, {"x": one, **beside}, {"x": other, **beside}) == 1
    assert leaked(tmp_path, {"x": other, **beside}, {"x": one, **beside}) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_other_values_are_not(tmp_path, name):
    one, other = OTHERS[name]
    beside = {"id": range(len(one))}
    assert leaked(tmp_path, {"x": one, **beside}, {"x": other, **beside}) == 0


def test_an_integer_that_went_missing_hides_no_other_row(tmp_path):
    """Whoever saves such a table with pandas turns all its integers into floats."""
    known = {"age": range(ROWS), "id": [0, 1] * (ROWS // 2)}
    ages = [None if n == 7 else float(n) for n in range(ROWS)]
    found = leaked(tmp_path, {"age": pa.array(ages, pa.float64()), "id": known["id"]}, known)
    assert found == (ROWS - 1) / ROWS


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.one_of(st.floats(), st.integers(-(2**60), 2**60).map(float)), min_size=1).flatmap(
        lambda some: st.lists(st.sampled_from(some), min_size=1, max_size=40)
    )
)
def test_floats_are_alike_if_they_are_equal(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("alike")
    source = source_of(write(folder / "d.parquet", {"x": pa.array(values, pa.float64())}), folder)
    try:
        different = {None if one != one else one + 0.0 for one in values}
        assert rows.repeated(source, ["x"]) == len(values) - len(different)
    finally:
        source.close()
