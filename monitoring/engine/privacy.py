"""What everybody may see of a cube: counts under the floor are hidden, and the whole is committed to.

The whole cube is restricted evidence and may be erased. The public document shows the same counts
but for small ones, `"<11"`, and for as many others, `null`, as it takes for the totals not to tell
the small ones. It names the digest of the whole, so that whoever is shown that can verify it. Since
a digest over few unknown counts can be found by trying, the whole cube also holds a `blind` that only
those can compute who have the data: a digest of the data's bytes under another prefix.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitoring.engine.column_profiles import NumericProfile, read
from monitoring.engine.cube import ScoreCube
from monitoring.engine.mapping import UNKNOWN, ColumnMapping
from monitoring.engine.results import TOO_FEW_TO_SHOW, MeasurementValue, Note, Plot

SCHEMA = "countersign.cube.public/1"
SCORE_BINS = 20
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


def marker(floor: int) -> str:
    return f"<{floor}"


def public(cube: Mapping[str, Any], digest: str, floor: int) -> dict[str, Any] | None:
    """The cube as everybody may see it; None if it hides nothing.

    A part that this module does not know is withheld whole, and named in `withheld`.
    """
    shown: dict[str, Any] = {}
    withheld = []
    for name, part in cube.items():
        if name == "blind":
            continue
        if name in _OPEN or part is None:
            shown[name] = part
        elif name in _PARTS:
            shown[name] = _PARTS[name](part, floor)
        else:
            withheld.append(name)
    if not withheld and all(shown[name] == cube[name] for name in shown):
        return None
    return {
        **shown,
        "schema": SCHEMA,
        "floor": floor,
        "withheld": sorted(withheld),
        "commitment": {"cube": digest, "schema": cube.get("schema")},
    }


def hidden(counts: Sequence[int], floor: int) -> set[int]:
    """The places of the counts to hide: small ones, and more until those hidden sum to the floor.

    Nothing (0) is no one's secret and stays.
    """
    small = {place for place, n in enumerate(counts) if 0 < n < floor}
    if not small:
        return small
    others = sorted(
        (n, place) for place, n in enumerate(counts) if n >= floor and place not in small
    )
    for _, place in others:
        if len(small) > 1 and sum(counts[one] for one in small) >= floor:
            break
        small.add(place)
    return small


def _shown(counts: Sequence[int], floor: int) -> list[int | str | None]:
    away = hidden(counts, floor)
    return [
        n if place not in away else marker(floor) if n < floor else None
        for place, n in enumerate(counts)
    ]


def _contingency(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    cells = part["cells"]
    if "scale" in part:
        # Estimated counts: a weight under the floor's worth of rows is as small.
        rows = [int(cell[3]) // part["scale"] for cell in cells]
        away = {place for place, n in enumerate(rows) if n < floor}
        kept = [
            cell if place not in away else [*cell[:3], marker(floor), None]
            for place, cell in enumerate(cells)
        ]
        return {**part, "cells": kept}
    counts = _shown([cell[3] for cell in cells], floor)
    return {
        **part,
        "cells": [[*cell[:3], n] for cell, n in zip(cells, counts, strict=True)],
    }


def _estimated(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    return {name: _contingency(one, floor) for name, one in part.items()}


def _scores(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """Scores in twenty bins; what 4,000 would tell of few rows stays away."""
    cube = ScoreCube.from_json(part)
    totals: dict[tuple[Any, int, int], list[Any]] = {}
    for cell in cube.cells:
        key = cell.group, cell.label, cell.bin * SCORE_BINS // cube.bins
        known = totals.setdefault(key, [0, 0])
        known[0] += cell.n
        known[1] += cell.score_sum
    keys = sorted(totals)
    counts = _shown([totals[key][0] for key in keys], floor)
    groups = _shown([one.n for one in cube.moments], floor)
    return {
        **part,
        "bins": SCORE_BINS,
        "cells": [
            [list(key[0]), key[1], key[2], n, str(totals[key][1]) if isinstance(n, int) else None]
            for key, n in zip(keys, counts, strict=True)
        ],
        "moments": [
            [*moments[:1], n, *(moments[2:] if isinstance(n, int) else [None] * 4)]
            for moments, n in zip(part["moments"], groups, strict=True)
        ],
    }


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
    other: int | str = rest if rest >= floor or not rest else marker(floor)
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
    return {
        "least": None,
        "most": None,
        "edges": edges,
        "counts": counts if enough else [marker(floor)],
        "sums": [str(amount) for amount in sums] if enough else [None],
        "squares": None if one.squares is None or one.n < floor else str(one.squares),
    }


def _comparisons(part: Sequence[Mapping[str, Any]], floor: int) -> list[dict[str, Any]]:
    return [
        {
            name: _histogram(value, floor)
            if isinstance(value, Mapping) and "reference" in value and "current" in value
            else value
            for name, value in one.items()
        }
        for one in part
    ]


def _histogram(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    shown = {side: _shown(part[side], floor) for side in ("reference", "current")}
    edges = list(part["edges"])
    if len(edges) == len(part["reference"]) + 1:
        # The outermost are the smallest and the largest value: somebody's.
        edges[0] = edges[-1] = None
    return {**part, **shown, "edges": edges}


def _explanation(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """The sums of a group or slice are shown if it is large enough, and few others tell it."""
    parts = part.get("parts", ())
    away = hidden([int(one["rows"]) for one in parts], floor)
    shown = [
        {**one, "rows": marker(floor) if one["rows"] < floor else None, "columns": None}
        if place in away
        else one
        for place, one in enumerate(parts)
    ]
    kept = {**part, "parts": shown}
    if "proxy" in part:
        kept["proxy"] = _without(part["proxy"], floor)
    return kept


def _robustness(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    """Flips of a group are shown if the group is large enough, and few others tell it."""
    shown = []
    for one in part["perturbations"]:
        groups = one.get("groups", ())
        away = hidden([int(group["n"]) for group in groups], floor)
        kept = [
            {**group, "n": marker(floor) if group["n"] < floor else None, "flips": None}
            if place in away
            else group
            for place, group in enumerate(groups)
        ]
        shown.append({**one, "groups": kept} if groups else one)
    return {**part, "perturbations": shown}


def _windows(part: Mapping[str, Any], floor: int) -> dict[str, Any]:
    shown = [
        {
            **one,
            "rows": one["rows"] if one["rows"] >= floor else marker(floor),
            "comparisons": _comparisons(one["comparisons"], floor),
        }
        for one in part["windows"]
    ]
    return {**part, "windows": shown}


_PARTS: Mapping[str, Callable[[Any, int], Any]] = {
    "robustness": _robustness,
    "explanation": _explanation,
    "contingency": _contingency,
    "estimated": _estimated,
    "scores": _scores,
    "profiles": _profiles,
    "comparisons": _comparisons,
    "windows": _windows,
}


def group_names(mapping: ColumnMapping) -> set[str]:
    """What groups of people may be formed by: the keys of slices that are about such groups."""
    attributes = (*mapping.sensitive, *mapping.controls)
    apart = {one.name for one in mapping.proxied} | {one.name for one in mapping.not_collected}
    return {one.name for one in attributes} | apart | set(mapping.features)


def of_groups(one: MeasurementValue, names: Collection[str]) -> bool:
    """Is the measurement about groups of people, formed by one of `names`?"""
    return any(name in names for name in one.slice)


def masked(one: MeasurementValue, names: Collection[str], floor: int) -> MeasurementValue:
    """The measurement without counts of people under the floor.

    Its `n` is then None and `detail.n_below` the floor. A value over so few says what each of them
    had: it is undefined.
    """
    if not of_groups(one, names):
        return one
    detail = _without(one.detail, floor)
    counted = one.unit == "count" and one.value is not None and 0 < one.value < floor
    if counted and UNKNOWN not in one.slice.values():
        # How many have no value is no count of a group, and laws ask for it.
        return replace(
            one,
            value=None,
            lower=None,
            upper=None,
            level=None,
            undefined_reason=TOO_FEW_TO_SHOW,
            detail={**detail, "below": floor},
        )
    if one.n is None or not 0 < one.n < floor:
        return replace(one, detail=detail)
    detail = {**detail, "n_below": floor}
    if one.value is None:
        return replace(one, n=None, detail=detail)
    return replace(
        one,
        value=None,
        lower=None,
        upper=None,
        level=None,
        n=None,
        undefined_reason=TOO_FEW_TO_SHOW,
        detail={**detail, "minimum": floor},
    )


def masked_note(note: Note, floor: int) -> Note:
    """The same note without a count of people under the floor."""
    rows = note.counts.get("rows")
    if note.code != "missing_sensitive_value" or not _is_small(rows, floor):
        return note
    words = note.text.split(" ", 1)
    return replace(note, text=f"fewer than {floor} {words[-1]}", counts={"rows_below": floor})


def masked_plot(plot: Plot, floor: int) -> Plot:
    """The same chart without values over fewer rows than the floor."""
    return replace(
        plot,
        series=[
            {
                **series,
                "points": [_point(point, floor) for point in series.get("points", ())],
            }
            for series in plot.series
        ],
    )


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
