"""Counting the rows that keep declared rules, where the data lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kernel.errors import CountersignError, Invalid
from monitoring.engine.checks.data_quality.facts import Outside, RuleCount
from monitoring.engine.rules import DataRule, Scalar
from monitoring.engine.sources import Source, instants_of
from monitoring.engine.sources.filters import instant
from monitoring.engine.sources.instants import FIRST, LAST

if TYPE_CHECKING:
    import ibis.expr.types as ir

_NEED = {"numeric": "a number", "text": "a text", "boolean": "true or false", "time": "an instant"}


def check_rules(rules: Sequence[DataRule], schema: Mapping[str, str]) -> None:
    """Compare the rules with the data's columns.

    Raises:
        Invalid: naming the field of a rule that the data cannot keep or break.
    """
    for index, rule in enumerate(rules):
        path = f"config.rules[{index}]"
        for field, name in zip(("column", "other"), rule.columns(), strict=False):
            if name not in schema:
                raise Invalid(f"the data have no column {name!r}", field=f"{path}.{field}")
        kind = schema[rule.column]
        if rule.rule == "between" and kind not in ("numeric", "text", "time"):
            raise Invalid(f"column {rule.column!r} is {kind}", field=f"{path}.column")
        if rule.rule == "matches" and kind != "text":
            raise Invalid(f"column {rule.column!r} is {kind}, not text", field=f"{path}.column")
        if rule.rule == "less_than_column" and schema[rule.other] != kind:
            raise Invalid(
                f"column {rule.other!r} is {schema[rule.other]}, {rule.column!r} is {kind}",
                field=f"{path}.other",
            )
        for name in ("least", "most"):
            _fitting(getattr(rule, name), kind, f"{path}.{name}")
        for place, value in enumerate(rule.values):
            _fitting(value, kind, f"{path}.values[{place}]")


def _fitting(value: Scalar | None, kind: str, path: str) -> Any:
    """The value as the column's kind compares it."""
    if value is None:
        return None
    if kind == "time":
        return instant(value, path)
    wanted = {"numeric": (int, float), "text": (str,), "boolean": (bool,)}.get(kind, ())
    if not isinstance(value, wanted) or (kind == "numeric" and isinstance(value, bool)):
        raise Invalid(f"expected {_NEED.get(kind, 'nothing')}", field=path)
    return value


def count_rules(source: Source, rules: Sequence[DataRule]) -> list[RuleCount]:
    """Count each rule: all but uniqueness in one pass over the rows.

    Raises:
        Invalid: naming the field of a rule that does not fit the data.
    """
    check_rules(rules, source.schema)
    together: dict[str, Any] = {}
    for index, rule in enumerate(rules):
        if rule.rule == "unique":
            continue
        about, kept = _expressions(source, rule, index)
        together[f"rows{index}"] = about.ifelse(1, 0).sum()
        together[f"kept{index}"] = (about & kept).ifelse(1, 0).sum()
    found = {}
    if together:
        found = source.table.aggregate(**together).to_pyarrow().to_pylist()[0]
    counted = []
    for index, rule in enumerate(rules):
        if rule.rule == "unique":
            counted.append(_unique(source, rule))
        else:
            sizes = int(found[f"rows{index}"] or 0), int(found[f"kept{index}"] or 0)
            counted.append(RuleCount(rule, *sizes))
    return counted


def _known(column: "ir.Value") -> "ir.Value":
    """Is there a value? Not-a-number is none."""
    if column.type().is_floating():
        return column.notnull() & ~column.isnan().fill_null(False)
    return column.notnull()


def _expressions(source: Source, rule: DataRule, index: int) -> tuple["ir.Value", "ir.Value"]:
    """Whether a row is one that the rule is about, and whether it keeps it."""
    import ibis

    column, kind = source.table[rule.column], source.schema[rule.column]
    known = _known(column)
    path = f"config.rules[{index}]"
    if rule.rule == "not_null":
        return column.isnull() | column.notnull(), known
    if kind == "time":
        column = column.cast("timestamp")
    if rule.rule == "between":
        low, high = (_fitting(getattr(rule, end), kind, f"{path}.{end}") for end in _ENDS)
        kept = ibis.literal(True)
        if low is not None:
            kept = kept & (column >= low)
        if high is not None:
            kept = kept & (column <= high)
    elif rule.rule == "in":
        values = [_fitting(one, kind, f"{path}.values") for one in rule.values]
        kept = column.isin(values)
    elif rule.rule == "matches":
        _check_pattern(source, rule.pattern, f"{path}.pattern")
        kept = column.re_search(_anchored(rule.pattern))
    else:
        other = source.table[rule.other]
        known = known & _known(other)
        if kind == "time":
            other = other.cast("timestamp")
        kept = column <= other if rule.or_equal else column < other
    return known, kept.fill_null(False)


