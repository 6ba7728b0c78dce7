"""Words and marks that several sections share."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitoring.metrics import between
from reports import numbers
from reports.bundle_schema import ControlFigure
from reports.pdf import text

WORDS: Final = {
    "supported": ("✓", "good", "#eef6f1"),
    "conditional": ("!", "doubt", "#fbf4e6"),
    "not supported": ("✗", "bad", "#fbeeed"),
}
VERDICTS: Final = {
    "pass": ("✓", "Pass", "good"),
    "fail": ("✗", "Fail", "bad"),
    "insufficient": ("○", "Insufficient", "doubt"),
}


def instant(moment: str | None) -> str:
    """`2026-11-20T14:07:31.123456Z` as `2026-11-20 14:07:31 UTC`; fractions stay in the bundle."""
    if not moment:
        return ""
    return f"{moment[:10]} {moment[11:19]}\N{NO-BREAK SPACE}UTC" if len(moment) > 10 else moment


def verdict_mark(verdict: str) -> str:
    mark, word, colour = VERDICTS[verdict]
    return text.coloured(text.bold(f"{mark} {word}"), colour)


def figures_of(figures: Sequence[ControlFigure]) -> str:
    """Numbers with their interval, n, limit and evidence id, one a line."""
    lines = []
    for f in figures:
        said = f"{f['name']} {_seen(f)}"
        if f["lower"] is not None or f["upper"] is not None:
            said += f" ({numbers.interval(f['lower'], f['upper'], f['unit'])})"
        if f["n"] is not None:
            said += f", n {numbers.figure(f['n'], 'count')}"
        if f["limit"]:
            said += f", limit {f['limit']}"
        lines.append(f"{text.plain(said)} [{text.refs([f['ref']])}]")
    return "<br/>".join(lines) or "–"


def _seen(f: ControlFigure) -> str:
    value = f["value"]
    if isinstance(value, str):
        return value
    if f["unit"] and f["unit"] not in numbers.UNITS and value is not None:
        return f"{numbers.figure(value, _whole(value))} {f['unit']}"
    return numbers.figure(value, f["unit"] or _whole(value))


def _whole(value: float | None) -> str:
    """A figure without a unit that is an integer counts something."""
    return "count" if isinstance(value, int) else ""


def slice_of(slice_: Mapping[str, str]) -> str:
    """`{}` as "overall", `{"sex": "*"}` as "between groups of sex", else `sex = Female`."""
    if not slice_:
        return "overall"
    return ", ".join(
        between(name) if value == "*" else f"{name} = {value}" for name, value in slice_.items()
    )


def data(value: Any) -> str:
    """Any JSON value in words: scalars plainly, a mapping as `key value; key value`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return numbers.NOT_STATED
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {data(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(data(inner) for inner in value)
    return str(value)
