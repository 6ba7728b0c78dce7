"""Explainability: what the model looks at, from attributions of its own outputs."""

from pathlib import Path

from kernel.errors import Invalid
from monitoring.engine import explaining
from monitoring.engine.checks import explainability
from monitoring.engine.job import CheckJob
from monitoring.engine.work import Clock, Worked


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    clock("explaining the model", 0.05)
    explained, scored = explaining.explain(job, workdir, clock.between(0.05, 0.9))
    if job.input_spec is None:
        raise Invalid("an explanation needs the input spec", field="input_spec")
    clock("measuring", 0.9)
    result = explainability.measure(explained, job.input_spec, job.mapping, job.config)
    rows = scored.source.rows
    return Worked({"explanation": explained}, result, "re-performed", rows, [scored], [])
