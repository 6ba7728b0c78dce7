"""Performance: how often the model is right, and how well its scores say so."""

from pathlib import Path
from typing import Any

from monitoring.engine import cube
from monitoring.engine.checks import performance
from monitoring.engine.job import CheckJob
from monitoring.engine.rescoring import open_scored
from monitoring.engine.work import Clock, Worked, grade_of, need_label


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    need_label(job)
    clock("scoring the model", 0.05)
    scored = open_scored(job, job.dataset, workdir, clock.between(0.05, 0.6))
    try:
        clock("counting", 0.6)
        counts = cube.contingency(scored.source, job.mapping)
        scores = cube.score_cube(scored.source, job.mapping)
        clock("measuring", 0.8)
        result = performance.measure(counts, scores, job.config, job.effective_seed())
        aggregates: dict[str, Any] = {"contingency": counts.to_json()}
        aggregates["scores"] = scores.to_json() if scores else None
        rows = scored.source.rows
    finally:
        scored.source.close()
    return Worked(aggregates, result, grade_of(scored), rows, [scored], [])
