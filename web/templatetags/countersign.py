"""Small helpers that templates call. They print what they are given and read nothing."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from django import template
from django.forms import BoundField
from django.template.context import Context
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from kernel.canonical import digest as digest_of
from kernel.moments import now, parse_rfc3339, rfc3339
from reports import charts, numbers
from reports.plots import BadPlot, read
from web import results, vocabulary

register = template.Library()

_HEX = re.compile(r"[0-9a-f]{40,64}")
# What a chart is drawn for, in points: half of a page's column or all of it. The stylesheet scales
# either to about one and a half of that, so that its smallest text is no smaller than eleven pixels.
HALF, FULL = 240.0, 500.0
LONG_NAME = 14


@register.filter
def lasting(seconds: int) -> str:
    """A length of time in the largest unit that tells it whole: `45 days`, `25 hours`, `90 seconds`."""
    for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds % length == 0 and seconds >= length:
            return f"{seconds // length} {unit}{'s' * (seconds != length)}"
    return "0 seconds"


@register.simple_tag
def mark(name: str, size: int = 16) -> SafeString:
    """A drawn mark, hidden from screen readers because a word always stands beside it."""
    return format_html(
        '<svg viewBox="0 0 16 16" width="{0}" height="{0}" fill="none" stroke="currentColor" '
        'stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" '
        'focusable="false">{1}</svg>',
        size,
        SafeString(vocabulary.MARKS[name]),
    )


@register.simple_tag
def status(word: object, label: str = "") -> SafeString:
    """A word of the record with its tone and mark."""
    if not word:
        return SafeString("")
    running = " running" if vocabulary.mark(word) == "turning" else ""
    return format_html(
        '<span class="status {}{}">{}{}</span>',
        vocabulary.tone(word),
        running,
        mark(vocabulary.mark(word)),
        label or vocabulary.label(word),
    )


@register.filter
def tone(word: object) -> str:
    return vocabulary.tone(word)


@register.simple_tag
def mark_of(word: object) -> SafeString:
    return mark(vocabulary.mark(word))


@register.filter
def words(value: object) -> str:
    """`data_quality` as `data quality`."""
    return vocabulary.plain(value)


@register.filter
def label(value: object) -> str:
    return vocabulary.label(value)


@register.simple_tag
def digest(value: object, short: bool = False) -> SafeString:
    """A digest in full, or in a list by its first twelve digits with the rest in its title."""
    text = str(value or "")
    if not text:
        return format_html('<span class="muted">{}</span>', "none")
    if short:
        return format_html('<code class="nowrap" title="sha256:{}">{}…</code>', text, text[:12])
    return format_html("<code>sha256:{}</code>", text)


@register.simple_tag
def instant(value: datetime | None, none: str = "–") -> SafeString:
    """An instant in UTC, to the minute; the exact one is in the element."""
    if value is None:
        return format_html("{}", none)
    return format_html(
        '<time datetime="{0}" title="{0}" class="nowrap">{1}</time>',
        rfc3339(value.astimezone(UTC)),
        vocabulary.moment(value),
    )


@register.simple_tag
def clock(value: datetime) -> SafeString:
    """The time of day alone, to the second, for lists where events follow closely."""
    at = value.astimezone(UTC)
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', rfc3339(at), f"{at:%H:%M:%S}")


@register.simple_tag
def day(value: datetime | None, none: str = "–") -> SafeString:
    if value is None:
        return format_html("{}", none)
    at = value.astimezone(UTC)
    return format_html(
        '<time datetime="{0}" title="{0}" class="nowrap">{1}</time>',
        rfc3339(at),
        f"{at.day} {at:%b %Y}",
    )


@register.simple_tag
def period(since: str, until: str) -> SafeString:
    """A stretch of time of a JSON document, by its days."""
    ends = (parse_rfc3339(since, "since"), parse_rfc3339(until, "until"))
    return format_html("{} to {}", *(day(one) for one in ends))


_STEPS = ((86_400 * 365, "year"), (86_400, "day"), (3600, "hour"), (60, "minute"))


def distance(seconds: float) -> str:
    """A length of time in its largest whole unit, as `3 hours`."""
    size = abs(seconds)
    for length, name in _STEPS:
        if size >= length:
            count = int(size // length)
            return f"{count} {name}{'s' * (count != 1)}"
    return "less than a minute"


@register.simple_tag
def ago(value: datetime | None, none: str = "never") -> SafeString:
    """How long ago (or until) an instant is, with the instant itself in the element."""
    if value is None:
        return format_html("{}", none)
    seconds = (now() - value).total_seconds()
    text = f"{distance(seconds)} ago" if seconds >= 0 else f"in {distance(seconds)}"
    return format_html(
        '<time datetime="{0}" title="{0}" class="nowrap">{1}</time>', rfc3339(value), text
    )


@register.simple_tag
def waited(value: datetime) -> SafeString:
    """How long something has waited since `value`."""
    return format_html(
        '<time datetime="{0}" title="since {0}" class="nowrap">{1}</time>',
        rfc3339(value),
        distance((now() - value).total_seconds()),
    )


@register.filter
def figure(value: Any, unit: str = "") -> str:
    """A number as everywhere printed; a name of the record in words."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else vocabulary.plain(value)
    if unit == "count" or (isinstance(value, int) and not unit):
        return f"{round(value):,}"
    return numbers.figure(value, unit)


