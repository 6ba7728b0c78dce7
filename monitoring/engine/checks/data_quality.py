"""Whether the data are what they are taken for: complete, unrepeated, of the declared shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.engine import statistics
from monitoring.engine.documents import Fields
from monitoring.engine.plots import bar_plot
from monitoring.engine.results import (
    BETWEEN,
    NO_DENOMINATOR,
    NOT_AVAILABLE,
    CheckResult,
    MeasurementValue,
)

FIELDS = ("level", "identity", "schema", "rules", "freshness", "volume")


@dataclass(frozen=True)
class Facts:
    """Counts over a dataset, and beside a reference if there is one.

    `missing` and `distinct` are by column; `identity` the columns by which rows count as the same;
    `schema` and `reference_schema` map a column to its kind.
    """

    rows: int
    missing: Mapping[str, int]
    distinct: Mapping[str, int]
    positives: int | None
    labelled: int | None
    identity: Sequence[str]
    repeated: int
    shared: int | None
    schema: Mapping[str, str]
    reference_schema: Mapping[str, str] | None
    reference_rows: int | None

    def to_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("rows", "positives", "labelled")},
            "missing": dict(self.missing),
            "distinct": dict(self.distinct),
            "identity": list(self.identity),
            "repeated": self.repeated,
            "shared": self.shared,
            "schema": dict(self.schema),
            "reference_schema": dict(self.reference_schema) if self.reference_schema else None,
            "reference_rows": self.reference_rows,
        }


def measure(facts: Facts, config: Mapping[str, Any]) -> CheckResult:
    """`rows`, `missing_rate` by feature, `duplicate_rate`, `leakage_rate` (rows that the reference
    also has), `base_rate`, `schema_match` (1 or 0), `constant_features`.

    `config`: `level` (0.95); `identity`, the columns by which two rows are the same (by default
    features, label and sensitive attributes).

    Raises:
        Invalid: naming the field of `config`.
    """
    level = Fields(config, "config", FIELDS).number("level", 0.95, above=0.5, to=0.9999)
    missing = [
        _share("missing_rate", {"feature": name}, count, facts.rows, level)
        for name, count in facts.missing.items()
    ]
    measurements = [
        MeasurementValue(
            "rows", {}, float(facts.rows), n=facts.rows, method="counted", unit="count"
        ),
        *missing,
        *_largest(missing),
        _share("duplicate_rate", {}, facts.repeated, facts.rows, level),
        _leakage(facts, level),
        _balance(facts, level),
        _schema(facts),
        _constant(facts),
    ]
    bars = [(m.slice["feature"], m.value) for m in missing if m.value is not None]
    title = "Share of missing values by column"
    return CheckResult(measurements, [bar_plot("missing", title, bars, "column", "rate")])


def _share(metric: str, about: Mapping[str, str], k: int, n: int, level: float) -> MeasurementValue:
    if not n:
        return MeasurementValue(
            metric, about, None, n=0, undefined_reason=NO_DENOMINATOR, unit="rate"
        )
    interval = statistics.wilson(k, n, level)
    return MeasurementValue(
        metric, about, k / n, interval.lower, interval.upper, level, n, method="wilson", unit="rate"
    )


def _largest(missing: Sequence[MeasurementValue]) -> list[MeasurementValue]:
    defined = [one for one in missing if one.value is not None]
    if not defined:
        return []
    top = max(defined, key=lambda one: one.value or 0.0)
    return [
        MeasurementValue(
            top.metric,
            {"feature": BETWEEN},
            top.value,
            top.lower,
            top.upper,
            top.level,
            top.n,
            method="largest over the columns",
            unit=top.unit,
            detail={"feature": top.slice["feature"], "columns": len(missing)},
        )
    ]


def _leakage(facts: Facts, level: float) -> MeasurementValue:
    if facts.shared is None:
        return MeasurementValue(
            "leakage_rate", {}, None, n=facts.rows, undefined_reason=NOT_AVAILABLE, unit="rate"
        )
    return _share("leakage_rate", {}, facts.shared, facts.rows, level)


def _balance(facts: Facts, level: float) -> MeasurementValue:
    if facts.positives is None or facts.labelled is None:
        return MeasurementValue("base_rate", {}, None, undefined_reason=NOT_AVAILABLE, unit="rate")
    return _share("base_rate", {}, facts.positives, facts.labelled, level)


def _schema(facts: Facts) -> MeasurementValue:
    expected = facts.reference_schema
    if expected is None:
        return MeasurementValue(
            "schema_match", {}, None, undefined_reason=NOT_AVAILABLE, unit="truth"
        )
    detail = {
        "absent": sorted(set(expected) - set(facts.schema)),
        "added": sorted(set(facts.schema) - set(expected)),
        "changed": sorted(
            name for name, kind in facts.schema.items() if expected.get(name, kind) != kind
        ),
    }
    value = 0.0 if any(detail.values()) else 1.0
    return MeasurementValue(
        "schema_match",
        {},
        value,
        n=len(expected),
        method="names and kinds",
        unit="truth",
        detail=detail,
    )


def _constant(facts: Facts) -> MeasurementValue:
    names = sorted(name for name, count in facts.distinct.items() if count <= 1)
    return MeasurementValue(
        "constant_features",
        {},
        float(len(names)),
        n=len(facts.distinct),
        method="columns with one value at most",
        unit="count",
        detail={"features": names},
    )
