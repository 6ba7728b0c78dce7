"""Scoring a dataset with the pinned artifact, and comparing with predictions that were supplied."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel.errors import CountersignError, Invalid
from monitoring.engine import cube, loaders, sandbox
from monitoring.engine.job import Artifact, CheckJob
from monitoring.engine.kept import Shelf, name_of
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.results import Note
from monitoring.engine.sources import (
    MOST_PULLED,
    ROW,
    Data,
    DataFile,
    Source,
    open_source,
    verify_digest,
)

Progress = Callable[[float, str], None]
SCORE_TOLERANCE = 1e-6
"""Scores of one model by two builds of its library agree to about the precision of 32-bit floats."""


@dataclass(frozen=True)
class Scored:
    """A dataset opened, with re-scored predictions if `model` is true."""

    source: Source
    model: bool
    agreed: bool
    notes: list[Note]
    isolation: dict[str, Any]
    repeated: int = 0
    differing: int = 0


def open_scored(
    job: CheckJob,
    data: Data,
    workdir: Path,
    progress: Progress,
    *,
    field: str = "dataset",
    required: bool = True,
) -> Scored:
    """Open a dataset with predictions of the highest grade that the job wants and allows.

    Without a usable artifact the predictions in the data serve, with a note why. If `required`,
    having neither is an error.

    Raises:
        Invalid: naming what is missing or malformed.
    """
    plain = open_source(data, workdir, field=field, limits=job.engine)
    try:
        job.mapping.check(plain.schema)
        if not plain.rows:
            raise Invalid("no rows are left after filtering", field=field)
        refusal = _refusal(job)
        if refusal is None:
            if isinstance(data, DataFile):
                return _score(job, data, plain, workdir, progress, field)
            refusal = Invalid(
                f"the rows stay in their database: more than {MOST_PULLED} of them, or none that a "
                "digest pins",
                field=field,
            )
    except BaseException:
        plain.close()
        raise
    supplied = job.mapping.prediction is not None or job.mapping.score is not None
    if required and not supplied:
        plain.close()
        raise refusal
    notes = [] if job.artifact is None else [Note("artifact_not_scored", refusal.detail)]
    return Scored(plain, False, True, notes, {})


def _refusal(job: CheckJob) -> CountersignError | None:
    """Why the artifact cannot be scored; None if it can be tried."""
    if job.grade != "re-performed":
        return Invalid("the run does not ask for the model to be scored", field="grade")
    if job.artifact is None:
        return Invalid("no model and no predictions in the data", field="artifact")
    try:
        loaders.check_format(job.artifact.path, job.artifact.format, job.sandbox.artifact_bytes)
    except CountersignError as error:
        return error
    if job.input_spec is None:
        return Invalid("scoring a model needs its input spec", field="input_spec")
    return None


def prepare(
    job: CheckJob, artifact: Artifact, source: Source, home: Path, *, write_rows: bool = True
) -> dict[str, Any]:
    """Verify the artifact and write the model's inputs, and nothing else, to a file of their own.

    Without `write_rows` the caller writes that file itself.
    """
    import pyarrow.parquet as pq

    spec = job.input_spec
    if spec is None:
        raise Invalid("scoring a model needs its input spec", field="input_spec")
    spec.check(source.schema)
    verify_digest(artifact.path, artifact.digest, "artifact")
    home.mkdir(parents=True, exist_ok=True)
    model = home / f"model{loaders.SUFFIXES[artifact.format]}"
    model.unlink(missing_ok=True)
    model.symlink_to(artifact.path.resolve())
    rows = home / "rows.parquet"
    if write_rows:
        batches = source.batches(source.table.select(ROW, *spec.columns()).order_by(ROW))
        with pq.ParquetWriter(rows, batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    return {
        "artifact": str(model),
        "format": artifact.format,
        "input_spec": spec.to_json(),
        "rows": str(rows),
        "predictions": str(home / "predictions.parquet"),
    }


def _score(
    job: CheckJob,
    data: DataFile,
    plain: Source,
    workdir: Path,
    progress: Progress,
    field: str,
) -> Scored:
    artifact = job.artifact
    if artifact is None:
        raise Invalid("no model", field="artifact")
    home = workdir / f"sandbox-{field}"
    answer, predictions = _answers(job, artifact, data, plain, home, progress)
    plain.close()
    source = open_source(data, workdir, field=field, limits=job.engine, predictions=predictions)
    if source.rows != plain.rows or answer["rows"] != plain.rows:
        source.close()
        raise Invalid("the model did not answer for every row", field="artifact")
    notes = _disagreements(source, job.mapping)
    return Scored(
        source,
        True,
        not notes,
        notes,
        dict(answer["isolation"]),
        int(answer["repeated"]),
        int(answer["differing"]),
    )


def _answers(
    job: CheckJob, artifact: Artifact, data: DataFile, plain: Source, home: Path, progress: Progress
) -> tuple[dict[str, Any], Path]:
    """What the sandbox says of a scoring and where the predictions are: made now, or kept."""
    spec = job.input_spec
    if spec is None:
        raise Invalid("scoring a model needs its input spec", field="input_spec")
    shelf, name = Shelf(job.shelf), name_of(artifact, spec.to_json(), data)
    home.mkdir(parents=True, exist_ok=True)
    predictions = home / "predictions.parquet"
    with shelf.alone(name, lambda: progress(0.0, "another check is scoring the same rows")):
        kept = shelf.take(name, predictions)
        if kept is not None:
            # The artifact of this run is pinned too, though its bytes were opened before.
            verify_digest(artifact.path, artifact.digest, "artifact")
            return {**kept, "isolation": {**kept["isolation"], "scored": "for an earlier check"}}, (
                predictions
            )
        task = prepare(job, artifact, plain, home)
        answer = sandbox.run_child({**task, "operation": "score"}, home, job.sandbox, progress)
        shelf.keep(name, predictions, answer)
    return answer, predictions


def _disagreements(source: Source, mapping: ColumnMapping) -> list[Note]:
    """Compare supplied predictions and scores with the re-scored ones. A difference is a finding."""
    notes = []
    table = source.table
    if mapping.prediction is not None:
        wanted = mapping.positive_prediction
        wanted = mapping.positive if wanted is None else wanted
        supplied = (table[mapping.prediction] == wanted).cast("int8").fill_null(-1)
        differing = _count(table.filter(supplied != table[cube.PREDICTION]))
        if differing:
            notes.append(
                Note(
                    "prediction_mismatch",
                    f"{differing} of {source.rows} supplied predictions are not the model's",
                    {"rows": source.rows, "differing": differing},
                    finding=True,
                )
            )
    if mapping.score is not None:
        gap = (table[mapping.score].cast("float64") - table[cube.SCORE]).abs()
        wrong = gap.isnull() | gap.isnan() | (gap > SCORE_TOLERANCE)
        differing = _count(table.filter(wrong))
        if differing:
            notes.append(
                Note(
                    "score_mismatch",
                    f"{differing} of {source.rows} supplied scores differ from the model's "
                    f"by more than {SCORE_TOLERANCE:g}",
                    {"rows": source.rows, "differing": differing},
                    finding=True,
                )
            )
    return notes


def _count(table: Any) -> int:
    return int(table.count().to_pyarrow().as_py())
