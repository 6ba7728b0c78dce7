"""REST of checks, monitors, observations and breaches."""

from monitoring.api.checks import (
    CheckRunAttachment,
    CheckRunCancel,
    CheckRunDetail,
    CheckRunMeasurements,
    Checks,
)
from monitoring.api.monitors import (
    BreachDetail,
    Breaches,
    BreachResolve,
    MonitorDetail,
    MonitorEnd,
    Monitors,
    ObservationDetail,
    Observations,
)

__all__ = [
    "BreachDetail",
    "BreachResolve",
    "Breaches",
    "CheckRunAttachment",
    "CheckRunCancel",
    "CheckRunDetail",
    "CheckRunMeasurements",
    "Checks",
    "MonitorDetail",
    "MonitorEnd",
    "Monitors",
    "ObservationDetail",
    "Observations",
]
