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
    "matthews_correlation": "Matthews' correlation",
    "calibration_bias": "mean score less the rate of positives",
    "expected_cost": "expected cost of a decision",
    "accuracy_gain": "gain in accuracy over the version compared with",
    "recall_gain": "gain in recall over the version compared with",
    "specificity_gain": "gain in specificity over the version compared with",
    "auc_gain": "gain in the area under the ROC curve over the version compared with",
    "brier_score_gain": "gain in Brier score over the version compared with",
    "mean_absolute_error_gain": "gain in mean absolute error over the version compared with",
    "root_mean_squared_error_gain": (
        "gain in root mean squared error over the version compared with"
    ),
    "selection_rate_change": "selection rate less that of the version compared with",
    "prediction_agreement": "rate of decisions like those of the version compared with",
    "estimated_accuracy": "accuracy, estimated from scores",
    "estimated_precision": "precision, estimated from scores",
    "estimated_recall": "recall, estimated from scores",
    "estimated_specificity": "specificity, estimated from scores",
    "estimated_f1": "F1 score, estimated from scores",
    "estimated_base_rate": "base rate, estimated from scores",
    "estimated_auc": "area under the ROC curve, estimated from scores",
    "mean_error": "mean error (bias)",
    "r2": "R²",
    "absolute_error_p90": "absolute error, 90th percentile",
    "equalized_odds_difference": "equalised odds difference",
    "equalized_odds_difference_to_overall": "equalised odds difference to overall",
    "equalized_odds_ratio": "equalised odds ratio",
    "equalized_odds_ratio_to_overall": "equalised odds ratio to overall",
    "equalized_odds_mean_difference": "equalised odds mean difference",
    "equalized_odds_mean_ratio": "equalised odds mean ratio",
    "conditional_equalized_odds_difference": "conditional equalised odds difference",
    "conditional_equalized_odds_ratio": "conditional equalised odds ratio",
    "f1_difference": "F1 score difference",
    "f1_ratio": "F1 score ratio",
    "treatment_equality": "false negatives to false positives",
    "treatment_equality_difference": "difference of false negatives to false positives",
    "treatment_equality_ratio": "ratio of false negatives to false positives",
    "ll144_selection_rate": "Local Law 144 selection rate",
    "ll144_scoring_rate": "Local Law 144 scoring rate",
    "ll144_impact_ratio": "Local Law 144 impact ratio",
    "ll144_unknown": "Local Law 144 people of unknown category",
    "excluded_small_category": "category left out as too small a share",
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
    "hellinger": "Hellinger distance",
    "domain_classifier_auc": "area under the curve of a classifier between samples",
    "drifted_share": "share of features that drifted",
    "drifted_importance_share": "share of importance in features that drifted",
    "duplicate_row_rate": "rate of rows repeated whole",
    "out_of_range_rate": "rate of values beyond the reference's",
    "rule_share": "share of rows that keep a rule",
    "rules_broken": "rules broken",
    "age_days": "age of the newest row",
    "future_rate": "share of rows of a time that has not come",
    "declared_schema_match": "columns are as declared",
    "volume_ratio": "rows to those of the reference",
    "volume_kept": "rows within the declared bounds",
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

ESTIMATED: Final = "estimated_"
"""How the name of a figure begins that follows from the model's own scores and was not measured."""


def is_estimate(name: str) -> bool:
    return name.startswith(ESTIMATED)


def spoken(name: str) -> str:
    """A metric, check or state as words: `psi_deciles` as `population stability index by deciles`."""
    return _NAMES.get(name) or name.replace("_", " ")


def between(attribute: str) -> str:
    """What a comparison over an attribute's groups is about: `between groups of sex`."""
    if attribute == "perturbation":
        return "under the worst perturbation"
    return f"between groups of {attribute}"


def titled(name: str) -> str:
    """The same at the beginning of a sentence; what is written large within stays so."""
    words = spoken(name)
    return words[:1].upper() + words[1:]
