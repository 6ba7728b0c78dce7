"""The subgroups that differ most from everybody else, found with a correction for the search.

Every group that one or more attributes make is compared with all who are not in it. Who looks at
a hundred subgroups finds five at a level of 5 % where there is nothing: the adjusted p is that of
the largest deviation of any subgroup when groups are dealt at random (Westfall and Young 1993),
which allows for how subgroups overlap, times the number of metrics searched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from monitoring.configs.fairness import Subgroups
from monitoring.engine import statistics
from monitoring.engine.checks.fairness.counting import parts
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.checks.tables import by_group
from monitoring.engine.cube import Contingency, Group
from monitoring.engine.mapping import UNKNOWN
from monitoring.engine.plots import interval_plot
from monitoring.engine.results import CheckResult, MeasurementValue, Note
from monitoring.engine.statistics import Floats
from monitoring.metrics.fairness import SUBGROUP

MOST = 2_000
"""Subgroups searched for one metric; of more, the largest."""
_BLOCK = 64

Slice = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Candidate:
    """A subgroup: who is in it, of which of the finest cells, and their counts."""

    slice: Slice
    cells: tuple[int, ...]
    k: int
    n: int


def search(
    cube: Contingency, attributes: Sequence[str], controls: Sequence[str], settings: Settings
) -> CheckResult:
    """The subgroups whose rates differ most, those that chance does not explain first.

    A measurement is named `subgroup_<rate>_difference`: the subgroup's rate less that of everybody
    else. Its interval holds for all subgroups searched at once (Newcombe's, Bonferroni).
    """
    asked = settings.subgroups
    assert asked is not None
    names = [*attributes, *(controls if asked.controls else ())]
    result = CheckResult([])
    told: list[tuple[MeasurementValue, float]] = []
    for metric in asked.metrics:
        told += _of_metric(metric, cube.by(names), asked, settings, result)
    adjusted = statistics.benjamini_hochberg([p for _, p in told])
    for metric in asked.metrics:
        found = [
            replace(one, detail={**one.detail, "p_bh": p_bh})
            for (one, _), p_bh in zip(told, adjusted, strict=True)
            if one.metric == _named(metric)
        ]
        found.sort(
            key=lambda one: (one.detail["p_max_t"] > 1 - settings.level, -abs(one.value or 0))
        )
        kept = found[: asked.top]
        result.measurements.extend(kept)
        if kept:
            labelled = [(", ".join(one.slice.values()), one) for one in kept]
            title = f"Subgroups' {metric.replace('_', ' ')} less that of everybody else"
            result.plots.append(interval_plot(_named(metric), title, labelled, "difference"))
    return result


def _named(metric: str) -> str:
    return f"{SUBGROUP}{metric}_difference"


def _of_metric(
    metric: str, cube: Contingency, asked: Subgroups, settings: Settings, result: CheckResult
) -> list[tuple[MeasurementValue, float]]:
    counts = {group: parts(metric, table) for group, table in by_group(cube).items()}
    counts = {group: pair for group, pair in counts.items() if pair[1]}
    least = asked.minimum or settings.groups.least(metric)
    missing = settings.groups.include_missing
    everybody = sum(n for _, n in counts.values())
    found = [
        one
        for one in _candidates(cube.attributes, counts, asked.depth, missing)
        if one.n >= least and everybody - one.n >= least
    ]
    if len(found) > MOST:
        text = (
            f"{len(found)} subgroups can be formed for {metric}; the {MOST} largest were searched"
        )
        result.notes.append(Note("subgroups_not_searched", text, {"subgroups": len(found)}))
        found = sorted(found, key=lambda one: (-one.n, one.slice))[:MOST]
    if not found:
        return []
    stream = statistics.generator(settings.seed, "subgroups", metric)
    alone, jointly = _p_values(found, list(counts.values()), stream)
    level = 1 - (1 - settings.level) / len(found) / len(asked.metrics)
    chosen = sum(k for k, _ in counts.values())
    return [
        (
            _measurement(metric, one, (chosen, everybody), level, settings, len(found), p, p_max),
            p,
        )
        for one, p, p_max in zip(
            found, alone, np.minimum(1.0, jointly * len(asked.metrics)), strict=True
        )
    ]


def _measurement(
    metric: str,
    one: _Candidate,
    everybody: tuple[int, int],
    level: float,
    settings: Settings,
    searched: int,
    p: float,
    p_max: float,
) -> MeasurementValue:
    rest = (everybody[0] - one.k, everybody[1] - one.n)
    interval = statistics.newcombe((one.k, one.n), rest, level)
    return MeasurementValue(
        _named(metric),
        dict(one.slice),
        one.k / one.n - rest[0] / rest[1],
        interval.lower,
        interval.upper,
        settings.level,
        one.n,
        method=f"newcombe, bonferroni over {searched} subgroups",
        unit="difference",
        detail={
            "rate": one.k / one.n,
            "others": rest[0] / rest[1],
            "n_others": rest[1],
            "searched": searched,
            "p_alone": float(p),
            "p_max_t": float(p_max),
        },
    )


def _candidates(
    attributes: Sequence[str],
    counts: dict[Group, tuple[int, int]],
    depth: int,
    include_missing: bool,
) -> Iterator[_Candidate]:
    cells = list(counts)
    for size in range(1, min(depth, len(attributes)) + 1):
        for places in combinations(range(len(attributes)), size):
            members: dict[Group, list[int]] = {}
            for place, group in enumerate(cells):
                members.setdefault(tuple(group[one] for one in places), []).append(place)
            for group in sorted(members):
                if UNKNOWN in group and not include_missing:
                    continue
                within = tuple(members[group])
                pairs = [counts[cells[place]] for place in within]
                about = tuple(
                    (attributes[at], name) for at, name in zip(places, group, strict=True)
                )
                yield _Candidate(about, within, sum(k for k, _ in pairs), sum(n for _, n in pairs))


def _p_values(
    found: Sequence[_Candidate], counts: Sequence[tuple[int, int]], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """P of each subgroup's deviation alone, and of any subgroup's being as large."""
    sizes = np.asarray([n for _, n in counts], np.int64)
    total, everybody = sum(k for k, _ in counts), int(sizes.sum())
    drawn = statistics.dealt(sizes, total, rng)
    by_cell = np.ascontiguousarray(drawn.T)
    n = np.asarray([one.n for one in found], np.float64)
    seen = _deviations(np.asarray([[one.k for one in found]], np.float64), n, total, everybody)[0]
    largest = np.zeros(len(drawn))
    alone = np.empty(len(found))
    for start in range(0, len(found), _BLOCK):
        part = slice(start, start + _BLOCK)
        successes = np.stack([by_cell[list(one.cells)].sum(axis=0) for one in found[part]], axis=1)
        deviations = _deviations(successes, n[part], total, everybody)
        np.maximum(largest, deviations.max(axis=1), out=largest)
        alone[part] = (1 + (deviations >= seen[part] - 1e-12).sum(axis=0)) / (len(drawn) + 1)
    ordered = np.sort(largest)
    at_least = len(drawn) - np.searchsorted(ordered, seen - 1e-12)
    return alone, (1 + at_least) / (len(drawn) + 1)


def _deviations(k: Floats, n: Floats, total: int, everybody: int) -> Floats:
    """Differences to everybody else in units of their error, but for a constant."""
    others = everybody - n
    difference = k / n - (total - k) / others
    return np.asarray(np.abs(difference) / np.sqrt(1 / n + 1 / others))
