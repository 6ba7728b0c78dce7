"""The rates of each group, with intervals."""

from collections.abc import Sequence

from monitoring.engine.checks.fairness.counting import denominator, interval
from monitoring.engine.checks.fairness.frames import Frame
from monitoring.engine.checks.fairness.groups import Compared
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.results import INSUFFICIENT, NO_DENOMINATOR, MeasurementValue
from monitoring.metrics.fairness import BALANCED_ACCURACY, TREATMENT_EQUALITY


def rates(
    compared: Compared, known: Frame | None, settings: Settings, names: Sequence[str]
) -> list[MeasurementValue]:
    """Each rate of each group. A missing group has rates of its own; it is only never compared."""
    compares = set(compared.known())
    missing = [group for group in compared.tables if group not in compares]
    apart = Frame(compared.cube, names, missing, settings) if missing and names else None
    measured: list[MeasurementValue] = []
    for rate in names:
        for group in compared.tables:
            frame = known if group in compares else apart
            value = frame.value(rate, group) if frame else None
            measured.append(_rate(rate, value, group, compared, settings))
    return measured


def _rate(
    rate: str, value: float | None, group: tuple[str, ...], compared: Compared, settings: Settings
) -> MeasurementValue:
    table = compared.tables[group]
    n, about = denominator(rate, table), compared.slice(group)
    unit = "ratio" if rate == TREATMENT_EQUALITY else "rate"
    if value is None:
        reason = INSUFFICIENT if n else NO_DENOMINATOR
        return MeasurementValue(
            rate,
            about,
            None,
            n=n,
            undefined_reason=reason,
            method="fairlearn, wilson",
            unit=unit,
            detail={"minimum": settings.groups.least(rate)},
        )
    found, method = interval(rate, table, settings.level)
    return MeasurementValue(
        rate,
        about,
        value,
        found.lower,
        found.upper,
        settings.level,
        table.labelled if rate == BALANCED_ACCURACY else n,
        method=f"fairlearn, {method}",
        unit=unit,
    )
