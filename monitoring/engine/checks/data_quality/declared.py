"""Whether the data keep what was declared of them: rules, columns, age, volume."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from kernel.errors import Invalid
from monitoring.engine import statistics
from monitoring.engine.checks.data_quality.facts import AHEAD, Facts, RuleCount
from monitoring.engine.documents import Fields
from monitoring.engine.results import (
    BETWEEN,
    NO_DENOMINATOR,
    NOT_AVAILABLE,
    MeasurementValue,
    Note,
)

DAY = 86_400.0


def share(metric: str, about: Mapping[str, str], k: int, n: int, level: float) -> MeasurementValue:
    """K of n with Wilson's interval."""
    if not n:
        return MeasurementValue(
            metric, about, None, n=0, undefined_reason=NO_DENOMINATOR, unit="rate"
        )
    interval = statistics.wilson(k, n, level)
    return MeasurementValue(
        metric, about, k / n, interval.lower, interval.upper, level, n, method="wilson", unit="rate"
    )


def truth(metric: str, holds: bool, n: int, method: str, detail: Any) -> MeasurementValue:
    return MeasurementValue(
        metric, {}, float(holds), n=n, method=method, unit="truth", detail=detail
    )


def rules(facts: Facts, level: float) -> list[MeasurementValue]:
    """`rule_share` of each rule, and `rules_broken`: how many are kept by fewer than declared.

    A rule that no row could be judged by is neither kept nor broken: with one of them, and none that
    is broken, nobody knows whether any is.
    """
    if not facts.rules:
        return []
    found, broken, empty = [], [], []
    for one in facts.rules:
        about = {"rule": one.rule.name}
        measured = share("rule_share", about, one.kept, one.rows, level)
        if measured.value is None:
            empty.append(one.rule.name)
        elif measured.value < one.rule.least_share:
            broken.append(one.rule.name)
        found.append(_with(measured, one))
    known = bool(broken) or not empty
    total = MeasurementValue(
        "rules_broken",
        {},
        float(len(broken)) if known else None,
        n=len(facts.rules) - len(empty),
        method="rules kept by a smaller share than declared",
        undefined_reason=None if known else NO_DENOMINATOR,
        unit="count",
        detail={"broken": broken, "without_rows": empty},
    )
    return [*found, total]


def _with(measured: MeasurementValue, one: RuleCount) -> MeasurementValue:
    kept = measured.value is not None and measured.value >= one.rule.least_share
    detail = {
        **one.rule.to_json(),
        "violations": one.rows - one.kept,
        "kept": kept if measured.value is not None else None,
    }
    return replace(measured, detail=detail)


def schema(facts: Facts, declared: Mapping[str, Any]) -> list[MeasurementValue]:
    """`declared_schema_match`: the columns are there and of the kinds that were declared."""
    if not declared:
        return []
    detail = {
        "absent": sorted(set(declared) - set(facts.schema)),
        "undeclared": sorted(set(facts.schema) - set(declared)),
        "changed": {
            name: {"declared": kind, "found": facts.schema[name]}
            for name, kind in sorted(declared.items())
            if name in facts.schema and facts.schema[name] != kind
        },
    }
    holds = not detail["absent"] and not detail["changed"]
    return [truth("declared_schema_match", holds, len(declared), "names and kinds", detail)]


