"""Two models on the same rows: how much more often this one is right, and where.

A gain is this model less the other, positive where this one is the better. Differences of paired
proportions have Tango's score interval and McNemar's test, those of areas DeLong's paired error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitoring.engine import curves, intervals, statistics
from monitoring.engine.checks.performance.scope import Scope
from monitoring.engine.checks.performance.scores import Bins
from monitoring.engine.cube import Group, ScoreCube, merge_scores
from monitoring.engine.cube.paired import PairedCell, PairedCube, merge_paired
from monitoring.engine.plots import interval_plot
from monitoring.engine.results import NOT_AVAILABLE, MeasurementValue, Plot
from monitoring.engine.statistics import Interval

ACCURACY, RECALL, SPECIFICITY, AUC, BRIER = GAINS = (
    "accuracy_gain",
    "recall_gain",
    "specificity_gain",
    "auc_gain",
    "brier_score_gain",
)
SELECTION = "selection_rate_change"
AGREEMENT = "prediction_agreement"
COMPARED = (*GAINS, SELECTION, AGREEMENT)
PLACES = ("both right", "only this version right", "only the other right", "both wrong")


@dataclass(frozen=True)
class Compared:
    """The cube of pairs and the score cubes of both models over the same rows."""

    cube: PairedCube
    ours: ScoreCube | None
    other: ScoreCube | None

    def by(self, attributes: Sequence[str]) -> "Compared":
        return Compared(
            self.cube.by(attributes),
            self.ours.by(attributes) if self.ours else None,
            self.other.by(attributes) if self.other else None,
        )

    def to_json(self, scores: ScoreCube | None = None) -> dict[str, Any]:
        """As a document. This model's scores are in it if they are not `scores`, those of all rows:
        the other may have none for some."""
        ours = {} if self.ours is None or self.ours == scores else {"scores": self.ours.to_json()}
        return {
            "pairs": self.cube.to_json(),
            "other_scores": self.other.to_json() if self.other else None,
            **ours,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], scores: ScoreCube | None) -> "Compared":
        other = value["other_scores"]
        ours = ScoreCube.from_json(value["scores"]) if "scores" in value else scores
        return cls(
            PairedCube.from_json(value["pairs"]),
            ours if other is not None else None,
            ScoreCube.from_json(other) if other is not None else None,
        )


def merge_compared(parts: Sequence[Compared]) -> Compared:
    """Add up the pairs of rows that were counted apart."""
    scores: list[ScoreCube | None] = []
    for name in ("ours", "other"):
        given = [getattr(one, name) for one in parts]
        scores.append(None if None in given else merge_scores(*given))
    return Compared(merge_paired(*(one.cube for one in parts)), *scores)


def compared(found: Compared, group: Group, scope: Scope) -> list[MeasurementValue]:
    """Every difference for one group."""
    cells = [cell for cell in found.cube.cells if cell.group == group]
    measured = [_right(ACCURACY, cells, scope)]
    measured.append(_right(RECALL, [cell for cell in cells if cell.label], scope))
    measured.append(_right(SPECIFICITY, [cell for cell in cells if not cell.label], scope))
    measured.append(_auc(found, group, scope))
    measured.append(_brier(found, group, scope))
    chosen = _count(cells, lambda c: c.ours and not c.other)
    left = _count(cells, lambda c: c.other and not c.ours)
    measured.append(_difference(SELECTION, chosen, left, sum(c.n for c in cells), scope))
    return [*measured, _agreement(cells, scope)]


def _count(cells: Sequence[PairedCell], wanted: Any) -> int:
    return sum(cell.n for cell in cells if wanted(cell))


def places(cells: Sequence[PairedCell]) -> tuple[int, int, int, int]:
    """Rows by who is right: both, this one alone, the other alone, neither."""
    sides = [(c.ours == c.label, c.other == c.label, c.n) for c in cells]
    order = ((True, True), (True, False), (False, True), (False, False))
    first, second, third, last = (sum(n for a, b, n in sides if (a, b) == one) for one in order)
    return first, second, third, last


def _right(metric: str, cells: Sequence[PairedCell], scope: Scope) -> MeasurementValue:
    both, ours, other, neither = places(cells)
    return _difference(metric, ours, other, both + ours + other + neither, scope)


def _difference(metric: str, ours: int, other: int, n: int, scope: Scope) -> MeasurementValue:
    if not n or not scope.enough(metric, n):
        return scope.too_few(metric, n, "rate")
    interval = intervals.score_interval((ours, n - ours - other, other), (1, 0, -1), scope.level)
    exact, middle = mcnemar(ours, other)
    detail = {"only_this": ours, "only_other": other, "p": middle, "p_exact": exact}
    value = (ours - other) / n
    return scope.value(metric, value, interval, n, "paired, tango, mcnemar mid-p", "rate", detail)


def mcnemar(first: int, second: int) -> tuple[float, float]:
    """The exact and the mid-p value of McNemar's test: would a fair coin part them so unevenly?"""
    from scipy.stats import binom

    n, least = first + second, min(first, second)
    if not n:
        return 1.0, 1.0
    below = 2 * float(binom.cdf(least, n, 0.5))
    return min(1.0, below), min(1.0, below - float(binom.pmf(least, n, 0.5)))


