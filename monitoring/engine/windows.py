"""A sample cut into consecutive windows of time, each compared with the same reference.

Each column is read once with the window that each row is in. Windows are named by their start: a
date, an instant for hours, a number where the column of time holds numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from kernel.errors import Invalid, TooLarge
from kernel.moments import rfc3339
from monitoring.engine import columns, comparing, profiles
from monitoring.engine.comparing import Comparison
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.profiles import Categories, Numbers
from monitoring.engine.sources import Source, category_of, instants_of, within_calendar

if TYPE_CHECKING:
    import ibis.expr.types as ir

MOST_WINDOWS: Final = 400
MOST_COMPARISONS: Final = 4_000
_PLAIN: Final = 20
"""Numbers of more digits than these are written with an exponent."""
_PLACES: Final = 2.0**53
"""Windows this far from zero have no whole number of their own."""
_UNITS: Final = {"hour": "h", "day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}


@dataclass(frozen=True)
class Windowed:
    """The comparisons of each window in order of time, and the rows that are in none."""

    windows: list[tuple[str, list[Comparison]]]
    rows: list[int]
    timeless: int

    def to_json(self) -> dict[str, Any]:
        return {
            "timeless": self.timeless,
            "windows": [
                {
                    "window": name,
                    "rows": rows,
                    "comparisons": [one.to_json() for one in compared],
                }
                for (name, compared), rows in zip(self.windows, self.rows, strict=True)
            ],
        }


def compare_windows(
    reference: Source, current: Source, mapping: ColumnMapping, window: str | float
) -> Windowed:
    """Compare each window of `current` with all of `reference`, column by column.

    Raises:
        Invalid: the mapping has no column of time, the column holds none, or there are too many
            windows.
        TooLarge: there are too many rows to sort them by window in memory.
    """
    if 2 * current.rows > profiles.MOST_SORTED:
        raise TooLarge(
            f"{current.rows} rows are more than the {profiles.MOST_SORTED // 2} of a sample that are "
            "sorted by window: check fewer at a time, by a filter",
            field="config.window",
        )
    reference, current = columns.aligned(reference, current, mapping)
    start = _start(current, mapping, window)
    starts, rows, timeless = _windows(current, start)
    names = [_name(one, window) for one in starts]
    imprecise = columns.too_large(reference, current, mapping.features)
    compared = list(_columns(reference, current, mapping))
    if len(compared) * len(names) > MOST_COMPARISONS:
        raise Invalid(
            f"{len(names)} windows of {len(compared)} columns are more than {MOST_COMPARISONS} "
            "comparisons; choose wider windows",
            field="config.window",
        )
    place = {one: index for index, one in enumerate(starts)}
    found: list[list[Comparison]] = [[] for _ in starts]
    for name, old, new, categorical, answer in compared:
        if categorical:
            before = profiles.categories(_alone(reference, name, old), name)
            for index, part in enumerate(_split_categories(current, new, start, place)):
                one = comparing.compare_categories(name, before, part)
                found[index].append(replace(one, answer=answer))
        else:
            known = profiles.numbers(_alone(reference, name, old), name)
            parts = _split_numbers(current, new, start, starts)
            for index, piece in enumerate(parts):
                one = comparing.compare_numbers(name, known, piece)
                lost = not answer and name in imprecise
                found[index].append(replace(one, answer=answer, imprecise=lost))
    return Windowed(list(zip(names, found, strict=True)), rows, timeless)


def _start(source: Source, mapping: ColumnMapping, window: str | float) -> "ir.Value":
    """The start of a row's window as a whole number: seconds, or windows of a number's width."""
    if mapping.time is None:
        raise Invalid("windows need the column of time", field="mapping.time")
    column = source.table[mapping.time]
    kind = column.type()
    if not isinstance(window, str):
        if not kind.is_numeric():
            raise Invalid(
                f"column {mapping.time!r} holds no numbers; name a window as 'day'",
                field="config.window",
            )
        place = column.cast("float64") / float(window)
        place = (place.abs() < _PLACES).ifelse(place, None)
        if kind.is_floating():
            # What is no number, or endless, is in no window. (DuckDB's statistics of a parquet
            # column trip over NaN in any other cast to integers, even where no row is reached.)
            place = place.try_cast("decimal(38, 15)").cast("float64")
        return place.floor().cast("int64")
    moment = instants_of(column)
    if moment is None:
        raise Invalid(
            f"column {mapping.time!r} holds no instants; give the width of a window as a number",
            field="config.window",
        )
    # What has no date is in no window.
    moment = within_calendar(moment).ifelse(moment, None)
    return moment.truncate(_UNITS[window]).epoch_seconds().cast("int64")


def _windows(source: Source, start: "ir.Value") -> tuple[list[int], list[int], int]:
    table = source.table.select(start=start)
    counted = table.group_by("start").agg(n=table.count())
    found = counted.limit(MOST_WINDOWS + 2).to_pyarrow().to_pylist()
    known = sorted((int(row["start"]), int(row["n"])) for row in found if row["start"] is not None)
    if len(known) > MOST_WINDOWS:
        raise Invalid(
            f"the data span more than {MOST_WINDOWS} windows; choose wider ones",
            field="config.window",
        )
    if not known:
        raise Invalid("no row has a time", field="mapping.time")
    timeless = sum(int(row["n"]) for row in found if row["start"] is None)
    return [one for one, _ in known], [n for _, n in known], timeless


def _name(start: int, window: str | float) -> str:
    if not isinstance(window, str):
        with localcontext(prec=60):
            # Exact: two windows never share a name.
            named = (start * Decimal(repr(window))).normalize()
        return f"{named:f}" if abs(named.adjusted()) <= _PLAIN else str(named)
    moment = datetime.fromtimestamp(start, UTC)
    return rfc3339(moment) if window == "hour" else moment.date().isoformat()


def _columns(
    reference: Source, current: Source, mapping: ColumnMapping
) -> Iterator[tuple[str, "ir.Value", "ir.Value", bool, bool]]:
    """Each feature and answer that both samples have: name, expressions, is it categories, an answer?"""
    for name in mapping.features:
        categorical = name in mapping.categorical or reference.schema[name] != "numeric"
        yield name, reference.table[name], current.table[name], categorical, False
    old, new = columns.answers_of(reference, mapping), columns.answers_of(current, mapping)
    for name in comparing.ANSWERS:
        if name in old and name in new:
            yield name, old[name].expression, new[name].expression, old[name].categorical, True


def _alone(source: Source, name: str, column: "ir.Value") -> Source:
    return replace(source, table=source.table.select(**{name: column}))


def _split_numbers(
    source: Source, column: "ir.Value", start: "ir.Value", starts: list[int]
) -> list[Numbers]:
    table = source.table.select(start=start, value=column.cast("float64"))
    values, codes = [np.empty(0)], [np.empty(0, np.intp)]
    absent = np.zeros(len(starts), np.int64)
    for batch in source.batches(table.filter(table.start.notnull()), 1 << 20):
        place = np.searchsorted(starts, batch.column(0).to_numpy(zero_copy_only=False))
        known = batch.column(1).is_valid().to_numpy(zero_copy_only=False)
        absent += np.bincount(place[~known], minlength=len(starts))
        values.append(batch.column(1).drop_null().to_numpy(zero_copy_only=False))
        codes.append(place[known])
    code = np.concatenate(codes)
    order = np.argsort(code, kind="stable")
    pieces = np.split(
        np.concatenate(values)[order], np.searchsorted(code[order], np.arange(1, len(starts)))
    )
    whole = bool(column.type().is_integer())
    return [
        profiles.counted(piece, int(gone), whole=whole)
        for piece, gone in zip(pieces, absent, strict=True)
    ]


def _split_categories(
    source: Source, column: "ir.Value", start: "ir.Value", place: dict[int, int]
) -> list[Categories]:
    table = source.table.select(start=start, value=category_of(source.backend, column))
    counted = table.group_by(["start", "value"]).agg(n=table.count()).to_pyarrow().to_pylist()
    counts: list[dict[str, int]] = [{} for _ in place]
    missing = [0] * len(place)
    for row in counted:
        if row["start"] is None:
            continue
        index = place[int(row["start"])]
        if row["value"] is None:
            missing[index] += int(row["n"])
        else:
            counts[index][row["value"]] = int(row["n"])
    return [
        Categories(dict(sorted(one.items())), absent)
        for one, absent in zip(counts, missing, strict=True)
    ]
