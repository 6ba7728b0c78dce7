"""What each kind of check measures: within which range, and whether with an interval. Pure, and light.

A limit beyond a figure's range is broken by nothing or kept by nothing, and a limit on an end of an
interval that there never is holds nothing: both are refused when they are written (`measurable`).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from monitoring.metrics import fairness as names
from monitoring.metrics import performance


@dataclass(frozen=True)
class Figure:
    """The range of the figure, and that of the ends of its interval where they may lie beyond it;
    `ends` is None for a figure that never has an interval."""

    least: float
    most: float
    ends: tuple[float, float] | None = None


_ANY: Final = (-math.inf, math.inf)
_SHARE: Final = Figure(0.0, 1.0, (0.0, 1.0))
_CHANGE: Final = Figure(-1.0, 1.0, (-1.0, 1.0))
_MEAN_OF_SHARES: Final = Figure(0.0, 1.0, _ANY)
"""Student's interval knows nothing of a range."""
_POSITIVE: Final = Figure(0.0, math.inf, _ANY)
_NUMBER: Final = Figure(*_ANY, _ANY)
_TRUTH: Final = Figure(0.0, 1.0)
_INDEX: Final = Figure(0.0, math.inf)
_COUNT: Final = Figure(0.0, math.inf)

COUNTS: Final = ("true_positives", "false_positives", "true_negatives", "false_negatives")
QUANTILE: Final = re.compile(r"median_absolute_error|absolute_error_p\d{1,2}(\.\d+)?")
LARGEST_SECONDS: Final = 3600.0
"""Of a decision, beyond which seconds are not told apart."""

_PERFORMANCE: Final[dict[str, Figure]] = {
    **dict.fromkeys(performance.OF_DECISIONS, _SHARE),
    **dict.fromkeys(performance.ESTIMATES, _MEAN_OF_SHARES),
    **dict.fromkeys(performance.GAINS, _CHANGE),
    "auc_gain": Figure(-1.0, 1.0, _ANY),
    "brier_score_gain": Figure(-1.0, 1.0, _ANY),
    "prediction_agreement": _SHARE,
    "brier_score": _MEAN_OF_SHARES,
    "log_loss": _POSITIVE,
    "matthews_correlation": _CHANGE,
    "calibration_bias": Figure(-1.0, 1.0, _ANY),
    "expected_cost": _NUMBER,
    **dict.fromkeys(COUNTS, _COUNT),
    **dict.fromkeys(performance.OF_NUMBERS, _POSITIVE),
    "mean_error": _NUMBER,
    "r2": Figure(-math.inf, 1.0, (-math.inf, 1.0)),
    "mean_absolute_error_gain": _NUMBER,
    "root_mean_squared_error_gain": _NUMBER,
}


def _compared(one: names.Comparison) -> Figure:
    odds = one.rates == (names.TREATMENT_EQUALITY,)
    if one.against == "reference":
        return Figure(0.0, math.inf, _ANY) if one.form == "ratio" else Figure(-1.0, 1.0, _ANY)
    if one.form == "ratio":
        return Figure(0.0, 1.0, _ANY)
    if one.form in ("least", "greatest"):
        return _POSITIVE if odds else _SHARE
    # The interval of a difference is of the signed one, from the highest group to the lowest.
    return _POSITIVE if odds else Figure(0.0, 1.0, (-math.inf, 1.0))


def _fairness() -> Iterator[tuple[str, Figure]]:
    for rate in names.RATES:
        yield rate, _POSITIVE if rate == names.TREATMENT_EQUALITY else _SHARE
    for one in names.COMPARISONS.values():
        yield one.name, _compared(one)
        if names.is_conditional(one):
            yield names.CONDITIONAL + one.name, _compared(one)
    for rate in names.SHARES:
        yield f"{names.SUBGROUP}{rate}_difference", _CHANGE
    for rate in names.LL144_RATE.values():
        yield rate, _SHARE
    yield names.LL144_IMPACT_RATIO, Figure(0.0, math.inf, _ANY)
    yield names.LL144_UNKNOWN, _COUNT
    yield names.GROUP_CALIBRATION_ERROR, _SHARE
    yield names.CALIBRATION_IN_THE_LARGE, Figure(-1.0, 1.0, _ANY)
    yield names.CALIBRATION_DIFFERENCE, Figure(0.0, 2.0, _ANY)