def _agreement(cells: Sequence[PairedCell], scope: Scope) -> MeasurementValue:
    n, alike = sum(c.n for c in cells), sum(c.n for c in cells if c.ours == c.other)
    if not n or not scope.enough(AGREEMENT, n):
        return scope.too_few(AGREEMENT, n, "rate")
    interval = statistics.wilson(alike, n, scope.level)
    return scope.value(AGREEMENT, alike / n, interval, n, "wilson", "rate")


def _auc(found: Compared, group: Group, scope: Scope) -> MeasurementValue:
    if found.ours is None or found.other is None:
        return scope.undefined(AUC, NOT_AVAILABLE, None, "rate")
    areas = []
    for scores in (found.ours, found.other):
        bins = Bins(scores, group)
        least = min(sum(bins.positives), sum(bins.negatives))
        area = statistics.area_under_curve(*bins.ordered())
        if area is None or not scope.enough(AUC, least):
            return scope.too_few(AUC, least, "rate")
        areas.append(area)
    rows = np.array(
        [(c.ours, c.other, c.n, c.label) for c in found.cube.scores if c.group == group], float
    )
    first, second, counts, labels = rows.T
    paired = curves.paired_areas(first, second, counts, labels, found.cube.bins)
    assert paired is not None, "both classes are there"
    value, bound = areas[0].value - areas[1].value, areas[0].bound + areas[1].bound
    width = statistics.z_of(scope.level) * paired.error + bound
    interval = Interval(max(-1.0, value - width), min(1.0, value + width))
    detail = {"this": areas[0].value, "other": areas[1].value, "certified_error": bound}
    n = int(rows[:, 2].sum())
    return scope.value(AUC, value, interval, n, "binned, paired delong", "rate", detail)


def _brier(found: Compared, group: Group, scope: Scope) -> MeasurementValue:
    sums = next((one for one in found.cube.moments if one.group == group), None)
    if not found.cube.moments:
        return scope.undefined(BRIER, NOT_AVAILABLE, None, "rate")
    if sums is None:
        return scope.too_few(BRIER, 0, "rate")
    if not scope.enough(BRIER, sums.n):
        return scope.too_few(BRIER, sums.n, "rate")
    total, squares = -float(sums.total), float(sums.squares)
    interval = intervals.mean_interval(total, squares, sums.n, scope.level)
    return scope.value(BRIER, total / sums.n, interval, sums.n, "paired, student", "rate")


def who_is_right(found: Compared, attributes: Sequence[str]) -> Plot:
    """Shares of rows by who is right, for each group; without attributes for everybody."""
    sliced = found.cube.by(attributes)
    names: dict[Group, list[PairedCell]] = {}
    for cell in sliced.cells:
        names.setdefault(cell.group, []).append(cell)
    series: list[Mapping[str, Any]] = []
    for place, name in enumerate(PLACES):
        points = []
        for group, cells in names.items():
            counted = places(cells)
            share = counted[place] / sum(counted)
            points.append({"label": ", ".join(group) or "everybody", "value": share})
        series.append({"name": name, "points": points})
    by = " and ".join(attributes).replace("_", " ")
    name = f"right_by_{'_'.join(attributes)}" if attributes else "right"
    title = f"Who is right, by {by}" if by else "Who is right"
    return Plot(name, "bar", title, "", "share of rows", series)


def gain_by(attributes: Sequence[str], found: Sequence[MeasurementValue]) -> Plot:
    by = " and ".join(attributes).replace("_", " ")
    measured = [(", ".join(m.slice.values()), m) for m in found if m.metric == ACCURACY]
    name = f"accuracy_gain_by_{'_'.join(attributes)}"
    return interval_plot(name, f"Gain in accuracy by {by}", measured, "difference")
