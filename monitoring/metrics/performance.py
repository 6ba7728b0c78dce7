"""Names of what performance measures, of decisions and of numbers. Pure, and light: the web process reads it."""

from typing import Final

GAINS: Final = (
    "accuracy_gain",
    "recall_gain",
    "specificity_gain",
    "auc_gain",
    "brier_score_gain",
    "selection_rate_change",
    "prediction_agreement",
)
"""Of two versions on the same rows."""
ESTIMATES: Final = (
    "estimated_accuracy",
    "estimated_precision",
    "estimated_recall",
    "estimated_specificity",
    "estimated_f1",
    "estimated_base_rate",
    "estimated_auc",
)
OF_DECISIONS: Final = (
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "selection_rate",
    "base_rate",
    "f1",
    "balanced_accuracy",
    "auc",
    "brier_score",
    "log_loss",
    "expected_calibration_error",
    "negative_predictive_value",
    "matthews_correlation",
    "average_precision",
    "calibration_bias",
    "expected_cost",
    *GAINS,
    *ESTIMATES,
)
OF_NUMBERS: Final = (
    "mean_absolute_error",
    "root_mean_squared_error",
    "mean_squared_error",
    "mean_error",
    "r2",
    "mean_absolute_error_gain",
    "root_mean_squared_error_gain",
)
"""Beside the quantiles of errors, whose names follow from the shares that are asked for."""


def quantile_name(share: float) -> str:
    """What the quantile of absolute errors at a share from 0 to 1 is called."""
    return "median_absolute_error" if share == 0.5 else f"absolute_error_p{100 * share:g}"