_ENDS = ("least", "most")


def _anchored(pattern: str) -> str:
    return rf"\A(?:{pattern})\z"


def _check_pattern(source: Source, pattern: str, path: str) -> None:
    """DuckDB matches by RE2, in time that is linear in the text; others may not."""
    import ibis

    if source.backend.name != "duckdb":
        raise Invalid("patterns are matched in files alone", field=path)
    try:
        source.backend.execute(ibis.literal("").re_search(_anchored(pattern)))
    except CountersignError:
        raise
    except Exception as error:
        raise Invalid("not a pattern that RE2 reads", field=path) from error


def _unique(source: Source, rule: DataRule) -> RuleCount:
    """Rows whose value no other row has."""
    table = source.table.select(value=source.table[rule.column])
    table = table.filter(_known(table.value))
    counted = table.group_by("value").agg(n=table.count())
    row = counted.aggregate(rows=counted.n.sum(), kept=(counted.n == 1).ifelse(1, 0).sum())
    found = row.to_pyarrow().to_pylist()[0]
    return RuleCount(rule, int(found["rows"] or 0), int(found["kept"] or 0))


def outside(source: Source, reference: Source, names: Sequence[str]) -> dict[str, Outside]:
    """How many finite numbers of each column lie beyond all of the reference's."""
    if not names:
        return {}
    ends = _ends(reference, names)
    together: dict[str, Any] = {}
    for index, name in enumerate(names):
        column = _number(source, name)
        finite = _finite(column)
        low, high = ends[name]
        together[f"rows{index}"] = finite.ifelse(1, 0).sum()
        for side, beyond in (("below", low), ("above", high)):
            if beyond is None:
                continue
            over = column < beyond if side == "below" else column > beyond
            together[f"{side}{index}"] = (finite & over).ifelse(1, 0).sum()
    found = source.table.aggregate(**together).to_pyarrow().to_pylist()[0]
    return {
        name: Outside(
            **{part: int(found.get(f"{part}{index}") or 0) for part in ("rows", "below", "above")},
            ranged=ends[name][0] is not None,
        )
        for index, name in enumerate(names)
    }


def _number(source: Source, name: str) -> "ir.Value":
    """The column as a float, or as the integer that it is: floats merge large ones."""
    column = source.table[name]
    return column if column.type().is_integer() else column.cast("float64")


def _finite(column: "ir.Value") -> "ir.Value":
    if column.type().is_integer():
        return column.notnull()
    return (column.notnull() & ~column.isnan() & ~column.isinf()).fill_null(False)


def _ends(source: Source, names: Sequence[str]) -> dict[str, tuple[float | None, float | None]]:
    together = {}
    for index, name in enumerate(names):
        column = _number(source, name)
        kept = _finite(column).ifelse(column, None)
        together[f"low{index}"], together[f"high{index}"] = kept.min(), kept.max()
    found = source.table.aggregate(**together).to_pyarrow().to_pylist()[0]
    return {name: (found[f"low{i}"], found[f"high{i}"]) for i, name in enumerate(names)}


@dataclass(frozen=True)
class Ages:
    """The newest instant that is not ahead, and how many rows have no time and how many are ahead."""

    newest: datetime | None
    timeless: int
    ahead: int


def ages(source: Source, name: str, until: datetime | None) -> Ages:
    """Look at a column of time. Rows later than `until`, where it is given, are ahead.

    Raises:
        Invalid: the column holds no instants.
    """
    moment = instants_of(source.table[name])
    if moment is None:
        raise Invalid(f"column {name!r} holds no instants", field="mapping.time")
    last = until.astimezone(UTC).replace(tzinfo=None) if until is not None else LAST
    table = source.table.select(at=moment)
    there = (table.at >= FIRST) & (table.at <= last)
    found = table.aggregate(
        newest=there.ifelse(table.at, None).max(),
        n=table.at.count(),
        ahead=(table.at > last).ifelse(1, 0).sum(),
    )
    row = found.to_pyarrow().to_pylist()[0]
    newest, timeless = row["newest"], source.rows - int(row["n"])
    return Ages(newest.replace(tzinfo=UTC) if newest else None, timeless, int(row["ahead"] or 0))