@register.simple_tag
def interval(low: float | None, high: float | None, unit: str = "") -> str:
    return numbers.interval(low, high, unit) if low is not None or high is not None else "–"


@register.inclusion_tag("parts/controls.html")
def controls(results: Iterable[Any], unfold: bool = False) -> dict[str, Any]:
    """Control results, those first that stand in the way or warn; those that hold may be folded."""
    listed = list(results)
    out = [one for one in listed if _status_of(one) != "pass"]
    return {
        # What stops comes before what only warns.
        "standing_out": sorted(out, key=lambda one: _of(one, "mode") != "block"),
        "holding": [one for one in listed if _status_of(one) == "pass"],
        "unfold": unfold,
    }


def _of(result: Any, name: str) -> str:
    return str(result[name] if isinstance(result, Mapping) else getattr(result, name))


def _status_of(result: Any) -> str:
    return _of(result, "status")


@register.inclusion_tag("parts/figure.html")
def seen_figure(figure_: Mapping[str, Any]) -> dict[str, Any]:
    """One of a control result's figures: each key is there only where there is something to say."""
    unit = str(figure_.get("unit") or "")
    value, low, high = (figure_.get(name) for name in ("value", "lower", "upper"))
    return {
        "label": figure_.get("label") or "value",
        "value": numbers.UNDEFINED if value is None else figure(value, unit),
        "digest": isinstance(value, str) and _HEX.fullmatch(value) is not None,
        "interval": numbers.interval(low, high, unit) if low is not None else "",
        "limit": "" if figure_.get("limit") is None else figure(figure_["limit"], unit),
        "n": figure_.get("n"),
        "grade": figure_.get("grade"),
        "run": figure_.get("run"),
    }


@register.inclusion_tag("parts/measurements.html")
def measurements(measured: Iterable[Any], title: str) -> dict[str, Any]:
    """Measurements by group and in a list, under a caption."""
    return {"title": title, "found": results.arrange(measured)}


@register.inclusion_tag("parts/summary.html")
def summary(measured: Iterable[tuple[Any, Iterable[Any]]]) -> dict[str, Any]:
    """The few figures by which a version is known, from its newest runs, each leading to its run."""
    return {
        "figures": [
            {
                "run": run.pk,
                "label": _called(one),
                "value": figure(one.value, one.unit) if one.value is not None else "–",
                "interval": numbers.interval(one.lower, one.upper, one.unit)
                if one.lower is not None
                else "",
            }
            for run, found in measured
            if run.kind in ("performance", "fairness")
            for one in results.headline(run.kind, found)[:2]
        ]
    }


@register.simple_tag
def headline(kind: str, measured: Iterable[Any]) -> SafeString:
    """The figures that tell most of a check, on one line."""
    return format_html_join(
        SafeString(" · "),
        '{} <b class="nowrap">{}</b>{}',
        (
            (
                _called(one),
                figure(one.value, one.unit) if one.value is not None else numbers.UNDEFINED,
                f" ({numbers.interval(one.lower, one.upper, one.unit)})"
                if one.lower is not None
                else "",
            )
            for one in results.headline(kind, measured)
        ),
    )


def _called(one: Any) -> str:
    """What a figure of a headline is: of a feature's weight, the feature; else the metric."""
    groups = [group for group in one.slice.values() if group != "*"]
    if groups:
        return ", ".join(groups)
    if "feature" in one.slice:
        return f"{vocabulary.label(one.metric)}, {vocabulary.between(one.slice)}"
    about = f" by {', '.join(one.slice)}" if one.slice else ""
    return f"{vocabulary.label(one.metric)}{about}"


@register.simple_tag
def day_of(value: date) -> SafeString:
    return format_html(
        '<time datetime="{}">{}</time>', value.isoformat(), f"{value.day} {value:%b %Y}"
    )


@register.filter
def slice_text(value: Mapping[str, Any] | None) -> str:
    """`{"sex": "Female"}` as `sex: Female`; the empty slice is everybody, `*` compares groups."""
    return vocabulary.between(value or {})


