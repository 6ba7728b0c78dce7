"""Names of what fairness measures, and what each is made of. Pure, and light: the web process reads it.

A *rate* is measured for each group. A *comparison* is made of one rate, or of two for equalised
odds, over the groups: the difference or the ratio between the groups, of each group to everybody,
or of each group to a group of reference, and the least and the greatest. Some rates have a name of their own
when they are compared: a selection rate is compared for demographic parity.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

SELECTION_RATE: Final = "selection_rate"
TRUE_POSITIVE_RATE: Final = "true_positive_rate"
FALSE_POSITIVE_RATE: Final = "false_positive_rate"
FALSE_NEGATIVE_RATE: Final = "false_negative_rate"
TRUE_NEGATIVE_RATE: Final = "true_negative_rate"
ACCURACY: Final = "accuracy"
ERROR_RATE: Final = "error_rate"
PRECISION: Final = "precision"
NEGATIVE_PREDICTIVE_VALUE: Final = "negative_predictive_value"
FALSE_DISCOVERY_RATE: Final = "false_discovery_rate"
FALSE_OMISSION_RATE: Final = "false_omission_rate"
BASE_RATE: Final = "base_rate"
BALANCED_ACCURACY: Final = "balanced_accuracy"
F1: Final = "f1"
TREATMENT_EQUALITY: Final = "treatment_equality"
IMPACT_RATIO: Final = "impact_ratio"

SHARES: Final = (
    SELECTION_RATE,
    TRUE_POSITIVE_RATE,
    FALSE_POSITIVE_RATE,
    FALSE_NEGATIVE_RATE,
    ACCURACY,
    TRUE_NEGATIVE_RATE,
    ERROR_RATE,
    PRECISION,
    NEGATIVE_PREDICTIVE_VALUE,
    FALSE_DISCOVERY_RATE,
    FALSE_OMISSION_RATE,
    BASE_RATE,
)
"""Rates that are k of n."""
RATES: Final = (*SHARES, F1, BALANCED_ACCURACY, TREATMENT_EQUALITY)

_COMPARED_AS: Final = {
    SELECTION_RATE: "demographic_parity",
    TRUE_POSITIVE_RATE: "equal_opportunity",
    PRECISION: "predictive_parity",
}

Form = Literal["difference", "ratio", "least", "greatest"]
Against = Literal["groups", "overall", "reference"]


@dataclass(frozen=True)
class Comparison:
    """`rates` are compared as `form` says; of two, `mean` takes the mean instead of the worst."""

    name: str
    rates: tuple[str, ...]
    form: Form
    against: Against = "groups"
    mean: bool = False

    @property
    def unit(self) -> str:
        if self.form == "ratio" or self.rates == (TREATMENT_EQUALITY,):
            return "ratio"
        return "rate"


def _comparisons() -> Iterator[Comparison]:
    for rate in RATES:
        base = _COMPARED_AS.get(rate, rate)
        yield Comparison(f"{base}_difference", (rate,), "difference")
        yield Comparison(f"{base}_ratio", (rate,), "ratio")
        yield Comparison(f"{rate}_least", (rate,), "least")
        yield Comparison(f"{rate}_greatest", (rate,), "greatest")
        if rate == BALANCED_ACCURACY:
            continue
        yield Comparison(f"{base}_difference_to_overall", (rate,), "difference", "overall")
        yield Comparison(f"{base}_ratio_to_overall", (rate,), "ratio", "overall")
        if rate not in SHARES:
            continue
        yield Comparison(f"{base}_difference_to_reference", (rate,), "difference", "reference")
        named = IMPACT_RATIO if rate == SELECTION_RATE else f"{base}_ratio_to_reference"
        yield Comparison(named, (rate,), "ratio", "reference")
    odds = (TRUE_POSITIVE_RATE, FALSE_POSITIVE_RATE)
    forms: tuple[Form, ...] = ("difference", "ratio")
    for form in forms:
        yield Comparison(f"equalized_odds_{form}", odds, form)
        yield Comparison(f"equalized_odds_{form}_to_overall", odds, form, "overall")
        yield Comparison(f"equalized_odds_mean_{form}", odds, form, mean=True)


COMPARISONS: Final = {one.name: one for one in _comparisons()}
DEFAULT_RATES: Final = SHARES[:5]
DEFAULT_COMPARISONS: Final = (
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "false_positive_rate_difference",
    "accuracy_difference",
    "equalized_odds_difference",
)
DEFAULT: Final = (*DEFAULT_RATES, *DEFAULT_COMPARISONS)
KNOWN: Final = (*RATES, *COMPARISONS)


def needs_label(name: str) -> bool:
    """Does a metric need outcomes? Selection rates and their comparisons do not."""
    rates = COMPARISONS[name].rates if name in COMPARISONS else (name,)
    return any(rate != SELECTION_RATE for rate in rates)


CONDITIONAL: Final = "conditional_"
"""Before the name of a comparison: the worst of the strata of the controls."""


def is_conditional(one: Comparison) -> bool:
    """Is the worst of the strata formed of it?"""
    return one.against != "reference" and one.form in ("difference", "ratio") and not one.mean


LL144_RATE: Final = {"selection": "ll144_selection_rate", "scoring": "ll144_scoring_rate"}
LL144_IMPACT_RATIO: Final = "ll144_impact_ratio"
LL144_UNKNOWN: Final = "ll144_unknown"
GROUP_CALIBRATION_ERROR: Final = "group_calibration_error"
CALIBRATION_IN_THE_LARGE: Final = "calibration_in_the_large"
CALIBRATION_DIFFERENCE: Final = "calibration_in_the_large_difference"
SUBGROUP: Final = "subgroup_"
"""Before the name of a rate and `_difference`: a subgroup's rate less that of everybody else."""


def in_unit_range() -> Iterator[str]:
    """Metrics that lie from 0 to 1, so that a limit beyond is a mistake."""
    for rate in RATES:
        if rate != TREATMENT_EQUALITY:
            yield rate
    for one in COMPARISONS.values():
        bounded = one.form == "ratio" or one.rates != (TREATMENT_EQUALITY,)
        if one.against != "reference" and bounded:
            yield from (one.name, CONDITIONAL + one.name)
    yield from (*LL144_RATE.values(), LL144_IMPACT_RATIO)
    yield from (GROUP_CALIBRATION_ERROR, CALIBRATION_DIFFERENCE)
