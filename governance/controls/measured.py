"""Controls on measured values.

`judge_by: point` compares the value alone. `judge_by: interval` asks that the whole interval keeps
the limit: it passes if the interval lies within, fails if the interval lies wholly beyond, and is
insufficient if the limit lies inside the interval, because then the data do not tell.

The value comes from the newest run in the dossier. A newer run beside the dossier (an addendum)
renews its age; it may turn the judgement to the worse, and never to the better: nobody signed it.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from governance.controls import facts as read
from governance.controls import logic, runs
from governance.controls.base import (
    Check,
    Control,
    DatasetPurpose,
    Grade,
    Judgement,
    listed,
    parameter,
    show,
    spoken,
)
from governance.controls.facts import Facts, Missing
from governance.controls.results import Status
from kernel.canonical import is_number
from monitoring.configs import performance as performance_config
from monitoring.metrics import fairness as fairness_metrics
from monitoring.metrics import is_estimate, titled

# Metrics with a known range, so that a limit at its end, which nothing can pass, is noticed.
RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("recall", "roc_auc", "brier_score"), (0.0, 1.0)),
    **dict.fromkeys(fairness_metrics.in_unit_range(), (0.0, 1.0)),
    **performance_config.RANGES,
}

_WORSE = (Status.FAIL, Status.INSUFFICIENT, Status.PASS)


@dataclass(frozen=True)
class Limits:
    """From `least` to `most`; None is open."""

    least: float | None = None
    most: float | None = None

    def keeps(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def judge(self, value: float) -> Status:
        return Status.PASS if self.keeps(value) else Status.FAIL

    def judge_interval(self, lower: float, upper: float) -> Status:
        """Within: pass. Wholly beyond one limit: fail. Else the data do not tell."""
        if self.keeps(lower) and self.keeps(upper):
            return Status.PASS
        under = self.least is not None and upper < self.least
        over = self.most is not None and lower > self.most
        return Status.FAIL if under or over else Status.INSUFFICIENT

    def words(self) -> str:
        if self.least is not None and self.most is not None:
            return f"between {self.least:g} and {self.most:g}"
        return f"at least {self.least:g}" if self.most is None else f"at most {self.most:g}"


@dataclass(frozen=True, kw_only=True)
class Measured(Control):
    """What controls on measurements share.

    `attribute`: the comparison between the groups of this attribute (of several: `sex,race`); `slice`: one group; neither:
    everybody. `dataset`: the purpose for which the version uses the data that was measured on.
    `admit_estimated`: a figure of groups that a proxy estimated counts too; else it tells nothing.
    """

    metric: str = parameter(least=1)
    check: Check | None = None
    dataset: DatasetPurpose | None = None
    grade: Grade = "recomputed"
    judge_by: Literal["point", "interval"] = "point"
    level: float = parameter(0.95, least=0.5, most=0.999)
    min_n: int = parameter(1, least=1)
    max_age_days: int | None = parameter(None, least=1)
    admit_estimated: bool = False

    @abstractmethod
    def limits(self) -> Limits: ...

    @abstractmethod
    def subject(self) -> str:
        """Whom or what it is about, for the sentence."""

    @abstractmethod
    def judge_run(self, run: runs.Run) -> Judgement:
        """Judge one run by itself."""

    def sentence(self) -> str:
        extras = [f"measured at grade {self.grade} or better"]
        if self.dataset:
            extras.append(f"on the {self.dataset} data")
        if self.min_n > 1:
            extras.append(f"over at least {self.min_n}")
        if self.max_age_days:
            extras.append(f"not older than {self.max_age_days} days")
        if self.admit_estimated:
            extras.append("groups estimated by a proxy admitted")
        whole = f"with its whole {self.level:.0%} interval " if self.judge_by == "interval" else ""
        return (
            f"{titled(self.metric)} {self.subject()} is {whole}"
            f"{self.limits().words()}, {', '.join(extras)}."
        )

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        wanted = runs.Wanted(self.check, self.dataset, self.grade)
        signed = runs.newest_with(runs.dossier_runs(facts), self.metric, wanted, facts)
        if signed is None:
            raise Missing(self.metric, "was not measured")
        fresh = runs.newest_with(runs.addenda(facts), self.metric, wanted, facts)
        judgement = self.judge_run(signed)
        latest = signed
        if fresh is not None and fresh.finished_at > signed.finished_at:
            latest = fresh
            renewed = self.judge_run(fresh)
            if _WORSE.index(renewed.status) < _WORSE.index(judgement.status):
                judgement = renewed
        if self.max_age_days is not None and judgement.status is Status.PASS:
            age = read.age_days(latest.finished_at, now, f"run {latest.id}")
            if age > self.max_age_days:
                reason = f"It was measured {age:.0f} days ago; {self.max_age_days} are allowed."
                return Judgement(Status.INSUFFICIENT, reason, judgement.figures, judgement.evidence)
        return judgement

    def problems(self) -> Iterator[tuple[str, str]]:
        if is_estimate(self.metric):
            yield "metric", "is an estimate from scores, which no control judges"
        limits, known = self.limits(), RANGES.get(self.metric)
        if limits.least is not None and limits.most is not None and limits.least > limits.most:
            yield "at_least", "is above at_most: nothing could ever pass"
        if known is None:
            return
        if limits.most is not None and (limits.most >= known[1] or limits.most < known[0]):
            yield self.limit_names()[1], _out_of_range(self.metric, limits.most, known)
        if limits.least is not None and (limits.least <= known[0] or limits.least > known[1]):
            yield self.limit_names()[0], _out_of_range(self.metric, limits.least, known)

    def limit_names(self) -> tuple[str, str]:
        return "limit", "limit"

    def judge_one(self, measurement: Mapping[str, Any], run: runs.Run, label: str) -> Judgement:
        """Judge one measurement against the limits.

        Raises:
            Missing: if it has no value, too small an n, no interval where one is asked for, or is of
                estimated groups that the control does not admit.
        """
        if runs.is_estimated(measurement) and not self.admit_estimated:
            raise Missing(label, "is of groups that a proxy estimated, which are not admitted")
        value, evidence = self._value(measurement, label), _evidence(run)
        n = measurement.get("n")
        if self.min_n > 1 and read.whole(measurement, "n") < self.min_n:
            raise Missing(label, f"rests on {n}; {self.min_n} are asked")
        figure = _figure(measurement, label, self.limits(), run)
        if self.judge_by == "point":
            status = self._judge_value(value)
            return Judgement(status, _told(status, label, show(value), self), [figure], evidence)
        lower, upper = read.number(measurement, "lower"), read.number(measurement, "upper")
        level = read.number(measurement, "level")
        if lower > upper or level < self.level:
            raise Missing(label, f"has no interval at {self.level:.0%} or more")
        status = self._judge_interval(lower, upper)
        shown = f"{show(value)} ({level:.0%} interval {show(lower)} to {show(upper)})"
        return Judgement(status, _told(status, label, shown, self), [figure], evidence)

    def _value(self, measurement: Mapping[str, Any], label: str) -> float:
        undefined = measurement.get("undefined")
        if measurement.get("value") is None and isinstance(undefined, str) and undefined:
            raise Missing(label, f"is undefined: {spoken(undefined)}")
        return read.number(measurement, "value")

    def _judge_value(self, value: float) -> Status:
        return self.limits().judge(value)

    def _judge_interval(self, lower: float, upper: float) -> Status:
        return self.limits().judge_interval(lower, upper)


@dataclass(frozen=True, kw_only=True)
class _Single(Measured):
    """One measurement: of everybody, of one group, or between the groups of an attribute."""

    limit: float
    attribute: str = ""
    slice: Mapping[str, str] = parameter({})
    excluded_groups: Literal["insufficient", "ignored"] = "insufficient"

    def subject(self) -> str:
        if self.attribute:
            return f"between the groups of {self.attribute}"
        groups = [f"{name} {group}" for name, group in sorted(self.slice.items())]
        return f"of {listed(groups)}" if groups else "overall"

    def judge_run(self, run: runs.Run) -> Judgement:
        wanted = dict.fromkeys(self._compared(), runs.BETWEEN) or dict(self.slice)
        found = [one for one in run.measurements if runs.slice_of(one) == wanted]
        label = _label(self.metric, wanted)
        if len(found) != 1:
            raise Missing(label, "was measured twice in one run" if found else "was not measured")
        judgement = self.judge_one(found[0], run, label)
        excluded = self._excluded(run)
        if not excluded or judgement.status is not Status.PASS:
            return judgement
        reason = (
            f"{judgement.reason} Nothing can be said of {listed(excluded)}: too few people there."
        )
        return Judgement(Status.INSUFFICIENT, reason, judgement.figures, judgement.evidence)

    def _excluded(self, run: runs.Run) -> list[str]:
        """The groups that were left out of the comparison, if that matters."""
        if not self.attribute or self.excluded_groups == "ignored":
            return []
        return sorted(
            " ".join(about[name] for name in self._compared())
            for one in run.measurements
            if one.get("value") is None and one.get("undefined") != "missing_group"
            for about in [runs.slice_of(one)]
            if set(about) == set(self._compared()) and runs.BETWEEN not in about.values()
        )

    def _compared(self) -> list[str]:
        """`sex,race` compares the groups of both together."""
        return [name.strip() for name in self.attribute.split(",") if name.strip()]

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from super().problems()
        if self.attribute and self.slice:
            yield "slice", "is given beside an attribute; say which of the two is meant"
        if runs.BETWEEN in self.slice.values():
            yield "slice", "holds '*'; name the attribute instead"
        if self.excluded_groups == "ignored" and not self.attribute:
            yield "excluded_groups", "says nothing without an attribute"


@dataclass(frozen=True, kw_only=True)
class MetricAtLeast(_Single):
    kind: ClassVar[str] = "metric_at_least"

    def limits(self) -> Limits:
        return Limits(least=self.limit)


@dataclass(frozen=True, kw_only=True)
class MetricAtMost(_Single):
    """`absolute`: the size of the value counts, whichever its sign (a signed difference)."""

    kind: ClassVar[str] = "metric_at_most"
    absolute: bool = False

    def limits(self) -> Limits:
        return Limits(most=self.limit)

    def subject(self) -> str:
        return f"{super().subject()}, whatever its sign," if self.absolute else super().subject()

    def _judge_value(self, value: float) -> Status:
        return super()._judge_value(abs(value) if self.absolute else value)

    def _judge_interval(self, lower: float, upper: float) -> Status:
        if not self.absolute:
            return super()._judge_interval(lower, upper)
        if -self.limit <= lower and upper <= self.limit:
            return Status.PASS
        beyond = lower > self.limit or upper < -self.limit
        return Status.FAIL if beyond else Status.INSUFFICIENT

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from super().problems()
        if self.absolute and self.limit < 0:
            yield "limit", "is below 0, which no absolute value is"


@dataclass(frozen=True, kw_only=True)
class MetricEach(Measured):
    """The same limits for each group of an attribute, of which there must be enough."""

    kind: ClassVar[str] = "metric_each"
    attribute: str = parameter(least=1)
    at_least: float | None = None
    at_most: float | None = None
    min_items: int = parameter(2, least=1)
    groups: tuple[str, ...] = ()

    def limits(self) -> Limits:
        return Limits(self.at_least, self.at_most)

    def limit_names(self) -> tuple[str, str]:
        return "at_least", "at_most"

    def subject(self) -> str:
        which = f" ({listed(self.groups)})" if self.groups else f" ({self.min_items} or more)"
        return f"of each group of {self.attribute}{which}"

    def judge_run(self, run: runs.Run) -> Judgement:
        found = {
            group: one
            for one in run.measurements
            for group in _group_of(one, self.attribute)
            if not self.groups or group in self.groups
        }
        absent = sorted(set(self.groups) - set(found))
        if absent or len(found) < self.min_items:
            raise Missing(
                self.metric,
                f"was not measured for {listed(absent)}"
                if absent
                else f"was measured for {len(found)} groups; {self.min_items} are asked",
            )
        judged = [self._judge_group(found[group], run, group) for group in sorted(found)]
        status = logic.all_of(one.status for one in judged)
        told = [one.reason for one in judged if one.status is not Status.PASS]
        return Judgement(
            status,
            " ".join(told) or f"All {len(judged)} groups are {self.limits().words()}.",
            [figure for one in judged for figure in one.figures],
            _evidence(run),
        )

    def _judge_group(self, one: Mapping[str, Any], run: runs.Run, group: str) -> Judgement:
        label = _label(self.metric, {self.attribute: group})
        try:
            return self.judge_one(one, run, label)
        except Missing as gap:
            return Judgement(Status.INSUFFICIENT, f"{str(gap)[:1].upper()}{str(gap)[1:]}.")

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.at_least is None and self.at_most is None:
            yield "at_least", "or at_most is needed: without a limit it could never fire"
        if self.groups and len(self.groups) < self.min_items:
            yield "min_items", "is more than the groups named"
        yield from super().problems()


def _group_of(measurement: Mapping[str, Any], attribute: str) -> list[str]:
    found = runs.slice_of(measurement)
    group = found.get(attribute)
    return [group] if group is not None and group != runs.BETWEEN and len(found) == 1 else []


def _label(metric: str, about: Mapping[str, str]) -> str:
    parts = [
        f"between groups of {name}" if group == runs.BETWEEN else f"{name} {group}"
        for name, group in sorted(about.items())
    ]
    return f"{spoken(metric)}, {', '.join(parts)}" if parts else spoken(metric)


def _told(status: Status, label: str, shown: str, control: Measured) -> str:
    limits = control.limits().words()
    verdict = {
        Status.PASS: f"as asked {limits}",
        Status.FAIL: f"and not {limits}",
        Status.INSUFFICIENT: f"which does not tell whether it is {limits}",
    }[status]
    return f"{label[:1].upper()}{label[1:]} is {shown}, {verdict}."


def _figure(
    measurement: Mapping[str, Any], label: str, limits: Limits, run: runs.Run
) -> dict[str, Any]:
    figure: dict[str, Any] = {"label": label, "metric": measurement["metric"]}
    figure["slice"] = dict(measurement["slice"])
    for name in ("value", "lower", "upper", "level", "n", "unit", "method"):
        seen = measurement.get(name)
        if is_number(seen) or (isinstance(seen, str) and seen):
            figure[name] = seen
    figure.update(
        {
            name: limit
            for name, limit in (("at_least", limits.least), ("at_most", limits.most))
            if limit is not None
        }
    )
    if runs.is_estimated(measurement):
        figure |= {"estimated": True, "label": f"{label}, estimated"}
    return {**figure, "grade": run.facts["grade"], "run": run.id}


def _evidence(run: runs.Run) -> list[str]:
    return [run.id]


def _out_of_range(metric: str, limit: float, known: tuple[float, float]) -> str:
    return (
        f"{limit:g} is no limit to {metric}, which lies from {known[0]:g} to {known[1]:g}: "
        "everything or nothing would pass"
    )
