"""Comparisons within each stratum of the controls, and the worst of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from monitoring.engine.checks.fairness.comparing import Comparer, left_out
from monitoring.engine.checks.fairness.frames import Frame
from monitoring.engine.checks.fairness.groups import Compared, prepare
from monitoring.engine.checks.fairness.rates import rates
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.cube import Cell, Contingency
from monitoring.engine.results import BETWEEN, INSUFFICIENT, MeasurementValue
from monitoring.metrics.fairness import CONDITIONAL, Comparison, is_conditional


def within_strata(
    cube: Contingency, attributes: Sequence[str], settings: Settings
) -> list[MeasurementValue]:
    """All that is measured of a grouping, within each stratum; then the worst of the strata.

    The worst stratum's figure is named `conditional_...`. Its interval covers the comparisons of
    all strata at once, and its p is the smallest of theirs times their number.
    """
    measured: list[MeasurementValue] = []
    comparers = []
    for stratum, part in _strata(cube.by([*settings.controls, *attributes]), settings.controls):
        compared = prepare(part, settings.needed, settings, stratum)
        frame = frame_of(compared, settings)
        measured += rates(compared, frame, settings, settings.rates)
        comparer = Comparer(compared, frame, settings)
        found = [comparer.compare(one) for one in settings.comparisons if _summed(one)]
        measured += [*found, *left_out(found)]
        comparers.append(comparer)
    for one in settings.comparisons:
        if is_conditional(one):
            measured.append(_worst(one, attributes, comparers, settings))
    return measured


def frame_of(compared: Compared, settings: Settings) -> Frame | None:
    """Fairlearn's frame over the groups that are known, if there is anything to measure."""
    groups = [group for group in compared.known() if compared.tables[group].predicted]
    if not groups or not settings.needed:
        return None
    return Frame(compared.cube, settings.needed, groups, settings)


def _summed(one: Comparison) -> bool:
    return one.against != "reference"


def _strata(
    cube: Contingency, controls: Sequence[str]
) -> list[tuple[Mapping[str, str], Contingency]]:
    cells: dict[tuple[str, ...], list[Cell]] = {}
    depth = len(controls)
    for cell in cube.cells:
        inner = replace(cell, group=cell.group[depth:])
        cells.setdefault(cell.group[:depth], []).append(inner)
    return [
        (
            dict(zip(controls, stratum, strict=True)),
            Contingency(cube.attributes[depth:], tuple(cells[stratum])),
        )
        for stratum in sorted(cells)
    ]


def _worst(
    one: Comparison, attributes: Sequence[str], comparers: Sequence[Comparer], settings: Settings
) -> MeasurementValue:
    found: list[tuple[Comparer, float]] = []
    for comparer in comparers:
        values = comparer.values(one) if len(comparer.compared.kept(*one.rates)) > 1 else None
        if values:
            chosen = min if one.form == "ratio" else max
            found.append((comparer, chosen(values.values())))
    left = [c.compared.stratum for c in comparers if c not in [kept for kept, _ in found]]
    few = MeasurementValue(
        CONDITIONAL + one.name,
        dict.fromkeys(attributes, BETWEEN),
        None,
        undefined_reason=INSUFFICIENT,
        unit=one.unit,
        detail={"strata": len(found), "strata_left_out": [dict(stratum) for stratum in left]},
    )
    if not found:
        return few
    sign = -1.0 if one.form == "ratio" else 1.0
    worst, value = max(found, key=lambda pair: sign * pair[1])
    families = [family for comparer, _ in found for family in comparer.contrasts(one)]
    interval, method = worst.interval_of(one, families, value)
    detail = {**few.detail, "stratum": dict(worst.compared.stratum)}
    p_values = [comparer.p_value(one) for comparer, _ in found]
    detail["p"] = min(1.0, len(p_values) * min(p_values))
    return replace(
        few,
        value=value,
        lower=interval.lower,
        upper=interval.upper,
        level=settings.level,
        n=sum(comparer.people(one) for comparer, _ in found),
        undefined_reason=None,
        method=f"fairlearn within strata, {method}",
        detail=detail,
    )
