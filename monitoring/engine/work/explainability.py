"""Explainability: what the model looks at, from attributions of its own outputs."""

from pathlib import Path

from kernel.errors import Invalid
from monitoring.engine import explaining
from monitoring.engine.checks import explainability
from monitoring.engine.job import CheckJob
from monitoring.engine.sources import open_source
from monitoring.engine.work import Clock, Worked


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    settings = explainability.settings(job.config, job.mapping)
    clock("explaining the model", 0.05)
    found = explaining.explain(job, settings, workdir, clock.between(0.05, 0.8))
    spec = job.input_spec
    if spec is None:
        raise Invalid("an explanation needs the input spec", field="input_spec")
    explained = found.aggregates
    if settings.proxy_screen:
        # The library takes a second to load, so that only who asks for the screen waits for it.
        from monitoring.engine import proxies

        clock("screening for proxies", 0.8)
        source = open_source(job.dataset, workdir, limits=job.engine)
        try:
            screened = proxies.screen(
                source, spec, job.mapping, settings.proxy_rows, job.effective_seed()
            )
        finally:
            source.close()
        explained = {**explained, "proxy": proxies.document(screened)}
    clock("measuring", 0.95)
    result = explainability.measure(explained, spec, job.mapping, job.config)
    rows = found.scored.source.rows
    return Worked(
        {"explanation": explained}, result, "re-performed", rows, [found.scored], found.attachments
    )
