"""What the columns of a run come to: the largest figures, and the share of columns that drifted."""

from collections.abc import Sequence
from dataclasses import replace

from monitoring.engine.checks.drift.settings import DriftConfig
from monitoring.engine.results import BETWEEN, NO_DENOMINATOR, MeasurementValue

LARGEST = (
    "psi",
    "psi_deciles",
    "jensen_shannon",
    "hellinger",
    "wasserstein_normed",
    "ks_statistic",
    "cramers_v",
    "missing_rate_difference",
    "unseen_category_rate",
)


def largest(measurements: Sequence[MeasurementValue]) -> list[MeasurementValue]:
    """The largest of each figure over the features."""
    found = []
    for name in LARGEST:
        of_features = [m for m in measurements if m.metric == name and set(m.slice) == {"feature"}]
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
        # A rate may fall as far as it may rise.
        top = max(defined, key=lambda m: abs(m.value or 0.0))
        detail = {
            "feature": top.slice["feature"],
            "columns": len(defined),
            "undefined": undefined,
            **{key: top.detail[key] for key in ("threshold", "chance") if key in top.detail},
        }
        method = "largest over the features"
        found.append(replace(top, slice={"feature": BETWEEN}, method=method, detail=detail))
    return found


def shares(
    measurements: Sequence[MeasurementValue], config: DriftConfig, window: str | None = None
) -> list[MeasurementValue]:
    """The share of features that drifted, and their share of all importance."""
    about = {} if window is None else {"window": window}
    wanted = {"feature", *about}
    drifted: dict[str, list[str]] = {}
    for one in measurements:
        if set(one.slice) != wanted or one.slice.get("window") != window:
            continue
        names = drifted.setdefault(one.slice["feature"], [])
        if one.detail.get("drifted"):
            names.append(one.metric)
    if not drifted:
        none = MeasurementValue("drifted_share", about, None, undefined_reason=NO_DENOMINATOR)
        return [none]
    moved = {name: by for name, by in drifted.items() if by}
    detail = {
        "features": moved,
        "alpha": config.alpha,
        "correction": config.correction,
    }
    found = [
        MeasurementValue(
            "drifted_share",
            about,
            len(moved) / len(drifted),
            n=len(drifted),
            method="features of which a figure drifted",
            unit="share",
            detail=detail,
        )
    ]
    total = sum(config.importance.values())
    if total:
        ranking = [
            {"feature": name, "importance": weight, "drifted": name in moved}
            for name, weight in sorted(config.importance.items(), key=lambda pair: -pair[1])
        ]
        weight = sum(config.importance.get(name, 0.0) for name in moved)
        found.append(
            MeasurementValue(
                "drifted_importance_share",
                about,
                weight / total,
                n=len(config.importance),
                method="share of importance in features that drifted",
                unit="share",
                detail={"ranking": ranking},
            )
        )
    return found
