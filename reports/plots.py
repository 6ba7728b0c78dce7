"""How a chart is described: plain data that a check writes and a page or a report draws.

    {"name": "selection-rate-sex", "kind": "interval", "title": "Selection rate by sex",
     "x_label": "sex", "y_label": "selection rate", "series": [{"name": "selection rate", "points": [
        {"label": "Female", "value": 0.031, "lower": 0.027, "upper": 0.036, "n": 9812},
        {"label": "Other", "value": None, "reason": "insufficient", "n": 3}]}],
     "limit": {"value": 0.1, "label": "limit 0.10"}, "unit": "rate"}

`limit`, `reference` and `unit` are optional: whoever shows the plot may add the limit that a policy
or a monitor draws, because a check knows none.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

Kind = Literal["bar", "interval", "line", "histogram", "confusion"]
KINDS: tuple[Kind, ...] = ("bar", "interval", "line", "histogram", "confusion")


class Limit(TypedDict):
    value: float
    label: NotRequired[str]


class Series(TypedDict):
    """A named row of points. Null values are undefined and drawn as a gap, never as zero.

    Points of `bar` and `interval`: `label`, `value`, and where known `lower`, `upper`, `n`,
    `reason`. Of `line`: `x` (a number, or a text in order), `y`, and `lower`, `upper`. Of
    `histogram`: `from`, `to` (numbers, or texts; `label` names a bin that is no range), `value`.
    Of `confusion`: `actual`, `predicted`, `value`.
    """

    name: str
    points: Sequence[Mapping[str, Any]]


class Plot(TypedDict):
    """`bar`: horizontal bars. `interval`: a dot and its interval, by row. `line`: over ordered x,
    with a band where a point has an interval. `histogram`: columns side by side. `confusion`: counts
    of outcome by prediction. `x_label` names what is compared, `y_label` what is measured.
    `unit`: see `reports.numbers.figure`.
    """

    name: NotRequired[str]
    kind: Kind
    title: str
    x_label: NotRequired[str]
    y_label: NotRequired[str]
    series: Sequence[Series]
    limit: NotRequired[Limit | float | None]
    reference: NotRequired[float | None]
    unit: NotRequired[str]


class BadPlot(ValueError):
    """The description contradicts itself; the message names the field."""


@dataclass(frozen=True, slots=True)
class Point:
    """`at` is its place on the ordered axis: the number itself, or the index of its name."""

    at: float
    name: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    n: int | None = None
    reason: str = ""
    actual: str = ""
    predicted: str = ""

    @property
    def has_interval(self) -> bool:
        return self.value is not None and self.lower is not None and self.upper is not None


@dataclass(frozen=True)
class Chart:
    """A plot that was read and found whole."""

    kind: Kind
    title: str
    x_label: str
    y_label: str
    unit: str
    names: tuple[str, ...]
    series: tuple[tuple[str, tuple[Point, ...]], ...]
    limit: Limit | None
    reference: float | None
    numeric: bool
    """True if `at` is a measured number rather than a rank."""

    def points(self) -> list[Point]:
        return [point for _, points in self.series for point in points]


def read(plot: Plot | Mapping[str, Any]) -> Chart:
    """Read a description.

    Raises:
        BadPlot: an unknown kind, no series, a value that is no finite number.
    """
    kind, series = plot.get("kind"), plot.get("series")
    if kind not in KINDS:
        raise BadPlot(f"kind: {kind!r} is none of {', '.join(KINDS)}")
    if not series:
        raise BadPlot("series: none given")
    raw = [point for one in series for point in one["points"]]
    numeric = kind == "line" and bool(raw) and all(_is_number(point.get("x")) for point in raw)
    digits = _digits(raw) if kind == "histogram" else 6
    names = tuple(dict.fromkeys(_name(kind, point, digits) for point in raw))
    places = {name: float(k) for k, name in enumerate(names)}
    read_series = tuple(
        (
            str(one["name"]),
            tuple(_point(kind, point, numeric, places, digits) for point in one["points"]),
        )
        for one in series
    )
    limit = plot.get("limit")
    return Chart(
        kind=kind,
        title=str(plot["title"]),
        x_label=str(plot.get("x_label") or ""),
        y_label=str(plot.get("y_label") or ""),
        unit=str(plot.get("unit") or ("count" if kind == "confusion" else "")),
        names=names,
        series=read_series,
        limit={"value": limit} if isinstance(limit, int | float) else limit,
        reference=plot.get("reference"),
        numeric=numeric,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _digits(points: list[Mapping[str, Any]]) -> int:
    """The fewest significant digits, from two, that still tell the edges of all bins apart."""
    edges = {edge for point in points for edge in (point.get("from"), point.get("to"))}
    numbers = {edge for edge in edges if isinstance(edge, float)}
    if any(abs(edge) >= 1000 for edge in numbers):
        return 6
    apart = (d for d in range(2, 6) if len({f"{edge:.{d}g}" for edge in numbers}) == len(numbers))
    return next(apart, 6)


def _name(kind: Kind, point: Mapping[str, Any], digits: int = 6) -> str:
    if kind == "line":
        return _text(point.get("x"))
    if kind == "confusion":
        return f"actual {point.get('actual')}, predicted {point.get('predicted')}"
    if "label" in point or kind != "histogram":
        return str(point.get("label", ""))
    return f"{_text(point.get('from'), digits)} to {_text(point.get('to'), digits)}"


def _text(value: object, digits: int = 6) -> str:
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return "" if value is None else str(value)


def _point(
    kind: Kind,
    point: Mapping[str, Any],
    numeric: bool,
    places: Mapping[str, float],
    digits: int,
) -> Point:
    name = _name(kind, point, digits)
    numbers = {
        "value": point.get("y" if kind == "line" else "value"),
        "lower": point.get("lower"),
        "upper": point.get("upper"),
    }
    for field, value in numbers.items():
        if value is not None and not _is_number(value):
            raise BadPlot(f"{field} of {name!r}: {value!r} is not a finite number")
    at = float(point["x"]) if numeric else places[name]
    return Point(
        at,
        name,
        **numbers,
        n=point.get("n"),
        reason=str(point.get("reason") or "").replace("_", " "),
        actual=str(point.get("actual", "")),
        predicted=str(point.get("predicted", "")),
    )
