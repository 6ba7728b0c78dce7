"""REST of checks, monitors, observations and breaches."""

from monitoring.api.backtests import BacktestCancel, BacktestDetail, Backtests
from monitoring.api.checks import (
    CheckRunAttachment,
    CheckRunCancel,
    CheckRunDetail,
    CheckRunMeasurements,
    CheckRunRetry,
    Checks,
)
from monitoring.api.cubes import CheckRunCube, CheckRunCubeErasure, MonitorRollup
from monitoring.api.declarations import DeclarationEnd, Declarations
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
    "BacktestCancel",
    "BacktestDetail",
    "Backtests",
    "BreachDetail",
    "BreachResolve",
    "Breaches",
    "CheckRunAttachment",
    "CheckRunCancel",
    "CheckRunCube",
    "CheckRunCubeErasure",
    "CheckRunDetail",
    "CheckRunMeasurements",
    "CheckRunRetry",
    "Checks",
    "DeclarationEnd",
    "Declarations",
    "MonitorArm",
    "MonitorBackfill",
    "MonitorDetail",
    "MonitorEnd",
    "MonitorRollup",
    "MonitorWindows",
    "Monitors",
    "ObservationDetail",
    "Observations",
]
