"""Fairness: the decisions of the model, group by group."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kernel.errors import Invalid
from monitoring.configs import fairness as fairness_config
from monitoring.engine import conformance, cube
from monitoring.engine.checks import fairness, groups
from monitoring.engine.cube.medians import above_median
from monitoring.engine.documents import Fields
from monitoring.engine.job import CheckJob
from monitoring.engine.mapping import SensitiveAttribute
from monitoring.engine.rescoring import open_scored
from monitoring.engine.results import CheckResult
from monitoring.engine.sources import Source
from monitoring.engine.work import Clock, Worked, grade_of


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    mapping = job.mapping
    if not (mapping.sensitive or mapping.proxied or mapping.not_collected):
        raise Invalid("fairness needs a sensitive attribute", field="mapping.sensitive")
    own, apart = groups.split(mapping, job.config)
    clock("scoring the model", 0.05)
    scored = open_scored(job, job.dataset, workdir, clock.between(0.05, 0.6))
    try:
        if scored.predictions is None and job.mapping.prediction is None:
            raise Invalid("fairness needs decisions", field="mapping.prediction")
        if own is None:
            counts = cube.contingency(scored.source, mapping)
            aggregates, result = {"contingency": counts.to_json()}, CheckResult([])
        else:
            aggregates, result = _measured(replace(job, config=own), scored.source, clock)
        estimated = {
            one.name: cube.estimated_contingency(
                scored.source, mapping, one, apart.measured_with(one.name, mapping)
            )
            for one in mapping.proxied
        }
        if estimated:
            aggregates["estimated"] = {name: one.to_json() for name, one in estimated.items()}
        result = groups.joined(result, groups.measure(mapping, estimated, apart))
        attachments = []
        if Fields(job.config, "config", tuple(job.config)).flag("conformance", False):
            clock("comparing with the libraries' own figures", 0.9)
            proof, note = conformance.fairness(
                scored.source, mapping, workdir, job.effective_seed(), job.floor
            )
            attachments.append(proof)
            result.notes.append(note)
        rows = scored.source.rows
    finally:
        scored.source.close()
    return Worked(aggregates, result, grade_of(scored), rows, [scored], attachments)


def _measured(job: CheckJob, source: Source, clock: Clock) -> tuple[dict[str, Any], CheckResult]:
    """Count what the configuration needs, and no more, and measure."""
    clock("counting", 0.6)
    fields = Fields(job.config, "config", tuple(job.config))
    controls = _controls(job, fields)
    counts = cube.contingency(source, job.mapping, controls)
    aggregates: dict[str, Any] = {"contingency": counts.to_json()}
    scores = above = None
    if fields.flag("calibration", False):
        scores = cube.score_cube(source, job.mapping)
        aggregates["scores"] = scores.to_json() if scores else None
    law = fairness_config.ll144(fields)
    if law is not None and law.mode == "scoring":
        above = above_median(source, job.mapping)
        aggregates["above_median"] = above.to_json()
    clock("measuring", 0.7)
    result = fairness.measure(
        counts,
        job.config,
        job.effective_seed(),
        controls=[one.name for one in controls],
        scores=scores,
        above_median=above,
        labelled=job.mapping.label is not None,
    )
    return aggregates, result


def _controls(job: CheckJob, fields: Fields) -> Sequence[SensitiveAttribute]:
    """The controls that strata are asked for, or all if subgroups are to be made of them too."""
    named = fields.texts("controls")
    search = fairness_config.subgroups(fields)
    everything = search is not None and search.controls
    return [one for one in job.mapping.controls if everything or one.name in named]
