"""Charts and notes of a grouping."""

from collections.abc import Sequence

from monitoring.engine.checks.fairness.groups import Compared
from monitoring.engine.mapping import UNKNOWN
from monitoring.engine.plots import interval_plot
from monitoring.engine.results import MeasurementValue, Note, Plot
from monitoring.metrics.fairness import (
    DEFAULT_RATES,
    FALSE_POSITIVE_RATE,
    IMPACT_RATIO,
    RATES,
    SELECTION_RATE,
    TRUE_POSITIVE_RATE,
)

DRAWN = (SELECTION_RATE, TRUE_POSITIVE_RATE, FALSE_POSITIVE_RATE)


def plots(compared: Compared, measured: Sequence[MeasurementValue]) -> list[Plot]:
    """The three rates that always are, the others that were asked for, and the impact ratios."""
    name = "_".join(compared.attributes)
    by = " and ".join(compared.attributes).replace("_", " ")
    asked = [rate for rate in RATES if rate not in DEFAULT_RATES]
    drawn = []
    for metric in (*DRAWN, *asked, IMPACT_RATIO):
        found = [(", ".join(one.slice.values()), one) for one in measured if one.metric == metric]
        if found:
            unit = "ratio" if metric == IMPACT_RATIO else "rate"
            title = f"{metric.replace('_', ' ').capitalize()} by {by}"
            drawn.append(interval_plot(f"{metric}_by_{name}", title, found, unit))
    return drawn


def notes(compared: Compared) -> list[Note]:
    missing = sum(table.predicted for group, table in compared.tables.items() if UNKNOWN in group)
    if not missing:
        return []
    by = ", ".join(compared.attributes)
    text = f"{missing} rows have no value of {by}: counted apart and compared with nobody"
    return [Note("missing_sensitive_value", text, {"rows": missing})]
