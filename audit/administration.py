"""What administrators did: grants, accounts, tokens, settings, erasures, epochs, starts of processes.

Each layer says in its `entries.py` which of its entry types are administrative; the report is a
selection of the log by them and needs no table of its own.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from audit.models import Entry
from kernel.moments import rfc3339

Names = Callable[[Iterable[UUID]], dict[UUID, str]]
COLUMNS = ("entry", "at", "type", "actor", "actor_name", "object_type", "object_id", "facts")
_patterns: set[str] = set()
_names: list[Names] = []


def covers(*patterns: str) -> None:
    """Count entry types, or prefixes that end in `.*`, among what administrators do."""
    _patterns.update(patterns)


def name_by(names: Names) -> None:
    """Let the layer that knows people say who a pseudonym is. Called in `AppConfig.ready()`."""
    _names[:] = [names]


def acts(
    *, since: datetime | None = None, until: datetime | None = None, actor: UUID | None = None
) -> QuerySet[Entry]:
    """Return the administrative entries from `since` on and before `until`, by one pseudonym or all."""
    wanted = Q(pk__in=[])
    for pattern in sorted(_patterns):
        wanted |= Q(type__startswith=pattern[:-1]) if pattern.endswith("*") else Q(type=pattern)
    rows = Entry.objects.filter(wanted)
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    return rows if actor is None else rows.filter(actor=actor)


def counts(rows: QuerySet[Entry]) -> dict[str, int]:
    """Return how many entries of each type there are."""
    found = rows.order_by("type").values_list("type").annotate(number=Count("id"))
    return dict(found)


def names_of(rows: Iterable[Entry]) -> dict[UUID, str]:
    """Return the names of the actors, but for those that were erased."""
    people = {row.actor for row in rows if row.actor_kind != "system"}
    names = {
        row.actor: row.content["actor"].get("name", "")
        for row in rows
        if row.actor_kind == "system"
    }
    for resolve in _names:
        names |= resolve(people)
    return names


def as_csv(rows: QuerySet[Entry]) -> Iterator[str]:
    """Yield the report line by line, oldest first, for a spreadsheet."""
    yield _csv_line(COLUMNS)
    after = 0
    while chunk := list(rows.filter(id__gt=after).order_by("id")[:500]):
        names = names_of(chunk)
        for row in chunk:
            yield _csv_line(
                (
                    str(row.uuid),
                    rfc3339(row.at),
                    row.type,
                    str(row.actor),
                    names.get(row.actor, ""),
                    row.object_type,
                    row.object_id,
                    json.dumps(row.public, separators=(",", ":"), ensure_ascii=False),
                )
            )
        after = chunk[-1].pk


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_harmless(cell) for cell in cells])
    return line.getvalue()


def _harmless(cell: str) -> str:
    # A spreadsheet would take it for a formula.
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
