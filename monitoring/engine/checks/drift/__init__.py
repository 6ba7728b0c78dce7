"""How far a sample has moved from its reference: each column, and the model's answers.

Population stability index, Jensen-Shannon, Hellinger and Wasserstein distance and the
Kolmogorov-Smirnov test are Evidently's own figures, computed from histograms of both samples.
Added are what it leaves out: missing values and unseen categories as drift, deciles of the
reference (one outlier does not empty them), the two-sample chi-square test, what chance alone
gives for so many rows and bins, and a correction of p values over all tests of the run. A figure
drifted only if it is an effect, beyond chance, and its corrected test says so.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from monitoring.engine.checks.drift.figures import figures, judged, slice_of
from monitoring.engine.checks.drift.plots import plots
from monitoring.engine.checks.drift.settings import FIELDS, DriftConfig
from monitoring.engine.checks.drift.summary import largest, shares
from monitoring.engine.comparing import Comparison
from monitoring.engine.results import CheckResult, MeasurementValue

__all__ = ["FIELDS", "DriftConfig", "measure", "slice_of"]

if TYPE_CHECKING:
    from monitoring.engine.checks.drift.domain import Samples

Windows = Sequence[tuple[str, Sequence[Comparison]]]


def measure(
    comparisons: Sequence[Comparison],
    config: Mapping[str, Any],
    *,
    windows: Windows = (),
    samples: "Samples | None" = None,
    seed: int = 0,
) -> CheckResult:
    """Measure each comparison; an `answer` is of the model, or the outcome.

    `config`, all optional: `level` of intervals (0.95); `minimum` rows on each side (30; fewer is
    `insufficient`); `alpha` (0.05), the chance of a false alarm; `correction` of p values over the
    columns and tests of the run, `holm`, `bh` or `none`; `thresholds` by metric, the least figure
    that is an effect; `importance` of features, which then come in its order.

    Slices are `{"feature": name}` or `{"output": name}`; `{"feature": "*"}` is the largest figure
    over the features, named in `detail`; with `windows` also `{"feature": name, "window": name}`.
    `detail` has `threshold`, `chance` (what the figure stays under in 1 - alpha of all cases if
    nothing has changed), `test`, `p`, `p_holm`, `p_bh`, `drifted` and the `rule` of it.
    `drifted_share` is the share of features of which any figure drifted,
    `drifted_importance_share` their share of all importance. With `samples`, rows of both sides,
    `domain_classifier_auc` tells whether a classifier can tell them apart.

    Raises:
        Invalid: naming the field of `config`.
    """
    features = [one.column for one in comparisons if not one.answer]
    read = DriftConfig.read(config, features, seed)
    ordered = _in_order(comparisons, read.importance)
    found = [figure for one in ordered for figure in figures(one, read)]
    if samples is not None:
        from monitoring.engine.checks.drift.domain import classify

        found.append(classify(samples, read))
    measured = judged(found, read)
    result = measured + largest(measured) + shares(measured, read)
    later: list[MeasurementValue] = []
    if windows:
        within = [
            figure
            for window, compared in windows
            for one in _in_order(compared, read.importance)
            for figure in figures(one, read, window)
        ]
        later = judged(within, read)
        later += [one for name, _ in windows for one in shares(later, read, name)]
    return CheckResult(result + later, plots(ordered, result, later))


def _in_order(
    comparisons: Sequence[Comparison], importance: Mapping[str, float]
) -> list[Comparison]:
    return sorted(
        comparisons, key=lambda one: 0.0 if one.answer else -importance.get(one.column, 0.0)
    )
