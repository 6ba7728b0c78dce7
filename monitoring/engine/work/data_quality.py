"""Data quality: what the data holds, and whether it holds what it should."""

from pathlib import Path

from monitoring.engine import quality
from monitoring.engine.checks import data_quality
from monitoring.engine.job import CheckJob
from monitoring.engine.work import Clock, Worked


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    clock("counting", 0.1)
    facts, profiles = quality.gather(job, workdir)
    clock("measuring", 0.8)
    result = data_quality.measure(facts, job.config)
    aggregates = {"facts": facts.to_json(), "profiles": profiles}
    # Nothing of the model is claimed here: the server counted the data itself.
    return Worked(aggregates, result, "re-performed", facts.rows, [], [])
