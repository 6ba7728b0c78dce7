"""Scoring a dataset with the pinned artifact, and comparing with predictions that were supplied."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import field as given_by
from pathlib import Path
from typing import Any

from kernel.errors import CountersignError, Invalid
from monitoring.engine import answers, cube, loaders, sandbox
from monitoring.engine.job import Artifact, CheckJob
from monitoring.engine.kept import Shelf, name_of
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.results import Note
from monitoring.engine.sampling import chosen, most_differing
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
_STAY = (
    f"the rows stay in their database: more than {MOST_PULLED} of them, or none that a digest pins"
)
SCORE_TOLERANCE = 1e-6
"""Scores of one model by two builds of its library agree to about the precision of 32-bit floats."""


@dataclass(frozen=True)
class Scored:
    """A dataset opened, with re-scored predictions if `model` is true.

    `verified` is true if the supplied predictions serve and the model was scored on a sample of the
    rows. `predictions` is the file of re-scored ones; `kept` the names under which such predictions,
    those of a comparator too, are kept for other checks.
    """

    source: Source
    model: bool
    agreed: bool
    notes: list[Note]
    isolation: dict[str, Any]
    repeated: int = 0
    differing: int = 0
    verified: bool = False
    predictions: Path | None = None
    kept: set[str] = given_by(default_factory=set)


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
        plain.need_rows(field)
        if job.scoring_endpoint is not None:
            return _by_endpoint(job, data, plain, workdir, progress, field)
        refusal = _refusal(job)
        if refusal is None:
            if isinstance(data, DataFile):
                if _samples(job, plain):
                    return _verify(job, data, plain, workdir, progress, field)
                return _score(job, data, plain, workdir, progress, field)
            refusal = Invalid(_STAY, field=field)
    except BaseException:
        plain.close()
        raise
    if required and not _supplied(job.mapping):
        plain.close()
        raise refusal
    notes = [] if job.artifact is None else [Note("artifact_not_scored", refusal.detail)]
    return Scored(plain, False, True, notes, {})


def _supplied(mapping: ColumnMapping) -> bool:
    return mapping.prediction is not None or mapping.score is not None


def _samples(job: CheckJob, plain: Source) -> bool:
    """Is the model scored on some rows only, and the rest taken from what was supplied?

    Raises:
        Invalid: a sample is asked for, and there is nothing supplied that it could verify.
    """
    if _supplied(job.mapping):
        return job.rescoring.samples(plain.rows)
    if job.rescoring.mode == "sample":
        raise Invalid(
            "a sample verifies supplied predictions, and the mapping names none",
            field="config.rescoring",
        )
    return False


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
    if job.input_spec.gives_number != (job.mapping.task == "regression"):
        given = "a number" if job.input_spec.gives_number else "a probability"
        return Invalid(
            f"the model gives {given}, and the mapping declares a {job.mapping.task}",
            field="input_spec.output",
        )
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
    answer, predictions, name = _answers(job, artifact, data, plain, home, progress)
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
        predictions=predictions,
        kept={name} if job.shelf else set(),
    )


def _verify(
    job: CheckJob, data: DataFile, plain: Source, workdir: Path, progress: Progress, field: str
) -> Scored:
    """Score the rows chosen by digest and compare; what was supplied serves for all rows."""
    artifact, spec = job.artifact, job.input_spec
    assert artifact is not None, "the job was looked at"
    assert spec is not None, "the job was looked at"
    home = workdir / f"sandbox-{field}"
    task = prepare(job, artifact, plain, home, write_rows=False)
    rows = chosen(plain, data.digest, job.rescoring)
    answers.write_rows(plain, rows, spec.columns(), Path(task["rows"]))
    answer = sandbox.run_child({**task, "operation": "score"}, home, job.sandbox, progress)
    notes = _on_sample(job, data, workdir, Path(task["predictions"]), int(answer["rows"]), field)
    told = notes[0]
    return Scored(
        plain,
        False,
        not told.counts["differing"],
        notes,
        dict(answer["isolation"]),
        int(answer["repeated"]),
        int(answer["differing"]),
        verified=True,
    )


def _on_sample(
    job: CheckJob, data: DataFile, workdir: Path, predictions: Path, scored: int, field: str
) -> list[Note]:
    """What a sample of re-scored rows says of the supplied predictions, and each disagreement."""
    sample = open_source(data, workdir, field=field, limits=job.engine, predictions=predictions)
    try:
        if sample.rows != scored:
            raise Invalid("the model did not answer for every row", field="artifact")
        found = _disagreements(sample, job.mapping)
    finally:
        sample.close()
    differing = max((int(note.counts["differing"]) for note in found), default=0)
    most = most_differing(scored, differing)
    text = (
        f"{scored} rows, chosen by their digest, were scored again, and {differing} of them "
        f"differ; of all rows at most {most:.2%} do, at 95 % confidence"
    )
    counts = {"scored": scored, "differing": differing, "most_share": most}
    return [Note("rescored_sample", text, counts), *found]


def _by_endpoint(
    job: CheckJob, data: Data, plain: Source, workdir: Path, progress: Progress, field: str
) -> Scored:
    """Have a customer's endpoint score. It says itself which artifact it serves, so the grade stays
    that of figures which the server recomputed."""
    if not isinstance(data, DataFile):
        raise Invalid(f"no endpoint scores them: {_STAY}", field=field)
    if job.pinned is None:
        raise Invalid("an endpoint scores a pinned artifact, and there is none", field="artifact")
    home = workdir / f"endpoint-{field}"
    home.mkdir(parents=True, exist_ok=True)
    predictions, sampled = home / "predictions.parquet", _samples(job, plain)
    rows = chosen(plain, data.digest, job.rescoring) if sampled else plain.table
    answer = answers.by_endpoint(job, plain, rows, predictions, progress)
    note = Note(
        "scored_by_endpoint",
        f"{answer['rows']} rows were scored by the endpoint {job.scoring_endpoint}, which says that "
        "it serves the pinned artifact; the server did not run it itself",
        {"rows": answer["rows"]},
    )
    repeats = answer["repeated"], answer["differing"]
    if sampled:
        found = _on_sample(job, data, workdir, predictions, answer["rows"], field)
        agreed = not found[0].counts["differing"]
        return Scored(plain, False, agreed, [note, *found], {}, *repeats)
    plain.close()
    source = open_source(data, workdir, field=field, limits=job.engine, predictions=predictions)
    if source.rows != plain.rows:
        source.close()
        raise Invalid("the endpoint did not answer for every row", field=answers.FIELD)
    found = _disagreements(source, job.mapping)
    return Scored(source, False, not found, [note, *found], {}, *repeats, predictions=predictions)


def open_pair(
    job: CheckJob, scored: Scored, workdir: Path, progress: Progress, *, field: str = "dataset"
) -> Source:
    """The rows of `scored` with the answers of the job's comparator beside them.

    Raises:
        Invalid, Unprocessable: the comparator cannot be scored on these rows.
    """
    comparator, data = job.comparator, job.dataset
    assert comparator is not None, "the job names one"
    try:
        if not isinstance(data, DataFile):
            raise Invalid(_STAY, field=field)
        bare = replace(job.mapping, prediction=None, score=None)
        other = replace(
            job,
            artifact=comparator.artifact,
            input_spec=comparator.input_spec,
            comparator=None,
            scoring_endpoint=None,
            mapping=bare,
            grade="re-performed",
        )
        answered = open_scored(other, data, workdir, progress, field="comparator")
    except CountersignError as error:
        detail = f"{comparator.name} cannot be compared with: {error.detail}"
        raise type(error)(detail, field="config.compare_with") from error
    answered.source.close()
    scored.kept.update(answered.kept)
    assert answered.predictions is not None, "what was not supplied was scored"
    pair = workdir / "pair.parquet"
    answers.join(scored.predictions, answered.predictions, pair)
    return open_source(data, workdir, field=field, limits=job.engine, predictions=pair)


def _answers(
    job: CheckJob, artifact: Artifact, data: DataFile, plain: Source, home: Path, progress: Progress
) -> tuple[dict[str, Any], Path, str]:
    """What the sandbox says of a scoring and where the predictions are: made now, or kept under the
    name."""
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
            isolation = {**kept["isolation"], "scored": "for an earlier check"}
            return {**kept, "isolation": isolation}, predictions, name
        task = prepare(job, artifact, plain, home)
        answer = sandbox.run_child({**task, "operation": "score"}, home, job.sandbox, progress)
        shelf.keep(name, predictions, answer)
    return answer, predictions, name


def _disagreements(source: Source, mapping: ColumnMapping) -> list[Note]:
    """Compare supplied predictions and scores with the re-scored ones. A difference is a finding."""
    notes = []
    table = source.table
    if mapping.task != "classification":
        return _number_disagreements(source, mapping)
    if mapping.prediction is not None:
        wanted = mapping.positive_prediction
        wanted = mapping.positive if wanted is None else wanted
        supplied = cube.flag(table[mapping.prediction], wanted).fill_null(-1)
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


def _number_disagreements(source: Source, mapping: ColumnMapping) -> list[Note]:
    """Supplied numbers against re-scored ones, to a millionth of their size."""
    if mapping.prediction is None:
        return []
    table = source.table
    supplied, scored = table[mapping.prediction].cast("float64"), table[cube.SCORE]
    gap = (supplied - scored).abs()
    wrong = gap.isnull() | gap.isnan() | (gap > SCORE_TOLERANCE * (1 + scored.abs()))
    differing = _count(table.filter(wrong))
    if not differing:
        return []
    text = f"{differing} of {source.rows} supplied predictions are not the model's"
    counts = {"rows": source.rows, "differing": differing}
    return [Note("prediction_mismatch", text, counts, finding=True)]


def _count(table: Any) -> int:
    return int(table.count().to_pyarrow().as_py())
