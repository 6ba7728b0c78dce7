"""How far a sample has moved from its reference: each column, and the model's answers.

Population stability index, Jensen-Shannon distance and Wasserstein distance are Evidently's own
figures, computed from histograms of both samples. Added are what it leaves out: missing values and
unseen categories as drift, deciles of the reference (one outlier does not empty them), the
two-sample chi-square test, and how large an index chance alone would give.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from monitoring.engine import statistics
from monitoring.engine.checks.tables import MINIMUM
from monitoring.engine.comparing import Comparison, Histogram
from monitoring.engine.documents import Fields
from monitoring.engine.plots import bar_plot, histogram_plot
from monitoring.engine.results import (
    BETWEEN,
    INSUFFICIENT,
    NO_DENOMINATOR,
    CheckResult,
    MeasurementValue,
    Plot,
)

FIELDS = ("level", "minimum", "html")
INDICES = ("psi", "psi_deciles", "jensen_shannon", "wasserstein_normed", "ks_statistic")
OUTPUTS = ("score", "prediction", "label")
RARE = 1e-4


def measure(comparisons: Sequence[Comparison], config: Mapping[str, Any]) -> CheckResult:
    """Measure each comparison; one whose column is in `OUTPUTS` is of the model's answers.

    `config`: `level` of intervals (0.95), `minimum` rows on each side (30; fewer is
    `insufficient`). Slices are `{"feature": name}` or `{"output": name}`; `{"feature": "*"}` is the
    largest index over the features, named in `detail`. The two-sample p values in `detail` are
    adjusted by Holm over all columns. `detail.chance` of an index is the 95th percentile it would
    have if nothing had changed, given both sizes and the number of bins (chi-square limit).

    Raises:
        Invalid: naming the field of `config`.
    """
    fields = Fields(config, "config", FIELDS)
    level = fields.number("level", 0.95, above=0.5, to=0.9999)
    minimum = fields.whole("minimum", MINIMUM, least=1)
    measurements: list[MeasurementValue] = []
    for one in comparisons:
        measurements += _column(one, level, minimum)
    measurements = _adjusted(measurements) + _largest(measurements)
    return CheckResult(measurements, _plots(comparisons, measurements))


def slice_of(comparison: Comparison) -> dict[str, str]:
    return {"output" if comparison.column in OUTPUTS else "feature": comparison.column}


def _column(one: Comparison, level: float, minimum: int) -> list[MeasurementValue]:
    about, n = slice_of(one), one.current_n
    measured = [_missing(one, level)]
    names = ["psi", "jensen_shannon"]
    if one.kind == "numeric":
        names += ["psi_deciles", "wasserstein_normed", "ks_statistic"]
    else:
        measured.append(_unseen(one, level))
        names.append("chi_square")
        if one.column in OUTPUTS:
            measured.append(_rate(one, level))
    if min(n, one.reference_n) < minimum:
        reason = INSUFFICIENT if min(n, one.reference_n) else NO_DENOMINATOR
        return measured + [
            MeasurementValue(name, about, None, n=n, undefined_reason=reason) for name in names
        ]
    for name in names:
        measured += _figure(name, one, about)
    return measured


def _figure(name: str, one: Comparison, about: Mapping[str, str]) -> list[MeasurementValue]:
    n = one.current_n
    if name in ("psi", "psi_deciles"):
        bins = one.bins if name == "psi" else one.deciles
        if bins is None:
            return []
        detail = {"chance": chance(bins), "bins": len(bins.reference)}
        method = "evidently's bins" if name == "psi" else "deciles of the reference"
        return [
            MeasurementValue(
                name, about, stability_index(bins), n=n, method=method, unit="index", detail=detail
            )
        ]
    if name == "jensen_shannon":
        value = jensen_shannon(one.bins)
        return [
            MeasurementValue(name, about, value, n=n, method="evidently's bins", unit="distance")
        ]
    if name == "wasserstein_normed":
        if one.distance is None or one.deviation is None:
            return []
        value = one.distance / max(one.deviation, 0.001)
        method = "in standard deviations of the reference"
        return [MeasurementValue(name, about, value, n=n, method=method, unit="deviations")]
    if name == "ks_statistic":
        if one.gap is None:
            return []
        p = one.p_exact if one.p_exact is not None else _kolmogorov_p(one)
        value = one.gap[0] / one.gap[1]
        return [
            MeasurementValue(
                name, about, value, n=n, method="two samples", unit="distance", detail={"p": p}
            )
        ]
    return _chi_square(one, about)


def _chi_square(one: Comparison, about: Mapping[str, str]) -> list[MeasurementValue]:
    """Cramér's V of sample by category, whose test is the two-sample chi-square."""
    p = statistics.chi_square_two_sample(one.bins.reference, one.bins.current)
    if p is None:
        return [
            MeasurementValue(
                "cramers_v",
                about,
                0.0,
                n=one.current_n,
                method="one category in both samples",
                unit="association",
            )
        ]
    table = np.asarray([one.bins.reference, one.bins.current], float)
    table = table[:, table.sum(axis=0) > 0]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    value = math.sqrt(float(((table - expected) ** 2 / expected).sum() / table.sum()))
    return [
        MeasurementValue(
            "cramers_v",
            about,
            value,
            n=one.current_n,
            method="two-sample chi-square",
            unit="association",
            detail={"p": p},
        )
    ]


