"""What the model looks at, and whether it may look at it."""

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.engine import statistics
from monitoring.engine.documents import Fields
from monitoring.engine.inputs import InputSpec
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.plots import bar_plot
from monitoring.engine.results import CheckResult, MeasurementValue, Note

FIELDS = ("level", "rows", "background")
ROWS = 2_000
BACKGROUND = 50
TOLERANCE = 1e-4
"""Shapley values and outputs of 32-bit models agree to about this, relative to the output."""
NOT_ADDITIVE = "not_additive"


def settings(config: Mapping[str, Any]) -> tuple[float, int, int]:
    """Level of intervals, rows to explain, rows of background, from `config`.

    Raises:
        Invalid: naming the field.
    """
    fields = Fields(config, "config", FIELDS)
    return (
        fields.number("level", 0.95, above=0.5, to=0.9999),
        fields.whole("rows", ROWS, least=30, most=100_000),
        fields.whole("background", BACKGROUND, least=10, most=1_000),
    )


def measure(
    explained: Mapping[str, Any], spec: InputSpec, mapping: ColumnMapping, config: Mapping[str, Any]
) -> CheckResult:
    """Measurements of an explanation as `attributions.explain` gives it.

    `mean_abs_shap` by feature; `shap_additivity_error`, the largest distance between the values'
    sum and the output; `sensitive_attribute_not_an_input` (1 true, 0 false) for each attribute
    and, with slice `{}`, for all; `deterministic_output` (1 or 0).
    """
    level, _, _ = settings(config)
    n = int(explained["rows"])
    error = float(explained["additivity_error"])
    additive = error <= TOLERANCE * max(1.0, float(explained["scale"]))
    measurements = _attributions(explained, level, additive)
    measurements.append(
        MeasurementValue(
            "shap_additivity_error",
            {},
            error,
            n=n,
            method=explained["method"],
            unit=explained["unit"],
        )
    )
    measurements += _inputs(spec, mapping)
    differing = int(explained["differing"]) + int(explained["order_differing"])
    measurements.append(
        MeasurementValue(
            "deterministic_output",
            {},
            0.0 if differing else 1.0,
            n=int(explained["repeated"]),
            method="asked twice and in reverse order",
            unit="truth",
            detail={"differing": differing},
        )
    )
    notes = []
    if not additive:
        text = f"the attributions miss the model's output by up to {error:g} and are not used"
        notes.append(Note(NOT_ADDITIVE, text, {"error": error}, finding=True))
    bars = sorted(
        (
            (one.slice["feature"], one.value)
            for one in measurements
            if one.metric == "mean_abs_shap" and one.value is not None
        ),
        key=lambda bar: -bar[1],
    )
    title = "Mean absolute Shapley value by feature"
    plots = [bar_plot("mean_abs_shap", title, bars, "feature", str(explained["unit"]))]
    return CheckResult(measurements, plots, notes)


def _attributions(
    explained: Mapping[str, Any], level: float, additive: bool
) -> list[MeasurementValue]:
    n, unit, method = int(explained["rows"]), explained["unit"], explained["method"]
    columns: Sequence[Mapping[str, Any]] = explained["columns"]
    total = sum(float(one["absolute"]) for one in columns)
    measured = []
    for one in columns:
        about = {"feature": str(one["column"])}
        if not additive:
            measured.append(
                MeasurementValue(
                    "mean_abs_shap",
                    about,
                    None,
                    n=n,
                    undefined_reason=NOT_ADDITIVE,
                    method=method,
                    unit=unit,
                )
            )
            continue
        size, squares = float(one["absolute"]), float(one["absolute_2"])
        interval = statistics.mean_interval(size, squares, n, level)
        measured.append(
            MeasurementValue(
                "mean_abs_shap",
                about,
                size / n,
                max(0.0, interval.lower) if interval else None,
                interval.upper if interval else None,
                level if interval else None,
                n,
                method=f"{method}, normal interval over rows",
                unit=unit,
                detail={"share": size / total if total else 0.0, "mean": one["signed"] / n},
            )
        )
    return measured


def _inputs(spec: InputSpec, mapping: ColumnMapping) -> list[MeasurementValue]:
    """Read from the pinned input spec; the sandbox gives the model no other column."""
    inputs = set(spec.columns())
    method = "the pinned input spec"
    used = [one.name for one in mapping.sensitive if one.column in inputs]
    measured = [
        MeasurementValue(
            "sensitive_attribute_not_an_input",
            {"attribute": one.name},
            0.0 if one.name in used else 1.0,
            n=len(inputs),
            method=method,
            unit="truth",
        )
        for one in mapping.sensitive
    ]
    if not mapping.sensitive:
        return []
    overall = MeasurementValue(
        "sensitive_attribute_not_an_input",
        {},
        0.0 if used else 1.0,
        n=len(inputs),
        method=method,
        unit="truth",
        detail={"inputs": sorted(inputs), "sensitive_inputs": used},
    )
    return [overall, *measured]
