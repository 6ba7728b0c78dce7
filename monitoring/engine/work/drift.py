"""Drift: the data now against the data then."""

from pathlib import Path
from typing import Any

from kernel.errors import Invalid
from monitoring.engine import columns, cube, evidently_report
from monitoring.engine.checks import drift
from monitoring.engine.comparing import Comparison
from monitoring.engine.documents import Fields
from monitoring.engine.job import GRADES, CheckJob
from monitoring.engine.reference_profile import ReferenceProfile
from monitoring.engine.rescoring import Scored, open_scored
from monitoring.engine.results import Grade, Note
from monitoring.engine.work import Clock, Worked, grade_of, model_of


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    if not job.mapping.features:
        raise Invalid("drift needs the features", field="mapping.features")
    if job.reference_profile is not None:
        return _against_profile(job, job.reference_profile, workdir, clock)
    if job.reference is None:
        raise Invalid("drift needs a reference dataset", field="reference")
    clock("scoring the reference", 0.05)
    reference = open_scored(
        job, job.reference, workdir, clock.between(0.05, 0.3), field="reference", required=False
    )
    try:
        clock("scoring the model", 0.3)
        current = open_scored(job, job.dataset, workdir, clock.between(0.3, 0.5), required=False)
        try:
            clock("counting", 0.5)
            profiles, compared = columns.gather(reference.source, current.source, job.mapping)
            rows = current.source.rows
        finally:
            current.source.close()
    finally:
        reference.source.close()
    grade = min(grade_of(reference), grade_of(current), key=GRADES.index)
    return _measured(job, clock, profiles, compared, [], grade, rows, [reference, current])


def _against_profile(
    job: CheckJob, stored: ReferenceProfile, workdir: Path, clock: Clock
) -> Worked:
    """The same against the profiles of an earlier run: no row of the reference is read."""
    if job.reference is not None:
        raise Invalid("give a reference dataset or a reference profile", field="reference_profile")
    clock("reading the reference's profiles", 0.05)
    before = stored.load()
    clock("scoring the model", 0.1)
    current = open_scored(job, job.dataset, workdir, clock.between(0.1, 0.5), required=False)
    try:
        clock("counting", 0.5)
        same_model = before.model == model_of(job, [current])
        profiles, compared, left = columns.gather_against(
            before.features, before.answers if same_model else {}, current.source, job.mapping
        )
        rows = current.source.rows
    finally:
        current.source.close()
    notes = []
    if before.answers and not same_model:
        text = "the reference profile holds the answers of another model: they are not compared"
        notes.append(Note("answers_of_another_model", text))
    if left:
        text = f"{len(left)} columns have too many different values to be compared by profile"
        notes.append(Note("columns_without_profile", text, {"columns": len(left)}))
    grade = min(stored.grade, grade_of(current), key=GRADES.index)
    return _measured(job, clock, profiles, compared, notes, grade, rows, [current])


def _measured(
    job: CheckJob,
    clock: Clock,
    profiles: dict[str, Any],
    compared: list[Comparison],
    notes: list[Note],
    grade: Grade,
    rows: int,
    scored: list[Scored],
) -> Worked:
    clock("measuring", 0.7)
    result = drift.measure(compared, job.config)
    result.notes.extend(notes)
    aggregates = {"profiles": profiles, "comparisons": [one.to_json() for one in compared]}
    clock("reporting by evidently", 0.8)
    html = Fields(job.config, "config", drift.FIELDS).flag("html", False)
    attachments = evidently_report.report(result.measurements, cube.seal(aggregates)[1], html=html)
    return Worked(aggregates, result, grade, rows, scored, attachments)
