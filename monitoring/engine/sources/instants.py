"""Columns of time as instants in UTC."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ibis.expr.types as ir

FIRST: Final = datetime(1, 1, 1, tzinfo=UTC).replace(tzinfo=None)
LAST: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).replace(tzinfo=None)
"""Instants before and after these have no date that everybody writes alike."""


def instants_of(column: "ir.Value") -> "ir.Value | None":
    """The column as instants in UTC, without a zone; None if it holds none.

    A text is read with its offset, and in UTC if it has none; what cannot be read is missing.
    """
    kind = column.type()
    if kind.is_string():
        # Cast to a timestamp without a zone, a text would lose its offset.
        column = column.try_cast("timestamp('UTC')")
    elif not (kind.is_timestamp() or kind.is_date()):
        return None
    return column.cast("timestamp")


def within_calendar(instants: "ir.Value") -> "ir.Value":
    """Is it an instant that has a date, from the year 1 to 9999?"""
    return (instants >= FIRST) & (instants <= LAST)
