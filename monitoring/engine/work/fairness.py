"""Fairness: the decisions of the model, group by group."""

from pathlib import Path

from kernel.errors import Invalid
from monitoring.engine import cube
from monitoring.engine.checks import fairness
from monitoring.engine.job import CheckJob
from monitoring.engine.rescoring import open_scored
from monitoring.engine.work import Clock, Worked, grade_of, need_label


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    need_label(job)
    if not job.mapping.sensitive:
        raise Invalid("fairness needs a sensitive attribute", field="mapping.sensitive")
    clock("scoring the model", 0.05)
    scored = open_scored(job, job.dataset, workdir, clock.between(0.05, 0.6))
    try:
        if not scored.model and job.mapping.prediction is None:
            raise Invalid("fairness needs decisions", field="mapping.prediction")
        clock("counting", 0.6)
        counts = cube.contingency(scored.source, job.mapping)
        clock("measuring", 0.7)
        result = fairness.measure(counts, job.config, job.effective_seed())
        rows = scored.source.rows
    finally:
        scored.source.close()
    aggregates = {"contingency": counts.to_json()}
    return Worked(aggregates, result, grade_of(scored), rows, [scored], [])
