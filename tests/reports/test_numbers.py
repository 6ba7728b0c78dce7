"""How numbers print: one rule, from the decimal text, half to even."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import numbers


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1535, "", "0.154"),
        (0.1525, "", "0.152"),
        (-0.0171, "", "−0.017"),
        (0.000412, "", "0.00041"),
        (0.0, "", "0.000"),
        (1, "", "1.000"),
        (75478, "count", "75478"),
        (0.9361, "percent", "93.61 %"),
        (None, "", "undefined"),
        (1e300, "", "1.000e+300"),
        (5e-324, "", "0." + "0" * 323 + "50"),
    ],
)
def test_figure(value: float | None, unit: str, text: str) -> None:
    assert numbers.figure(value, unit) == text


@given(st.floats(min_value=-1e12, max_value=1e12, allow_nan=False))
def test_a_printed_figure_is_within_half_a_step_of_the_number(value: float) -> None:
    printed = Decimal(numbers.figure(value).replace(numbers.MINUS, "-"))
    step = Decimal(1).scaleb(int(printed.as_tuple().exponent))
    assert abs(printed - Decimal(repr(value))) <= step / 2


def test_interval_and_level() -> None:
    assert numbers.interval(-0.01, 0.06) == "−0.010 to 0.060"
    assert numbers.interval(None, None) == "undefined"
    assert numbers.percent(0.95) == "95\u00a0%"
    assert numbers.percent(0.995) == "99.5\u00a0%"
