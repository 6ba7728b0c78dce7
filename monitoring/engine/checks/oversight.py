"""Human oversight: how often people decide otherwise than the model, and whether they still look.

Rates are over decisions in which both said something; an override is a decision other than the
model's output. Wilson's interval for a rate, Newcombe's for a difference of two.

Signals of automation bias: people override less when they are quick, and less as time goes by; many
decisions take less time than reading takes; and, once outcomes are known, the model's errors pass.

Reviewers are pseudonyms. What fewer than `SMALL` decisions stand behind is counted together with the
other small ones and never alone: in the cube as well, which is the evidence.

Configuration: `level`; `minimum`, the least decisions for a rate (default 11); `fast_seconds`, what
counts as quick (default 5); `slices`, the columns to break the override rate down by (default all).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from monitoring.engine.documents import Fields
from monitoring.engine.plots import bar_plot, interval_plot, line_plot
from monitoring.engine.results import (
    INSUFFICIENT,
    NO_DENOMINATOR,
    NOT_AVAILABLE,
    CheckResult,
    MeasurementValue,
    Note,
    Plot,
)
from monitoring.engine.statistics import newcombe, wilson

FIELDS = ("level", "minimum", "fast_seconds", "slices")
SMALL = 11
"""Fewer decisions of a group, or of a reviewer, than this are never told alone."""
OTHERS = f"others (under {SMALL} each)"
FAST = 5.0
EDGES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Lower edges of the bins of seconds; the last is open upwards."""
PERCENTILES = (("p10", 0.1), ("p50", 0.5), ("p90", 0.9))

Tally = tuple[int, int]
"""Overrides, decisions."""


@dataclass(frozen=True)
class Counts:
    """What a batch of human decisions comes to.

    `pairs` counts (model output, human decision, outcome or None); `bins` has a tally for each bin
    of `edges`, for the decisions with seconds; `days` one for each day that is known; `reasons` the
    overrides by code, "" for none. Each decision counts once, and `repeated` are the rows beyond
    that. `fast` is the tally of decisions under `fast_seconds`.
    """

    pairs: Mapping[tuple[str, str, str | None], int]
    bins: Sequence[Tally] = ()
    fast: Tally = (0, 0)
    fast_seconds: float = FAST
    days: Mapping[str, Tally] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, Tally]] = field(default_factory=dict)
    reviewers: Mapping[str, Tally] = field(default_factory=dict)
    reviewer_count: int | None = None
    reasons: Mapping[str, int] | None = None
    repeated: int = 0

    def to_json(self) -> dict[str, Any]:
        """Counts alone, the small ones together."""
        order = sorted(
            self.pairs, key=lambda key: (key[0], key[1], key[2] is not None, key[2] or "")
        )
        return {
            "pairs": [[*key, self.pairs[key]] for key in order],
            "edges": [f"{edge:g}" for edge in EDGES],
            "bins": [list(one) for one in self.bins],
            "fast": {"seconds": f"{self.fast_seconds:g}", "tally": list(self.fast)},
            "days": {day: list(self.days[day]) for day in sorted(self.days)},
            "slices": {
                name: {group: list(tally) for group, tally in sorted(groups.items())}
                for name, groups in sorted(self.slices.items())
            },
            "reviewers": {name: list(tally) for name, tally in sorted(self.reviewers.items())},
            "reviewer_count": self.reviewer_count,
            "reasons": dict(sorted(self.reasons.items())) if self.reasons is not None else None,
            "repeated": self.repeated,
        }


def together(groups: Mapping[str, Tally], least: int = SMALL) -> dict[str, Tally]:
    """Groups of fewer than `least` decisions as one, so that none of them can be told.

    If what they come to is itself too little, the smallest of the others joins them.
    """
    small = {name: tally for name, tally in groups.items() if tally[1] < least}
    if not small:
        return dict(groups)
    kept = {name: tally for name, tally in groups.items() if name not in small}
    while sum(tally[1] for tally in small.values()) < least and kept:
        name = min(kept, key=lambda one: (kept[one][1], one))
        small[name] = kept.pop(name)
    total = (sum(one[0] for one in small.values()), sum(one[1] for one in small.values()))
    # Too few even together: nothing is told of them at all.
    return {**kept, OTHERS: total} if total[1] >= least else kept


def settings(config: Mapping[str, Any]) -> tuple[float, int, float, tuple[str, ...]]:
    """(level, minimum, fast_seconds, slices). Raises Invalid, naming the field."""
    fields = Fields(config, "config", FIELDS)
    return (
        fields.number("level", 0.95, above=0.5, to=0.9999),
        fields.whole("minimum", SMALL, least=1),
        fields.number("fast_seconds", FAST, above=0, to=86_400),
        fields.texts("slices"),
    )


