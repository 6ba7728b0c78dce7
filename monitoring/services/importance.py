"""The importance of features, which drift is ranked by: from the version's own explanations."""

from typing import Any

from kernel.errors import Unprocessable
from monitoring.engine import effects
from monitoring.models import CheckKind, CheckRun, Measurement
from registry.models import ModelVersion

METRIC = "mean_abs_shap"


def resolved(
    version: ModelVersion, kind: str, config: dict[str, Any], mapping: dict[str, Any]
) -> dict[str, Any]:
    """The configuration with importances by feature in the place of `explainability`.

    They are the mean absolute Shapley values of the newest explainability run of the version that
    succeeded, so that the question says what it was answered with.

    Raises:
        Unprocessable: there is no such run.
    """
    if kind != CheckKind.DRIFT or config.get("importance") != effects.EXPLAINED:
        return config
    run = (
        CheckRun.objects.filter(
            version=version, kind=CheckKind.EXPLAINABILITY, state=CheckRun.State.SUCCEEDED
        )
        .order_by("finished_at", "pk")
        .last()
    )
    measured = Measurement.objects.filter(run=run, metric=METRIC) if run else ()
    features = set(mapping.get("features") or ())
    weights = {
        one.slice["feature"]: abs(one.value)
        for one in measured
        if one.value is not None and set(one.slice) == {"feature"}
    }
    weights = {name: weight for name, weight in sorted(weights.items()) if name in features}
    if not weights:
        raise Unprocessable(
            "no explainability run of this version tells what its features weigh; run one, or "
            "give the importances by feature",
            field="config.importance",
        )
    return {**config, "importance": weights}
