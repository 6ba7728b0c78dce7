"""Charts: one description (`reports.plots`), one geometry, two drawings.

`scene` lays a chart out once; `svg` writes that for a page and `reports.pdf.figures.drawing` for the
PDF, so that what a reviewer saw and what a regulator gets are the same picture. `table` gives the
values behind it, which follow every chart.

The SVG carries no inline style and no script: classes (`chart`, `c-series-0`, `c-limit`, ...) and
presentation attributes in `currentColor`, which the page's stylesheet themes for light and dark.
Series differ by mark, dash and strength as well as by colour.
"""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kernel.canonical import digest
from reports import numbers
from reports.plots import Chart, Plot, Point, read
from reports.scales import Scale, linear, text_width


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    role: str
    strength: float = 1.0


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
    """Text at a baseline. Roles: `name`, `value`, `tick`, `limit`, `legend`, `unit`, `cell`."""

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


LABEL_SIZE = 8.5
SMALL_SIZE = 7.5
_SMALL = frozenset({"tick", "value", "limit", "unit"})
_PAD = 6.0


def scene(plot: Plot | Mapping[str, Any], width: float = 480.0) -> Scene:
    """Lay `plot` out in `width` points.

    Raises:
        BadPlot: the description contradicts itself.
    """
    chart = read(plot)
    if chart.kind in ("bar", "interval"):
        return _rows(chart, width)
    return _matrix(chart, width) if chart.kind == "confusion" else _plane(chart, width)


def size_of(role: str) -> float:
    return SMALL_SIZE if role in _SMALL else LABEL_SIZE


def _limit_text(chart: Chart) -> str:
    assert chart.limit is not None
    return chart.limit.get("label") or f"limit {numbers.figure(chart.limit['value'], chart.unit)}"


def _extent(chart: Chart) -> tuple[float, float]:
    seen = [chart.limit["value"]] if chart.limit else []
    if chart.reference is not None:
        seen.append(chart.reference)
    for point in chart.points():
        seen += [v for v in (point.value, point.lower, point.upper) if v is not None]
    if chart.kind in ("bar", "histogram") or not seen:
        seen.append(0.0)
    return min(seen), max(seen)


def value_text(point: Point, unit: str) -> str:
    """A point's value with its interval, or why there is none."""
    if point.value is None:
        return f"{numbers.UNDEFINED}: {point.reason}" if point.reason else numbers.UNDEFINED
    text = numbers.figure(point.value, unit)
    if point.has_interval:
        text += f" ({numbers.interval(point.lower, point.upper, unit)})"
    return text


def _rows(chart: Chart, width: float) -> Scene:
    """Rows, one for each name and series: name at the left, mark in the middle, value at the right."""
    several = len(chart.series) > 1
    names = {name: _cut(name, LABEL_SIZE, width * 0.36) for name in chart.names}
    texts = {
        id(point): _cut(value_text(point, chart.unit), SMALL_SIZE, width * 0.34)
        for point in chart.points()
    }
    left = max((text_width(name, LABEL_SIZE) for name in names.values()), default=0.0) + 2 * _PAD
    right = max((text_width(text, SMALL_SIZE) for text in texts.values()), default=0.0) + 2 * _PAD
    row = 13.0 if several else 17.0
    group = row * len(chart.series) + (6.0 if several else 0.0)
    top = 4.0 + (_legend_height(chart, width) if several else 0.0) + (12.0 if chart.limit else 0.0)
    bottom = top + group * max(len(names), 1)
    scale = linear(*_extent(chart), left, width - right)
    marks: list[Mark] = list(_legend(chart, width)) if several else []
    marks += _value_axis(scale, top, bottom, chart)
    for i, name in enumerate(names.values()):
        marks.append(Label(left - _PAD, top + group * (i + 0.5) + 3, name, "name", "end"))
    for k, (_, points) in enumerate(chart.series):
        for point in points:
            middle = top + group * point.at + (3.0 if several else 0.0) + row * (k + 0.5)
            marks += _row_marks(chart, point, k, middle, row, scale)
            marks.append(Label(width - right + _PAD, middle + 2.6, texts[id(point)], "value"))
    if chart.limit:
        x, text = scale(chart.limit["value"]), _limit_text(chart)
        half = text_width(text, SMALL_SIZE) / 2
        marks.append(Path(((x, top - 2), (x, bottom)), "limit"))
        place = min(max(x, left + half), width - half)
        marks.append(Label(place, top - 5, text, "limit", "middle"))
    return Scene(width, bottom + (26 if chart.y_label else 14), tuple(marks))


