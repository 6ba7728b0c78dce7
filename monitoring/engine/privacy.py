"""What everybody may see of a cube: counts under the floor are hidden, and the whole is committed to.

The whole cube is restricted evidence and may be erased. The public document shows the same counts
but for small ones, `"<11"`, and for as many others, `null`, as it takes for the totals not to tell
the small ones (see `suppression`). It names the digest of the whole, so that whoever is shown that can
verify it. Since a digest over few unknown counts can be found by trying, the whole cube also holds a
`blind` that only those can compute who have the data: a digest of the data's bytes under another
prefix.
"""

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitoring.engine.column_profiles import NumericProfile, read
from monitoring.engine.mapping import UNKNOWN, ColumnMapping
from monitoring.engine.public_counts import public_counts
from monitoring.engine.results import (
    TOO_FEW_TO_SHOW,
    CheckResult,
    MeasurementValue,
    Note,
    Plot,
)
from monitoring.engine.suppression import Axes, Key, Node, hidden, marked, suppressed

SCHEMA = "countersign.cube.public/1"
_OPEN = (
    "schema",
    "kind",
    "dataset",
    "reference",
    "reference_profile",
    "mapping",
    "model",
    "rows",
    "facts",
    "made_of",
    "compared_with",
)
"""Parts of a cube that hold no counts of groups."""


def public(
    cube: Mapping[str, Any], digest: str, floor: int, *, always: bool = False
) -> dict[str, Any] | None:
    """The cube as everybody may see it; None if it hides nothing, unless `always` one is wanted.

    A part that this module does not know is withheld whole, and named in `withheld`.
    """
    shown, withheld = _shown_parts(cube, floor)
    if not (always or withheld) and all(shown[name] == cube[name] for name in shown):
        return None
    return {
        **shown,
        "schema": SCHEMA,
        "floor": floor,
        "withheld": withheld,
        "commitment": {"cube": digest, "schema": cube.get("schema")},
    }


def _shown_parts(document: Mapping[str, Any], floor: int) -> tuple[dict[str, Any], list[str]]:
    """The parts that can be made safe, so made, and the names of the others."""
    counts = public_counts(document, floor)
    shown: dict[str, Any] = {}
    withheld = []
    for name, part in document.items():
        if name == "blind":
            continue
        if name in _OPEN or part is None:
            shown[name] = part
        elif name in counts:
            shown[name] = counts[name]
        elif name in _PARTS:
            shown[name] = _PARTS[name](part, floor)
        else:
            withheld.append(name)
    return shown, sorted(withheld)


