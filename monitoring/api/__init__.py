"""REST of checks, monitors, observations and breaches."""

from monitoring.api.backtests import BacktestDetail, Backtests
from monitoring.api.checks import (
    CheckRunAttachment,
    CheckRunCancel,
    CheckRunDetail,
    CheckRunMeasurements,
    CheckRunRetry,
    Checks,
)
from monitoring.api.monitors import (
    BreachDetail,
    Breaches,
    BreachResolve,
    MonitorArm,
    MonitorBackfill,
    MonitorDetail,
    MonitorEnd,
    Monitors,
    MonitorWindows,
    ObservationDetail,
    Observations,
)

__all__ = [
    "BacktestDetail",
    "Backtests",
    "BreachDetail",
    "BreachResolve",
    "Breaches",
    "CheckRunAttachment",
    "CheckRunCancel",
    "CheckRunDetail",
    "CheckRunMeasurements",
    "CheckRunRetry",
    "Checks",
    "MonitorArm",
    "MonitorBackfill",
    "MonitorDetail",
    "MonitorEnd",
    "MonitorWindows",
    "Monitors",
    "ObservationDetail",
    "Observations",
]
