"""Charts: one description, one geometry, two drawings.

A chart is data (`Plot`). `scene` lays it out once; `svg` writes that for a page and
`reports.pdf.figures.drawing` for the PDF, so that what a reviewer saw and what a regulator gets
are the same picture. `table` gives the values behind it, which follow every chart.

The SVG carries no inline style and no script: classes and presentation attributes with
`currentColor`, which the page's stylesheet themes for light and dark. Series differ by mark and
dash as well as by colour.

A plot, as a check writes it:

    {"kind": "dots", "title": "Selection rate by sex", "x": ["Female", "Male"],
     "series": [{"name": "selection rate", "values": [0.031, 0.102],
                 "low": [0.027, 0.094], "high": [0.036, 0.110], "n": [9812, 8930]}],
     "limit": {"value": 0.1, "label": "limit 0.10"}, "unit": "proportion"}
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

from kernel.canonical import digest
from reports import numbers
from reports.scales import Scale, linear, text_width

Kind = Literal["interval_bars", "dots", "bars", "columns", "lines"]
KINDS: tuple[Kind, ...] = ("interval_bars", "dots", "bars", "columns", "lines")


class Series(TypedDict):
    """One row of values, aligned with `x`. None is undefined and is drawn as such, never as zero."""

    name: str
    values: Sequence[float | None]
    low: NotRequired[Sequence[float | None]]
    high: NotRequired[Sequence[float | None]]
    n: NotRequired[Sequence[int | None]]


class Limit(TypedDict):
    value: float
    label: NotRequired[str]


class Plot(TypedDict):
    """What is drawn.

    kind:
        `interval_bars` horizontal bars with an interval each; `dots` the same with a dot, for
        figures where zero means nothing; `bars` horizontal bars without interval (importance);
        `columns` vertical columns side by side (distributions over bins); `lines` over ordered `x`
        (time, score), with a band where a series has an interval.
    x: names of rows, bins or instants, in the order of drawing.
    limit: a number or `Limit`: the line that a policy or monitor draws. None: no line.
    reference: a value that means "no difference" (0 for a difference, 1 for a ratio).
    unit: `proportion`, `ratio`, `count`, `percent` or empty; see `reports.numbers.figure`.
    """

    kind: Kind
    title: str
    x: Sequence[str]
    series: Sequence[Series]
    limit: NotRequired[Limit | float | None]
    reference: NotRequired[float | None]
    unit: NotRequired[str]
    x_label: NotRequired[str]
    y_label: NotRequired[str]


class BadPlot(ValueError):
    """The description contradicts itself; the message names the field."""


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    role: str


@dataclass(frozen=True, slots=True)
class Path:
    """A line through points. Roles: `axis`, `grid`, `limit`, `reference`, `interval`, `series-<k>`."""

    points: tuple[tuple[float, float], ...]
    role: str


@dataclass(frozen=True, slots=True)
class Area:
    points: tuple[tuple[float, float], ...]
    role: str


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    radius: float
    role: str


@dataclass(frozen=True, slots=True)
class Label:
    """Text at a baseline. Roles: `name`, `value`, `tick`, `limit`, `legend`, `unit`."""

    x: float
    y: float
    text: str
    role: str
    anchor: Literal["start", "middle", "end"] = "start"


Mark = Box | Path | Area | Dot | Label


@dataclass(frozen=True)
class Scene:
    """A laid-out chart. Units are points; y grows downwards."""

    width: float
    height: float
    marks: tuple[Mark, ...]


ROW_KINDS = ("interval_bars", "dots", "bars")
LABEL_SIZE = 8.5
TICK_SIZE = 7.5
_ROW = 17.0
_PAD = 6.0


def scene(plot: Plot, width: float = 480.0) -> Scene:
    """Lay `plot` out in `width` points.

    Raises:
        BadPlot: unknown kind, no series, or a series whose length differs from `x`.
    """
    check(plot)
    return _rows(plot, width) if plot["kind"] in ROW_KINDS else _plane(plot, width)


def check(plot: Plot) -> None:
    if plot["kind"] not in KINDS:
        raise BadPlot(f"kind: {plot['kind']!r} is none of {', '.join(KINDS)}")
    if not plot["series"]:
        raise BadPlot("series: none given")
    for series in plot["series"]:
        columns: list[tuple[str, Sequence[float | None] | None]] = [
            ("values", series["values"]),
            ("low", series.get("low")),
            ("high", series.get("high")),
            ("n", series.get("n")),
        ]
        for field, column in columns:
            if column is not None and len(column) != len(plot["x"]):
                raise BadPlot(
                    f"series {series['name']!r}: {field} has {len(column)} entries for "
                    f"{len(plot['x'])} of x"
                )


def limit_of(plot: Plot) -> Limit | None:
    limit = plot.get("limit")
    return {"value": limit} if isinstance(limit, int | float) else limit


def _limit_text(limit: Limit, unit: str) -> str:
    return limit.get("label") or f"limit {numbers.figure(limit['value'], unit)}"


def _extent(plot: Plot) -> tuple[float, float]:
    limit = limit_of(plot)
    seen = [limit["value"]] if limit else []
    reference = plot.get("reference")
    if reference is not None:
        seen.append(reference)
    for series in plot["series"]:
        for column in (series["values"], series.get("low", ()), series.get("high", ())):
            seen.extend(value for value in column if value is not None)
    if plot["kind"] in ("interval_bars", "bars", "columns") or not seen:
        seen.append(0.0)
    return min(seen), max(seen)


def _values_text(plot: Plot, series: Series, index: int) -> str:
    unit = plot.get("unit", "")
    value = series["values"][index]
    text = numbers.figure(value, unit)
    low, high = series.get("low"), series.get("high")
    if value is not None and low and high and low[index] is not None and high[index] is not None:
        text += f" ({numbers.interval(low[index], high[index], unit)})"
    return text


def _rows(plot: Plot, width: float) -> Scene:
    """Rows, one for each x and series: name at the left, mark in the middle, value at the right."""
    several = len(plot["series"]) > 1
    names = [_cut(name, LABEL_SIZE, width * 0.34) for name in plot["x"]]
    values = [_values_text(plot, s, i) for s in plot["series"] for i in range(len(names))]
    left = max((text_width(name, LABEL_SIZE) for name in names), default=0.0) + 2 * _PAD
    right = max((text_width(text, TICK_SIZE) for text in values), default=0.0) + 2 * _PAD
    limit = limit_of(plot)
    top = 4.0 + (_legend_height(plot, width) if several else 0.0) + (12.0 if limit else 0.0)
    row = _ROW if not several else 13.0
    group = row * len(plot["series"]) + (6.0 if several else 0.0)
    bottom = top + max(group * len(names), row)
    scale = linear(*_extent(plot), left, width - right)
    marks: list[Mark] = list(_legend(plot, width)) if several else []
    marks += _value_axis(scale, top, bottom, plot)
    for i, name in enumerate(names):
        marks.append(Label(left - _PAD, top + group * i + group / 2 + 3, name, "name", "end"))
        for k, series in enumerate(plot["series"]):
            middle = top + group * i + (3.0 if several else 0.0) + row * k + row / 2
            marks += _row_marks(plot, series, i, k, middle, row, scale)
            text = _values_text(plot, series, i)
            marks.append(Label(width - right + _PAD, middle + 2.6, text, "value"))
    if limit:
        x = scale(limit["value"])
        marks.append(Path(((x, top - 2), (x, bottom)), "limit"))
        marks.append(_limit_label(x, top - 5, limit, plot, left, width))
    return Scene(width, bottom + 16 + (10 if plot.get("y_label") else 0), tuple(marks))


def _limit_label(
    x: float, y: float, limit: Limit, plot: Plot, left: float, width: float
) -> Label:
    text = _limit_text(limit, plot.get("unit", ""))
    half = text_width(text, TICK_SIZE) / 2
    return Label(min(max(x, left + half), width - half), y, text, "limit", "middle")


def _row_marks(
    plot: Plot, series: Series, i: int, k: int, middle: float, row: float, scale: Scale
) -> Iterable[Mark]:
    value = series["values"][i]
    if value is None:
        return
    at = scale(value)
    if plot["kind"] != "dots":
        zero, height = scale(0.0), row * 0.56
        yield Box(min(zero, at), middle - height / 2, abs(at - zero), height, f"series-{k}")
    low, high = series.get("low"), series.get("high")
    if low and high and low[i] is not None and high[i] is not None:
        a, b = scale(low[i]), scale(high[i])  # type: ignore[arg-type]
        yield Path(((a, middle), (b, middle)), "interval")
        for end in (a, b):
            yield Path(((end, middle - 3), (end, middle + 3)), "interval")
    if plot["kind"] == "dots":
        yield Dot(at, middle, 3.2, f"series-{k}")


def _value_axis(scale: Scale, top: float, bottom: float, plot: Plot) -> Iterable[Mark]:
    for value, text in scale.ticks:
        x = scale(value)
        yield Path(((x, top), (x, bottom)), "grid")
        yield Label(x, bottom + 10, text, "tick", "middle")
    if plot["kind"] != "dots":
        yield Path(((scale(0.0), top), (scale(0.0), bottom)), "axis")
    reference = plot.get("reference")
    if reference is not None:
        yield Path(((scale(reference), top), (scale(reference), bottom)), "reference")
    if plot.get("y_label"):
        yield Label(scale.end, bottom + 20, plot["y_label"], "unit", "end")


def _plane(plot: Plot, width: float) -> Scene:
    """Lines or columns: values upwards, `x` along the foot."""
    limit = limit_of(plot)
    head = _legend_height(plot, width) if len(plot["series"]) > 1 else 0.0
    top, height = 8.0 + head + (8.0 if plot.get("y_label") else 0.0), 130.0
    bottom = top + height
    scale = linear(*_extent(plot), bottom, top)
    left = max(text_width(text, TICK_SIZE) for _, text in scale.ticks) + 2 * _PAD
    marks: list[Mark] = list(_legend(plot, width)) if head else []
    for value, text in scale.ticks:
        marks.append(Path(((left, scale(value)), (width, scale(value))), "grid"))
        marks.append(Label(left - _PAD, scale(value) + 2.6, text, "tick", "end"))
    if plot.get("y_label"):
        marks.append(Label(left, top - 6, plot["y_label"], "unit"))
    step = (width - left) / max(len(plot["x"]), 1)
    marks += _foot(plot, left, step, bottom)
    foot = scale(0.0) if scale.holds(0.0) else bottom
    marks.append(Path(((left, foot), (width, foot)), "axis"))
    draw = _column_marks if plot["kind"] == "columns" else _line_marks
    for k, series in enumerate(plot["series"]):
        marks += draw(plot, series, k, left, step, scale)
    reference = plot.get("reference")
    if reference is not None:
        marks.append(Path(((left, scale(reference)), (width, scale(reference))), "reference"))
    if limit:
        y = scale(limit["value"])
        marks.append(Path(((left, y), (width, y)), "limit"))
        text = _limit_text(limit, plot.get("unit", ""))
        marks.append(Label(width, y - 3.5, text, "limit", "end"))
    return Scene(width, bottom + 16 + (10 if plot.get("x_label") else 0), tuple(marks))


def _foot(plot: Plot, left: float, step: float, bottom: float) -> Iterable[Mark]:
    """Names under the axis: as many as fit without touching, the first always."""
    widest = max((text_width(name, TICK_SIZE) for name in plot["x"]), default=0.0) + _PAD
    every = max(1, -int(-widest // step)) if step else 1
    for i, name in enumerate(plot["x"]):
        if i % every == 0:
            yield Label(left + step * (i + 0.5), bottom + 10, name, "tick", "middle")
    if plot.get("x_label"):
        yield Label(left + step * len(plot["x"]), bottom + 20, plot["x_label"], "unit", "end")


def _column_marks(
    plot: Plot, series: Series, k: int, left: float, step: float, scale: Scale
) -> Iterable[Mark]:
    breadth = step * 0.8 / len(plot["series"])
    for i, value in enumerate(series["values"]):
        if value is None:
            continue
        x = left + step * (i + 0.1) + breadth * k
        zero, at = scale(0.0), scale(value)
        yield Box(x, min(zero, at), breadth * 0.94, abs(at - zero), f"series-{k}")


def _line_marks(
    plot: Plot, series: Series, k: int, left: float, step: float, scale: Scale
) -> Iterable[Mark]:
    def at(i: int, value: float) -> tuple[float, float]:
        return left + step * (i + 0.5), scale(value)

    low, high = series.get("low"), series.get("high")
    for run in _runs(series["values"]):
        if low and high and all(low[i] is not None and high[i] is not None for i in run):
            upper = [at(i, high[i]) for i in run]  # type: ignore[arg-type]
            lower = [at(i, low[i]) for i in reversed(run)]  # type: ignore[arg-type]
            yield Area((*upper, *lower), f"series-{k}")
        points = tuple(at(i, series["values"][i]) for i in run)  # type: ignore[arg-type]
        if len(points) > 1:
            yield Path(points, f"series-{k}")
        if len(plot["x"]) <= 40 or len(points) == 1:
            for x, y in points:
                yield Dot(x, y, 2.2, f"series-{k}")


def _runs(values: Sequence[float | None]) -> list[list[int]]:
    """Stretches of defined values; a gap breaks the line."""
    runs: list[list[int]] = [[]]
    for i, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(i)
    return [run for run in runs if run]


def _legend_places(plot: Plot, width: float) -> list[tuple[float, float, str]]:
    places, x, y = [], 2.0, 8.0
    for series in plot["series"]:
        name = _cut(series["name"], LABEL_SIZE, width * 0.6)
        need = 16 + text_width(name, LABEL_SIZE) + 14
        if x > 2.0 and x + need > width:
            x, y = 2.0, y + 13.0
        places.append((x, y, name))
        x += need
    return places


def _legend_height(plot: Plot, width: float) -> float:
    return _legend_places(plot, width)[-1][1] + 8.0


def _legend(plot: Plot, width: float) -> Iterable[Mark]:
    for k, (x, y, name) in enumerate(_legend_places(plot, width)):
        if plot["kind"] == "lines":
            yield Path(((x, y - 3), (x + 12, y - 3)), f"series-{k}")
        else:
            yield Box(x + 1, y - 7, 9, 8, f"series-{k}")
        yield Label(x + 16, y, name, "legend")


def _cut(text: str, size: float, room: float) -> str:
    if text_width(text, size) <= room:
        return text
    while text and text_width(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def table(plot: Plot) -> tuple[list[str], list[list[str]]]:
    """The values behind the chart as header and rows of text, for the table that follows it."""
    unit = plot.get("unit", "")
    header = [plot.get("x_label") or "Group"]
    for series in plot["series"]:
        header.append(series["name"])
        if "low" in series:
            header.append("Interval")
        if "n" in series:
            header.append("n")
    rows = []
    for i, name in enumerate(plot["x"]):
        row = [name]
        for series in plot["series"]:
            row.append(numbers.figure(series["values"][i], unit))
            if "low" in series:
                row.append(numbers.interval(series["low"][i], series.get("high", series["low"])[i], unit))
            if "n" in series:
                row.append(numbers.figure(series["n"][i], "count"))
        rows.append(row)
    return header, rows


def describe(plot: Plot) -> str:
    """The chart in words, for those who cannot see it."""
    parts = [
        f"{name}: "
        + ", ".join(
            (f"{series['name']} " if len(plot["series"]) > 1 else "") + _values_text(plot, series, i)
            for series in plot["series"]
        )
        for i, name in enumerate(plot["x"])
    ]
    limit = limit_of(plot)
    if limit:
        parts.append(_limit_text(limit, plot.get("unit", "")))
    return f"{plot['title']}. {'; '.join(parts)}."


def svg(plot: Plot, *, width: float = 480.0, ident: str | None = None) -> str:
    """Draw `plot` for a page: an `svg` element, safe to insert as it is.

    Args:
        width: of the coordinate system in points; the element itself fills its container.
        ident: prefix of its ids, where the same plot stands twice on one page.
    """
    drawn = scene(plot, width)
    key = ident or f"chart-{digest(plot)[:12]}"
    body = "".join(map(_svg_mark, drawn.marks))
    return (
        f'<svg class="chart chart-{plot["kind"].replace("_", "-")}" role="img" '
        f'viewBox="0 0 {drawn.width:g} {drawn.height:.1f}" width="{drawn.width:g}" '
        f'height="{drawn.height:.1f}" aria-labelledby="{key}-t" aria-describedby="{key}-d">'
        f'<title id="{key}-t">{html.escape(plot["title"])}</title>'
        f'<desc id="{key}-d">{html.escape(describe(plot))}</desc>{body}</svg>'
    )


DASHES: dict[str, str] = {"limit": "5 3", "reference": "1 3"}
SERIES_DASHES = ("", "6 2", "2 2", "8 2 2 2", "4 4", "1 2")
_STROKES = {"grid": ("0.5", "0.18"), "axis": ("0.8", "0.8"), "interval": ("1.2", "1")}


def dash_of(role: str) -> str:
    """The dash pattern of a line, so that series and limits differ without colour."""
    if role.startswith("series-"):
        return SERIES_DASHES[int(role[7:]) % len(SERIES_DASHES)]
    return DASHES.get(role, "")


def _svg_mark(mark: Mark) -> str:
    css = f'class="c-{mark.role}"'
    match mark:
        case Label(x, y, text, role, anchor):
            size = TICK_SIZE if role in ("tick", "value", "limit", "unit") else LABEL_SIZE
            return (
                f'<text {css} x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="currentColor" '
                f'text-anchor="{anchor}">{html.escape(text)}</text>'
            )
        case Box(x, y, w, h):
            return (
                f'<rect {css} x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" '
                f'fill="currentColor" fill-opacity="{_opacity(mark.role)}"/>'
            )
        case Dot(x, y, r):
            return f'<circle {css} cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="currentColor"/>'
        case Area(points):
            return f'<polygon {css} points="{_pairs(points)}" fill="currentColor" fill-opacity="0.15"/>'
        case Path(points, role):
            weight, strength = _STROKES.get(role, ("1.5", "1"))
            dash = f' stroke-dasharray="{dash_of(role)}"' if dash_of(role) else ""
            return (
                f'<polyline {css} points="{_pairs(points)}" fill="none" stroke="currentColor" '
                f'stroke-width="{weight}" stroke-opacity="{strength}"{dash}/>'
            )


def _opacity(role: str) -> str:
    return ("0.55", "0.3", "0.8", "0.2", "0.65", "0.42")[int(role[7:]) % 6]


def _pairs(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
