"""One slice being measured, and how measurements of it are written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitoring.engine.checks.tables import GroupConfig
from monitoring.engine.results import INSUFFICIENT, NO_DENOMINATOR, MeasurementValue
from monitoring.engine.statistics import Interval


@dataclass(frozen=True)
class Scope:
    """The slice, the settings for it and the run's seed."""

    slice: Mapping[str, str]
    settings: GroupConfig
    seed: int

    @property
    def level(self) -> float:
        return self.settings.level

    def enough(self, metric: str, n: float) -> bool:
        return n >= self.settings.least(metric)

    def undefined(self, metric: str, reason: str, n: int | None, unit: str) -> MeasurementValue:
        detail = {"minimum": self.settings.least(metric)} if reason == INSUFFICIENT else {}
        return MeasurementValue(
            metric, self.slice, None, n=n, undefined_reason=reason, unit=unit, detail=detail
        )

    def too_few(self, metric: str, n: int, unit: str) -> MeasurementValue:
        return self.undefined(metric, INSUFFICIENT if n else NO_DENOMINATOR, n, unit)

    def value(
        self,
        metric: str,
        value: float,
        interval: Interval | None,
        n: int,
        method: str,
        unit: str,
        detail: Mapping[str, Any] | None = None,
    ) -> MeasurementValue:
        return MeasurementValue(
            metric,
            self.slice,
            value,
            interval.lower if interval else None,
            interval.upper if interval else None,
            self.level if interval else None,
            n,
            method=method,
            unit=unit,
            detail=detail or {},
        )
