"""Asking for a check: what can be known to be wrong is said at once, before anything is queued."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import in_write, write
from kernel import canonical
from kernel.errors import Conflict, CountersignError, Invalid, Unprocessable
from monitoring import configs, dispatch
from monitoring.engine import loaders
from monitoring.models import CheckKind, CheckRun, Grade, Monitor, ObservationBatch, Window
from monitoring.services import comparing, declarations, importance, references
from registry import locations
from registry.models import ColumnMapping, Dataset, ModelVersion
from registry.services import lock_version, tick
from registry.store import path_of


@dataclass(frozen=True)
class Question:
    """Everything that decides what a run computes, checked and ready to be queued."""

    kind: str
    config: dict[str, Any]
    mapping: dict[str, Any]
    reference: Dataset | None

    @property
    def digest(self) -> str:
        """The same question has the same digest, whichever data it is asked of."""
        return canonical.digest(
            {
                "kind": self.kind,
                "config": self.config,
                "mapping": self.mapping,
                "reference": self.reference.digest if self.reference else None,
            }
        )


@write
def request_check(
    version: ModelVersion,
    kind: str,
    *,
    dataset: Dataset,
    reference: Dataset | None = None,
    config: dict[str, Any] | None = None,
    actor: Actor,
) -> CheckRun:
    """Queue a check of `version` on `dataset`, for its validation.

    The queue is told after the commit; if no broker answers the run stays queued and the sweep
    finds it. `config` is as `monitoring.configs` says for the kind; where it names no grade, the
    highest one that the version admits is taken and written into it.

    Raises:
        Invalid: naming the field that is wrong.
        Unprocessable: the data's or the artifact's bytes are not here, or are never opened.
        Conflict: the version is retired, or its model has no column mapping.
    """
    require(actor, "check.request", version)
    version = lock_version(version.pk)
    at = tick(version)
    config = without_scoring(kind, config, {"dataset": dataset, "reference": reference})
    question = prepare(version, kind, config=config, reference=reference)
    need_bytes(dataset, "dataset")
    return queue_run(
        version,
        question,
        purpose=CheckRun.Purpose.VALIDATION,
        dataset=dataset,
        at=at,
        actor=actor,
    )


def prepare(
    version: ModelVersion,
    kind: str,
    *,
    config: dict[str, Any] | None,
    reference: Dataset | None,
) -> Question:
    """Check a question about a version and complete it. Reads alone.

    Raises:
        Invalid, Unprocessable, Conflict: see `request_check`.
    """
    if kind not in CheckKind.values:
        raise Invalid(f"expected one of {', '.join(CheckKind.values)}", field="kind")
    if version.retired_at is not None:
        raise Conflict("the version is retired; nothing more is measured of it")
    checked = configs.parse(kind, config or {})
    mapping = {} if kind in configs.NEED_NO_COLUMNS else current_mapping(version)
    configs.check_mapping(kind, mapping, checked)
    if reference is None and references.needed(kind, checked):
        raise Invalid(f"a check of {kind} compares with a reference; name one", field="reference")
    if reference is not None:
        if kind not in configs.TAKE_REFERENCE:
            raise Invalid(f"a check of {kind} takes no reference", field="reference")
        need_bytes(reference, "reference")
    checked = comparing.resolved(version, checked)
    checked = references.resolved(version, kind, checked, reference)
    checked = importance.resolved(version, kind, checked, mapping)
    return Question(kind, _with_grade(version, kind, checked, mapping), mapping, reference)


def current_mapping(version: ModelVersion) -> dict[str, Any]:
    """The columns of the model's data as declared now.

    Raises:
        Conflict: none was declared.
    """
    found = ColumnMapping.objects.filter(model=version.model_id, until=None).first()
    if found is None:
        raise Conflict(
            "the model has no column mapping; declare which column is the label, the score, the "
            "features, before a check is asked for",
            field="mapping",
        )
    columns: dict[str, Any] = found.columns
    return columns


def need_bytes(dataset: Dataset, field: str) -> None:
    """Raises Unprocessable, naming the field, unless a check can read the dataset's bytes or rows."""
    if dataset.location is not None:
        locations.still_there(dataset, field)
    elif dataset.blob_id is None:
        raise Unprocessable(
            f"dataset {dataset.name} is known by its digest alone; upload its bytes", field=field
        )
    if dataset.digest_of == Dataset.DigestOf.BYTES and not configs.data_format(dataset.media_type):
        raise Unprocessable(
            f"dataset {dataset.name} is {dataset.media_type}; a check reads "
            f"{', '.join(configs.MEDIA_TYPES)}",
            field=field,
        )


def without_scoring(
    kind: str, config: dict[str, Any] | None, data: Mapping[str, Dataset | None]
) -> dict[str, Any] | None:
    """Rows that no digest pins are counted as they are; nobody could score the same ones again.

    `data` is by the field that names it.

    Raises:
        Unprocessable: naming the field, if the check would have to score them.
    """
    loose = [name for name, one in data.items() if one and one.digest_of == "relation"]
    if not loose:
        return config
    asked, rows = config or {}, f"the rows of {data[loose[0]]} are pinned by no digest, so"
    if kind in configs.NEED_MODEL or asked.get("grade") == Grade.RE_PERFORMED:
        raise Unprocessable(f"{rows} nothing can be re-performed on them", field=loose[0])
    for name in ("scoring_endpoint", "compare_with"):
        if asked.get(name) is not None:
            raise Unprocessable(f"{rows} no model is scored on them", field=f"config.{name}")
    return {**asked, "grade": str(Grade.RECOMPUTED)}


