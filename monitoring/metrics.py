"""What metrics are called in sentences, pages and reports: one table for all of them. Pure.

A name of the record (`psi_deciles`) is what policies, manifests and the API carry; people read words.
A metric that is not listed is called by its name with spaces, as `true positive rate`.
"""

from typing import Final

_NAMES: Final[dict[str, str]] = {
    "auc": "area under the ROC curve",
    "roc_auc": "area under the ROC curve",
    "f1": "F1 score",
    "brier_score": "Brier score",
    "equalized_odds_difference": "equalised odds difference",
    "psi": "population stability index",
    "psi_deciles": "population stability index by deciles",
    "ks_statistic": "Kolmogorov-Smirnov statistic",
    "jensen_shannon": "Jensen-Shannon distance",
    "wasserstein_normed": "normalised Wasserstein distance",
    "cramers_v": "Cramér's V",
    "missing_rate_difference": "change in the rate of missing values",
    "positive_rate_difference": "change in the rate of positive decisions",
    "missing_rate": "rate of missing values",
    "duplicate_rate": "rate of duplicate rows",
    "leakage_rate": "rate of rows also in the training data",
    "unseen_category_rate": "rate of unseen categories",
    "mean_abs_shap": "mean absolute Shapley value",
    "shap_additivity_error": "additivity error of Shapley values",
    "mean_shap": "mean Shapley value",
    "attribution_stability": "stability of the features' order of importance",
    "sensitive_attribute_not_an_input": "sensitive attribute is no input",
    "proxy_auc": "area under the curve of a proxy for the attribute",
    "proxy_balanced_accuracy": "balanced accuracy of a proxy for the attribute",
    "proxy_auc_drop": "loss of a proxy's area without the feature",
    "mean_score_change": "mean change of the score",
    "max_score_change": "largest change of a score",
    "flip_rate": "rate of decisions that change",
    "accuracy_drop": "loss of accuracy",
    "baseline_accuracy": "accuracy before perturbation",
    "baseline_auc": "area under the ROC curve before perturbation",
    "auc_under_perturbation": "area under the ROC curve under perturbation",
    "override_rate": "rate of decisions against the model",
    "agreement_rate": "rate of decisions with the model",
    "fast_decision_rate": "rate of quick decisions",
    "override_rate_speed_gap": "override rate of slow less quick decisions",
    "override_rate_change": "change of the override rate over time",
    "override_rate_when_wrong": "override rate where the model is wrong",
    "override_rate_when_right": "override rate where the model is right",
    "human_accuracy": "accuracy of the people",
    "model_accuracy_overseen": "accuracy of the model that they oversee",
    "reason_missing_rate": "rate of overrides without a reason",
    "decision_seconds_p10": "seconds for a decision, 10th percentile",
    "decision_seconds_p50": "seconds for a decision, median",
    "decision_seconds_p90": "seconds for a decision, 90th percentile",
    "silence": "silence of production",
}


def spoken(name: str) -> str:
    """A metric, check or state as words: `psi_deciles` as `population stability index by deciles`."""
    return _NAMES.get(name) or name.replace("_", " ")


def titled(name: str) -> str:
    """The same at the beginning of a sentence; what is written large within stays so."""
    words = spoken(name)
    return words[:1].upper() + words[1:]