def _slices(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """The same parts by other attributes."""
    shown, withheld = _shown_parts(part, floor)
    return {**shown, "withheld": withheld} if withheld else shown


def _shown(counts: Sequence[int], floor: int) -> list[int | str | None]:
    away = hidden(counts, floor)
    return [n if place not in away else marked(n, floor) for place, n in enumerate(counts)]


def _hidden_parts(parts: Sequence[Mapping[str, Any]], count: str, floor: int) -> set[int]:
    """The places of the parts to hide: of several groupings of the same rows, each by its `slice`."""
    tables: dict[Axes, dict[Key, int]] = {}
    places: dict[Node, int] = {}
    for place, one in enumerate(parts):
        axes = tuple(sorted(one["slice"]))
        key = tuple(one["slice"][axis] for axis in axes)
        tables.setdefault(axes, {})[key] = int(one[count])
        places[axes, key] = place
    sums: list[tuple[Axes, Axes]] = [
        (part, whole) for part in tables for whole in ((), *tables) if set(whole) < set(part)
    ]
    # A named slice is no part of a whole that others make up.
    sums = [(part, whole) for part, whole in sums if part != ("slice",)]
    return {places[node] for node in suppressed(tables, sums, floor)}


def _profiles(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """Profiles by column, or by sample and column: whichever a kind keeps."""
    return {
        name: _profile(one, floor) if "kind" in one else _profiles(one, floor)
        for name, one in part.items()
        if isinstance(one, Mapping)
    }


def _profile(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    one = read(part, "profile")
    if isinstance(one, NumericProfile):
        return {**part, **_joined(one, floor)}
    if one.values is None:
        return dict(part)
    named = dict(one.values)
    away = sorted(name for name, n in named.items() if n < floor)
    rest = sum(named[name] for name in away)
    while away and rest < floor and len(named) > len(away):
        least = min((n, name) for name, n in named.items() if name not in away)
        away.append(least[1])
        rest += least[0]
    kept = {name: n for name, n in named.items() if name not in away}
    other: int | str = rest if rest >= floor or not rest else f"<{floor}"
    return {**part, "values": kept, "other": other}


def _joined(one: NumericProfile, floor: int) -> dict[str, Any]:
    """Neighbouring bins joined until each holds the floor; the ends of the values stay away."""
    edges: list[float] = []
    counts: list[int] = []
    sums = []
    n, total = 0, type(one.sums[0])(0)
    for place, count in enumerate(one.counts):
        n, total = n + count, total + one.sums[place]
        if n >= floor and place < len(one.edges):
            edges.append(one.edges[place])
            counts.append(n)
            sums.append(total)
            n, total = 0, type(total)(0)
    if counts and n < floor:
        counts[-1], sums[-1] = counts[-1] + n, sums[-1] + total
        edges.pop()
    else:
        counts.append(n)
        sums.append(total)
    enough = all(count >= floor or not count for count in counts)
    # What squares are around is an edge: one that is withheld is not told so.
    squared = one.squares is not None and one.n >= floor and one.center in (0.0, *edges)
    return {
        "least": None,
        "most": None,
        "edges": edges,
        "counts": counts if enough else [f"<{floor}"],
        "sums": [str(amount) for amount in sums] if enough else [None],
        "squares": str(one.squares) if squared else None,
        "center": one.center if squared else None,
    }


def public_comparisons(part: Sequence[Mapping[str, Any]], floor: int) -> list[dict[str, Any]]:
    """Comparisons of columns without small bins, rare values and the ends of the values."""
    return [
        {
            name: _histogram(value, floor)
            if isinstance(value, Mapping) and "reference" in value and "current" in value
            else marked(value, floor)
            if name == "unseen" and _is_small(value, floor)
            else value
            for name, value in one.items()
        }
        for one in part
    ]


def _histogram(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    counts = [part["reference"], part["current"]]
    shown = {side: _shown(part[side], floor) for side in ("reference", "current")}
    edges, names = list(part["edges"]), list(part.get("names", ()))
    if len(edges) == len(part["reference"]) + 1:
        # The outermost are the smallest and the largest value, and equal bins tell them by any two.
        edges = [None] * len(edges)
    if names:
        named = zip(names, *counts, strict=True)
        names = [name if max(pair) >= floor else None for name, *pair in named]
    return {**part, **shown, "edges": edges, "names": names}


def _explanation(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """The sums of a group or slice are shown if it is large enough, and few others tell it."""
    parts = part.get("parts", ())
    away = _hidden_parts(parts, "rows", floor)
    shown = [
        {**one, "rows": marked(one["rows"], floor), "columns": None} if place in away else one
        for place, one in enumerate(parts)
    ]
    kept = {**part, "parts": shown}
    if "proxy" in part:
        attributes = [_screened(one, floor) for one in part["proxy"]["attributes"]]
        kept["proxy"] = {**part["proxy"], "attributes": attributes}
    if "reason_codes" in part:
        kept["reason_codes"] = _reasons(part["reason_codes"], floor)
    return kept


def _screened(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """How well groups can be told from the inputs, without the sizes of small ones."""
    groups = part["groups"]
    away = hidden([int(one["n"]) for one in groups], floor)
    counts = {"others": None, "told": None}
    shown = [
        {**one, **counts, "n": marked(one["n"], floor)} if place in away else one
        for place, one in enumerate(groups)
    ]
    return {**part, "groups": shown, "rows": None if away else part["rows"]}


def _reasons(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """How often a feature was a reason, if that is often."""
    few = _is_small(part["rows"], floor)
    first = _shown(list(part["first"].values()), floor)
    return {
        **part,
        **{name: marked(part[name], floor) if few else part[name] for name in ("rows", "meant")},
        "first": None if few else dict(zip(part["first"], first, strict=True)),
        "any": None
        if few
        else {
            name: marked(n, floor) if _is_small(n, floor) else n for name, n in part["any"].items()
        },
    }


def _robustness(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """Flips of a group are shown if the group is large enough, and few others tell it."""
    shown = []
    for one in part["perturbations"]:
        groups = one.get("groups", ())
        away = _hidden_parts(groups, "n", floor)
        kept = [
            {**group, "n": marked(group["n"], floor), "flips": None} if place in away else group
            for place, group in enumerate(groups)
        ]
        shown.append({**one, "groups": kept} if groups else one)
    return {**part, "perturbations": shown}


def _windows(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """A window of few rows, and one more that the total does not tell it, are not compared."""
    rows = _shown([one["rows"] for one in part["windows"]], floor)
    shown = [
        {
            **one,
            "rows": n,
            "comparisons": public_comparisons(one["comparisons"], floor)
            if isinstance(n, int)
            else None,
        }
        for one, n in zip(part["windows"], rows, strict=True)
    ]
    return {**part, "windows": shown}


_PARTS: Mapping[str, Callable[[Any, int], Any]] = {
    "robustness": _robustness,
    "explanation": _explanation,
    "slices": _slices,
    "profiles": _profiles,
    "comparisons": public_comparisons,
    "windows": _windows,
}


def least_compared(config: Mapping[str, Any], floor: int) -> Mapping[str, Any]:
    """The configuration with no `minimum` of a comparison between groups under the floor."""
    raised = dict(config)
    least = config.get("minimum")
    if isinstance(least, Mapping):
        raised["minimum"] = {name: _at_least(n, floor) for name, n in least.items()}
    search = config.get("subgroups")
    if isinstance(search, Mapping) and "minimum" in search:
        raised["subgroups"] = {**search, "minimum": _at_least(search["minimum"], floor)}
    return raised


def _at_least(n: Any, floor: int) -> Any:
    return floor if _is_small(n, floor) else n


def group_names(mapping: ColumnMapping) -> set[str]:
    """What groups of people may be formed by: the keys of slices that are about such groups."""
    attributes = (*mapping.sensitive, *mapping.controls)
    apart = {one.name for one in mapping.proxied} | {one.name for one in mapping.not_collected}
    return {one.name for one in attributes} | apart | set(mapping.features)


def of_groups(one: MeasurementValue, names: Collection[str]) -> bool:
    """Is the measurement about groups of people, formed by one of `names`?"""
    return any(name in names for name in one.slice)


def masked_result(
    result: CheckResult, notes: Sequence[Note], names: Collection[str], floor: int
) -> CheckResult:
    """What was measured, drawn and noted, without counts of people under the floor."""
    few = {
        (one.metric, _group(one.slice)) for one in result.measurements if _is_small(one.n, floor)
    }
    measurements, away = [], set()
    for one in result.measurements:
        reference = one.detail.get("reference")
        if isinstance(reference, Mapping) and (one.metric, _group(reference)) in few:
            # A ratio to the rate of a few people tells that rate.
            away.add(f"{one.metric}_by_{'_'.join(one.slice)}")
            one = _undefined(one, {"minimum": floor})
        measurements.append(masked(one, names, floor))
    labels = {
        ", ".join(map(str, one.slice.values()))
        for one in result.measurements
        if of_groups(one, names) and _is_small(one.n, floor)
    }
    plots = [
        masked_plot(_emptied(one) if one.name in away else _without_lines(one, labels), floor)
        for one in result.plots
    ]
    return CheckResult(measurements, plots, [masked_note(one, floor) for one in notes])


def _group(slice_: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(slice_.items())


def _without_lines(plot: Plot, few: Collection[str]) -> Plot:
    """The chart without the curves of a few people, where no point says how many it is over."""
    if plot.kind != "line":
        return plot
    kept = [
        one
        for one in plot.series
        if one["name"] not in few or all("n" in point for point in one["points"])
    ]
    return replace(plot, series=kept)


def _emptied(plot: Plot) -> Plot:
    """The chart with a gap for each of its values."""
    gap = {"value": None, "lower": None, "upper": None, "reason": TOO_FEW_TO_SHOW}
    series = [
        {**one, "points": [{**point, **gap} for point in one["points"]]} for one in plot.series
    ]
    return replace(plot, series=series)


def masked(one: MeasurementValue, names: Collection[str], floor: int) -> MeasurementValue:
    """The measurement without counts of people under the floor.

    Its `n` is then None and `detail.n_below` the floor. A value over so few says what each of them
    had: it is undefined, and no number stands in its detail.
    """
    if not of_groups(one, names):
        return one
    counted = one.unit == "count" and one.value is not None and 0 < one.value < floor
    if counted and UNKNOWN not in one.slice.values():
        # How many have no value is no count of a group, and laws ask for it.
        return _undefined(one, {**_without(one.detail, floor), "below": floor})
    if not _is_small(one.n, floor):
        return replace(one, detail=_without(one.detail, floor))
    detail = {**_unnumbered(_without(one.detail, floor)), "n_below": floor}
    if one.value is None:
        return replace(one, n=None, detail=detail)
    return replace(_undefined(one, {**detail, "minimum": floor}), n=None)


def _undefined(one: MeasurementValue, detail: Mapping[str, Any]) -> MeasurementValue:
    return replace(
        one,
        value=None,
        lower=None,
        upper=None,
        level=None,
        undefined_reason=TOO_FEW_TO_SHOW,
        detail=detail,
    )


def _unnumbered(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a figure, without what was counted for it."""
    return {
        name: part
        for name, part in detail.items()
        if name == "minimum" or isinstance(part, bool) or not isinstance(part, int | float)
    }


def masked_note(note: Note, floor: int) -> Note:
    """The same note without a count of people under the floor."""
    if note.code == "fewer_reasons" and _is_small(note.counts.get("meant"), floor):
        text = f"reasons are given for some of the fewer than {floor} rows that are meant"
        return replace(note, text=text, counts={"meant_below": floor})
    rows = note.counts.get("rows")
    if note.code != "missing_sensitive_value" or not _is_small(rows, floor):
        return note
    words = note.text.split(" ", 1)
    return replace(note, text=f"fewer than {floor} {words[-1]}", counts={"rows_below": floor})


def masked_plot(plot: Plot, floor: int) -> Plot:
    """The same chart without values over fewer rows than the floor, and without the ends of a column.

    A point of a line lies where the rows lie: of few it is left out.
    """
    series = []
    for one in plot.series:
        points = list(one.get("points", ()))
        if plot.kind == "line":
            points = [point for point in points if not _is_small(point.get("n"), floor)]
        elif plot.kind == "histogram":
            points = _rounded_bins(points)
        series.append({**one, "points": [_point(point, floor) for point in points]})
    return replace(plot, series=series)


def _rounded_bins(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Bins whose edges are rounded to a tenth of the narrowest: the outermost are somebody's value."""
    widths = [point["to"] - point["from"] for point in points if point["to"] > point["from"]]
    if not widths:
        return [dict(point) for point in points]
    # A width may have no double, and so may a rounded edge.
    digits = 1 - math.floor(math.log10(min(*widths, sys.float_info.max)))
    return [
        {**point, "from": _rounded(point["from"], digits), "to": _rounded(point["to"], digits)}
        for point in points
    ]


def _rounded(edge: float, digits: int) -> float:
    try:
        return round(edge, digits)
    except OverflowError:
        return math.copysign(sys.float_info.max, edge)


def _point(point: Any, floor: int) -> Any:
    if not isinstance(point, Mapping) or not _is_small(point.get("n"), floor):
        return point
    changed = {**point, "n": None, "n_below": floor}
    if changed.get("value") is not None:
        changed.update(value=None, lower=None, upper=None, reason=TOO_FEW_TO_SHOW)
    return changed


def _without(value: Any, floor: int) -> Any:
    """A document without the small counts that it calls `n`."""
    if isinstance(value, Mapping):
        found = {name: _without(part, floor) for name, part in value.items()}
        if _is_small(value.get("n"), floor):
            found.update(n=None, n_below=floor)
        return found
    if isinstance(value, list | tuple):
        return [_without(part, floor) for part in value]
    return value


def _is_small(n: Any, floor: int) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and 0 < n < floor
