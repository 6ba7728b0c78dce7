"""What a row is, as expressions over its columns: its group, label, prediction and score."""

from typing import TYPE_CHECKING

from monitoring.engine.mapping import UNKNOWN, ColumnMapping, Scalar, SensitiveAttribute
from monitoring.engine.results import BETWEEN
from monitoring.engine.sources import Source, text_of

if TYPE_CHECKING:
    import ibis.expr.types as ir

PREDICTION = "countersign_prediction"
SCORE = "countersign_score"

Group = tuple[str, ...]


def group_of(source: Source, attribute: SensitiveAttribute) -> "ir.Value":
    """The name of the row's group as an expression."""
    return group_name(source, attribute, source.table[attribute.column])


def is_named_late(source: Source, attribute: SensitiveAttribute) -> bool:
    """Can rows be counted by the column's values, and these be named once counted?

    Not bands of a number, of which each row may have another, nor -0 and 0, which are one group.
    """
    return not attribute.edges and not source.table[attribute.column].type().is_floating()


def group_name(source: Source, attribute: SensitiveAttribute, value: "ir.Value") -> "ir.Value":
    """The name of the group of a column's value.

    `*` stands for the comparison between groups. A value of stars alone is told by one star more, so
    that no group is called so, and none as another.
    """
    import ibis

    names = attribute.groups()
    if not names:
        text = text_of(source.backend, value)
        if value.type().is_string():
            stars = text.replace(BETWEEN, "") == ""
            starred = ibis.ifelse(stars, text.concat(BETWEEN), text)
            text = ibis.ifelse(text.startswith(BETWEEN), starred, text)
        return ibis.ifelse(_absent(value), ibis.literal(UNKNOWN), text)
    branches = [(value < edge, name) for edge, name in zip(attribute.edges, names, strict=False)]
    return ibis.cases((_absent(value), UNKNOWN), *branches, else_=names[-1])


def label_of(source: Source, mapping: ColumnMapping) -> "ir.Value | None":
    """1 for a positive outcome, 0 for another, null for none; None without a label column."""
    if mapping.label is None or mapping.task != "classification":
        return None
    return flag(source.table[mapping.label], mapping.positive)


def prediction_of(source: Source, mapping: ColumnMapping) -> "ir.Value | None":
    if mapping.task != "classification":
        return None
    if PREDICTION in source.table.columns:
        return source.table[PREDICTION].cast("int32")
    if mapping.prediction is None:
        return None
    wanted = (
        mapping.positive if mapping.positive_prediction is None else mapping.positive_prediction
    )
    return flag(source.table[mapping.prediction], wanted)


def score_of(source: Source, mapping: ColumnMapping) -> "ir.Value | None":
    if SCORE in source.table.columns:
        return source.table[SCORE].cast("float64")
    if mapping.score is None:
        return None
    return source.table[mapping.score].cast("float64")


def flag(column: "ir.Value", wanted: Scalar) -> "ir.Value":
    """1 where the column has the value, 0 where another, null where none: not-a-number is none."""
    import ibis

    # PostgreSQL makes no smaller integer of a boolean.
    found = (column == wanted).cast("int32")
    if not column.type().is_floating():
        return found
    return ibis.ifelse(column.isnan(), ibis.null("int32"), found)


def _absent(column: "ir.Value") -> "ir.Value":
    """Not-a-number is no group, and above every edge to a database."""
    if column.type().is_floating():
        return column.isnull() | column.isnan()
    return column.isnull()