def measure(counts: Counts, config: Mapping[str, Any]) -> CheckResult:
    """Measurements, plots and notes of a batch of human decisions."""
    level, minimum, _, _ = settings(config)
    how = _Measure(level, minimum)
    overall = _overall(counts)
    measured = [
        MeasurementValue("decisions", {}, float(overall[1]), n=overall[1], unit="count"),
        how.rate("override_rate", {}, overall),
        how.rate("agreement_rate", {}, (overall[1] - overall[0], overall[1])),
    ]
    by_output = _by_output(counts)
    measured += [
        how.rate("override_rate", {"model_output": output}, tally)
        for output, tally in by_output.items()
    ]
    by_slice = {
        name: [how.rate("override_rate", {name: group}, tally) for group, tally in groups.items()]
        for name, groups in counts.slices.items()
    }
    measured += [one for rates in by_slice.values() for one in rates]
    measured += _pace(counts, how) + _trend(counts, how) + _errors(counts, how)
    measured += _reasons(counts, overall, how) + _reviewers(counts, how)
    notes = []
    if counts.repeated:
        notes.append(
            Note(
                "decision_repeated",
                f"{counts.repeated} rows give a decision again; each decision was counted once, by its "
                "last row",
                {"repeated": counts.repeated},
                finding=True,
            )
        )
    return CheckResult(measured, _plots(counts, by_output, by_slice, how), notes)


@dataclass(frozen=True)
class _Measure:
    level: float
    minimum: int

    def rate(self, metric: str, about: Mapping[str, str], tally: Tally) -> MeasurementValue:
        hits, n = tally
        if n < self.minimum:
            reason = INSUFFICIENT if n else NO_DENOMINATOR
            return MeasurementValue(metric, about, None, n=n, undefined_reason=reason, unit="rate")
        bounds = wilson(hits, n, self.level)
        return MeasurementValue(
            metric, about, hits / n, bounds.lower, bounds.upper, self.level, n,
            method="Wilson interval", unit="rate",
        )  # fmt: skip

    def difference(
        self, metric: str, first: Tally, second: Tally, **detail: Any
    ) -> MeasurementValue:
        """`first` less `second`."""
        n = first[1] + second[1]
        if min(first[1], second[1]) < self.minimum:
            return MeasurementValue(
                metric, {}, None, n=n, undefined_reason=INSUFFICIENT, unit="rate", detail=detail
            )
        bounds = newcombe(first, second, self.level)
        value = first[0] / first[1] - second[0] / second[1]
        return MeasurementValue(
            metric, {}, value, bounds.lower, bounds.upper, self.level, n,
            method="Newcombe interval of a difference", unit="rate", detail=detail,
        )  # fmt: skip


def _missing(metric: str, unit: str = "rate") -> MeasurementValue:
    return MeasurementValue(metric, {}, None, undefined_reason=NOT_AVAILABLE, unit=unit)


def _overall(counts: Counts) -> Tally:
    return _tally((key[0] != key[1], n) for key, n in counts.pairs.items())


def _tally(items: Iterable[tuple[bool, int]]) -> Tally:
    hits = total = 0
    for hit, n in items:
        hits, total = hits + n * hit, total + n
    return hits, total


def _by_output(counts: Counts) -> dict[str, Tally]:
    found: dict[str, Tally] = {}
    for (output, decision, _), n in sorted(counts.pairs.items(), key=lambda one: one[0][:2]):
        hits, total = found.get(output, (0, 0))
        found[output] = (hits + n * (output != decision), total + n)
    return together(found)


def _pace(counts: Counts, how: _Measure) -> list[MeasurementValue]:
    names = [f"decision_seconds_{name}" for name, _ in PERCENTILES]
    timed = sum(n for _, n in counts.bins)
    if not timed:
        missing = [_missing(name, "seconds") for name in names]
        return [*missing, _missing("fast_decision_rate"), _missing("override_rate_speed_gap")]
    found = []
    for name, (_, share) in zip(names, PERCENTILES, strict=True):
        if timed < how.minimum:
            found.append(
                MeasurementValue(
                    name, {}, None, n=timed, undefined_reason=INSUFFICIENT, unit="seconds"
                )
            )
            continue
        found.append(
            MeasurementValue(
                name,
                {},
                _percentile([n for _, n in counts.bins], share),
                n=timed,
                method="interpolated within bins of seconds",
                unit="seconds",
            )
        )
    overrides = sum(hits for hits, _ in counts.bins)
    slow = (overrides - counts.fast[0], timed - counts.fast[1])
    detail = {"fast_seconds": counts.fast_seconds}
    found.append(how.rate("fast_decision_rate", {}, (counts.fast[1], timed)))
    found.append(how.difference("override_rate_speed_gap", slow, counts.fast, **detail))
    return found


