"""Comparisons between the groups of a grouping, and of each group with everybody."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from monitoring.engine import statistics
from monitoring.engine.checks.fairness.counting import HALVES, SHAPES, denominator, figure, parts
from monitoring.engine.checks.fairness.frames import Frame
from monitoring.engine.checks.fairness.groups import Compared
from monitoring.engine.checks.fairness.settings import Settings
from monitoring.engine.cube import Group
from monitoring.engine.results import INSUFFICIENT, NO_DENOMINATOR, MeasurementValue
from monitoring.engine.statistics import Dealt, Interval, extremes, samples
from monitoring.engine.statistics.base import Floats
from monitoring.engine.statistics.extremes import Contrasts
from monitoring.engine.statistics.samples import SHARE, Sample, Shape
from monitoring.metrics.fairness import BALANCED_ACCURACY, SHARES, TREATMENT_EQUALITY, Comparison

_WITHIN = "bootstrap within groups, max-t"


class Comparer:
    """Compares the groups of one grouping within one stratum. Draws and frames are made once."""

    def __init__(self, compared: Compared, known: Frame | None, settings: Settings) -> None:
        self.compared = compared
        self._known = known
        self._settings = settings
        self._samples: dict[tuple[str, bool, tuple[Group, ...]], Sample] = {}
        self._draws: dict[tuple[str, tuple[Group, ...]], Floats] = {}
        self._dealt: dict[tuple[str, tuple[Group, ...]], Dealt] = {}
        self._p_values: dict[tuple[str, str, str, tuple[Group, ...]], float] = {}

    def compare(self, one: Comparison) -> MeasurementValue:
        """The comparison, or why there is none; `detail` names the groups it leaves out."""
        compared, kept = self.compared, self.compared.kept(*one.rates)
        few = MeasurementValue(
            one.name,
            compared.between(),
            None,
            n=sum(denominator(one.rates[0], compared.tables[group]) for group in kept),
            undefined_reason=INSUFFICIENT,
            unit=one.unit,
            detail={"excluded": compared.excluded(*one.rates), "groups": len(kept)},
        )
        if len(kept) < 2:
            return few
        values = self.values(one)
        if values is None:
            return replace(few, undefined_reason=NO_DENOMINATOR)
        worst = self._worst(one, values)
        value = sum(values.values()) / len(values) if one.mean else values[worst]
        interval, method = self._interval(one, values, value)
        return replace(
            few,
            value=value,
            lower=interval.lower,
            upper=interval.upper,
            level=self._settings.level,
            n=self.people(one),
            undefined_reason=None,
            method=f"fairlearn, {method}",
            detail=self._detail(one, worst, kept),
        )

    def values(self, one: Comparison) -> dict[str, float] | None:
        """Fairlearn's figure of each rate compared; None if one is undefined."""
        frame, kept = self._known, self.compared.kept(*one.rates)
        if any(kept != self.compared.kept(rate) for rate in one.rates):
            frame = Frame(self.compared.cube, one.rates, kept, self._settings)
        assert frame is not None
        values = {rate: frame.compared(one, rate) for rate in one.rates}
        found = {rate: value for rate, value in values.items() if value is not None}
        return found if len(found) == len(values) else None

    def contrasts(self, one: Comparison) -> list[Contrasts]:
        """What the interval of the comparison is formed from: a family for each of its rates."""
        return [self._contrasts(one, rate) for rate in one.rates]

    def p_value(self, one: Comparison) -> float:
        """Of a difference or ratio, if all groups are alike, by permutation; the smaller of two
        doubled."""
        found = [self._permuted(one, rate) for rate in one.rates]
        return min(1.0, len(found) * min(found))

    def _permuted(self, one: Comparison, rate: str) -> float:
        kept = self.compared.kept(*one.rates)
        key = (rate, one.form, one.against, tuple(kept))
        if key not in self._p_values:
            figures = SHAPES.get(rate, (samples.SHARE, samples.LOGARITHM))
            shape = figures[1] if one.form == "ratio" else samples.SHARE
            if one.against == "overall":
                together, places = self._everybody(rate, kept)
                found = self._dealing(rate, together).to_overall(places, shape)
            else:
                found = self._dealing(rate, kept).between(shape)
            self._p_values[key] = found
        return self._p_values[key]

    def _dealing(self, rate: str, groups: Sequence[Group]) -> Dealt:
        key = (rate, tuple(groups))
        if key not in self._dealt:
            halves = HALVES if rate == BALANCED_ACCURACY else (rate,)
            layers = [self._counts(one, groups) for one in halves]
            self._dealt[key] = Dealt(layers, self._stream("permutation", rate))
        return self._dealt[key]

    def _interval(
        self, one: Comparison, values: dict[str, float], value: float
    ) -> tuple[Interval, str]:
        level, kept = self._settings.level, self.compared.kept(*one.rates)
        if one.mean:
            return self._of_mean(one, values)
        if one.form in ("least", "greatest"):
            form = extremes.least if one.form == "least" else extremes.greatest
            interval = form(self._sample(one.rates[0], False, kept), level)
            top = 1.0 if one.rates[0] != TREATMENT_EQUALITY else interval.upper
            return Interval(max(0.0, interval.lower), min(top, interval.upper)), _WITHIN
        two_shares = len(kept) == 2 and len(one.rates) == 1 and one.rates[0] in SHARES
        if two_shares and one.against == "groups":
            return self._of_two(one, kept)
        return self.interval_of(one, self.contrasts(one), value)

    def interval_of(
        self,
        one: Comparison,
        families: list[Contrasts],
        value: float,
        level: float | None = None,
    ) -> tuple[Interval, str]:
        """The interval of the worst of several families of contrasts."""
        level = level or self._settings.level
        if one.form == "ratio":
            interval = statistics.around(statistics.of_logarithms(families, level), value)
            # Nobody of a group was chosen: any ratio down to nothing is possible.
            return interval if value else Interval(0.0, interval.upper), f"{_WITHIN} on logarithms"
        interval = extremes.largest(families, level)
        top = interval.upper if TREATMENT_EQUALITY in one.rates else min(1.0, interval.upper)
        return Interval(min(interval.lower, value), max(top, value)), _WITHIN

    def _of_mean(self, one: Comparison, values: dict[str, float]) -> tuple[Interval, str]:
        """The mean of two gaps. The end at which there is none is the mean of both ends, each at
        half the error: a sum of estimates above 0 would never contain it."""
        inner: list[Interval] = []
        outer: list[Interval] = []
        for rate in one.rates:
            part = replace(one, rates=(rate,), mean=False)
            families = [self._contrasts(one, rate)]
            for ends, level in (
                (inner, (1 + self._settings.level) / 2),
                (outer, self._settings.level),
            ):
                ends.append(self.interval_of(part, families, values[rate], level)[0])
        halves = [
            (values[rate] / 2, Interval(each.lower / 2, each.upper / 2))
            for rate, each in zip(one.rates, outer, strict=True)
        ]
        total = statistics.of_sum(halves)
        if one.form == "ratio":
            upper = sum(each.upper for each in inner) / 2
            return Interval(max(0.0, total.lower), upper), f"{_WITHIN} on logarithms, mover"
        lower = sum(each.lower for each in inner) / 2
        return Interval(lower, min(1.0, total.upper)), f"{_WITHIN}, mover"

    def _of_two(self, one: Comparison, kept: Sequence[Group]) -> tuple[Interval, str]:
        k, n = self._counts(one.rates[0], kept)
        form = statistics.ratio_interval if one.form == "ratio" else statistics.spread_interval
        return form(k, n, self._settings.level, self._stream("two", one.rates[0]))

    def _contrasts(self, one: Comparison, rate: str) -> Contrasts:
        kept = self.compared.kept(*one.rates)
        logarithm = one.form == "ratio"
        if one.against == "groups":
            return extremes.between(self._sample(rate, logarithm, kept))
        together, places = self._everybody(rate, kept)
        return extremes.to_overall(self._sample(rate, logarithm, together), places)

    def _everybody(self, rate: str, kept: list[Group]) -> tuple[list[Group], list[int]]:
        """The groups that the figure of all together is of, and which of them are compared."""
        together = kept
        if kept == self.compared.kept(rate):
            tables = self.compared.tables
            together = [g for g in self.compared.known() if denominator(rate, tables[g])]
        return together, [together.index(group) for group in kept]

    def _sample(self, rate: str, logarithm: bool, groups: Sequence[Group]) -> Sample:
        key = (rate, logarithm, tuple(groups))
        if key not in self._samples:
            if rate == BALANCED_ACCURACY:
                both = samples.average(*(self._drawn(half, groups, SHARE) for half in HALVES))
                self._samples[key] = samples.logarithm(both) if logarithm else both
            else:
                self._samples[key] = self._drawn(rate, groups, SHAPES[rate][int(logarithm)])
        return self._samples[key]

    def _drawn(self, rate: str, groups: Sequence[Group], shape: Shape) -> Sample:
        """A figure of a rate's share; difference and ratio rest on the same draws of its counts."""
        counts = self._counts(rate, groups)
        key = (rate, tuple(groups))
        if key not in self._draws:
            self._draws[key] = samples.drawn(*counts, self._stream("sample", rate))
        return samples.of_draws(*counts, self._draws[key], shape)

    def _counts(self, rate: str, groups: Sequence[Group]) -> tuple[list[int], list[int]]:
        pairs = [parts(rate, self.compared.tables[group]) for group in groups]
        return [k for k, _ in pairs], [n for _, n in pairs]

    def _stream(self, *names: object) -> Any:
        return statistics.generator(self._settings.seed, *names, *self.compared.purpose())

    def _worst(self, one: Comparison, values: dict[str, float]) -> str:
        if one.form in ("ratio", "least"):
            return min(one.rates, key=lambda rate: values[rate])
        return max(one.rates, key=lambda rate: values[rate])

    def people(self, one: Comparison) -> int:
        """How many the comparison rests on."""
        tables, kept = self.compared.tables, self.compared.kept(*one.rates)
        if len(one.rates) > 1 or one.rates[0] == BALANCED_ACCURACY:
            return sum(tables[group].labelled for group in kept)
        return sum(denominator(one.rates[0], tables[group]) for group in kept)

    def _detail(self, one: Comparison, worst: str, kept: Sequence[Group]) -> dict[str, Any]:
        highest, lowest = self.compared.extremes(worst, kept)
        detail: dict[str, Any] = {
            "highest": self.compared.slice(highest),
            "lowest": self.compared.slice(lowest),
            "excluded": self.compared.excluded(*one.rates),
            "groups": len(kept),
        }
        if one.against == "overall":
            overall = self._known.overall(worst) if self._known else None
            detail["overall"] = overall
            if overall is not None:
                detail["furthest"] = self.compared.slice(self._furthest(one, worst, kept, overall))
        if len(one.rates) > 1:
            detail["worst"] = worst
        if one.form in ("difference", "ratio") and not one.mean:
            detail["p"] = self.p_value(one)
        return detail

    def _furthest(self, one: Comparison, rate: str, kept: Sequence[Group], overall: float) -> Group:
        def distance(group: Group) -> float:
            value = figure(rate, self.compared.tables[group])
            if one.form == "difference":
                return abs(value - overall)
            low, high = sorted((value, overall))
            return -low / high if high else 0.0

        return max(kept, key=distance)


def left_out(measured: Sequence[MeasurementValue]) -> list[MeasurementValue]:
    """Once more, undefined, each comparison for each group that had to be excluded from it."""
    return [
        MeasurementValue(
            one.metric,
            left["group"],
            None,
            n=left["n"],
            undefined_reason=left["reason"],
            method="excluded from the comparison",
            unit=one.unit,
        )
        for one in measured
        for left in one.detail["excluded"]
    ]