def _missing(one: Comparison, level: float) -> MeasurementValue:
    """Growth of the share of missing values. Missing values are drift, not rows to be dropped."""
    before, after = one.reference_missing, one.current_missing
    m, n = before + one.reference_n, after + one.current_n
    about = slice_of(one)
    if not m or not n:
        return MeasurementValue(
            "missing_rate_difference", about, None, n=n, undefined_reason=NO_DENOMINATOR
        )
    interval = statistics.newcombe((after, n), (before, m), level)
    return MeasurementValue(
        "missing_rate_difference",
        about,
        after / n - before / m,
        interval.lower,
        interval.upper,
        level,
        n,
        method="newcombe",
        unit="rate",
        detail={"reference": before / m, "current": after / n},
    )


def _unseen(one: Comparison, level: float) -> MeasurementValue:
    n = one.current_n
    if not n:
        return MeasurementValue(
            "unseen_category_rate", slice_of(one), None, n=0, undefined_reason=NO_DENOMINATOR
        )
    interval = statistics.wilson(one.unseen, n, level)
    return MeasurementValue(
        "unseen_category_rate",
        slice_of(one),
        one.unseen / n,
        interval.lower,
        interval.upper,
        level,
        n,
        method="wilson",
        unit="rate",
    )


def _rate(one: Comparison, level: float) -> MeasurementValue:
    """Change of the share of positive answers or outcomes."""
    about, m, n = slice_of(one), one.reference_n, one.current_n
    if not m or not n:
        return MeasurementValue(
            "positive_rate_difference", about, None, n=n, undefined_reason=NO_DENOMINATOR
        )
    before = dict(zip(one.bins.names, one.bins.reference, strict=True)).get("1", 0)
    after = dict(zip(one.bins.names, one.bins.current, strict=True)).get("1", 0)
    interval = statistics.newcombe((after, n), (before, m), level)
    return MeasurementValue(
        "positive_rate_difference",
        about,
        after / n - before / m,
        interval.lower,
        interval.upper,
        level,
        n,
        method="newcombe",
        unit="rate",
        detail={"reference": before / m, "current": after / n},
    )


def stability_index(bins: Histogram) -> float:
    """Population stability index with Evidently's substitute for empty bins."""
    p, q = _filled(bins.reference), _filled(bins.current)
    return float(np.sum((p - q) * np.log(p / q)))


def _filled(counts: Iterable[int]) -> Any:
    shares = np.asarray(list(counts), float)
    shares = shares / shares.sum()
    least = float(shares[shares > 0].min())
    shares[shares == 0] = least / 10**6 if least <= RARE else RARE
    return shares


def jensen_shannon(bins: Histogram) -> float:
    from scipy.spatial import distance

    p = np.asarray(bins.reference, float) / sum(bins.reference)
    q = np.asarray(bins.current, float) / sum(bins.current)
    # Equal samples may come out as the root of a rounding error below zero.
    value = float(distance.jensenshannon(p, q))
    return 0.0 if math.isnan(value) else value


def chance(bins: Histogram) -> float:
    """95th percentile of the index if both samples came from one distribution."""
    from scipy.stats import chi2

    used = sum(1 for pair in zip(bins.reference, bins.current, strict=True) if any(pair))
    if used < 2:
        return 0.0
    scale = 1 / sum(bins.reference) + 1 / sum(bins.current)
    return float(chi2.ppf(0.95, used - 1)) * scale


def _kolmogorov_p(one: Comparison) -> float:
    """Asymptotic two-sided p as SciPy computes it for large samples."""
    from scipy.stats import kstwo

    gap = one.gap or (0, 1)
    m, n = one.reference_n, one.current_n
    return float(np.clip(kstwo.sf(gap[0] / gap[1], np.round(m * n / (m + n))), 0, 1))


def _adjusted(measurements: list[MeasurementValue]) -> list[MeasurementValue]:
    tested = [index for index, one in enumerate(measurements) if "p" in one.detail]
    adjusted = statistics.holm([float(measurements[index].detail["p"]) for index in tested])
    changed = list(measurements)
    for index, p in zip(tested, adjusted, strict=True):
        one = changed[index]
        changed[index] = replace(one, detail={**one.detail, "p_holm": p})
    return changed


def _largest(measurements: Sequence[MeasurementValue]) -> list[MeasurementValue]:
    found = []
    for name in (
        "psi",
        "psi_deciles",
        "jensen_shannon",
        "wasserstein_normed",
        "missing_rate_difference",
    ):
        of_features = [m for m in measurements if m.metric == name and "feature" in m.slice]
        defined = [m for m in of_features if m.value is not None]
        undefined = [m.slice["feature"] for m in of_features if m.value is None]
        if not of_features:
            continue
        if not defined:
            reason = of_features[0].undefined_reason
            found.append(
                MeasurementValue(name, {"feature": BETWEEN}, None, undefined_reason=reason)
            )
            continue
        top = max(defined, key=lambda m: m.value or 0.0)
        detail = {"feature": top.slice["feature"], "columns": len(defined), "undefined": undefined}
        method = "largest over the features"
        found.append(replace(top, slice={"feature": BETWEEN}, method=method, detail=detail))
    return found


def _plots(
    comparisons: Sequence[Comparison], measurements: Sequence[MeasurementValue]
) -> list[Plot]:
    indices = sorted(
        (
            (m.slice["feature"], m.value)
            for m in measurements
            if m.metric == "psi"
            and m.value is not None
            and m.slice.get("feature") not in (None, BETWEEN)
        ),
        key=lambda bar: -bar[1],
    )
    plots = [bar_plot("psi", "Population stability index by feature", indices, "feature", "index")]
    for one in comparisons:
        if one.column == "score" and one.bins.edges:
            samples = [("reference", one.bins.reference), ("current", one.bins.current)]
            title = "Scores now and in the reference"
            plots.append(histogram_plot("scores", title, one.bins.edges, samples, "score"))
    return plots
