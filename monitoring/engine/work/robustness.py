"""Robustness: the model's answers to inputs that are a little off."""

from pathlib import Path

from monitoring.engine import perturbing
from monitoring.engine.checks import robustness
from monitoring.engine.job import CheckJob
from monitoring.engine.work import Clock, Worked


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    settings = robustness.settings(job.config, job.mapping)
    clock("asking the model again", 0.05)
    counted, scored = perturbing.perturb(job, settings, workdir, clock.between(0.05, 0.9))
    clock("measuring", 0.9)
    result = robustness.measure(counted, job.config)
    rows = scored.source.rows
    return Worked({"robustness": counted}, result, "re-performed", rows, [scored], [])
