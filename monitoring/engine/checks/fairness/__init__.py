"""Fairness by group: rates with intervals, and comparisons between groups that may be compared.

Rates and comparisons are Fairlearn's, computed on weighted cells. What Fairlearn leaves out is
added: a group too small for a rate has none, and is excluded before a difference is formed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitoring.engine import statistics
from monitoring.engine.checks.fairness.bound import refuse_what_nobody_reads
from monitoring.engine.checks.fairness.calibration import calibration
from monitoring.engine.checks.fairness.comparing import Comparer, left_out
from monitoring.engine.checks.fairness.drawing import notes, plots
from monitoring.engine.checks.fairness.groups import prepare
from monitoring.engine.checks.fairness.law import local_law_144
from monitoring.engine.checks.fairness.rates import rates
from monitoring.engine.checks.fairness.reference import against_reference
from monitoring.engine.checks.fairness.settings import FIELDS, Settings, read
from monitoring.engine.checks.fairness.strata import frame_of, within_strata
from monitoring.engine.checks.fairness.subgroups import search
from monitoring.engine.checks.tables import by_group, one_sided
from monitoring.engine.cube import Contingency, ScoreCube
from monitoring.engine.cube.medians import AboveMedian
from monitoring.engine.results import CheckResult, MeasurementValue, Note

__all__ = ["FIELDS", "measure"]


def measure(
    cube: Contingency,
    config: Mapping[str, Any],
    seed: int,
    *,
    controls: Sequence[str] = (),
    scores: ScoreCube | None = None,
    above_median: AboveMedian | None = None,
    labelled: bool = True,
) -> CheckResult:
    """Rates of each group and the comparisons between groups, and what else `config` asks for.

    `config` may hold `groupings`, `intersections`, `minimum`, `level`, `include_missing` (see
    `tables.GroupConfig`) and what `monitoring.configs.fairness` tells. `controls` are those
    attributes of the cube that are no sensitive ones, `scores` is needed for calibration,
    `above_median` for the scoring mode of Local Law 144. Unless `labelled` no column of outcomes is
    declared: selection rates and their comparisons are all that is measured.

    Measurements: each rate by group; each comparison for the grouping, whose slice has `*` for
    the attributes, and once more, undefined, for each group that had to be excluded. A difference
    of two groups has Newcombe's interval of the signed difference from the higher to the lower
    group, which contains 0 if the groups may be alike; `detail` names both, the excluded groups
    and the permutation test's p, adjusted by Holm and by Benjamini-Hochberg over all comparisons
    of the check.

    Raises:
        Invalid: naming the field of `config`.
    """
    attributes = [name for name in cube.attributes if name not in controls]
    settings = read(config, attributes, controls, seed, labelled=labelled)
    refuse_what_nobody_reads(cube, attributes, settings, config)
    found = CheckResult([], notes=[*one_sided(cube), *_without(cube, settings, labelled)])
    for grouping in settings.groups.groupings:
        _grouping(cube, grouping, settings, found)
    if settings.calibration:
        _extend(found, calibration(scores, settings))
    if settings.subgroups:
        _extend(found, search(cube, attributes, controls, settings))
    if settings.ll144:
        people = cube.by(attributes)
        _extend(found, local_law_144(people, above_median, settings.ll144, settings))
    return CheckResult(_adjusted(found.measurements), found.plots, found.notes)


def _without(cube: Contingency, settings: Settings, labelled: bool) -> list[Note]:
    """Notes on what the configuration or the usual takes for granted and the data do not have."""
    found = []
    if not labelled:
        text = "without outcomes selection rates and their comparisons are measured, and no others"
        found.append(Note("no_outcomes", text))
    for attribute, group in settings.reference.named.items():
        if (group,) not in by_group(cube.by((attribute,))):
            text = f"the data has no group {group} of {attribute} to compare with"
            found.append(Note("unknown_reference", text))
    return found


def _grouping(
    cube: Contingency, attributes: Sequence[str], settings: Settings, found: CheckResult
) -> None:
    compared = prepare(cube.by(attributes), settings.needed, settings)
    frame = frame_of(compared, settings)
    measured = rates(compared, frame, settings, settings.rates)
    comparer = Comparer(compared, frame, settings)
    between = [comparer.compare(one) for one in settings.comparisons if one.against != "reference"]
    measured += [*between, *left_out(between)]
    for one in settings.comparisons:
        if one.against == "reference":
            measured += against_reference(one, compared, settings)
    found.measurements.extend(measured)
    found.plots.extend(plots(compared, measured))
    found.notes.extend(notes(compared))
    if settings.controls:
        found.measurements.extend(within_strata(cube, attributes, settings))


def _extend(found: CheckResult, more: CheckResult) -> None:
    found.measurements.extend(more.measurements)
    found.plots.extend(more.plots)
    found.notes.extend(more.notes)


def _adjusted(measurements: list[MeasurementValue]) -> list[MeasurementValue]:
    tested = [index for index, one in enumerate(measurements) if "p" in one.detail]
    p_values = [float(measurements[index].detail["p"]) for index in tested]
    adjusted = list(measurements)
    columns = zip(
        tested, statistics.holm(p_values), statistics.benjamini_hochberg(p_values), strict=True
    )
    for index, p_holm, p_bh in columns:
        one = measurements[index]
        adjusted[index] = replace(one, detail={**one.detail, "p_holm": p_holm, "p_bh": p_bh})
    return adjusted
