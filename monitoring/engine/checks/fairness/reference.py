"""Each group compared with a group of reference: impact ratios, differences."""

import math
from collections.abc import Sequence
from dataclasses import replace

from kernel.errors import Invalid
from monitoring.engine import statistics
from monitoring.engine.checks.fairness.counting import SHAPES, denominator, figure, parts
from monitoring.engine.checks.fairness.groups import Compared
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.cube import Group
from monitoring.engine.results import NO_DENOMINATOR, MeasurementValue
from monitoring.engine.statistics import Dealt, Interval, extremes, samples
from monitoring.engine.statistics.samples import Sample
from monitoring.metrics.fairness import Comparison


def against_reference(
    one: Comparison, compared: Compared, settings: Settings
) -> list[MeasurementValue]:
    """Ratio or signed difference of each group's rate to that of the group of reference.

    A group that is left out of comparisons has none, and is never the reference. The group with
    the highest rate is found from the same data, and some other may truly have it: its own
    interval, and those of the others, allow for that (comparison with the best). With a reference
    fixed beforehand two groups are compared: Katz's interval, or Newcombe's. The p of each is that
    of the same comparison by permutation: under the highest at one side, else at both.
    """
    (rate,) = one.rates
    kept = compared.kept(rate)
    chosen, rule = choose(rate, compared, kept, settings)
    highest = rule == "highest" and len(kept) > 1
    drawn = _drawn(rate, one.form == "ratio", kept, compared, settings) if highest else None
    dealt = _dealt(rate, kept, compared, settings) if highest else None
    measured = []
    for group in compared.tables:
        about = compared.slice(group)
        base = MeasurementValue(
            one.name,
            about,
            None,
            n=denominator(rate, compared.tables[group]),
            undefined_reason=NO_DENOMINATOR,
            unit=one.unit,
            method="excluded from the comparison",
            detail={"reference_rule": rule},
        )
        if group not in kept:
            base = replace(base, undefined_reason=compared.left_out[rate][group])
        elif chosen and (one.form == "difference" or figure_of(compared, rate, chosen)):
            if drawn is not None:
                interval = _to_the_highest(one, drawn, kept.index(group), settings.level)
                method = "bootstrap within groups, comparison with the best"
            else:
                interval, method = _to_a_fixed(one, group, chosen, compared, settings.level)
            base = replace(base, method=method)
            base = _compared(one, base, group, chosen, compared, interval, settings.level)
            if group != chosen:
                shape = SHAPES[rate][int(one.form == "ratio")]
                pair = dealt or _dealt(rate, (group, chosen), compared, settings)
                place = kept.index(group)
                p = pair.under_the_best(place, shape) if dealt else pair.between(shape)
                base = replace(base, detail={**base.detail, "p": p})
        measured.append(base)
    return measured


def choose(
    rate: str, compared: Compared, kept: Sequence[Group], settings: Settings
) -> tuple[Group | None, str]:
    """The group of reference among those that may be compared, and by what rule.

    Raises:
        Invalid: the configuration names a group that is not in the data.
    """
    named = settings.reference.named
    if named and all(name in named for name in compared.attributes):
        group = tuple(named[name] for name in compared.attributes)
        if group not in compared.tables and not compared.stratum:
            which = compared.attributes[0]
            raise Invalid(
                f"the data has no group {', '.join(group)}", field=f"config.reference.{which}"
            )
        return (group if group in kept else None), "named"
    if not kept:
        return None, settings.reference.rule
    if settings.reference.rule == "largest":
        return max(kept, key=lambda group: denominator(rate, compared.tables[group])), "largest"
    return max(kept, key=lambda group: figure_of(compared, rate, group)), "highest"


def figure_of(compared: Compared, rate: str, group: Group) -> float:
    return figure(rate, compared.tables[group])


def _compared(
    one: Comparison,
    base: MeasurementValue,
    group: Group,
    chosen: Group,
    compared: Compared,
    interval: Interval,
    level: float,
) -> MeasurementValue:
    (rate,) = one.rates
    mine, other = (figure_of(compared, rate, each) for each in (group, chosen))
    value = mine / other if one.form == "ratio" else mine - other
    # Nobody of the group was chosen: any ratio down to nothing is possible.
    lower = interval.lower if mine or one.form == "difference" else 0.0
    return replace(
        base,
        value=value,
        undefined_reason=None,
        lower=min(lower, value),
        upper=max(interval.upper, value),
        level=level,
        detail={**base.detail, "reference": compared.slice(chosen), "reference_rate": other},
    )


def _to_the_highest(one: Comparison, drawn: Sample, place: int, level: float) -> Interval:
    interval = extremes.largest([extremes.under_the_best(drawn, place)], level)
    if one.form == "ratio":
        return Interval(math.exp(-interval.upper), math.exp(-interval.lower))
    return Interval(max(-1.0, -interval.upper), -interval.lower)


def _to_a_fixed(
    one: Comparison, group: Group, chosen: Group, compared: Compared, level: float
) -> tuple[Interval, str]:
    if group == chosen:
        same = 1.0 if one.form == "ratio" else 0.0
        return Interval(same, same), "the reference itself"
    first, second = (parts(one.rates[0], compared.tables[each]) for each in (group, chosen))
    if one.form == "ratio":
        return statistics.katz(first, second, level), "katz log"
    return statistics.newcombe(first, second, level), "newcombe"


def _dealt(rate: str, groups: Sequence[Group], compared: Compared, settings: Settings) -> Dealt:
    pairs = [parts(rate, compared.tables[group]) for group in groups]
    names = [name for group in groups[:-1] for name in group]
    stream = statistics.generator(
        settings.seed, "reference permutation", rate, *names, *compared.purpose()
    )
    return Dealt([([k for k, _ in pairs], [n for _, n in pairs])], stream)


def _drawn(
    rate: str, logarithm: bool, kept: Sequence[Group], compared: Compared, settings: Settings
) -> Sample:
    pairs = [parts(rate, compared.tables[group]) for group in kept]
    stream = statistics.generator(settings.seed, "reference", rate, *compared.purpose())
    shape = samples.LOGARITHM if logarithm else samples.SHARE
    return samples.sample([k for k, _ in pairs], [n for _, n in pairs], stream, shape)
