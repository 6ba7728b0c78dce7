"""Stretches of time that a monitor judges at once, in UTC. Pure.

`batch`: each batch is judged by itself. `day`, `week` (from Monday), `month`, and `1h`, `2h`, `3h`,
`4h`, `6h`, `8h`, `12h` (from midnight): all data whose batch begins in the stretch, or the rows of a
source whose time lies in it, are judged together, once it is over.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from kernel.errors import Invalid

BATCH: Final = "batch"
_HOURS: Final = (1, 2, 3, 4, 6, 8, 12)
WINDOWS: Final = (BATCH, *(f"{hours}h" for hours in _HOURS), "day", "week", "month")
MOST_RECHECKS: Final = 31
"""How many windows later one of a source may still be counted again."""
MOST_MIN_ROWS: Final = 10_000_000
"""Fewer rows than a monitor's least judge nothing; more than so many no figure needs."""
_DAY: Final = timedelta(days=1)


def check(window: str, field: str = "window") -> str:
    """Raises Invalid, naming the field, unless `window` is one of `WINDOWS`."""
    if window not in WINDOWS:
        raise Invalid(f"expected one of {', '.join(WINDOWS)}", field=field)
    return window


def around(window: str, at: datetime) -> tuple[datetime, datetime]:
    """The stretch [start, end) that `at` lies in."""
    at = at.astimezone(UTC)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    hours = re.fullmatch(r"(\d+)h", window)
    if hours:
        length = int(hours[1])
        start = midnight + timedelta(hours=at.hour // length * length)
        return start, start + timedelta(hours=length)
    if window == "day":
        return midnight, midnight + _DAY
    if window == "week":
        start = midnight - at.weekday() * _DAY
        return start, start + 7 * _DAY
    if window == "month":
        start = midnight.replace(day=1)
        return start, (start + 32 * _DAY).replace(day=1)
    raise ValueError(f"{window} is no stretch of time")


def between(window: str, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The stretches from the one that `since` lies in to the last that is over by `until`."""
    start, end = around(window, since)
    while end <= until:
        yield start, end
        start, end = around(window, end)


def ends_after(window: str, end: datetime, count: int) -> Iterator[datetime]:
    """When the next `count` stretches end after one that ends at `end`, earliest first."""
    for _ in range(count):
        _, end = around(window, end)
        yield end


def longest(window: str) -> timedelta:
    """How long a stretch can be."""
    start, end = around(window, datetime(2026, 1, 1, tzinfo=UTC))
    return end - start


def cuts_days(window: str) -> bool:
    """Whether a stretch can be shorter than a day."""
    return longest(window) < _DAY
