"""Rates and impact ratios of New York City's Local Law 144 (6 RCNY 5-301).

In the mode `selection` a category's rate is the share of it that was selected, in `scoring` the
share with a score above the median of all. The impact ratio is a category's rate over the highest
rate of a category. Categories of less than 2 % of those whose category is known may be left out:
they then set no highest rate and have no ratio, and their number and rate are told all the same.
People of an unknown category count in nothing but their number.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitoring.configs.fairness import LocalLaw144
from monitoring.engine import statistics
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.checks.tables import by_group
from monitoring.engine.cube import Contingency, Group
from monitoring.engine.cube.medians import AboveMedian
from monitoring.engine.mapping import UNKNOWN
from monitoring.engine.plots import interval_plot
from monitoring.engine.results import (
    BETWEEN,
    NO_DENOMINATOR,
    CheckResult,
    MeasurementValue,
    Note,
)
from monitoring.engine.statistics import Dealt, Interval, extremes, samples
from monitoring.engine.statistics.samples import Sample
from monitoring.metrics.fairness import LL144_IMPACT_RATIO, LL144_RATE, LL144_UNKNOWN

SMALL_CATEGORY = "excluded_small_category"
"""Of less than the declared share of people: left out of ratios, as the rule allows."""

Counts = Mapping[Group, tuple[int, int]]


def local_law_144(
    people: Contingency, above: AboveMedian | None, law: LocalLaw144, settings: Settings
) -> CheckResult:
    """Rates, impact ratios and unknown counts for each attribute and for all of them together."""
    result = CheckResult([])
    for attributes in law_groupings(people.attributes, law):
        counts = _counts(people, above, law, attributes)
        _category(attributes, counts, law, settings, result)
    if law.mode == "scoring" and above is not None and above.median is not None:
        text = f"scoring rates are of scores above {above.median:.6g}, the median of all"
        result.notes.append(Note("ll144_median", text, {"median": above.median}))
    return result


def law_groupings(everything: Sequence[str], law: LocalLaw144) -> tuple[tuple[str, ...], ...]:
    """Those named, or each attribute and all of them together."""
    together = [tuple(everything)] if len(everything) > 1 else []
    return law.groupings or (*((name,) for name in everything), *together)


def _counts(
    people: Contingency, above: AboveMedian | None, law: LocalLaw144, attributes: Sequence[str]
) -> Counts:
    if law.mode == "scoring":
        return above.by(attributes) if above is not None else {}
    tables = by_group(people.by(attributes))
    return {group: (one.selected, one.predicted) for group, one in tables.items()}


def _category(
    attributes: Sequence[str],
    counts: Counts,
    law: LocalLaw144,
    settings: Settings,
    result: CheckResult,
) -> None:
    known = {group: one for group, one in counts.items() if UNKNOWN not in group and one[1]}
    total = sum(n for _, n in known.values())
    kept = {g: one for g, one in known.items() if one[1] >= law.exclude_below * total}
    rates = [_rate(attributes, g, one, total, law, settings) for g, one in known.items()]
    ratios = _ratios(attributes, known, kept, settings)
    by, name = " and ".join(attributes).replace("_", " "), "_".join(attributes)
    labelled = [(", ".join(one.slice.values()), one) for one in ratios]
    title = f"Local Law 144: impact ratio by {by}"
    result.plots.append(interval_plot(f"ll144_impact_ratio_by_{name}", title, labelled, "ratio"))
    result.measurements.extend([*rates, *ratios, _unknown(attributes, counts, total)])


def _rate(
    attributes: Sequence[str],
    group: Group,
    one: tuple[int, int],
    total: int,
    law: LocalLaw144,
    settings: Settings,
) -> MeasurementValue:
    k, n = one
    wilson = statistics.wilson(k, n, settings.level)
    return MeasurementValue(
        LL144_RATE[law.mode],
        dict(zip(attributes, group, strict=True)),
        k / n,
        wilson.lower,
        wilson.upper,
        settings.level,
        n,
        method="wilson",
        unit="rate",
        detail={"count": k, "share": n / total},
    )


def _ratios(
    attributes: Sequence[str], known: Counts, kept: Counts, settings: Settings
) -> list[MeasurementValue]:
    """The ratio of each category to the highest rate, which no category left out may set."""
    groups = list(kept)
    rates = {group: k / n for group, (k, n) in kept.items()}
    highest = max(groups, key=lambda group: rates[group]) if groups else ()
    counts = [k for k, _ in kept.values()], [n for _, n in kept.values()]
    names = LL144_IMPACT_RATIO, "permutation", *attributes
    if groups:
        stream = statistics.generator(settings.seed, LL144_IMPACT_RATIO, *attributes)
        drawn = samples.sample(*counts, stream, samples.LOGARITHM)
        dealt = Dealt([counts], statistics.generator(settings.seed, *names))
    measured = []
    for group, (k, n) in known.items():
        base = MeasurementValue(
            LL144_IMPACT_RATIO,
            dict(zip(attributes, group, strict=True)),
            None,
            n=n,
            undefined_reason=NO_DENOMINATOR if group in kept else SMALL_CATEGORY,
            unit="ratio",
        )
        if group in kept and rates[highest]:
            value = rates[group] / rates[highest]
            place = groups.index(group)
            interval = _interval(drawn, place, settings.level)
            detail: dict[str, Any] = {"reference": dict(zip(attributes, highest, strict=True))}
            if group != highest:
                detail["p"] = dealt.under_the_best(place, samples.LOGARITHM)
            base = replace(
                base,
                value=value,
                undefined_reason=None,
                lower=min(interval.lower, value) if k else 0.0,
                upper=max(interval.upper, value),
                level=settings.level,
                method="bootstrap within groups, comparison with the best",
                detail=detail,
            )
        measured.append(base)
    return measured


def _interval(drawn: Sample, place: int, level: float) -> Interval:
    if drawn.groups < 2:
        return Interval(1.0, 1.0)
    interval = extremes.largest([extremes.under_the_best(drawn, place)], level)
    return Interval(math.exp(-interval.upper), math.exp(-interval.lower))


def _unknown(attributes: Sequence[str], counts: Counts, total: int) -> MeasurementValue:
    unknown = sum(n for group, (_, n) in counts.items() if UNKNOWN in group)
    return MeasurementValue(
        LL144_UNKNOWN,
        dict.fromkeys(attributes, BETWEEN),
        float(unknown),
        n=total + unknown,
        method="counted",
        unit="count",
    )
