"""The stored profiles of an earlier run as the reference of a check."""

from typing import Any
from uuid import UUID

from kernel.errors import Invalid, Unprocessable
from monitoring import configs, selectors
from monitoring.models import CheckKind, CheckRun
from registry.models import Dataset, ModelVersion

WITH_PROFILES = (CheckKind.DRIFT, CheckKind.DATA_QUALITY)
_FIELD = "config.reference_run"


def resolved(
    version: ModelVersion, kind: str, config: dict[str, Any], reference: Dataset | None
) -> dict[str, Any]:
    """The configuration with the cube and the grade of the reference run, if it names one.

    Raises:
        Invalid: there is a reference dataset too, or no such run of the model with profiles.
        Unprocessable: the run's cube was erased.
    """
    told = config.get("reference_run")
    if told is None:
        return config
    if reference is not None:
        raise Invalid("give a reference dataset or a reference run, not both", field=_FIELD)
    run = _run(version, told["run"])
    if run is None:
        raise Invalid("the model has no such run", field=f"{_FIELD}.run")
    if run.state != CheckRun.State.SUCCEEDED or run.kind not in WITH_PROFILES:
        raise Invalid(
            "only a check of drift or data quality that succeeded holds profiles",
            field=f"{_FIELD}.run",
        )
    side = told.get("side", "dataset")
    if side != "dataset" and run.kind != CheckKind.DRIFT:
        raise Invalid("only a check of drift has a reference of its own", field=f"{_FIELD}.side")
    if selectors.erasure_of(run) is not None:
        raise Unprocessable("the run's cube was erased", field=_FIELD, code="erased")
    stored = {"run": str(run.pk), "side": side, "cube": run.cube_id, "grade": run.grade}
    return {**config, "reference_run": stored}


def given(config: dict[str, Any], run: str | None) -> dict[str, Any]:
    """A configuration with the run that was named beside it."""
    if run is None:
        return config
    if config.get("reference_run") is not None:
        raise Invalid("is named twice", field="reference_run")
    return {**config, "reference_run": {"run": run}}


def needed(kind: str, config: dict[str, Any]) -> bool:
    """Does a check of this configuration still lack what it compares with?"""
    return kind in configs.NEED_REFERENCE and "reference_run" not in config


def _run(version: ModelVersion, text: str) -> CheckRun | None:
    try:
        return CheckRun.objects.filter(pk=UUID(text), version__model=version.model_id).first()
    except ValueError:
        return None
