"""Instants: always aware, always UTC, RFC 3339 on the outside."""

import re
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from kernel.errors import Invalid

# What RFC 3339 takes; Python reads weeks and forms without separators, too.
_SHAPE = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ].+)?", re.ASCII)


def now() -> datetime:
    return datetime.now(UTC)


def rfc3339(instant: datetime) -> str:
    """Return `instant` as RFC 3339 in UTC with microseconds only where they are not zero."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: object, field: str, *, time_zone: str = "UTC") -> datetime:
    """Read an instant. A bare date means its end in `time_zone` (DESIGN 10).

    Raises:
        Invalid: naming `field`, if `text` is no RFC 3339 instant or date, or has no offset.
    """
    wrong = Invalid("expected an RFC 3339 instant, as 2026-11-20T12:00:00Z", field=field)
    if not isinstance(text, str) or not _SHAPE.fullmatch(text):
        raise wrong
    try:
        parsed = datetime.fromisoformat(text.upper())
        if len(text) == 10:
            return datetime.combine(parsed.date(), time.max, ZoneInfo(time_zone)).astimezone(UTC)
        if parsed.tzinfo is None:
            raise Invalid("the instant needs an offset, as Z or +01:00", field=field)
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        # Overflow: the calendar's first and last day are partly outside it in UTC.
        raise wrong from None
