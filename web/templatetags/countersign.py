"""Small helpers that templates call. They print what they are given and read nothing."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django import template
from django.forms import BoundField
from django.template.context import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString

from kernel.moments import now, rfc3339
from reports import charts, numbers
from reports.plots import BadPlot
from web import vocabulary

register = template.Library()


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
        return format_html('<code title="sha256:{}">{}…</code>', text, text[:12])
    return format_html("<code>sha256:{}</code>", text)


@register.simple_tag
def instant(value: datetime | None, none: str = "–") -> SafeString:
    """An instant in UTC, to the minute; the exact one is in the element."""
    if value is None:
        return format_html("{}", none)
    at = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}" class="nowrap">{}</time>',
        rfc3339(at),
        rfc3339(at),
        f"{at.day} {at:%b %Y, %H:%M} UTC",
    )


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
    """A number as everywhere printed; what is no number is printed as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    return numbers.figure(value, "count" if isinstance(value, int) and not unit else unit)


@register.simple_tag
def interval(low: float | None, high: float | None, unit: str = "") -> str:
    return numbers.interval(low, high, unit) if low is not None or high is not None else "–"


@register.inclusion_tag("parts/controls.html")
def controls(results: Iterable[Any], unfold: bool = False) -> dict[str, Any]:
    """Control results, those first that stand in the way or warn; those that hold may be folded."""
    listed = list(results)
    return {
        "standing_out": [one for one in listed if _status_of(one) != "pass"],
        "holding": [one for one in listed if _status_of(one) == "pass"],
        "unfold": unfold,
    }


def _status_of(result: Any) -> str:
    return str(result["status"] if isinstance(result, Mapping) else result.status)


@register.inclusion_tag("parts/figure.html")
def seen_figure(figure_: Mapping[str, Any]) -> dict[str, Any]:
    """One of a control result's figures: each key is there only where there is something to say."""
    unit = str(figure_.get("unit") or "")
    value, low, high = (figure_.get(name) for name in ("value", "lower", "upper"))
    return {
        "label": figure_.get("label") or "value",
        "value": numbers.UNDEFINED if value is None else figure(value, unit),
        "interval": numbers.interval(low, high, unit) if low is not None else "",
        "limit": "" if figure_.get("limit") is None else figure(figure_["limit"], unit),
        "n": figure_.get("n"),
        "grade": figure_.get("grade"),
        "run": figure_.get("run"),
    }


@register.filter
def slice_text(value: Mapping[str, Any] | None) -> str:
    """`{"sex": "Female"}` as `sex: Female`; the empty slice is everybody, `*` compares groups."""
    if not value:
        return "overall"
    return ", ".join(
        f"between groups of {name}" if group == "*" else f"{name}: {group}"
        for name, group in value.items()
    )


@register.filter
def pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.filter
def scalar(value: object) -> str:
    """A value of a JSON document on one line."""
    if isinstance(value, str):
        return value
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
def chart(plot: Mapping[str, Any], ident: str = "") -> dict[str, Any]:
    """A plot as a figure, with the table of its values behind it."""
    try:
        header, rows = charts.table(plot)
        drawing = charts.svg(plot, width=300.0, ident=ident or None)
    except (BadPlot, KeyError, TypeError, ValueError) as problem:
        # One chart that is not as described must not take the page's figures with it.
        return {"title": plot.get("title", "Chart"), "problem": str(problem)}
    return {
        "title": plot["title"],
        # `svg` escapes every text that it writes.
        "svg": SafeString(drawing),
        "header": header,
        "rows": rows,
        "ident": ident or f"chart-{plot.get('name', '')}",
    }


@register.inclusion_tag("parts/field.html")
def field(bound: BoundField, choices: str = "") -> dict[str, Any]:
    """A form field with label, hint and problem, tied together for screen readers."""
    described = [f"{bound.id_for_label}-hint"] if bound.help_text else []
    if bound.errors:
        described.append(f"{bound.id_for_label}-problem")
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
