"""Who else scores the rows of a check: the version compared with, or a customer's endpoint."""

from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid, Unprocessable
from monitoring.engine import endpoints
from monitoring.engine.sampling import Rescoring
from monitoring.models import CheckRun, Grade
from registry.models import Deployment, ModelVersion
from registry.store import path_of

if TYPE_CHECKING:
    from monitoring.engine.job import Comparator

FIELD = "config.compare_with"


def resolved(version: ModelVersion, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the version compared with by its number, and an endpoint that is known.

    Raises:
        Invalid: nothing, several versions or the version itself are live in the environment named;
            there is no such version or endpoint.
        Unprocessable: the version compared with cannot be scored here, or gives probabilities where
            the model's data hold numbers, or the other way round.
    """
    from monitoring.services.requests import current_mapping, scoring_obstacle

    if config.get("scoring_endpoint") is not None:
        _check_endpoint(config)
    wanted = config.get("compare_with")
    if wanted is None:
        return config
    other = _live(version, wanted) if isinstance(wanted, str) else _numbered(version, wanted)
    if other.pk == version.pk:
        raise Invalid(f"version {other.number} is the one that is checked", field=FIELD)
    obstacle = scoring_obstacle(other)
    if obstacle is not None:
        detail = f"version {other.number} cannot be scored: {obstacle.detail}"
        raise Unprocessable(detail, field=FIELD, code=obstacle.code)
    task = current_mapping(version).get("task") or "classification"
    gives_number = (other.input_spec or {}).get("output") == "number"
    if gives_number != (task == "regression"):
        given = "a number" if gives_number else "a probability"
        raise Unprocessable(
            f"version {other.number} gives {given}, and the model's columns declare a {task}",
            field=FIELD,
            code="other_output",
        )
    return {**config, "compare_with": other.number}


def _check_endpoint(config: dict[str, Any]) -> None:
    endpoints.named(config["scoring_endpoint"])
    if config.get("grade") == Grade.RE_PERFORMED:
        raise Unprocessable(
            "what an endpoint answers is recomputed from; to re-perform, the server scores the "
            "artifact itself",
            field="config.grade",
            code="scored_elsewhere",
        )


def _numbered(version: ModelVersion, number: int) -> ModelVersion:
    found = ModelVersion.objects.filter(model=version.model_id, number=number).first()
    if found is None:
        raise Invalid(f"the model has no version {number}", field=FIELD)
    return found


def _live(version: ModelVersion, environment: str) -> ModelVersion:
    """The version of the same model that is recorded as champion in an environment."""
    live = Deployment.objects.filter(
        version__model=version.model_id,
        environment__name=environment,
        kind=Deployment.Kind.CHAMPION,
        live_until=None,
    )
    numbers = sorted(set(live.values_list("version__number", flat=True)))
    if not numbers:
        raise Invalid(f"no version of the model is live in {environment}", field=FIELD)
    if len(numbers) > 1:
        listed = ", ".join(map(str, numbers))
        raise Invalid(
            f"several versions are live in {environment}: {listed}; name one", field=FIELD
        )
    return _numbered(version, numbers[0])


def scoring_of(run: CheckRun) -> dict[str, Any]:
    """The fields of a job that say who scores which rows of a run."""
    config = run.config
    return {
        "rescoring": Rescoring.from_json(config.get("rescoring") or {}, "config.rescoring"),
        "scoring_endpoint": config.get("scoring_endpoint"),
        "comparator": _comparator(run),
        "artifact_digest": run.version.artifact_digest,
    }


def _comparator(run: CheckRun) -> "Comparator | None":
    from monitoring.engine.inputs import InputSpec
    from monitoring.engine.job import Artifact, Comparator

    number = run.config.get("compare_with")
    if number is None:
        return None
    other = _numbered(run.version, number)
    if other.artifact_id is None or not other.input_spec:
        raise Unprocessable(f"version {number} can no longer be scored", field=FIELD)
    artifact = Artifact(path_of(other.artifact_id), other.artifact_digest, other.artifact_format)
    return Comparator(f"version {number}", artifact, InputSpec.from_json(other.input_spec))