OF_NUMBERS: Final = ("psi_deciles", "wasserstein_normed", "ks_statistic")
OF_CATEGORIES: Final = ("unseen_category_rate", "cramers_v")
OF_COLUMNS: Final = ("missing_rate_difference", "psi", "jensen_shannon", "hellinger")
"""Of drift: by what a column holds, and of every column."""

_DRIFT: Final[dict[str, Figure]] = {
    **dict.fromkeys(("psi", "psi_deciles", "wasserstein_normed"), _INDEX),
    # In natural logarithms.
    "jensen_shannon": Figure(0.0, math.sqrt(math.log(2.0))),
    **dict.fromkeys(("hellinger", "ks_statistic", "cramers_v"), Figure(0.0, 1.0)),
    "missing_rate_difference": _CHANGE,
    "positive_rate_difference": _CHANGE,
    "unseen_category_rate": _SHARE,
    "domain_classifier_auc": _SHARE,
    "drifted_share": Figure(0.0, 1.0),
    "drifted_importance_share": Figure(0.0, 1.0),
}
_DATA_QUALITY: Final[dict[str, Figure]] = {
    **dict.fromkeys(("missing_rate", "duplicate_rate", "duplicate_row_rate"), _SHARE),
    **dict.fromkeys(("leakage_rate", "base_rate", "out_of_range_rate", "rule_share"), _SHARE),
    **dict.fromkeys(("schema_match", "declared_schema_match", "fresh", "volume_kept"), _TRUTH),
    **dict.fromkeys(("rows", "constant_features", "rules_broken"), _COUNT),
    "volume_ratio": Figure(0.0, math.inf),
    "age_days": Figure(*_ANY),
    "future_rate": _SHARE,
}
_EXPLAINABILITY: Final[dict[str, Figure]] = {
    "mean_abs_shap": _POSITIVE,
    "mean_shap": _NUMBER,
    "shap_additivity_error": Figure(0.0, math.inf),
    "attribution_stability": Figure(-1.0, 1.0),
    "sensitive_attribute_not_an_input": _TRUTH,
    "deterministic_output": _TRUTH,
    "proxy_auc": _SHARE,
    "proxy_balanced_accuracy": _SHARE,
    "proxy_auc_drop": Figure(-1.0, 1.0),
}
OF_PERTURBATIONS: Final = (
    "mean_score_change",
    "max_score_change",
    "flip_rate",
    "accuracy_under_perturbation",
    "accuracy_drop",
    "auc_under_perturbation",
)
LARGEST_OF_PERTURBATIONS: Final = ("mean_score_change", "flip_rate", "accuracy_drop")
_ROBUSTNESS: Final[dict[str, Figure]] = {
    **dict.fromkeys(("baseline_accuracy", "baseline_auc", *OF_PERTURBATIONS), _SHARE),
    "max_score_change": Figure(0.0, 1.0),
    "accuracy_drop": _CHANGE,
}
_OVERSIGHT: Final[dict[str, Figure]] = {
    **dict.fromkeys(("decisions", "reviewers"), _COUNT),
    **dict.fromkeys(("override_rate", "agreement_rate", "fast_decision_rate"), _SHARE),
    **dict.fromkeys(("override_rate_when_wrong", "override_rate_when_right"), _SHARE),
    **dict.fromkeys(("human_accuracy", "model_accuracy_overseen", "reason_missing_rate"), _SHARE),
    **dict.fromkeys(("override_rate_speed_gap", "override_rate_change"), _CHANGE),
    **dict.fromkeys(
        (f"decision_seconds_{name}" for name in ("p10", "p50", "p90")),
        Figure(0.0, LARGEST_SECONDS),
    ),
}

BY_KIND: Final[dict[str, dict[str, Figure]]] = {
    "performance": _PERFORMANCE,
    "fairness": dict(_fairness()),
    "drift": _DRIFT,
    "data_quality": _DATA_QUALITY,
    "explainability": _EXPLAINABILITY,
    "robustness": _ROBUSTNESS,
    "oversight": _OVERSIGHT,
}


def figure_of(kind: str, name: str) -> Figure | None:
    """What is known of a figure that a kind of check may measure; None if it measures none so named."""
    if kind == "performance" and QUANTILE.fullmatch(name):
        return _POSITIVE
    return BY_KIND[kind].get(name)


def within(figure: Figure, least: float, most: float) -> Figure:
    """The figure with a narrower range, which its interval need not keep to."""
    return replace(figure, least=least, most=most)
