"""Performance: how often the model is right, and how well its scores say so."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kernel.errors import Invalid
from monitoring.engine import cube
from monitoring.engine.checks import performance
from monitoring.engine.checks.performance import Compared
from monitoring.engine.cube.expected import ExpectedCube, expected_cube
from monitoring.engine.cube.paired import OTHER_PREDICTION, OTHER_SCORE, paired_cube
from monitoring.engine.cube.paired_errors import paired_errors
from monitoring.engine.cube.regression import regression_cube, sorted_sizes
from monitoring.engine.job import CheckJob
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.rescoring import Scored, open_pair, open_scored
from monitoring.engine.results import CheckResult
from monitoring.engine.sources import Source
from monitoring.engine.work import Clock, Worked, grade_of, need_label

_BOTH = ("groupings",)


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    """Count and measure by sensitive groups, and by the mapping's controls as slices of their own."""
    if not job.config.get("estimate"):
        need_label(job)
    clock("scoring the model", 0.05)
    scored = open_scored(job, job.dataset, workdir, clock.between(0.05, 0.4))
    try:
        with _paired(job, scored, workdir, clock) as pair:
            clock("counting", 0.6)
            aggregates: dict[str, Any] = {}
            results = []
            for name, mapping, config in parts(job.mapping, job.config):
                found, result = _measured(job, mapping, config, scored.source, pair)
                aggregates |= found if not name else {name: found}
                results.append(result)
            clock("measuring", 0.8)
        rows = scored.source.rows
    finally:
        scored.source.close()
    if job.comparator is not None:
        aggregates["compared_with"] = job.comparator.identity()
    return Worked(aggregates, joined(results), grade_of(scored), rows, [scored], [])


@contextmanager
def _paired(job: CheckJob, scored: Scored, workdir: Path, clock: Clock) -> Iterator[Source | None]:
    """The rows with the other model's answers beside this one's, if there is another."""
    if job.comparator is None:
        yield None
        return
    clock("scoring the version compared with", 0.4)
    pair = open_pair(job, scored, workdir, clock.between(0.4, 0.6))
    try:
        yield pair
    finally:
        pair.close()


def parts(
    mapping: ColumnMapping, asked: Mapping[str, Any]
) -> list[tuple[str, ColumnMapping, dict[str, Any]]]:
    """The sensitive attributes, and apart from them the controls, each with its groupings.

    The first stands in the cube itself, the second under its name.

    Raises:
        Invalid: a grouping mixes them, or names neither.
    """
    wanted = list(asked.get("groupings") or [])
    sensitive, controls = (
        {one.name for one in part} for part in (mapping.sensitive, mapping.controls)
    )
    slices = []
    for index, one in enumerate(wanted):
        names = set([one] if isinstance(one, str) else one if isinstance(one, list) else ())
        if names & controls:
            if names & sensitive:
                raise Invalid(
                    "mixes sensitive attributes and controls", field=f"config.groupings[{index}]"
                )
            slices.append(one)
    own = [one for one in wanted if one not in slices]
    config = {name: value for name, value in asked.items() if name not in _BOTH}
    found = []
    if own or not wanted or not slices:
        found.append(("", mapping, {**config, **({"groupings": own} if own else {})}))
    else:
        # Every grouping is of controls: everybody is measured, and no sensitive group.
        found.append(("", replace(mapping, sensitive=()), config))
    if controls and (slices or not wanted):
        apart = {**config, **({"groupings": slices} if slices else {})}
        found.append(("slices", replace(mapping, sensitive=mapping.controls), apart))
    return found


def _measured(
    job: CheckJob,
    mapping: ColumnMapping,
    config: dict[str, Any],
    source: Source,
    pair: Source | None,
) -> tuple[dict[str, Any], CheckResult]:
    if mapping.task != "classification":
        return _regression(job, mapping, config, source, pair)
    counts, scores = cube.contingency(source, mapping), cube.score_cube(source, mapping)
    expected = _expected(source, mapping) if config.get("estimate") else None
    compared = _compared(pair, mapping) if pair is not None else None
    result = performance.measure(
        counts, scores, config, job.effective_seed(), expected=expected, compared=compared
    )
    aggregates: dict[str, Any] = {
        "contingency": counts.to_json(),
        "scores": scores.to_json() if scores else None,
    }
    if expected is not None:
        aggregates["expected"] = expected.to_json()
    if compared is not None:
        aggregates["paired"] = compared.to_json(scores)
    return aggregates, result


def _expected(source: Source, mapping: ColumnMapping) -> ExpectedCube:
    found = expected_cube(source, mapping)
    if found is None:
        raise Invalid("an estimate needs scores and predictions", field="config.estimate")
    return found


def _compared(pair: Source, mapping: ColumnMapping) -> Compared:
    """Both models over the rows for which both gave an answer."""
    ours = cube.score_of(pair, mapping)
    scores: list[Any] = [None, None]
    if ours is not None:
        table = pair.table.mutate(countersign_ours=ours)
        other = table[OTHER_SCORE]
        known = [table.countersign_ours.notnull(), ~table.countersign_ours.isnan()]
        both = table.filter(*known, other.notnull(), ~other.isnan())
        for place, name in enumerate(("countersign_ours", OTHER_SCORE)):
            given = both.mutate(**{cube.SCORE: both[name]})
            scores[place] = cube.score_cube(replace(pair, table=given), mapping)
    cells = paired_cube(pair, mapping)
    if cells is None:
        raise Invalid(
            f"a comparison needs labels and decisions of both ({OTHER_PREDICTION})",
            field="config.compare_with",
        )
    return Compared(cells, *scores)


def _regression(
    job: CheckJob,
    mapping: ColumnMapping,
    config: dict[str, Any],
    source: Source,
    pair: Source | None,
) -> tuple[dict[str, Any], CheckResult]:
    found, bins = regression_cube(source, mapping)
    wanted = performance.ranks_wanted(found, config)
    sizes = {
        attributes: sorted_sizes(source, mapping, attributes, ranks)
        for attributes, ranks in wanted.items()
    }
    paired = paired_errors(pair, mapping) if pair is not None else None
    result = performance.measure_regression(
        found, sizes, config, job.effective_seed(), paired=paired
    )
    kept = [
        [list(attributes), list(group), sorted([rank, size] for rank, size in places.items())]
        for attributes, groups in sizes.items()
        for group, places in groups.items()
    ]
    aggregates = {
        "regression": found.to_json(),
        "error_bins": bins.to_json(),
        "sorted_errors": kept,
    }
    if paired is not None:
        aggregates["paired_errors"] = paired.to_json()
    return aggregates, result


def joined(results: list[CheckResult]) -> CheckResult:
    """The parts' results as one; everybody is measured once."""
    first, *others = results
    measurements, plots = list(first.measurements), list(first.plots)
    names = {plot.name for plot in plots}
    for one in others:
        measurements += [found for found in one.measurements if found.slice]
        plots += [plot for plot in one.plots if plot.name not in names]
    return CheckResult(measurements, plots, first.notes)
