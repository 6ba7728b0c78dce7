"""Exact sums of floats in a database: whole units of a declared scale, the same wherever summed.

Where values are of any size they are brought into [-1, 1] by a power of two, which changes no digit
of theirs, and summed in units of 2**-`BITS`: then sums of days add up to the sum of all rows, digit
by digit, whatever power each day was brought down by.
"""

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from operator import add
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid

if TYPE_CHECKING:
    import ibis.expr.types as ir


_LIMB = 50
BITS = 2 * _LIMB
"""Digits in base 2 after the point. A double over 2**-48 in size has none further down."""
LEAST_POWER = -1_000
"""Numbers under 2 to this are brought no nearer to 1: its inverse must be a double."""


def power_of_two(most: float) -> int:
    """The least exponent whose power of two is not exceeded by a size."""
    if not most:
        return 0
    part, exponent = math.frexp(most)
    return max(LEAST_POWER, exponent - 1 if part == 0.5 else exponent)


def brought(value: "ir.Value", power: int) -> "ir.Value":
    """A number over 2**`power`; what lies under the last unit is nothing.

    PostgreSQL refuses a product that is too small for a float, so that products of what this gives,
    and of `squared`, must not be.
    """
    import ibis

    least = math.ldexp(1.0, max(power - BITS - 1, LEAST_POWER))
    return ibis.ifelse(value.abs() < least, 0.0, value * 2.0**-power)


def squared(value: "ir.Value") -> "ir.Value":
    import ibis

    return ibis.ifelse(value.abs() < 2.0 ** -(_LIMB + 1), 0.0, value * value)


def limbs(name: str, value: "ir.Value") -> dict[str, "ir.Value"]:
    """Two aggregations whose results `read_limbs` puts together: the sum of values in [-1, 1].

    Each limb of a value is a whole number under 2**51, which every database holds exactly.
    """
    scaled = value * 2.0**_LIMB
    whole = scaled.floor().cast("int64")
    rest = ((scaled - whole) * 2.0**_LIMB).floor().cast("int64")
    return {
        f"{name}_high": whole.cast("decimal(38, 0)").sum().cast("decimal(38, 0)").cast("string"),
        f"{name}_low": rest.cast("decimal(38, 0)").sum().cast("decimal(38, 0)").cast("string"),
    }


def read_limbs(name: str, row: Mapping[str, Any]) -> int:
    """The sum in units of 2**-`BITS`."""
    return (int(row[f"{name}_high"]) << _LIMB) + int(row[f"{name}_low"])


def units(value: Fraction) -> int:
    """A sum as whole units of 2**-`BITS`."""
    return math.floor(value * (1 << BITS))


def of_units(sum_: int) -> Fraction:
    return Fraction(sum_, 1 << BITS)


def exact_sum(value: "ir.Value", scale: int) -> "ir.Value":
    """The sum in units of `scale` digits after the point, as text; `read_sum` reads it.

    Rounded by arithmetic on floats: what a cast to DECIMAL does with digits past its scale is
    another thing in each database.
    """
    units = (value * 10.0**scale + 0.5).floor().cast("decimal(38, 0)")
    return units.sum().cast("decimal(38, 0)").cast("string")


def read_sum(text: str, scale: int) -> Decimal:
    return Decimal(text).scaleb(-scale)


def added(items: Iterable[tuple[Any, tuple[Any, ...]]]) -> dict[Any, tuple[Any, ...]]:
    """Add up the values of each key."""
    totals: dict[Any, tuple[Any, ...]] = {}
    # The default context rounds to 28 digits, and a sum must not depend on how it was cut.
    with localcontext(prec=60):
        for key, values in items:
            known = totals.get(key)
            totals[key] = values if known is None else tuple(map(add, known, values))
    return totals


def need_probabilities(table: "ir.Table", column: str, field: str) -> None:
    """Raises Invalid, naming `field`, if a value of the column lies outside 0 to 1."""
    value = table[column]
    outside = int(table.filter((value < 0) | (value > 1)).count().to_pyarrow().as_py())
    if outside:
        raise Invalid(f"{outside} scores lie outside 0 to 1; a score is a probability", field=field)


def bin_of(score: "ir.Value", bins: int) -> "ir.Value":
    """The place of a score among equal bins over [0, 1], whose last is closed."""
    import ibis

    return ibis.least((score * bins).floor().cast("int32"), bins - 1)