def freshness(facts: Facts, fields: Fields, level: float) -> list[MeasurementValue]:
    """`age_days` from the newest row to the moment the check was asked for; `fresh` if declared;
    `future_rate`, the rows whose time is later than that moment by more than `AHEAD`.

    One row of the year 2999 makes no data fresh: rows that are ahead are left out of the age.

    Raises:
        Invalid: naming the field of `config`.
    """
    if not fields.has("freshness"):
        return []
    own = Fields(fields.raw("freshness"), fields.name("freshness"), ("most_days",))
    most = own.number("most_days", None, above=0) if own.has("most_days") else None
    names = ["age_days", *(["fresh"] if most is not None else [])]
    timed = facts.rows - (facts.timeless or 0)
    if facts.as_of is None:
        names.append("future_rate")
    ahead = [] if facts.as_of is None else [_ahead(facts.ahead or 0, timed, level)]
    if facts.newest is None or facts.as_of is None:
        return [
            *(MeasurementValue(name, {}, None, undefined_reason=NOT_AVAILABLE) for name in names),
            *ahead,
        ]
    apart = datetime.fromisoformat(facts.as_of) - datetime.fromisoformat(facts.newest)
    age = apart.total_seconds() / DAY
    detail = {
        "newest": facts.newest,
        "as_of": facts.as_of,
        "rows_without_time": facts.timeless,
        "rows_in_the_future": facts.ahead,
    }
    found = [
        MeasurementValue(
            "age_days",
            {},
            age,
            n=timed - (facts.ahead or 0),
            method="from the newest row that is not in the future to the request",
            unit="days",
            detail=detail,
        )
    ]
    if most is not None:
        method = f"at most {most:g} days old"
        found.append(truth("fresh", age <= most, facts.rows, method, {"most_days": most}))
    return [*found, *ahead]


def _ahead(rows: int, timed: int, level: float) -> MeasurementValue:
    measured = share("future_rate", {}, rows, timed, level)
    tolerance = AHEAD.total_seconds() / DAY
    return replace(measured, detail={"rows": rows, "tolerance_days": tolerance})


def notes(facts: Facts) -> list[Note]:
    """What contradicts the data itself: rows of a time that has not come."""
    if not facts.ahead or facts.as_of is None:
        return []
    text = (
        f"{facts.ahead} rows have a time more than {AHEAD.total_seconds() / DAY:g} day after the "
        "request; no age is taken from them"
    )
    return [Note("rows_in_the_future", text, {"rows": facts.ahead}, finding=True)]


def volume(facts: Facts, fields: Fields) -> list[MeasurementValue]:
    """`volume_ratio` to the reference; `volume_kept` if bounds were declared.

    Raises:
        Invalid: naming the field of `config`.
    """
    found = []
    if facts.reference_rows:
        found.append(
            MeasurementValue(
                "volume_ratio",
                {},
                facts.rows / facts.reference_rows,
                n=facts.rows,
                method="rows to those of the reference",
                unit="ratio",
            )
        )
    if fields.has("volume"):
        own = Fields(fields.raw("volume"), fields.name("volume"), ("least", "most"))
        least = own.whole("least", 0)
        most = own.whole("most", 2**53 - 1)
        if least > most:
            raise Invalid("expected at least the least", field=own.name("most"))
        detail = {"least": least, "most": most if own.has("most") else None}
        holds = least <= facts.rows <= most
        found.append(truth("volume_kept", holds, facts.rows, "rows within bounds", detail))
    return found


def ranges(facts: Facts, level: float) -> list[MeasurementValue]:
    """`out_of_range_rate` of each number: rows below or above all of the reference's.

    A reference without a number has no range to be in.
    """
    found = []
    for name, one in facts.outside.items():
        about = {"feature": name}
        if not one.ranged:
            found.append(_unknown(about, one.rows))
            continue
        measured = share("out_of_range_rate", about, one.below + one.above, one.rows, level)
        beyond = {"below": one.below, "above": one.above}
        found.append(replace(measured, detail=beyond))
    if not found:
        return []
    defined = [one for one in found if one.value is not None]
    undefined = [one.slice["feature"] for one in found if one.value is None]
    detail: dict[str, Any] = {"columns": len(found), "undefined": undefined}
    if not defined:
        return [*found, replace(found[0], slice={"feature": BETWEEN}, detail=detail)]
    top = max(defined, key=lambda one: one.value or 0.0)
    detail = {"feature": top.slice["feature"], **detail}
    return [*found, replace(top, slice={"feature": BETWEEN}, detail=detail)]


def _unknown(about: Mapping[str, str], rows: int) -> MeasurementValue:
    return MeasurementValue(
        "out_of_range_rate", about, None, n=rows, undefined_reason=NOT_AVAILABLE, unit="rate"
    )
