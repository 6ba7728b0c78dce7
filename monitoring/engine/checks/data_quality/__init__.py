"""Whether the data are what they are taken for: complete, unrepeated, of the declared shape."""

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.engine.checks.data_quality import declared
from monitoring.engine.checks.data_quality.declared import share
from monitoring.engine.checks.data_quality.facts import Facts
from monitoring.engine.documents import Fields
from monitoring.engine.plots import bar_plot, interval_plot
from monitoring.engine.results import (
    BETWEEN,
    NOT_AVAILABLE,
    CheckResult,
    MeasurementValue,
)

__all__ = ["FIELDS", "Facts", "measure"]

FIELDS = ("level", "identity", "schema", "rules", "freshness", "volume", "ranges")


def measure(facts: Facts, config: Mapping[str, Any]) -> CheckResult:
    """`rows`, `missing_rate` by feature, `duplicate_rate`, `leakage_rate` (rows that the reference
    also has), `base_rate`, `schema_match` (1 or 0), `constant_features`, `volume_ratio` to the
    reference; and what was declared.

    `config`, all optional: `level` (0.95); `identity`, the columns by which two rows are the same
    (by default features, label and sensitive attributes; if declared, `duplicate_row_rate` counts
    whole rows); `rules` (see `monitoring.engine.rules`), each a `rule_share`, with `rules_broken`;
    `schema`, kinds by column (`declared_schema_match`); `freshness` (`age_days`, `future_rate`, and
    `fresh` if it has `most_days`); `volume` with `least` and `most` rows (`volume_kept`); `ranges`
    (`out_of_range_rate` against the reference).

    Raises:
        Invalid: naming the field of `config`.
    """
    fields = Fields(config, "config", FIELDS)
    level = fields.number("level", 0.95, above=0.5, to=0.9999)
    missing = [
        share("missing_rate", {"feature": name}, count, facts.rows, level)
        for name, count in facts.missing.items()
    ]
    measurements = [
        MeasurementValue(
            "rows", {}, float(facts.rows), n=facts.rows, method="counted", unit="count"
        ),
        *missing,
        *_largest(missing),
        share("duplicate_rate", {}, facts.repeated, facts.rows, level),
        _leakage(facts, level),
        _balance(facts, level),
        _schema(facts),
        _constant(facts),
        *_whole(facts, level),
        *declared.volume(facts, fields),
        *declared.schema(facts, fields.mapping("schema")),
        *declared.freshness(facts, fields, level),
        *declared.ranges(facts, level),
        *declared.rules(facts, level),
    ]
    bars = [(m.slice["feature"], m.value) for m in missing if m.value is not None]
    title = "Share of missing values by column"
    plots = [bar_plot("missing", title, bars, "column", "rate")]
    kept = [(one.slice["rule"], one) for one in measurements if one.metric == "rule_share"]
    if kept:
        plots.append(interval_plot("rules", "Rows that keep each rule", kept, "share"))
    return CheckResult(measurements, plots, declared.notes(facts))


def _whole(facts: Facts, level: float) -> list[MeasurementValue]:
    if facts.repeated_whole is None:
        return []
    return [share("duplicate_row_rate", {}, facts.repeated_whole, facts.rows, level)]


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
    return share("leakage_rate", {}, facts.shared, facts.rows, level)


def _balance(facts: Facts, level: float) -> MeasurementValue:
    if facts.positives is None or facts.labelled is None:
        return MeasurementValue("base_rate", {}, None, undefined_reason=NOT_AVAILABLE, unit="rate")
    return share("base_rate", {}, facts.positives, facts.labelled, level)


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
    # Long columns that are counted into bins have many values, and nobody knows how many.
    names = sorted(name for name, n in facts.distinct.items() if n is not None and n <= 1)
    return MeasurementValue(
        "constant_features",
        {},
        float(len(names)),
        n=len(facts.distinct),
        method="columns with one value at most",
        unit="count",
        detail={"features": names},
    )
