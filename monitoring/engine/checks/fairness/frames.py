"""Fairlearn's MetricFrame over weighted cells: one for a grouping, with all of its rates."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from monitoring.engine.checks.fairness.counting import denominator, figure
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.checks.tables import Confusion
from monitoring.engine.cube import Cell, Contingency, Group
from monitoring.metrics.fairness import Comparison

_UNLABELLED = 2
_METHODS = {"groups": "between_groups", "overall": "to_overall"}


class Frame:
    """Rates of groups and what Fairlearn makes of them; None where it is undefined.

    A rate under its minimum is not a number to Fairlearn, which leaves such a group out of its
    differences and ratios. Cells count with their weight, so that nothing depends on the rows.
    """

    def __init__(
        self, cube: Contingency, rates: Sequence[str], groups: Sequence[Group], settings: Settings
    ) -> None:
        import pandas as pd
        from fairlearn.metrics import MetricFrame

        self._places = {group: place for place, group in enumerate(groups)}
        cells = [
            cell
            for cell in cube.cells
            if cell.group in self._places and cell.prediction is not None
        ]
        # A row of the frame is a cell: its label and decision in one number, and how many they are.
        # A third column, for weights, would cost the library half as much again.
        self._frame = MetricFrame(
            metrics={rate: _counted(rate, settings.groups.least(rate)) for rate in rates},
            y_true=[_kind(cell) for cell in cells],
            y_pred=[cell.n for cell in cells],
            sensitive_features=pd.Series([self._places[c.group] for c in cells], name="group"),
        )
        self._values: dict[str, dict[int, float]] = self._frame.by_group.to_dict()

    def value(self, rate: str, group: Group) -> float | None:
        """A rate of a group; None also for a group in which nobody was decided about."""
        place = self._places.get(group)
        return None if place is None else _number(self._values[rate].get(place, math.nan))

    def overall(self, rate: str) -> float | None:
        return _number(self._frame.overall[rate])

    def compared(self, one: Comparison, rate: str) -> float | None:
        """A comparison of one rate between the groups or to everybody, as Fairlearn forms it."""
        if one.form == "least":
            return _number(self._frame.group_min()[rate])
        if one.form == "greatest":
            return _number(self._frame.group_max()[rate])
        form = self._frame.difference if one.form == "difference" else self._frame.ratio
        return _number(form(method=_METHODS[one.against])[rate])


def _kind(cell: Cell) -> int:
    """Twice the label plus the prediction; a missing label is 2."""
    return 2 * (_UNLABELLED if cell.label is None else cell.label) + (cell.prediction or 0)


def _counted(rate: str, least: int) -> Callable[..., float]:
    """A metric for MetricFrame: equal to the library's own, and hundreds of times as fast on a
    few cells, since nothing is inferred about the labels."""

    def metric(y_true: Any, y_pred: Any) -> float:
        import numpy as np

        table = np.bincount(y_true, weights=y_pred, minlength=6).tolist()
        tn, fp, fn, tp, unlabelled, unlabelled_selected = table
        labelled = tn + fp + fn + tp
        counts = Confusion(
            tp=tp,
            fp=fp,
            tn=tn,
            fn=fn,
            predicted=labelled + unlabelled + unlabelled_selected,
            selected=tp + fp + unlabelled_selected,
        )
        n = denominator(rate, counts)
        return figure(rate, counts) if n and n >= least else math.nan

    metric.__name__ = rate
    return metric


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
