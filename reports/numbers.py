"""How a number is printed. One rule for pages, charts and the PDF, so that they cannot disagree.

A figure is rounded once, from its decimal text, half to even: to three decimals, or to two
significant digits when it is smaller than 0.001 in size. A count is printed whole.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

MINUS = "\N{MINUS SIGN}"
UNDEFINED = "undefined"
NOT_STATED = "not stated"
UNITS = frozenset({"count", "percent", "rate", "ratio", "proportion", "share", "probability"})
"""Units that need no word after the figure."""
RULE = (
    "Figures are rounded once, half to even, to three decimals, or to two significant digits when "
    "smaller than 0.001 in size. Counts are printed whole. The attached bundle holds them unrounded."
)

_THREE = Decimal("0.001")
_LARGE = Decimal(10) ** 15


def figure(value: float | None, unit: str = "") -> str:
    """Print one figure.

    Args:
        value: a finite number, or None for one that is undefined.
        unit: `count` prints whole; `percent` takes a proportion and prints it times 100 with two
            decimals and a percent sign; anything else follows the rule above.
    """
    if value is None:
        return UNDEFINED
    exact = Decimal(repr(value))
    if unit == "count":
        text = str(exact.quantize(Decimal(1), ROUND_HALF_EVEN))
    elif unit == "percent":
        text = f"{(exact * 100).quantize(Decimal('0.01'), ROUND_HALF_EVEN)} %"
    elif abs(exact) >= _LARGE:
        text = f"{exact:.3e}"
    elif exact == 0 or abs(exact) >= _THREE:
        text = str(exact.quantize(_THREE, ROUND_HALF_EVEN))
    else:
        text = _two_digits(exact)
    return text.replace("-", MINUS)


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """Print an interval as `low to high`; an end that is undefined says so."""
    if low is None and high is None:
        return UNDEFINED
    return f"{figure(low, unit)} to {figure(high, unit)}"


def percent(level: float) -> str:
    """Print a level such as 0.95 as `95 %`, with no more digits than it has."""
    exact = (Decimal(repr(level)) * 100).normalize()
    return f"{exact:f}\N{NO-BREAK SPACE}%"


def share(part: int, whole: int) -> str:
    """Print `part of whole`, which needs no rounding."""
    return f"{part} of {whole}"


def listing(items: Sequence[str], last: str = "and") -> str:
    """Join words as a sentence does: `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def _two_digits(exact: Decimal) -> str:
    place = exact.adjusted() - 1
    rounded = exact.quantize(Decimal(1).scaleb(place), ROUND_HALF_EVEN)
    return f"{rounded:f}"
