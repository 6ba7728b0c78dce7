"""How right the decisions and scores are, for everybody and for each group, with intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from monitoring.engine import statistics
from monitoring.engine.checks.tables import (
    ACCURACY,
    GROUP_FIELDS,
    SELECTION_RATE,
    Confusion,
    GroupConfig,
    by_group,
    read_group_config,
)
from monitoring.engine.cube import Contingency, Group, ScoreCell, ScoreCube
from monitoring.engine.documents import Fields
from monitoring.engine.plots import confusion_plot, interval_plot, line_plot
from monitoring.engine.results import (
    INSUFFICIENT,
    NO_DENOMINATOR,
    NOT_AVAILABLE,
    CheckResult,
    MeasurementValue,
    Note,
    Plot,
)
from monitoring.engine.statistics import Interval

PROPORTIONS = (
    ACCURACY,
    "precision",
    "recall",
    "specificity",
    SELECTION_RATE,
    "base_rate",
)
COMPOSITES = ("f1", "balanced_accuracy")
SCORES = ("auc", "brier_score", "log_loss", "expected_calibration_error")
COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")
METRICS = (*PROPORTIONS, *COMPOSITES, *SCORES)
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class _Scope:
    """One slice being measured, and the settings for it."""

    slice: Mapping[str, str]
    settings: GroupConfig
    seed: int

    def undefined(self, metric: str, reason: str, n: int | None, unit: str) -> MeasurementValue:
        detail = {"minimum": self.settings.least(metric)} if reason == INSUFFICIENT else {}
        return MeasurementValue(
            metric, self.slice, None, n=n, undefined_reason=reason, unit=unit, detail=detail
        )

    def value(
        self,
        metric: str,
        value: float,
        interval: Interval | None,
        n: int,
        method: str,
        unit: str,
        detail: Mapping[str, Any] | None = None,
    ) -> MeasurementValue:
        return MeasurementValue(
            metric,
            self.slice,
            value,
            interval.lower if interval else None,
            interval.upper if interval else None,
            self.settings.level if interval else None,
            n,
            method=method,
            unit=unit,
            detail=detail or {},
        )


def measure(
    cube: Contingency, scores: ScoreCube | None, config: Mapping[str, Any], seed: int
) -> CheckResult:
    """Measure everybody (slice `{}`) and each group of the groupings of `config`.

    `config` is as for fairness. Proportions have Wilson's interval, F1 and balanced accuracy a
    multinomial bootstrap's, the area under the curve DeLong's widened by the certified error of
    the bins, Brier score and log loss (unit "nats") the normal one. The expected calibration error
    over ten equal bins is biased upwards in small samples and has none.

    Raises:
        Invalid: naming the field of `config`.
    """
    fields = Fields(config, "config", GROUP_FIELDS)
    settings = read_group_config(fields, cube.attributes, METRICS)
    scope = _Scope({}, settings, seed)
    overall = by_group(cube.by(())).get((), Confusion())
    measurements = _decisions(overall, scope) + _counts(overall, scope)
    measurements += _scored(scores.by(()) if scores else None, (), scope)
    plots = [
        confusion_plot(
            "confusion", "Decisions and outcomes", overall.tp, overall.fp, overall.tn, overall.fn
        )
    ]
    if scores is not None:
        plots += _score_plots(scores.by(()))
    for attributes in settings.groupings:
        sliced = by_group(cube.by(attributes))
        part = scores.by(attributes) if scores else None
        found: list[MeasurementValue] = []
        for group, table in sliced.items():
            one = _Scope(dict(zip(attributes, group, strict=True)), settings, seed)
            found += _decisions(table, one) + _scored(part, group, one)
        measurements += found
        plots.append(_by_group_plot(attributes, found))
    return CheckResult(measurements, plots, _notes(cube, overall))


def _decisions(table: Confusion, scope: _Scope) -> list[MeasurementValue]:
    pairs = {
        ACCURACY: (table.tp + table.tn, table.labelled),
        "precision": (table.tp, table.tp + table.fp),
        "recall": (table.tp, table.positives),
        "specificity": (table.tn, table.negatives),
        SELECTION_RATE: (table.selected, table.predicted),
        "base_rate": (table.positives, table.labelled),
    }
    measured = []
    for metric, (k, n) in pairs.items():
        if n < scope.settings.least(metric):
            reason = INSUFFICIENT if n else NO_DENOMINATOR
            measured.append(scope.undefined(metric, reason, n, "rate"))
        else:
            interval = statistics.wilson(k, n, scope.settings.level)
            measured.append(scope.value(metric, k / n, interval, n, "wilson", "rate"))
    return measured + _composites(table, scope)


def _composites(table: Confusion, scope: _Scope) -> list[MeasurementValue]:
    measured = []
    cells = (table.tp, table.fp, table.tn, table.fn)
    for metric in COMPOSITES:
        n = min(table.positives, table.negatives)
        if n < scope.settings.least(metric):
            reason = INSUFFICIENT if n else NO_DENOMINATOR
            measured.append(scope.undefined(metric, reason, n, "rate"))
            continue
        stream = statistics.generator(scope.seed, metric, *sorted(scope.slice.items()))
        drawn = statistics.multinomial(cells, stream).T.astype(float)
        interval = statistics.percentile(_composite(metric, *drawn), scope.settings.level)
        value = float(_composite(metric, *np.asarray(cells, float)))
        method = "multinomial bootstrap"
        measured.append(scope.value(metric, value, interval, table.labelled, method, "rate"))
    return measured


def _composite(metric: str, tp: Any, fp: Any, tn: Any, fn: Any) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        if metric == "f1":
            return 2 * tp / (2 * tp + fp + fn)
        return (tp / (tp + fn) + tn / (tn + fp)) / 2


def _counts(table: Confusion, scope: _Scope) -> list[MeasurementValue]:
    return [
        scope.value(name, float(count), None, table.labelled, "counted", "count")
        for name, count in zip(COUNTS, (table.tp, table.fp, table.tn, table.fn), strict=True)
    ]


def _scored(scores: ScoreCube | None, group: Group, scope: _Scope) -> list[MeasurementValue]:
    units = dict(zip(SCORES, ("rate", "rate", "nats", "rate"), strict=True))
    if scores is None:
        return [scope.undefined(name, NOT_AVAILABLE, None, units[name]) for name in SCORES]
    cells = [cell for cell in scores.cells if cell.group == group]
    n = sum(cell.n for cell in cells)
    measured = [_auc(cells, scores.bins, scope)]
    if n < scope.settings.least("brier_score"):
        reason = INSUFFICIENT if n else NO_DENOMINATOR
        return measured + [scope.undefined(name, reason, n, units[name]) for name in SCORES[1:]]
    sums = next(one for one in scores.moments if one.group == group)
    for name, total, squares in (
        ("brier_score", sums.squared, sums.squared_2),
        ("log_loss", sums.log, sums.log_2),
    ):
        interval = statistics.mean_interval(float(total), float(squares), n, scope.settings.level)
        measured.append(scope.value(name, float(total) / n, interval, n, "normal", units[name]))
    error = calibration_error(cells, scores.bins)
    measured.append(scope.value(SCORES[3], error, None, n, "ten equal bins", "rate"))
    return measured


def _auc(cells: Sequence[ScoreCell], bins: int, scope: _Scope) -> MeasurementValue:
    positives, negatives = [0] * bins, [0] * bins
    for cell in cells:
        (positives if cell.label else negatives)[cell.bin] += cell.n
    least = min(sum(positives), sum(negatives))
    area = statistics.area_under_curve(positives, negatives)
    if area is None or least < scope.settings.least("auc"):
        reason = INSUFFICIENT if least else NO_DENOMINATOR
        return scope.undefined("auc", reason, least, "rate")
    width = statistics.z_of(scope.settings.level) * area.error + area.bound
    interval = Interval(max(0.0, area.value - width), min(1.0, area.value + width))
    n = sum(positives) + sum(negatives)
    detail = {"certified_error": area.bound}
    return scope.value("auc", area.value, interval, n, "binned, delong", "rate", detail)


def calibration_table(cells: Sequence[ScoreCell], bins: int) -> list[tuple[int, float, float]]:
    """For each non-empty of ten equal bins: rows, mean score, rate of positives."""
    width = bins // CALIBRATION_BINS
    rows, positives = [0] * CALIBRATION_BINS, [0] * CALIBRATION_BINS
    sums = [Decimal(0)] * CALIBRATION_BINS
    for cell in cells:
        place = cell.bin // width
        rows[place] += cell.n
        positives[place] += cell.n * cell.label
        sums[place] += cell.score_sum
    return [
        (n, float(total) / n, k / n) for n, k, total in zip(rows, positives, sums, strict=True) if n
    ]


def calibration_error(cells: Sequence[ScoreCell], bins: int) -> float:
    table = calibration_table(cells, bins)
    total = sum(n for n, _, _ in table)
    return math.fsum(n * abs(mean - rate) for n, mean, rate in table) / total


def _score_plots(scores: ScoreCube) -> list[Plot]:
    calibration = [(mean, rate) for _, mean, rate in calibration_table(scores.cells, scores.bins)]
    return [
        line_plot(
            "calibration",
            "Calibration in ten equal bins",
            [("model", calibration), ("ideal", [(0.0, 0.0), (1.0, 1.0)])],
            "mean score",
            "rate of positives",
        ),
        line_plot(
            "roc",
            "Receiver operating characteristic",
            [("model", _roc(scores)), ("chance", [(0.0, 0.0), (1.0, 1.0)])],
            "false positive rate",
            "true positive rate",
        ),
    ]


def _roc(scores: ScoreCube, points: int = 100) -> list[tuple[float, float]]:
    counts = np.zeros((2, scores.bins))
    for cell in scores.cells:
        counts[cell.label, cell.bin] += cell.n
    totals = counts.sum(axis=1)
    if not totals.all():
        return []
    falling = np.cumsum(counts[:, ::-1], axis=1) / totals[:, None]
    # Points evenly spaced along the curve's own length, not along the scores.
    length = falling.sum(axis=0)
    wanted = np.searchsorted(length, np.linspace(0, 2, points, endpoint=False))
    kept = sorted({0, *map(int, wanted), scores.bins - 1})
    curve = [(float(falling[0, place]), float(falling[1, place])) for place in kept]
    return [(0.0, 0.0), *curve]


def _by_group_plot(attributes: Sequence[str], found: Sequence[MeasurementValue]) -> Plot:
    by = " and ".join(attributes).replace("_", " ")
    measured = [(", ".join(m.slice.values()), m) for m in found if m.metric == ACCURACY]
    return interval_plot(f"accuracy_by_{'_'.join(attributes)}", f"Accuracy by {by}", measured)


def _notes(cube: Contingency, overall: Confusion) -> list[Note]:
    notes = []
    unpredicted = cube.rows - overall.predicted
    unlabelled = overall.predicted - overall.labelled
    if unpredicted:
        text = f"{unpredicted} rows have no prediction and are left out"
        notes.append(Note("missing_prediction", text, {"rows": unpredicted}))
    if unlabelled:
        text = f"{unlabelled} rows have no label and count only in the selection rate"
        notes.append(Note("missing_label", text, {"rows": unlabelled}))
    return notes