def _row_marks(
    chart: Chart, point: Point, k: int, middle: float, row: float, scale: Scale
) -> Iterator[Mark]:
    if point.value is None:
        return
    at = scale(point.value)
    if chart.kind == "bar":
        zero, height = scale(0.0), row * 0.56
        yield Box(min(zero, at), middle - height / 2, abs(at - zero), height, f"series-{k}")
    if point.lower is not None and point.upper is not None:
        a, b = scale(point.lower), scale(point.upper)
        yield Path(((a, middle), (b, middle)), "interval")
        for end in (a, b):
            yield Path(((end, middle - 3), (end, middle + 3)), "interval")
    if chart.kind == "interval":
        yield Dot(at, middle, 3.2, f"series-{k}")


def _value_axis(scale: Scale, top: float, bottom: float, chart: Chart) -> Iterator[Mark]:
    free = float("-inf")
    for value, text in scale.ticks:
        x, half = scale(value), text_width(text, SMALL_SIZE) / 2
        yield Path(((x, top), (x, bottom)), "grid")
        # Where there is little room, every tick has its line, and its figure only if it fits.
        if x - half >= free:
            yield Label(x, bottom + 10, text, "tick", "middle")
            free = x + half + 3
    if chart.kind == "bar":
        yield Path(((scale(0.0), top), (scale(0.0), bottom)), "axis")
    if chart.reference is not None:
        yield Path(((scale(chart.reference), top), (scale(chart.reference), bottom)), "reference")
    if chart.y_label:
        yield Label((scale.start + scale.end) / 2, bottom + 21, chart.y_label, "unit", "middle")


def _plane(chart: Chart, width: float) -> Scene:
    """Lines or columns: values upwards, the ordered axis along the foot."""
    head = _legend_height(chart, width) if len(chart.series) > 1 else 0.0
    top = 8.0 + head + (10.0 if chart.y_label else 0.0)
    bottom = top + 130.0
    scale = linear(*_extent(chart), bottom, top)
    left = max(text_width(text, SMALL_SIZE) for _, text in scale.ticks) + 2 * _PAD
    across = _across(chart, left, width)
    marks: list[Mark] = list(_legend(chart, width)) if head else []
    for value, text in scale.ticks:
        marks.append(Path(((left, scale(value)), (width, scale(value))), "grid"))
        marks.append(Label(left - _PAD, scale(value) + 2.6, text, "tick", "end"))
    if chart.y_label:
        marks.append(Label(0, top - 8, chart.y_label, "unit"))
    marks += _foot(chart, across, left, width, bottom)
    foot = scale(0.0) if scale.holds(0.0) else bottom
    marks.append(Path(((left, foot), (width, foot)), "axis"))
    for k, (_, points) in enumerate(chart.series):
        if chart.kind == "histogram":
            marks += _columns(chart, points, k, across, scale)
        else:
            marks += _line(points, k, across, scale)
    if chart.reference is not None:
        y = scale(chart.reference)
        marks.append(Path(((left, y), (width, y)), "reference"))
    if chart.limit:
        y = scale(chart.limit["value"])
        marks.append(Path(((left, y), (width, y)), "limit"))
        marks.append(Label(width, y - 3.5, _limit_text(chart), "limit", "end"))
    return Scene(width, bottom + (26 if chart.x_label else 14), tuple(marks))


def _across(chart: Chart, left: float, width: float) -> Scale:
    """The ordered axis: measured numbers on a scale of their own, names at the middle of a step."""
    if chart.numeric:
        places = [point.at for point in chart.points()]
        return linear(min(places), max(places), left + _PAD, width - 2 * _PAD)
    return Scale(-0.5, max(len(chart.names), 1) - 0.5, left, width, ())


