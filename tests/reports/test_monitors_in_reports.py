"""What a report says of monitors: each window once, by what was known of it at the cut-off."""

from pathlib import Path
from typing import Any

import pytest

from kernel.moments import now
from monitoring import executor, services, windows
from monitoring.models import CheckRun
from reports.gathering.index import EvidenceIndex
from reports.gathering.measured import monitors_of
from tests.monitoring import helpers, lakes

pytestmark = pytest.mark.django_db


def turn(at: Any) -> None:
    services.run_due_monitors(actor=helpers.SYSTEM, at=at)
    for run in CheckRun.objects.filter(state="queued").order_by("pk"):
        executor.execute(run.pk, beat=None)


def observed(watch: Any, at: Any = None) -> list[tuple[str, float | None]]:
    place = (watch.version, watch.use, watch.environment)
    (told,) = monitors_of(*place, at or now(), EvidenceIndex())
    return [(one["batch"], one["value"]) for one in told["watched"][0]["observations"]]


def test_windows_of_a_table_are_told_each_once(tmp_path: Path, monkeypatch: Any) -> None:
    lake = lakes.Lake(tmp_path, monkeypatch)
    watch = lakes.monitor()
    today = lakes.day_of(now())
    days = [(today + day * helpers.DAY).date().isoformat() for day in range(2)]
    lake.put(today, 100, right=0.9)
    turn(today + helpers.DAY)
    known = now()
    lake.put(today, 100, right=0.7)
    lake.put(today + helpers.DAY, 100, right=0.9)
    turn(today + 2 * helpers.DAY)
    assert observed(watch, known) == [(days[0], 0.9)]
    assert observed(watch) == [(days[0], 0.8), (days[1], 0.9)]


def test_windows_of_hours_are_told_with_the_hour(tmp_path: Path, monkeypatch: Any) -> None:
    lake = lakes.Lake(tmp_path, monkeypatch)
    watch = lakes.monitor(window="6h")
    start, end = windows.around("6h", watch.since)
    lake.put(start, 100, right=0.9)
    turn(end)
    assert observed(watch) == [(f"{start:%Y-%m-%d %H:%M}", 0.9)]


def test_batches_are_told_by_their_names() -> None:
    watch = helpers.monitor()
    helpers.batch(watch)
    helpers.finish(CheckRun.objects.get(), helpers.outcome(helpers.measured(value=0.9)))
    assert observed(watch) == [("day-0", 0.9)]