def _percentile(bins: Sequence[int], share: float) -> float:
    """The seconds under which a share of the decisions lie; in the open bin, its lower edge."""
    wanted, before = share * sum(bins), 0
    for place, n in enumerate(bins):
        if n and before + n >= wanted:
            if place + 1 == len(EDGES):
                return EDGES[place]
            low, high = EDGES[place], EDGES[place + 1]
            return low + (high - low) * (wanted - before) / n
        before += n
    return EDGES[-1]


def _trend(counts: Counts, how: _Measure) -> list[MeasurementValue]:
    """The later half of the days against the earlier, halved where decisions are."""
    days = sorted(counts.days)
    if len(days) < 2:
        return [_missing("override_rate_change")]
    total = sum(counts.days[day][1] for day in days)
    before, place = 0, 0
    while place < len(days) - 1 and 2 * before < total:
        before += counts.days[days[place]][1]
        place += 1
    halves = [_summed(counts.days[day] for day in part) for part in (days[:place], days[place:])]
    return [
        how.difference(
            "override_rate_change", halves[1], halves[0], since=days[place], days=len(days)
        )
    ]


def _summed(tallies: Iterable[Tally]) -> Tally:
    found = list(tallies)
    return sum(one[0] for one in found), sum(one[1] for one in found)


def _errors(counts: Counts, how: _Measure) -> list[MeasurementValue]:
    known = [(key, n) for key, n in counts.pairs.items() if key[2] is not None]
    names = ("override_rate_when_wrong", "override_rate_when_right", "human_accuracy")
    if not known:
        return [_missing(name) for name in (*names, "model_accuracy_overseen")]
    wrong = _tally((key[0] != key[1], n) for key, n in known if key[0] != key[2])
    right = _tally((key[0] != key[1], n) for key, n in known if key[0] == key[2])
    return [
        how.rate(names[0], {}, wrong),
        how.rate(names[1], {}, right),
        how.rate(names[2], {}, _tally((key[1] == key[2], n) for key, n in known)),
        how.rate("model_accuracy_overseen", {}, _tally((key[0] == key[2], n) for key, n in known)),
    ]


def _reasons(counts: Counts, overall: Tally, how: _Measure) -> list[MeasurementValue]:
    if counts.reasons is None:
        return [_missing("reason_missing_rate")]
    return [how.rate("reason_missing_rate", {}, (counts.reasons.get("", 0), overall[0]))]


def _reviewers(counts: Counts, how: _Measure) -> list[MeasurementValue]:
    if counts.reviewer_count is None:
        return [_missing("reviewers", "count")]
    return [
        MeasurementValue("reviewers", {}, float(counts.reviewer_count), unit="count"),
        *(
            how.rate("override_rate", {"reviewer": name}, tally)
            for name, tally in sorted(counts.reviewers.items())
        ),
    ]


def _plots(
    counts: Counts,
    by_output: Mapping[str, Tally],
    by_slice: Mapping[str, Sequence[MeasurementValue]],
    how: _Measure,
) -> list[Plot]:
    outputs = [
        (output, how.rate("override_rate", {"model_output": output}, tally))
        for output, tally in by_output.items()
    ]
    plots = [interval_plot("override-by-output", "Override rate by what the model said", outputs)]
    for name, rates in by_slice.items():
        rows = [(one.slice[name], one) for one in rates]
        plots.append(interval_plot(f"override-by-{name}", f"Override rate by {name}", rows))
    if any(n for _, n in counts.bins):
        names = [f"{low:g} to {high:g} s" for low, high in pairwise(EDGES)]
        bars = zip([*names, f"{EDGES[-1]:g} s and over"], counts.bins, strict=True)
        plots.append(
            bar_plot(
                "decision-seconds",
                "Decisions by the time they took",
                [(name, float(n)) for name, (_, n) in bars],
                "seconds",
                "decisions",
            )
        )
    if len(counts.days) > 1:
        by_day = [
            (float(place), hits / n)
            for place, (_, (hits, n)) in enumerate(sorted(counts.days.items()), start=1)
            if n >= how.minimum
        ]
        if len(by_day) > 1:
            line = [("override rate", by_day)]
            plots.append(
                line_plot("override-by-day", "Override rate day by day", line, "day", "rate")
            )
    if counts.reviewers:
        rows = [
            (name, how.rate("override_rate", {"reviewer": name}, tally))
            for name, tally in sorted(counts.reviewers.items())
        ]
        plots.append(interval_plot("override-by-reviewer", "Override rate by reviewer", rows))
    return plots
