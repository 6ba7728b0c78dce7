"""Aggregates of days added up, by kind of check, and what is measured of the sum.

Each function takes the documents of cubes of one mapping, model and configuration. What adds up is
added; what was asked for and does not is undefined as `does_not_add_up`, with a note that says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from kernel.errors import Invalid, Unprocessable
from monitoring.configs import fairness as fairness_config
from monitoring.configs.fairness import LocalLaw144
from monitoring.engine import column_profiles, columns, cube
from monitoring.engine.cube import Contingency, ScoreCube
from monitoring.engine.cube.error_bins import ErrorBins, merge_error_bins
from monitoring.engine.cube.expected import ExpectedCube, merge_expected
from monitoring.engine.cube.medians import AboveMedian, merge_above_median
from monitoring.engine.cube.paired_errors import PairedErrors, merge_paired_errors
from monitoring.engine.cube.regression import RegressionCube, merge_regressions
from monitoring.engine.documents import Fields
from monitoring.engine.mapping import UNKNOWN, ColumnMapping
from monitoring.engine.reference_profile import profiles_in
from monitoring.engine.results import (
    BETWEEN,
    DOES_NOT_ADD_UP,
    CheckResult,
    MeasurementValue,
    Note,
)
from monitoring.metrics.fairness import LL144_IMPACT_RATIO, LL144_RATE, LL144_UNKNOWN

Document = Mapping[str, Any]
Summed = tuple[dict[str, Any], CheckResult]
_NEED_ROWS = {
    "performance": (),
    "fairness": ("conformance",),
    "drift": ("multivariate", "html", "window", "conformance", "exact"),
}
"""Configuration that asks for what needs the rows."""
_UNDEFINED = {"multivariate": ("domain_classifier_auc", "rate")}


def summed(kind: str, documents: Sequence[Document], asked: Mapping[str, Any], seed: int) -> Summed:
    """The sum of the documents' aggregates, and its measurements.

    Raises:
        Invalid: they do not add up.
        Unprocessable: one lacks what the others hold, or is of a form of another release.
    """
    away = [name for name in _NEED_ROWS[kind] if asked.get(name)]
    config = {name: value for name, value in asked.items() if name not in away}
    aggregates, result = _BY_KIND[kind](documents, config, seed)
    if away:
        text = f"not measured of a sum, since it needs the rows: {', '.join(away)}"
        result.notes.append(Note("needs_rows", text, {"left_out": len(away)}))
    for name in away:
        if name in _UNDEFINED:
            metric, unit = _UNDEFINED[name]
            result.measurements.append(_undefined(metric, {}, unit))
    return aggregates, result


def _undefined(metric: str, about: Mapping[str, str], unit: str) -> MeasurementValue:
    return MeasurementValue(metric, about, None, undefined_reason=DOES_NOT_ADD_UP, unit=unit)


def _parts(documents: Sequence[Document], name: str) -> list[Any]:
    """What every document has under a name; nothing if none has.

    Raises:
        Unprocessable: some have it, and a sum over these would be of other rows.
    """
    found = [one[name] for one in documents if one.get(name) is not None]
    if found and len(found) != len(documents):
        raise Unprocessable(f"a cube of the period has no {name}", field="made_of")
    return found


def _contingency(documents: Sequence[Document]) -> Contingency:
    parts = _parts(documents, "contingency")
    return cube.merge(*(Contingency.from_json(one) for one in parts))


def _scores(documents: Sequence[Document]) -> ScoreCube | None:
    parts = [ScoreCube.from_json(one) for one in _parts(documents, "scores")]
    return cube.merge_scores(*parts) if parts else None


def _performance(documents: Sequence[Document], config: dict[str, Any], seed: int) -> Summed:
    from monitoring.engine.work.performance import joined, parts

    mapping = ColumnMapping.from_json(documents[0]["mapping"])
    measure = _decisions if mapping.task == "classification" else _numbers
    compared = [one.get("compared_with") for one in documents]
    alike = all(one == compared[0] for one in compared)
    aggregates: dict[str, Any] = {}
    results = []
    for name, _, own in parts(mapping, config):
        within = _parts(documents, name) if name else list(documents)
        if not within:
            raise Unprocessable(f"the cubes of the period have no {name}", field="made_of")
        found, result = measure(within, own, seed, alike)
        aggregates |= found if not name else {name: found}
        results.append(result)
    result = joined(results)
    if alike and compared[0] is not None:
        aggregates["compared_with"] = compared[0]
    if not alike:
        result.measurements.extend(_gains(mapping.task))
        text = "gains are over one other model, and the cubes of the period are over several"
        result.notes.append(Note("compared_with_several", text))
    return aggregates, result


def _gains(task: str) -> list[MeasurementValue]:
    from monitoring.engine.checks.performance import comparison, number_gains

    if task == "classification":
        return [_undefined(name, {}, "rate") for name in comparison.COMPARED]
    return [_undefined(name, {}, number_gains.UNIT) for name in number_gains.GAINS]


def _decisions(
    documents: Sequence[Document], config: dict[str, Any], seed: int, alike: bool
) -> Summed:
    from monitoring.engine.checks import performance
    from monitoring.engine.checks.performance.comparison import Compared, merge_compared

    counts, scores = _contingency(documents), _scores(documents)
    late = [ExpectedCube.from_json(one) for one in _parts(documents, "expected")]
    expected = merge_expected(*late) if late else None
    compared = None
    if alike and _parts(documents, "paired"):
        pairs = []
        for one in documents:
            own = one.get("scores")
            pairs.append(
                Compared.from_json(one["paired"], ScoreCube.from_json(own) if own else None)
            )
        compared = merge_compared(pairs)
    result = performance.measure(counts, scores, config, seed, expected=expected, compared=compared)
    found: dict[str, Any] = {
        "contingency": counts.to_json(),
        "scores": scores.to_json() if scores else None,
    }
    if expected is not None:
        found["expected"] = expected.to_json()
    if compared is not None:
        found["paired"] = compared.to_json(scores)
    return found, result


def _numbers(
    documents: Sequence[Document], config: dict[str, Any], seed: int, alike: bool
) -> Summed:
    from monitoring.engine.checks import performance

    sums = merge_regressions(
        [RegressionCube.from_json(one) for one in _parts(documents, "regression")]
    )
    bins = merge_error_bins([ErrorBins.from_json(one) for one in _parts(documents, "error_bins")])
    paired = None
    if alike:
        pairs = [PairedErrors.from_json(one) for one in _parts(documents, "paired_errors")]
        paired = merge_paired_errors(pairs) if pairs else None
    result = performance.measure_regression(sums, None, config, seed, bins=bins, paired=paired)
    text = (
        "quantiles of errors are read from bins, each certain to within what stands with it as "
        "certified error"
    )
    result.notes.append(Note("binned_quantiles", text))
    found = {"regression": sums.to_json(), "error_bins": bins.to_json()}
    if paired is not None:
        found["paired_errors"] = paired.to_json()
    return found, result


def _fairness(documents: Sequence[Document], config: dict[str, Any], seed: int) -> Summed:
    from monitoring.engine.checks import fairness, groups

    mapping = ColumnMapping.from_json(documents[0]["mapping"])
    counts, scores = _contingency(documents), _scores(documents)
    estimated = {
        name: cube.merge(*(Contingency.from_json(one["estimated"][name]) for one in documents))
        for name in documents[0].get("estimated") or {}
    }
    found: dict[str, Any] = {"contingency": counts.to_json()}
    own, apart = groups.split(mapping, config)
    result = CheckResult([])
    if own is not None:
        above, own, unadded = _law(documents, own)
        sensitive = {one.name for one in mapping.sensitive}
        result = fairness.measure(
            counts,
            own,
            seed,
            controls=[name for name in counts.attributes if name not in sensitive],
            scores=scores,
            above_median=above,
            labelled=mapping.label is not None,
        )
        result = groups.joined(result, unadded)
        if above is not None:
            found["above_median"] = above.to_json()
    result = groups.joined(result, groups.measure(mapping, estimated, apart))
    if scores is not None:
        found["scores"] = scores.to_json()
    if estimated:
        found["estimated"] = {name: one.to_json() for name, one in estimated.items()}
    return found, result


def _law(
    documents: Sequence[Document], config: dict[str, Any]
) -> tuple[AboveMedian | None, dict[str, Any], CheckResult]:
    """Local Law 144 by scores: from the rows by score where these were kept, and else undefined.

    Beside it the configuration of what is left to measure.
    """
    law = fairness_config.ll144(Fields(config, "config", tuple(config)))
    if law is None or law.mode == "selection":
        return None, config, CheckResult([])
    parts = [AboveMedian.from_json(one) for one in _parts(documents, "above_median")]
    if not parts:
        raise Unprocessable("the cubes of the period have no above_median", field="made_of")
    above = merge_above_median(parts)
    if above is not None:
        return above, config, CheckResult([])
    text = (
        "Local Law 144 by scores is not measured of a sum: the median of all scores does not follow "
        "from the medians of days, and scores take too many values to be kept; ask for one check of "
        "all rows"
    )
    left = {name: value for name, value in config.items() if name != "ll144"}
    note = Note("ll144_does_not_add_up", text)
    return None, left, CheckResult(_unadded(parts, law), [], [note])


def _unadded(parts: Sequence[AboveMedian], law: LocalLaw144) -> list[MeasurementValue]:
    """Of each category no rate and no ratio; the number of unknown categories adds up."""
    everything = parts[0].attributes
    groupings = law.groupings or (
        *((name,) for name in everything),
        *([everything] if len(everything) > 1 else []),
    )
    measured = []
    for attributes in groupings:
        totals: dict[tuple[str, ...], int] = {}
        for one in parts:
            for group, (_, n) in one.by(attributes).items():
                totals[group] = totals.get(group, 0) + n
        for metric, unit in ((LL144_RATE[law.mode], "rate"), (LL144_IMPACT_RATIO, "ratio")):
            measured += [
                _undefined(metric, dict(zip(attributes, group, strict=True)), unit)
                for group in sorted(totals)
                if UNKNOWN not in group
            ]
        unknown = sum(n for group, n in totals.items() if UNKNOWN in group)
        measured.append(
            MeasurementValue(
                LL144_UNKNOWN,
                dict.fromkeys(attributes, BETWEEN),
                float(unknown),
                n=sum(totals.values()),
                method="counted",
                unit="count",
            )
        )
    return measured


def _drift(documents: Sequence[Document], config: dict[str, Any], seed: int) -> Summed:
    from monitoring.engine.checks import drift

    first = profiles_in(documents[0], "reference")
    days = [profiles_in(one) for one in documents]
    for one in documents[1:]:
        if profiles_in(one, "reference") != first:
            raise Invalid("cubes of a different reference do not add up", field="made_of")
    features = _added([one.features for one in days])
    answers = _added([one.answers for one in days])
    compared, left = columns.compare_profiles(first.features, features)
    lost = {
        one["column"]
        for document in documents
        for one in document.get("comparisons") or ()
        if one.get("imprecise")
    }
    compared = [replace(one, imprecise=one.column in lost) for one in compared]
    more, _ = columns.compare_profiles(first.answers, answers, answers=True)
    compared += more
    result = drift.measure(compared, config, seed=seed)
    given = {name for one in days for name in (*one.features, *one.answers)}
    gone = sorted(given - {*features, *answers})
    if gone:
        text = f"not every cube of the period has a profile of {', '.join(gone)}: left out"
        result.notes.append(Note("columns_left_out", text, {"columns": len(gone)}))
    if left:
        text = f"{len(left)} columns have too many different values to be compared by profile"
        result.notes.append(Note("columns_without_profile", text, {"columns": len(left)}))
    found = {
        "profiles": {
            "reference": {name: one.to_json() for name, one in first.features.items()},
            "current": {name: one.to_json() for name, one in features.items()},
            "answers": {
                "reference": {name: one.to_json() for name, one in first.answers.items()},
                "current": {name: one.to_json() for name, one in answers.items()},
            },
        },
        "comparisons": [one.to_json() for one in compared],
    }
    return found, result


def _added(days: Sequence[columns.Profiles]) -> dict[str, column_profiles.ColumnProfile]:
    """The columns that every day has, added up."""
    return {
        name: reduce(column_profiles.merge, [day[name] for day in days])
        for name in days[0]
        if all(name in day for day in days)
    }


_BY_KIND: Mapping[str, Callable[[Sequence[Document], dict[str, Any], int], Summed]] = {
    "performance": _performance,
    "fairness": _fairness,
    "drift": _drift,
}