@register.filter
def grouped(value: object) -> str:
    """A count with its thousands apart: `107,895`. What is none is printed as it is."""
    return f"{value:,}" if isinstance(value, int) else "–" if value is None else str(value)


@register.filter
def people(one: Any) -> str:
    """How many a measurement rests on: `107,895`, or `<11` of so few that the number would tell on
    them."""
    below = (getattr(one, "detail", None) or {}).get("n_below")
    return f"<{below}" if one.n is None and below else grouped(one.n)


@register.filter
def spaced(value: object) -> str:
    """A name with hyphens as words: `inputs-in-production` as `Inputs in production`."""
    text = str(value).replace("-", " ").replace("_", " ")
    return text[:1].upper() + text[1:]


@register.filter
def pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.filter
def scalar(value: object) -> str:
    """A value of a JSON document on one line; of a digest or commit its beginning."""
    if isinstance(value, str):
        return f"{value[:12]}…" if _HEX.fullmatch(value) else value
    return json.dumps(value, ensure_ascii=False, default=str)


@register.filter
def size(value: int | None) -> str:
    """Bytes for people."""
    if value is None:
        return "not held"
    amount = float(value)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
        amount /= 1024
    raise AssertionError


@register.filter
def percent(value: float | None) -> int:
    """A share between 0 and 1 as whole percent."""
    return round(100 * min(max(value or 0.0, 0.0), 1.0))


@register.inclusion_tag("parts/chart.html")
def chart(plot: Mapping[str, Any], ident: str = "", alone: bool = False) -> dict[str, Any]:
    """A plot as a figure, with the table of its values behind it; `alone` over the whole column."""
    try:
        header, rows = charts.table(plot)
        wide = alone or _needs_width(plot)
        ident = ident or f"chart-{digest_of(plot)[:12]}"
        drawings = [(charts.svg(plot, width=HALF, ident=ident), "narrow" if wide else "any")]
        if wide:
            drawings.append((charts.svg(plot, width=FULL, ident=f"{ident}-w"), "wide"))
    except (BadPlot, KeyError, TypeError, ValueError) as problem:
        # One chart that is not as described must not take the page's figures with it.
        return {"title": plot.get("title", "Chart"), "problem": str(problem)}
    return {
        "title": plot["title"],
        # `svg` escapes every text that it writes.
        "drawings": [(SafeString(drawing), size) for drawing, size in drawings],
        "wide": wide,
        "header": header,
        "rows": rows,
    }


def _needs_width(plot: Mapping[str, Any]) -> bool:
    """Rows with long names, which in half a column would be cut or leave the figures no room."""
    described = read(plot)
    names = max((len(name) for name in described.names), default=0)
    return described.kind in ("bar", "interval") and (
        names > LONG_NAME or len(described.series) > 1
    )


@register.inclusion_tag("parts/tick.html")
def tick(bound: BoundField) -> dict[str, Any]:
    """A box to tick, with its label beside it."""
    return field(bound)


@register.inclusion_tag("parts/field.html")
def field(bound: BoundField, choices: str = "", wanted: bool = False) -> dict[str, Any]:
    """A form field with label, hint and problem, tied together for screen readers.

    `wanted`: it is needed where it shows, though the form does without it elsewhere.
    """
    # A group's own id: it has no single box that its label could be for.
    described = [f"{bound.auto_id}-hint"] if bound.help_text else []
    if bound.errors:
        described.append(f"{bound.auto_id}-problem")
    attributes: dict[str, Any] = {}
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if bound.errors:
        attributes["aria-invalid"] = "true"
    group = bool(choices)
    return {
        "field": bound,
        "group": group,
        "choices": choices,
        "optional": not (bound.field.required or wanted),
        "widget": "" if group else bound.as_widget(attrs=attributes),
        "described": " ".join(described),
    }


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: Any) -> str:
    """The present query string with `changes`; a change to None leaves the name out."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return f"?{parameters.urlencode()}" if parameters else "?"


@register.simple_tag(takes_context=True)
def turn(context: Context, number: int, name: str = "") -> str:
    """The present query string, turned to another page of the list that `name` counts."""
    return query(context, **{name or "page": number})


@register.filter
def kept(one: Mapping[str, Any]) -> str:
    """Which rows a filter of a check keeps: `{"column": "age", "least": 18}` as `age from 18`."""
    column = str(one.get("column"))
    if one.get("equals") is not None:
        return f"{column} = {scalar(one['equals'])}"
    ends = (("from", one.get("least")), ("below", one.get("below")))
    told = [f"{word} {scalar(value)}" for word, value in ends if value is not None]
    return " ".join([column, *told])


@register.filter
def tiny(value: float | None) -> str:
    """A difference that may be one of rounding alone: `7.3e-15`."""
    return "–" if value is None else "0" if value == 0 else f"{value:.1e}"
