"""How right the decisions and scores are, for everybody and for each group, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.configs.performance import OWN_FIELDS, Costs, sweep_points
from monitoring.engine.checks.performance import comparison, drawn, estimates
from monitoring.engine.checks.performance.comparison import Compared
from monitoring.engine.checks.performance.decisions import (
    BALANCED,
    COST,
    F1,
    MATTHEWS,
    NEGATIVE,
    cost,
    counts,
    decisions,
    more_decisions,
)
from monitoring.engine.checks.performance.regression import measure_regression, ranks_wanted
from monitoring.engine.checks.performance.scope import Scope
from monitoring.engine.checks.performance.scores import (
    MORE_SCORES,
    SCORES,
    Bins,
    calibration_error,
    calibration_table,
    more_scored,
    scored,
)
from monitoring.engine.checks.tables import (
    ACCURACY,
    GROUP_FIELDS,
    SELECTION_RATE,
    Confusion,
    GroupConfig,
    by_group,
    one_sided,
    read_group_config,
    refuse_many_groups,
)
from monitoring.engine.cube import Contingency, Group, ScoreCube
from monitoring.engine.cube.expected import ExpectedCube
from monitoring.engine.documents import Fields
from monitoring.engine.plots import confusion_plot
from monitoring.engine.profiles import FLOOR
from monitoring.engine.results import CheckResult, MeasurementValue, Note, Plot

__all__ = [
    "FIELDS",
    "METRICS",
    "Compared",
    "calibration_error",
    "calibration_table",
    "measure",
    "measure_regression",
    "ranks_wanted",
]

PROPORTIONS = (ACCURACY, "precision", "recall", "specificity", SELECTION_RATE, "base_rate")
METRICS = (
    *PROPORTIONS,
    F1,
    BALANCED,
    *SCORES,
    NEGATIVE,
    MATTHEWS,
    *MORE_SCORES,
    COST,
    *comparison.COMPARED,
    *estimates.ESTIMATES,
)
FIELDS = (*GROUP_FIELDS, *OWN_FIELDS, "quantiles")


@dataclass(frozen=True)
class _Measuring:
    """The cubes over one set of attributes, and what was asked for."""

    tables: Mapping[Group, Confusion]
    scores: ScoreCube | None
    expected: ExpectedCube | None
    compared: Compared | None
    costs: Costs | None
    settings: GroupConfig
    seed: int

    def group(self, group: Group, attributes: tuple[str, ...]) -> list[MeasurementValue]:
        """Everything about one group. What came later into the product stands after the rest."""
        scope = Scope(dict(zip(attributes, group, strict=True)), self.settings, self.seed)
        table = self.tables.get(group, Confusion())
        bins = Bins(self.scores, group) if self.scores else None
        found = decisions(table, scope)
        if not attributes:
            found += counts(table, scope)
        found += scored(bins, scope) + more_decisions(table, scope) + more_scored(bins, scope)
        if self.costs is not None:
            found.append(cost(table, self.costs, scope))
        if self.compared is not None:
            found += comparison.compared(self.compared, group, scope)
        if self.expected is not None:
            found += estimates.estimates(self.expected, group, scope)
        return found

    def lines(self) -> list[tuple[str, Bins]]:
        """A line of a plot for each group of which enough people have scores."""
        if self.scores is None:
            return []
        least = max(FLOOR, self.settings.least("auc"))
        found = ((group, Bins(self.scores, group)) for group in self.tables)
        return [(", ".join(group), bins) for group, bins in found if bins.n >= least]


def measure(
    cube: Contingency,
    scores: ScoreCube | None,
    config: Mapping[str, Any],
    seed: int,
    *,
    expected: ExpectedCube | None = None,
    compared: Compared | None = None,
) -> CheckResult:
    """Measure everybody (slice `{}`) and each group of the groupings of `config`.

    Beside the fields of fairness `config` may have `costs` (what a decision costs by its outcome),
    `sweep` (true, or the number of thresholds), `curves_by_group` and `estimate`. `expected` gives
    the estimates that `estimate` asks for, `compared` the gains over another model.

    Proportions have Wilson's interval, areas DeLong's on logits, widened by the certified error of
    the bins, Brier score and log loss (unit "nats") Student's. The expected calibration error over
    ten equal bins is biased upwards in small samples; its interval, by hybrid resampling, is not.

    Raises:
        Invalid: naming the field of `config`.
    """
    fields = Fields(config, "config", (*GROUP_FIELDS, *OWN_FIELDS))
    settings = read_group_config(fields, cube.attributes, METRICS)
    costs, points = Costs.read(fields), sweep_points(fields)
    by_curves = fields.flag("curves_by_group", False)
    measurements: list[MeasurementValue] = []
    plots: list[Plot] = []
    for attributes in ((), *settings.groupings):
        part = _Measuring(
            by_group(cube.by(attributes)) or ({} if attributes else {(): Confusion()}),
            scores.by(attributes) if scores else None,
            expected.by(attributes) if expected else None,
            compared.by(attributes) if compared else None,
            costs,
            settings,
            seed,
        )
        found = [one for group in part.tables for one in part.group(group, attributes)]
        measurements += found
        if not attributes:
            groups = {one: len(cube.by(one).groups()) for one in settings.groupings}
            refuse_many_groups(groups, len(found), cube.attributes, config)
        if attributes:
            plots += _group_plots(part, attributes, found, by_curves, points)
        else:
            plots += _whole_plots(part, points)
    overall = by_group(cube.by(())).get((), Confusion())
    return CheckResult(measurements, plots, _notes(cube, overall))


def _whole_plots(part: _Measuring, points: int) -> list[Plot]:
    one = part.tables[()]
    title = "Decisions and outcomes"
    plots = [confusion_plot("confusion", title, one.tp, one.fp, one.tn, one.fn)]
    level = part.settings.level
    if part.scores is not None:
        bins = Bins(part.scores, ())
        plots += drawn.curves_of("", "", [("model", bins)], level)
        if points:
            plots += drawn.sweep(bins, points, level, part.costs)
    if part.compared is not None:
        plots.append(comparison.who_is_right(part.compared, ()))
    return plots


def _group_plots(
    part: _Measuring,
    attributes: tuple[str, ...],
    found: list[MeasurementValue],
    by_curves: bool,
    points: int,
) -> list[Plot]:
    plots = [drawn.accuracy_by(attributes, found)]
    lines, level = part.lines(), part.settings.level
    if by_curves and lines:
        name = f"_by_{'_'.join(attributes)}"
        of = f" by {' and '.join(attributes).replace('_', ' ')}"
        plots += drawn.curves_of(name, of, lines, level)
    if points and lines:
        plots += drawn.sweep_by(attributes, lines, points, level)
    if part.compared is not None:
        plots.append(comparison.gain_by(attributes, found))
        plots.append(comparison.who_is_right(part.compared, attributes))
    return plots


def _notes(cube: Contingency, overall: Confusion) -> list[Note]:
    notes = one_sided(cube)
    unpredicted = cube.rows - overall.predicted
    unlabelled = overall.predicted - overall.labelled
    if unpredicted:
        text = f"{unpredicted} rows have no prediction and are left out"
        notes.append(Note("missing_prediction", text, {"rows": unpredicted}))
    if unlabelled:
        text = f"{unlabelled} rows have no label and count only in the selection rate"
        notes.append(Note("missing_label", text, {"rows": unlabelled}))
    return notes