def _with_grade(
    version: ModelVersion, kind: str, config: dict[str, Any], mapping: dict[str, Any]
) -> dict[str, Any]:
    """Say which grade the run is to have, so that the same question never means two things."""
    wanted = config.get("grade")
    if kind in configs.NEED_NO_COLUMNS:
        if wanted == Grade.RE_PERFORMED:
            raise Invalid("nobody can do over what people decided", field="config.grade")
        return {**config, "grade": str(Grade.RECOMPUTED)}
    if config.get("scoring_endpoint"):
        return {**config, "grade": str(Grade.RECOMPUTED)}
    obstacle = scoring_obstacle(version)
    obstacle = obstacle or _other_output(version, mapping)
    if kind in configs.NEED_MODEL or wanted == Grade.RE_PERFORMED:
        if obstacle is not None:
            raise obstacle
        return {**config, "grade": str(Grade.RE_PERFORMED)}
    if wanted is None and obstacle is None:
        return {**config, "grade": str(Grade.RE_PERFORMED)}
    supplied = mapping.get("prediction") or mapping.get("score")
    if kind in configs.NEED_PREDICTIONS and not supplied:
        raise obstacle or Invalid(
            "the mapping names no column of predictions or scores to recompute from; ask for "
            "grade re-performed",
            field="config.grade",
        )
    return {**config, "grade": str(Grade.RECOMPUTED)}


def _other_output(version: ModelVersion, mapping: dict[str, Any]) -> Unprocessable | None:
    """Does the artifact give a number where the mapping declares decisions, or the reverse?"""
    numbers = (version.input_spec or {}).get("output") == "number"
    if numbers == (mapping.get("task") == "regression"):
        return None
    given = "a number" if numbers else "a probability"
    return Unprocessable(
        f"by its input specification the artifact gives {given}, which the mapping's task does not "
        "mean; the input specification's output says which",
        field="config.grade",
        code="other_output",
    )


def scoring_obstacle(version: ModelVersion) -> Unprocessable | None:
    """Why the server cannot score the version's artifact itself, or None if it can."""
    formats = ", ".join(loaders.FORMATS)
    if version.artifact_format not in loaders.FORMATS:
        return Unprocessable(
            f"the artifact is {version.artifact_format}, which is never opened. To re-perform, "
            f"the server takes: {formats}. From supplied predictions it can recompute",
            field="config.grade",
            code="format_not_taken",
        )
    if version.artifact_id is None:
        return Unprocessable(
            f"the artifact is known by its digest alone. To re-perform, upload its bytes in one "
            f"of the formats taken: {formats}",
            field="config.grade",
            code="artifact_not_here",
        )
    try:
        loaders.check_format(path_of(version.artifact_id), version.artifact_format)
    except CountersignError as error:
        # A pickle that is called otherwise, say: its first bytes tell.
        return Unprocessable(error.detail, field="config.grade", code="format_not_taken")
    if version.input_spec is None:
        return Unprocessable(
            "the version has no input specification, which scoring needs: which columns are fed "
            f"to the model, and how. Formats taken: {formats}",
            field="config.grade",
            code="input_spec_missing",
        )
    return None


def queue_run(
    version: ModelVersion,
    question: Question,
    *,
    purpose: str,
    at: datetime,
    actor: Actor,
    dataset: Dataset | None = None,
    monitor: Monitor | None = None,
    batch: ObservationBatch | None = None,
    window: Window | None = None,
    batches: Sequence[ObservationBatch] = (),
    retry_of: CheckRun | None = None,
) -> CheckRun:
    """Make the row, its entry, and tell the queue on commit. A step inside a write.

    The data are a `dataset`, or the `batches` of a `window` in their order.
    """
    in_write()
    assert (dataset is None) != (not batches)
    digests = [dataset.digest] if dataset else [one.blob_id for one in batches]
    run = CheckRun.objects.create(
        version=version,
        kind=question.kind,
        purpose=purpose,
        monitor=monitor,
        batch=batch,
        window=window,
        batches=[str(one.pk) for one in batches],
        retry_of=retry_of,
        dataset=dataset,
        reference=question.reference,
        config=question.config,
        mapping=declarations.resolved(version.model_id, question.mapping, at),
        config_digest=question.digest,
        is_addendum=version.frozen_at is not None,
        requested_at=at,
        requested_by_id=None if actor.kind == "system" else actor.id,
        sent_at=at,
    )
    record(
        "monitoring.check.requested",
        actor=actor,
        at=at,
        object_type="check_run",
        object_id=str(run.pk),
        public={
            "model": version.model.name,
            "number": version.number,
            "kind": run.kind,
            "purpose": run.purpose,
            "dataset_digest": digests[0] if len(digests) == 1 else canonical.digest(digests),
            "reference_digest": question.reference.digest if question.reference else None,
            "config_digest": run.config_digest,
            "monitor": monitor.pk if monitor else None,
            "batch": batch.pk if batch else None,
            "window": window.pk if window else None,
            "retry_of": retry_of.pk if retry_of else None,
        },
        scope=version.model_id,
    )
    dispatch.on_commit(run.pk)
    return run