def _foot(chart: Chart, across: Scale, left: float, width: float, bottom: float) -> Iterator[Mark]:
    """Names under the axis: as many as fit without touching, the first always."""
    if chart.numeric:
        for value, text in across.ticks:
            yield Label(across(value), bottom + 10, text, "tick", "middle")
    else:
        step = (width - left) / max(len(chart.names), 1)
        room = max(step - 2, 60.0)
        names = [_cut(name, SMALL_SIZE, room) for name in chart.names]
        widest = max((text_width(name, SMALL_SIZE) for name in names), default=0.0) + 3
        every = max(1, -int(-widest // step))
        for i in range(0, len(names), every):
            half = text_width(names[i], SMALL_SIZE) / 2
            place = max(min(across(i), width - half), half)
            yield Label(place, bottom + 10, names[i], "tick", "middle")
    if chart.x_label:
        yield Label((left + width) / 2, bottom + 21, chart.x_label, "unit", "middle")


def _columns(
    chart: Chart, points: Sequence[Point], k: int, across: Scale, scale: Scale
) -> Iterator[Mark]:
    step = across(1) - across(0) if len(chart.names) > 1 else across.end - across.start
    breadth = step * 0.8 / len(chart.series)
    for point in points:
        if point.value is not None:
            x = across(point.at) - step * 0.4 + breadth * k
            zero, at = scale(0.0), scale(point.value)
            yield Box(x, min(zero, at), breadth * 0.94, abs(at - zero), f"series-{k}")


def _line(points: Sequence[Point], k: int, across: Scale, scale: Scale) -> Iterator[Mark]:
    for run in _runs(points):
        if len(run) == 1 and run[0].has_interval:
            x = across(run[0].at)
            ends = ((x, scale(run[0].lower or 0.0)), (x, scale(run[0].upper or 0.0)))
            yield Path(ends, "interval")
        elif all(point.has_interval for point in run):
            upper = [(across(p.at), scale(p.upper or 0.0)) for p in run]
            lower = [(across(p.at), scale(p.lower or 0.0)) for p in reversed(run)]
            yield Area((*upper, *lower), f"series-{k}")
        places = tuple((across(p.at), scale(p.value or 0.0)) for p in run)
        if len(places) > 1:
            yield Path(places, f"series-{k}")
        if len(points) <= 40 or len(places) == 1:
            for x, y in places:
                yield Dot(x, y, 2.2, f"series-{k}")


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """Stretches of defined values; a gap breaks the line."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _matrix(chart: Chart, width: float) -> Scene:
    """Counts in cells, shaded by their share of the largest; rows are outcomes, columns predictions."""
    cells = {(point.actual, point.predicted): point for point in chart.points()}
    rows = list(dict.fromkeys(actual for actual, _ in cells))
    columns = list(dict.fromkeys(predicted for _, predicted in cells))
    heads = [f"{chart.y_label or 'actual'} {row}" for row in rows]
    left = max(text_width(head, LABEL_SIZE) for head in heads) + 2 * _PAD
    cell, tall, top = min(130.0, (width - left) / len(columns)), 28.0, 16.0
    largest = max((point.value or 0.0 for point in cells.values()), default=0.0) or 1.0
    marks: list[Mark] = []
    for j, column in enumerate(columns):
        head = f"{chart.x_label or 'predicted'} {column}"
        marks.append(Label(left + cell * (j + 0.5), top - 5, head, "name", "middle"))
    for (actual, predicted), point in cells.items():
        x, y = left + cell * columns.index(predicted), top + tall * rows.index(actual)
        shade = 0.06 + 0.34 * (point.value or 0.0) / largest
        marks.append(Box(x + 1, y + 1, cell - 2, tall - 2, "series-0", shade))
        text = numbers.figure(point.value, "count")
        marks.append(Label(x + cell / 2, y + tall / 2 + 3, text, "cell", "middle"))
    for i, head in enumerate(heads):
        marks.append(Label(left - _PAD, top + tall * (i + 0.5) + 3, head, "name", "end"))
    return Scene(width, top + tall * len(rows) + 4, tuple(marks))


def _legend_places(chart: Chart, width: float) -> list[tuple[float, float, str]]:
    places, x, y = [], 2.0, 8.0
    for series, _ in chart.series:
        name = _cut(series, LABEL_SIZE, width * 0.6)
        need = 16 + text_width(name, LABEL_SIZE) + 14
        if x > 2.0 and x + need > width:
            x, y = 2.0, y + 13.0
        places.append((x, y, name))
        x += need
    return places


def _legend_height(chart: Chart, width: float) -> float:
    return _legend_places(chart, width)[-1][1] + 8.0


def _legend(chart: Chart, width: float) -> Iterator[Mark]:
    for k, (x, y, name) in enumerate(_legend_places(chart, width)):
        if chart.kind == "line":
            yield Path(((x, y - 3), (x + 12, y - 3)), f"series-{k}")
        elif chart.kind == "interval":
            yield Dot(x + 6, y - 3, 3.2, f"series-{k}")
        else:
            yield Box(x + 1, y - 7, 9, 8, f"series-{k}")
        yield Label(x + 16, y, name, "legend")


def _cut(text: str, size: float, room: float) -> str:
    if text_width(text, size) <= room:
        return text
    while text and text_width(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"


_FIRST = {"bar": "Item", "interval": "Group", "line": "x", "histogram": "Bin", "confusion": "Cell"}


def table(plot: Plot | Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The values behind the chart as header and rows of text, for the table that follows it."""
    chart = read(plot)
    header = [chart.x_label if chart.x_label and chart.kind != "confusion" else _FIRST[chart.kind]]
    columns: list[list[str]] = []
    for name, points in chart.series:
        found = {point.name: point for point in points}
        row = [found.get(x) for x in chart.names]
        single = "count" if chart.kind == "confusion" else chart.y_label or name
        header.append(name if len(chart.series) > 1 else single)
        columns.append([_cell(point, chart.unit) for point in row])
        if any(point and point.has_interval for point in row):
            header.append("Interval")
            columns.append([_interval(point, chart.unit) for point in row])
        if any(point and point.n is not None for point in row):
            header.append("n")
            columns.append(
                [numbers.figure(p.n, "count") if p and p.n is not None else "–" for p in row]
            )
    return header, [[name, *cells] for name, *cells in zip(chart.names, *columns, strict=True)]


def _cell(point: Point | None, unit: str) -> str:
    if point is None:
        return "–"
    if point.value is None:
        return value_text(point, unit)
    return numbers.figure(point.value, unit)


def _interval(point: Point | None, unit: str) -> str:
    return numbers.interval(point.lower, point.upper, unit) if point and point.has_interval else "–"


def describe(plot: Plot | Mapping[str, Any]) -> str:
    """The chart in words, for those who cannot see it."""
    chart = read(plot)
    parts = []
    for series, points in chart.series:
        prefix = f"{series}: " if len(chart.series) > 1 else ""
        parts.append(prefix + ", ".join(f"{p.name} {value_text(p, chart.unit)}" for p in points))
    if chart.limit:
        parts.append(_limit_text(chart))
    return f"{chart.title}. {'; '.join(parts)}."


def svg(plot: Plot | Mapping[str, Any], *, width: float = 480.0, ident: str | None = None) -> str:
    """Draw `plot` for a page: an `svg` element, escaped, safe to insert as it is.

    Args:
        width: of the coordinate system in points; the stylesheet may scale the element.
        ident: prefix of its ids, where the same plot stands twice on one page.
    """
    drawn = scene(plot, width)
    key = ident or f"chart-{digest(plot)[:12]}"
    body = "".join(map(_svg_mark, drawn.marks))
    return (
        f'<svg class="chart chart-{plot["kind"]}" role="img" '
        f'viewBox="0 0 {drawn.width:g} {drawn.height:.1f}" width="{drawn.width:g}" '
        f'height="{drawn.height:.1f}" aria-labelledby="{key}-t" aria-describedby="{key}-d">'
        f'<title id="{key}-t">{html.escape(str(plot["title"]))}</title>'
        f'<desc id="{key}-d">{html.escape(describe(plot))}</desc>{body}</svg>'
    )


SERIES_DASHES = ("", "6 2", "2 2", "8 2 2 2", "4 4", "1 2")
_DASHES = {"limit": "5 3", "reference": "1 3"}
_STROKES = {"grid": ("0.5", "0.18"), "axis": ("0.8", "0.8"), "interval": ("1.2", "1")}
_STRENGTHS = (0.55, 0.3, 0.8, 0.2, 0.65, 0.42)


def dash_of(role: str) -> str:
    """The dash pattern of a line, so that series and limits differ without colour."""
    if role.startswith("series-"):
        return SERIES_DASHES[int(role[7:]) % len(SERIES_DASHES)]
    return _DASHES.get(role, "")


def _svg_mark(mark: Mark) -> str:
    css = f'class="c-{mark.role}"'
    match mark:
        case Label(x, y, text, role, anchor):
            return (
                f'<text {css} x="{x:.1f}" y="{y:.1f}" font-size="{size_of(role)}" '
                f'fill="currentColor" text-anchor="{anchor}">{html.escape(text)}</text>'
            )
        case Box(x, y, w, h, role, strength):
            opacity = _STRENGTHS[int(role[7:]) % len(_STRENGTHS)] if strength == 1.0 else strength
            return (
                f'<rect {css} x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" '
                f'fill="currentColor" fill-opacity="{opacity:.2f}"/>'
            )
        case Dot(x, y, r):
            return f'<circle {css} cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="currentColor"/>'
        case Area(points):
            return f'<polygon {css} points="{_pairs(points)}" fill="currentColor" fill-opacity="0.15"/>'
        case Path(points, role):
            weight, strength_ = _STROKES.get(role, ("1.5", "1"))
            dash = f' stroke-dasharray="{dash_of(role)}"' if dash_of(role) else ""
            return (
                f'<polyline {css} points="{_pairs(points)}" fill="none" stroke="currentColor" '
                f'stroke-width="{weight}" stroke-opacity="{strength_}"{dash}/>'
            )


def _pairs(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
