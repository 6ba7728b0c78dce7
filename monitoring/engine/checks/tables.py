"""Counts of a group as the checks read them, and what every check's configuration shares."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.cube import Cell, Contingency, Group
from monitoring.engine.documents import Fields
from monitoring.engine.results import Note

MINIMUM = 30
"""Rates over fewer than this many people are `insufficient` unless the configuration says other."""

MOST_MEASUREMENTS = 20_000
"""Measurements that one run makes at most."""

SELECTION_RATE = "selection_rate"
ACCURACY = "accuracy"


@dataclass(frozen=True)
class Confusion:
    """Labelled, predicted rows of a group; `predicted` and `selected` also count unlabelled ones."""

    tp: int = 0
    fp: int = 0
    tn: int = 0
    fn: int = 0
    predicted: int = 0
    selected: int = 0

    @property
    def labelled(self) -> int:
        return self.tp + self.fp + self.tn + self.fn

    @property
    def positives(self) -> int:
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        return self.fp + self.tn


def confusion(cells: Iterable[Cell]) -> Confusion:
    counts = dict.fromkeys(("tp", "fp", "tn", "fn", "predicted", "selected"), 0)
    for cell in cells:
        if cell.prediction is None:
            continue
        counts["predicted"] += cell.n
        counts["selected"] += cell.n * cell.prediction
        if cell.label is not None:
            right = cell.label == cell.prediction
            counts[("t" if right else "f") + ("p" if cell.prediction else "n")] += cell.n
    return Confusion(**counts)


def by_group(cube: Contingency) -> dict[Group, Confusion]:
    cells: dict[Group, list[Cell]] = {}
    for cell in cube.cells:
        cells.setdefault(cell.group, []).append(cell)
    return {group: confusion(cells[group]) for group in sorted(cells)}


def one_sided(cube: Contingency) -> list[Note]:
    """Notes that all outcomes or all decisions are alike.

    Much is undefined or trivially good then, and the usual reason is a positive value in the
    mapping that is written otherwise in the data.
    """
    labels: dict[int, int] = {0: 0, 1: 0}
    decisions: dict[int, int] = {0: 0, 1: 0}
    for cell in cube.cells:
        for value, counted in ((cell.label, labels), (cell.prediction, decisions)):
            if value is not None:
                counted[value] += cell.n
    found = []
    for what, counted in (("outcome", labels), ("decision", decisions)):
        rows = counted[0] + counted[1]
        for value, word in ((1, "no"), (0, "every")):
            if rows and not counted[value]:
                text = f"{word} {what} equals the mapping's positive value: is it written as in the data?"
                found.append(Note(f"one_{what}", text, {"rows": rows}))
    return found


def refuse_too_many(parts: Mapping[str, int]) -> None:
    """Raises Invalid if measurements are more than `MOST_MEASUREMENTS`.

    `parts` says how many each field of the configuration makes; the one with most is named.
    """
    total = sum(parts.values())
    if total > MOST_MEASUREMENTS:
        field, most = max(parts.items(), key=lambda part: part[1])
        raise Invalid(
            f"{total} figures would be measured, {most} of them for this: more than the "
            f"{MOST_MEASUREMENTS} that a run makes; name fewer attributes together, or attributes of "
            "fewer groups",
            field=field,
        )


def field_of_grouping(
    grouping: Sequence[str], place: int, attributes: Sequence[str], config: Mapping[str, Any]
) -> str:
    """What of a configuration asked for the grouping at a place of those that are measured."""
    if place < len(config.get("groupings") or []):
        return f"config.groupings[{place}]"
    crossed = len(grouping) > 1 and len(grouping) == len(attributes)
    return "config.intersections" if crossed else "mapping.sensitive"


def refuse_many_groups(
    groups: Mapping[tuple[str, ...], int],
    each: int,
    attributes: Sequence[str],
    config: Mapping[str, Any],
) -> None:
    """Raises Invalid if `each` measurements of every group are too many.

    `groups` says how many groups each grouping has, in the order in which they are measured.
    """
    parts: Counter[str] = Counter()
    for place, (grouping, count) in enumerate(groups.items()):
        parts[field_of_grouping(grouping, place, attributes, config)] += each * count
    refuse_too_many(parts)


@dataclass(frozen=True)
class GroupConfig:
    """How groups are formed and how small one may be.

    `groupings` lists the sets of attributes to compare by. `minimum` is the least denominator of
    each metric, `MINIMUM` for one that is not named.
    """

    groupings: tuple[tuple[str, ...], ...]
    minimum: Mapping[str, int]
    level: float
    include_missing: bool

    def least(self, metric: str) -> int:
        return self.minimum.get(metric, self.minimum.get("default", MINIMUM))


GROUP_FIELDS = ("groupings", "intersections", "minimum", "level", "include_missing")


def read_group_config(
    fields: Fields, attributes: Sequence[str], metrics: Sequence[str]
) -> GroupConfig:
    """Read the shared part of a configuration. By default each attribute stands alone."""
    groupings: list[tuple[str, ...]] = []
    for index, one in enumerate(fields.items("groupings")):
        where = f"{fields.name('groupings')}[{index}]"
        names = tuple([one] if isinstance(one, str) else one if isinstance(one, list) else ())
        if not names or len(set(names)) != len(names):
            raise Invalid("expected an attribute or a list of different attributes", field=where)
        for name in names:
            if name not in attributes:
                raise Invalid(f"{name!r} is no sensitive attribute of the mapping", field=where)
        groupings.append(names)
    groupings = groupings or [(name,) for name in attributes]
    everything = tuple(attributes)
    if fields.flag("intersections", False) and len(everything) > 1 and everything not in groupings:
        groupings.append(everything)
    minimum = fields.mapping("minimum")
    for name, value in minimum.items():
        where = f"{fields.name('minimum')}.{name}"
        if name != "default" and name not in metrics:
            raise Invalid(f"unknown metric; known are {', '.join(metrics)}", field=where)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Invalid("expected a whole number of at least 1", field=where)
    level = fields.number("level", 0.95, above=0.5, to=0.9999)
    return GroupConfig(tuple(groupings), minimum, level, fields.flag("include_missing", False))
