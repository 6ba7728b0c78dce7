"""The least figures of drift that are an effect, and how p values may be corrected. Pure and light."""

from collections.abc import Mapping
from typing import Final

from monitoring.engine.documents import Fields

CORRECTIONS: Final = ("holm", "bh", "none")
THRESHOLDS: Final[Mapping[str, float]] = {
    "psi": 0.1,
    "psi_deciles": 0.1,
    "jensen_shannon": 0.1,
    "hellinger": 0.1,
    "wasserstein_normed": 0.1,
    "ks_statistic": 0.1,
    "cramers_v": 0.1,
    "missing_rate_difference": 0.05,
    "unseen_category_rate": 0.01,
    "positive_rate_difference": 0.05,
    "domain_classifier_auc": 0.6,
}
"""Evidently's are 0.1 for the indices and distances; the classifier's 0.5 is no effect at all."""
WINDOWS: Final = ("hour", "day", "week", "month", "quarter", "year")
"""What a window may be, where the column of time holds instants; of numbers it is a width."""
EXPLAINED: Final = "explainability"
"""In place of features' importances: those of the version's newest run of this kind."""


def read_window(fields: Fields, name: str) -> str | float | None:
    """A unit of `WINDOWS`, or the width of a window as a number above 0.

    Raises:
        Invalid: naming the field.
    """
    if not fields.has(name):
        return None
    if isinstance(fields.raw(name), str):
        return fields.choice(name, WINDOWS)
    return fields.number(name, None, above=0)
