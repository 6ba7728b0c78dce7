"""What the model looks at, for whom, how surely that is known, and whether it may look at it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from monitoring.engine import statistics
from monitoring.engine.checks.explainability import proxy
from monitoring.engine.checks.explainability.settings import FIELDS, Settings, settings
from monitoring.engine.inputs import InputSpec
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.plots import bar_plot
from monitoring.engine.results import (
    INSUFFICIENT,
    NOT_AVAILABLE,
    CheckResult,
    MeasurementValue,
    Note,
    Plot,
)

__all__ = ["FIELDS", "NOT_ADDITIVE", "TOLERANCE", "Settings", "measure", "settings"]

TOLERANCE: Final = 1e-4
"""Shapley values and outputs of 32-bit models agree to about this, relative to the output."""
NOT_ADDITIVE: Final = "not_additive"
_TURNS: Final = {
    "differing": "asked again",
    "order_differing": "in the reverse order",
    "process_differing": "in another process",
    "batch_differing": "in another order and other batches",
}


def measure(
    explained: Mapping[str, Any], spec: InputSpec, mapping: ColumnMapping, config: Mapping[str, Any]
) -> CheckResult:
    """Measurements of an explanation as `explaining.explain` gives it.

    `mean_abs_shap` by feature, and by feature and group or slice where these are asked for, with
    the signed `mean_shap` beside it; `shap_additivity_error`, the largest distance between the
    values' sum and the output; `attribution_stability`; `sensitive_attribute_not_an_input`
    (1 true, 0 false) for each attribute and, with slice `{}`, for all; `deterministic_output`
    (1 or 0); and what `proxy.measure` gives where a proxy screen was made.
    """
    asked = settings(config)
    error = float(explained["additivity_error"])
    additive = error <= TOLERANCE * max(1.0, float(explained["scale"]))
    measured = _attributions(explained, {}, asked, additive)
    measured.append(_additivity(explained, error))
    if "stability" in explained:
        measured.append(_stability(explained, additive))
    measured += _inputs(spec, mapping)
    measured.append(_determinism(explained))
    parts = _parts(explained, asked, additive)
    screened = proxy.measure(explained.get("proxy", {}).get("attributes", ()), asked.level)
    plots = [*_plots(measured, parts, str(explained["unit"])), *proxy.plots(screened)]
    notes = _notes(explained, error, additive)
    return CheckResult([*measured, *parts, *screened], plots, notes)


def _additivity(explained: Mapping[str, Any], error: float) -> MeasurementValue:
    return MeasurementValue(
        "shap_additivity_error",
        {},
        error,
        n=int(explained["rows"]),
        method=explained["method"],
        unit=explained["unit"],
    )


def _stability(explained: Mapping[str, Any], additive: bool) -> MeasurementValue:
    """The mean of Spearman's correlations between the features' orders of importance."""
    found = explained["stability"]
    correlations: Sequence[float] = found["correlations"]
    method = f"Spearman's rank correlation of importances between {found['by']}"
    n = int(explained["rows"])
    if not correlations or not additive:
        # A single feature, or one that weighs nothing, has no order.
        reason = NOT_AVAILABLE if additive else NOT_ADDITIVE
        return MeasurementValue(
            "attribution_stability", {}, None, n=n, undefined_reason=reason, method=method
        )
    return MeasurementValue(
        "attribution_stability",
        {},
        sum(correlations) / len(correlations),
        n=n,
        method=method,
        unit="correlation",
        detail={"pairs": int(found["pairs"]), "least": min(correlations)},
    )


def _determinism(explained: Mapping[str, Any]) -> MeasurementValue:
    counts = {name: int(explained[name]) for name in _TURNS if name in explained}
    return MeasurementValue(
        "deterministic_output",
        {},
        0.0 if any(counts.values()) else 1.0,
        n=int(explained["repeated"]),
        method="the same rows scored " + ", ".join(_TURNS[name] for name in counts),
        unit="truth",
        detail=counts,
    )


def _notes(explained: Mapping[str, Any], error: float, additive: bool) -> list[Note]:
    notes = []
    if not additive:
        text = f"the attributions miss the model's output by up to {error:g} and are not used"
        notes.append(Note(NOT_ADDITIVE, text, {"error": error}, finding=True))
    differing = {name: int(explained.get(name, 0)) for name in _TURNS if explained.get(name)}
    if differing:
        said = ", ".join(f"{count} rows {_TURNS[name]}" for name, count in differing.items())
        text = f"the model does not answer the same every time: {said}"
        notes.append(Note("not_deterministic", text, differing, finding=True))
    offered, rows = int(explained.get("offered", explained["rows"])), int(explained["rows"])
    if rows < offered / 2:
        text = f"the model is costly to explain: {rows} of the {offered} rows drawn were explained"
        notes.append(Note("fewer_rows_explained", text, {"rows": rows, "offered": offered}))
    asked = explained.get("reason_codes")
    if asked and int(asked["rows"]) < int(asked["meant"]):
        text = f"reasons are given for {asked['rows']} of the {asked['meant']} rows that are meant"
        counts = {"rows": int(asked["rows"]), "meant": int(asked["meant"])}
        notes.append(Note("fewer_reasons", text, counts))
    return notes


def _attributions(
    explained: Mapping[str, Any], about: Mapping[str, str], asked: Settings, additive: bool
) -> list[MeasurementValue]:
    n, unit, method = int(explained["rows"]), explained["unit"], explained["method"]
    columns: Sequence[Mapping[str, Any]] = explained["columns"]
    total = sum(float(one["absolute"]) for one in columns)
    reason = None if additive else NOT_ADDITIVE
    if about and n < asked.minimum:
        reason = INSUFFICIENT
    measured = []
    for one in columns:
        sliced = {"feature": str(one["column"]), **about}
        if reason is not None:
            measured.append(_undefined("mean_abs_shap", sliced, n, reason, method, unit))
            continue
        size = float(one["absolute"])
        interval = statistics.mean_interval(size, float(one["absolute_2"]), n, asked.level)
        measured.append(
            MeasurementValue(
                "mean_abs_shap",
                sliced,
                size / n,
                max(0.0, interval.lower) if interval else None,
                interval.upper if interval else None,
                asked.level if interval else None,
                n,
                method=f"{method}, normal interval over rows",
                unit=unit,
                detail={"share": size / total if total else 0.0, "mean": one["signed"] / n},
            )
        )
    return measured


def _undefined(
    metric: str, about: Mapping[str, str], n: int, reason: str, method: str, unit: str
) -> MeasurementValue:
    return MeasurementValue(
        metric, about, None, n=n, undefined_reason=reason, method=method, unit=unit
    )


def _parts(explained: Mapping[str, Any], asked: Settings, additive: bool) -> list[MeasurementValue]:
    """By group and slice: how much a feature weighs there, and which way it moves them."""
    measured = []
    for part in explained.get("parts", ()):
        own = {**explained, "rows": part["rows"], "columns": part["columns"]}
        measured += _attributions(own, part["slice"], asked, additive)
        measured += _signed(own, part["slice"], asked, additive)
    return measured


def _signed(
    part: Mapping[str, Any], about: Mapping[str, str], asked: Settings, additive: bool
) -> list[MeasurementValue]:
    n, method, unit = int(part["rows"]), part["method"], part["unit"]
    measured = []
    for one in part["columns"]:
        sliced = {"feature": str(one["column"]), **about}
        if n < asked.minimum or not additive:
            reason = INSUFFICIENT if additive else NOT_ADDITIVE
            measured.append(_undefined("mean_shap", sliced, n, reason, method, unit))
            continue
        signed = float(one["signed"])
        interval = statistics.mean_interval(signed, float(one["signed_2"]), n, asked.level)
        measured.append(
            MeasurementValue(
                "mean_shap",
                sliced,
                signed / n,
                interval.lower if interval else None,
                interval.upper if interval else None,
                asked.level if interval else None,
                n,
                method=f"{method}, normal interval over rows",
                unit=unit,
            )
        )
    return measured


def _plots(
    measured: Sequence[MeasurementValue], parts: Sequence[MeasurementValue], unit: str
) -> list[Plot]:
    def bars(found: Sequence[MeasurementValue], metric: str) -> list[tuple[str, float]]:
        kept = [
            (one.slice["feature"], one.value)
            for one in found
            if one.metric == metric and one.value is not None
        ]
        return sorted(kept, key=lambda bar: -bar[1])

    title = "Mean absolute Shapley value by feature"
    plots = [bar_plot("mean_abs_shap", title, bars(measured, "mean_abs_shap"), "feature", unit)]
    lines: dict[str, dict[str, list[MeasurementValue]]] = {}
    for one in parts:
        if one.metric == "mean_shap" and one.value is not None:
            about = {name: value for name, value in one.slice.items() if name != "feature"}
            kind, label = ", ".join(sorted(about)), ", ".join(about[name] for name in sorted(about))
            lines.setdefault(kind, {}).setdefault(label, []).append(one)
    for kind, by_label in lines.items():
        title = f"Mean Shapley value by feature and {kind}"
        series = [
            {
                "name": label,
                "points": [{"label": one.slice["feature"], "value": one.value} for one in found],
            }
            for label, found in by_label.items()
        ]
        plots.append(Plot(f"mean_shap_{kind}", "bar", title, "feature", unit, series))
    return plots


def _inputs(spec: InputSpec, mapping: ColumnMapping) -> list[MeasurementValue]:
    """Read from the pinned input spec; the sandbox gives the model no other column."""
    inputs = set(spec.columns())
    method = "the pinned input spec"
    columns = {one.name: {one.column} for one in mapping.sensitive}
    # Who a proxy says somebody is may not be fed to the model either.
    columns |= {one.name: {column for _, column in one.columns} for one in mapping.proxied}
    used = [name for name, own in columns.items() if own & inputs]
    measured = [
        MeasurementValue(
            "sensitive_attribute_not_an_input",
            {"attribute": name},
            0.0 if name in used else 1.0,
            n=len(inputs),
            method=method,
            unit="truth",
        )
        for name in columns
    ]
    if not columns:
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
