"""Exact sums of floats in a database: whole units of a declared scale, the same wherever summed."""

from collections.abc import Iterable
from decimal import Decimal, localcontext
from operator import add
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid

if TYPE_CHECKING:
    import ibis.expr.types as ir


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
