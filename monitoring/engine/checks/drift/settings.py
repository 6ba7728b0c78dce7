"""What a check of drift may be told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel.errors import Invalid
from monitoring.engine.checks.tables import MINIMUM
from monitoring.engine.documents import Fields
from monitoring.engine.effects import CORRECTIONS, THRESHOLDS

FIELDS: Final = (
    "level",
    "minimum",
    "html",
    "alpha",
    "correction",
    "thresholds",
    "importance",
    "exact",
    "window",
    "multivariate",
    "conformance",
)


@dataclass(frozen=True)
class DriftConfig:
    """`correction` of p values over all tests of a run; `importance` of a feature, by name."""

    level: float
    minimum: int
    alpha: float
    correction: str
    thresholds: Mapping[str, float]
    importance: Mapping[str, float]
    seed: int

    @classmethod
    def read(cls, config: Mapping[str, Any], features: Iterable[str], seed: int) -> "DriftConfig":
        """Read the part that measuring needs.

        Raises:
            Invalid: naming the field of `config`.
        """
        fields = Fields(config, "config", FIELDS)
        thresholds = dict(THRESHOLDS)
        for name, value in _numbers(fields, "thresholds").items():
            if name not in THRESHOLDS:
                known = ", ".join(THRESHOLDS)
                raise Invalid(
                    f"unknown metric; known are {known}", field=f"config.thresholds.{name}"
                )
            thresholds[name] = value
        importance, known_features = _numbers(fields, "importance"), set(features)
        for name in importance:
            if name not in known_features:
                raise Invalid("no feature of the mapping", field=f"config.importance.{name}")
        return cls(
            fields.number("level", 0.95, above=0.5, to=0.9999),
            fields.whole("minimum", MINIMUM, least=1),
            fields.number("alpha", 0.05, above=0, to=0.5),
            fields.choice("correction", CORRECTIONS, "holm"),
            thresholds,
            importance,
            seed,
        )


def _numbers(fields: Fields, name: str) -> dict[str, float]:
    found = {}
    for key, value in fields.mapping(name).items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e308:
            raise Invalid("expected a number of at least 0", field=f"{fields.name(name)}.{key}")
        found[key] = float(value)
    return found
