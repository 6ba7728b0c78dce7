"""Drift: the data now against the data then."""

from pathlib import Path

from kernel.errors import Invalid
from monitoring.engine import columns, cube, evidently_report
from monitoring.engine.checks import drift
from monitoring.engine.documents import Fields
from monitoring.engine.job import GRADES, CheckJob
from monitoring.engine.rescoring import open_scored
from monitoring.engine.work import Clock, Worked, grade_of


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    if job.reference is None:
        raise Invalid("drift needs a reference dataset", field="reference")
    if not job.mapping.features:
        raise Invalid("drift needs the features", field="mapping.features")
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
    clock("measuring", 0.7)
    result = drift.measure(compared, job.config)
    aggregates = {"profiles": profiles, "comparisons": [one.to_json() for one in compared]}
    clock("reporting by evidently", 0.8)
    html = Fields(job.config, "config", drift.FIELDS).flag("html", False)
    attachments = evidently_report.report(result.measurements, cube.seal(aggregates)[1], html=html)
    grade = min(grade_of(reference), grade_of(current), key=GRADES.index)
    return Worked(aggregates, result, grade, rows, [reference, current], attachments)
