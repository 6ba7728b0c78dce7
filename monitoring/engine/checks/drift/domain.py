"""Drift of all features together: can a classifier tell which sample a row is from?

If it cannot, its area under the ROC curve is 0.5. The area is the mean over folds of rows that the
classifier was not trained on; its interval takes DeLong's errors of the folds, widened because
their training rows overlap (Nadeau and Bengio 2003). The test is Mann and Whitney's over two folds
that a classifier trained on the other three has not seen.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from monitoring.engine import statistics
from monitoring.engine.checks.drift.chance import Test
from monitoring.engine.checks.drift.figures import Figure
from monitoring.engine.checks.drift.settings import DriftConfig
from monitoring.engine.results import INSUFFICIENT, MeasurementValue
from monitoring.engine.statistics import z_of

METRIC: Final = "domain_classifier_auc"
ROWS: Final = 5_000
"""Rows of each sample at most, chosen by their digests."""
LEAST: Final = 100
FOLDS: Final = 5
HELD: Final = 2
CATEGORIES: Final = 250
TOLD: Final = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Samples:
    """Rows of both samples by feature: floats, or texts where categorical; None is missing."""

    reference: Mapping[str, Sequence[Any]]
    current: Mapping[str, Sequence[Any]]
    categorical: frozenset[str]

    @property
    def sizes(self) -> tuple[int, int]:
        first = next(iter(self.reference))
        return len(self.reference[first]), len(self.current[first])

    def matrix(self) -> Floats:
        """Rows of the reference, then of the current sample; categories as codes by frequency."""
        columns = []
        for name in self.reference:
            values = [*self.reference[name], *self.current[name]]
            columns.append(_codes(values) if name in self.categorical else _floats(values))
        return np.column_stack(columns)


def _floats(values: Sequence[Any]) -> Floats:
    found = np.array([np.nan if value is None else value for value in values], float)
    found[~np.isfinite(found)] = np.nan
    return found


def _codes(values: Sequence[Any]) -> Floats:
    counts: dict[str, int] = {}
    for value in values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    code = {name: min(place, CATEGORIES) for place, name in enumerate(ranked)}
    return np.array([np.nan if value is None else code[value] for value in values], float)


def classify(samples: Samples, config: DriftConfig) -> Figure:
    """`domain_classifier_auc` over everything; `detail` names the features that tell most.

    Fewer than 100 rows on either side are `insufficient`.
    """
    m, n = samples.sizes
    if min(m, n) < max(LEAST, config.minimum):
        return Figure(MeasurementValue(METRIC, {}, None, n=m + n, undefined_reason=INSUFFICIENT))
    import sklearn.ensemble  # noqa: F401  # its threads can be held only once it is loaded
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no stubs

    # One thread: sums in one order, and no waiting for cores that others use.
    with threadpool_limits(1):
        return _classify(samples, config)


def _classify(samples: Samples, config: DriftConfig) -> Figure:
    m, n = samples.sizes
    matrix = samples.matrix()
    truth = np.repeat([0, 1], [m, n])
    fold = np.concatenate((np.arange(m) % FOLDS, np.arange(n) % FOLDS))
    names = list(samples.reference)
    categorical = [place for place, name in enumerate(names) if name in samples.categorical]
    areas, errors = [], []
    losses = np.zeros(len(names))
    rng = statistics.generator(config.seed, "domain")
    for one in range(FOLDS):
        model = _fitted(matrix[fold != one], truth[fold != one], categorical, config.seed)
        held, answer = matrix[fold == one], truth[fold == one]
        area, error = _area(model, held, answer)
        areas.append(area)
        errors.append(error**2)
        for place in range(len(names)):
            dealt = held.copy()
            dealt[:, place] = rng.permutation(dealt[:, place])
            losses[place] += (area - _area(model, dealt, answer)[0]) / FOLDS
    value = float(np.mean(areas))
    spread = z_of(config.level) * math.sqrt(float(np.mean(errors)) * (1 / FOLDS + 1 / (FOLDS - 1)))
    apart = fold >= FOLDS - HELD
    p, by_chance = _held_out(matrix, truth, apart, categorical, config.seed)
    limit = 0.5 + float(special.ndtri(1 - config.alpha)) * by_chance
    order = np.argsort(-losses, kind="stable")[:TOLD]
    measured = MeasurementValue(
        METRIC,
        {},
        value,
        max(0.0, value - spread),
        min(1.0, value + spread),
        config.level,
        m + n,
        method=f"gradient boosted trees, {FOLDS} folds",
        unit="area",
        detail={
            "rows": {"reference": m, "current": n},
            "features": [
                {"feature": names[place], "loss": round(float(losses[place]), 6)}
                for place in order.tolist()
            ],
        },
    )
    return Figure(measured, Test("domain", "Mann-Whitney on rows held out", p), limit)


def _held_out(
    matrix: Floats, truth: NDArray[Any], apart: NDArray[np.bool_], categorical: list[int], seed: int
) -> tuple[float, float]:
    """P of an area this large over rows apart, and the deviation it has by chance.

    The means of folds are no more independent than their training rows, which overlap; rows that
    no training saw make an exact test.
    """
    model = _fitted(matrix[~apart], truth[~apart], categorical, seed)
    area, _ = _area(model, matrix[apart], truth[apart])
    n = int(truth[apart].sum())
    m = int(apart.sum()) - n
    deviation = math.sqrt((m + n + 1) / (12 * m * n))
    return float(special.ndtr((0.5 - area) / deviation)), deviation


def _fitted(rows: Floats, truth: NDArray[Any], categorical: list[int], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    # A feature without a value in these rows tells nothing, and cannot be cut into bins.
    rows = np.where(np.isnan(rows).all(axis=0), 0.0, rows)
    model = HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        early_stopping=False,
        categorical_features=categorical or None,
        random_state=seed % 2**32,
    )
    return model.fit(rows, truth)


def _area(model: Any, rows: Floats, truth: NDArray[Any]) -> tuple[float, float]:
    scores = model.predict_proba(rows)[:, 1]
    _, place = np.unique(scores, return_inverse=True)
    size = int(place.max()) + 1
    positives = np.bincount(place[truth == 1], minlength=size)
    negatives = np.bincount(place[truth == 0], minlength=size)
    area = statistics.area_under_curve(positives.tolist(), negatives.tolist())
    assert area is not None
    return area.value, area.error
