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
    "sensitive_attribute_not_an_input": "sensitive attribute is no input",
    "silence": "silence of production",
}


def spoken(name: str) -> str:
    """A metric, check or state as words: `psi_deciles` as `population stability index by deciles`."""
    return _NAMES.get(name) or name.replace("_", " ")


def titled(name: str) -> str:
    """The same at the beginning of a sentence; what is written large within stays so."""
    words = spoken(name)
    return words[:1].upper() + words[1:]
