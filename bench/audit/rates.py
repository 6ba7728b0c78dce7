"""Write rates on PostgreSQL: many writers, one variant after the other, round after round.

Each write locks a row, changes it, and does what its variant does; `work` seconds of the application's own
work may follow before the commit. Writers have rows of their own, so only the audit makes them meet.
"""

import contextlib
import json
import multiprocessing
import os
import resource
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from django.db import connections, transaction

ROWS = 50
_FORK = multiprocessing.get_context("fork")


def _change(model: type, pk: int, number: int) -> dict[str, object]:
    item = model.objects.select_for_update().get(pk=pk)
    item.value, item.note = number, f"changed for the {number}th time"
    item.save()
    return {"pk": pk, "value": number, "note": item.note}


def plain(pk: int, number: int, work: float) -> None:
    from bench.audit.shop.models import PlainItem

    with transaction.atomic(durable=True):
        _change(PlainItem, pk, number)
        _busy(work)


def auditlog(pk: int, number: int, work: float) -> None:
    from bench.audit.shop.models import LoggedItem

    with transaction.atomic(durable=True):
        _change(LoggedItem, pk, number)
        _busy(work)


def simple_history(pk: int, number: int, work: float) -> None:
    from bench.audit.shop.models import HistoryItem

    with transaction.atomic(durable=True):
        _change(HistoryItem, pk, number)
        _busy(work)


def chain(pk: int, number: int, work: float) -> None:
    from bench.audit.shop.models import Head, Link, PlainItem

    with transaction.atomic(durable=True):
        body = _change(PlainItem, pk, number)
        head = Head.objects.select_for_update().get(pk=1)
        digest = sha256((head.digest + json.dumps(body, sort_keys=True)).encode()).hexdigest()
        Link.objects.create(previous=head.digest, digest=digest, body=body)
        head.digest = digest
        head.save()
        _busy(work)


def _service() -> Callable[..., None]:
    from audit.actor import Actor
    from audit.catalogue import define
    from audit.recording import record
    from audit.writing import write
    from bench.audit.shop.models import PlainItem
    from kernel.moments import now

    define("bench.item.changed", item=int, value=int)

    @write
    def change(pk: int, number: int, work: float, *, actor: Actor) -> None:
        body = _change(PlainItem, pk, number)
        record(
            "bench.item.changed",
            actor=actor,
            at=now(),
            object_type="item",
            object_id=str(pk),
            public={"item": pk, "value": number},
            private={"note": body["note"]},
        )
        _busy(work)

    return change


_change_audited: Callable[..., None] | None = None


def countersign(pk: int, number: int, work: float) -> None:
    global _change_audited
    from audit.actor import Actor

    _change_audited = _change_audited or _service()
    actor = Actor("person", UUID(int=1), "Ada", UUID(int=1))
    _change_audited(pk, number, work, actor=actor)


VARIANTS: dict[str, Callable[[int, int, float], None]] = {
    "no audit": plain,
    "Countersign": countersign,
    "django-auditlog": auditlog,
    "django-simple-history": simple_history,
    "hash chain in the transaction": chain,
}


def _busy(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)


def fill(writers: int) -> None:
    from bench.audit.shop.models import Head, HistoryItem, LoggedItem, PlainItem

    for model in (PlainItem, LoggedItem, HistoryItem):
        model.objects.bulk_create(model(name=f"item {n}") for n in range(writers * ROWS))
    Head.objects.create(pk=1)


@dataclass(frozen=True)
class Round:
    """Writes per second, and milliseconds of processor time that one took: writers, server, sequencer."""

    rate: float
    cost: float


def measure(
    writers: int, seconds: float, rounds: int, server: int, *, work: float = 0.0
) -> dict[str, list[Round]]:
    """Return each variant's rounds, in turns. `server` is the process id of the database's parent."""
    found: dict[str, list[Round]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name in VARIANTS:
            sequencing = _sequencer() if name == "Countersign" else None
            used = _processor(server)
            done = _rate(name, writers, seconds, work)
            if sequencing:
                stop, process = sequencing
                stop.set()
                process.join()
            connections.close_all()
            cost = (_processor(server) - used) * 1000 / done
            found[name].append(Round(done / seconds, cost))
    return found


def _processor(server: int) -> float:
    """Return the seconds of processor time of the server and of the children that have ended here."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            own, waited = map(int, fields[11:13]), map(int, fields[13:15])
            if int(stat.parent.name) == server:
                ticks += sum(own) + sum(waited)
            elif int(fields[1]) == server:
                ticks += sum(own)
    return ended.ru_utime + ended.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def _rate(name: str, writers: int, seconds: float, work: float) -> int:
    connections.close_all()
    counts = _FORK.SimpleQueue()
    start = _FORK.Barrier(writers)
    running = [
        _FORK.Process(target=_writer, args=(name, number, seconds, work, start, counts))
        for number in range(writers)
    ]
    for process in running:
        process.start()
    total = sum(counts.get() for _ in running)
    for process in running:
        process.join()
    return total


def _writer(
    name: str, number: int, seconds: float, work: float, start: object, counts: object
) -> None:
    variant, done = VARIANTS[name], 0
    # The first write connects and imports; it does not count.
    variant(number * ROWS + 1, 0, 0.0)
    start.wait()  # type: ignore[attr-defined]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        variant(number * ROWS + 1 + done % ROWS, done, work)
        done += 1
    connections.close_all()
    counts.put(done)  # type: ignore[attr-defined]


def _sequencer() -> tuple[threading.Event, object]:
    connections.close_all()
    stop = _FORK.Event()
    process = _FORK.Process(target=_sequence, args=(stop,))
    process.start()
    return stop, process


def _sequence(stop: threading.Event) -> None:
    from audit import sequencer

    sequencer.run_forever(stop)


def left_over() -> int:
    """Return how many entries waited when the writers stopped, and sequence them."""
    from audit.models import Pending
    from audit.sequencer import Sequencer

    waiting = Pending.objects.count()
    Sequencer().drain()
    return waiting


def table(found: dict[str, list[Round]]) -> list[str]:
    """Return the lines of the table. A ratio is the median of those of the rounds: what a machine does
    beside changes from round to round and less within one."""
    lines = [
        "| variant | writes/s (median) | of no audit (median) | lowest and highest round "
        "| processor time of a write | of no audit |",
        "|---|---|---|---|---|---|",
    ]
    base = found["no audit"]
    for name, rounds in found.items():
        shares = [one.rate / two.rate for one, two in zip(rounds, base, strict=True)]
        costs = [two.cost / one.cost for one, two in zip(rounds, base, strict=True)]
        rate = statistics.median(one.rate for one in rounds)
        cost = statistics.median(one.cost for one in rounds)
        lines.append(
            f"| {name} | {rate:,.0f} | {statistics.median(shares):.2f} | {min(shares):.2f} to "
            f"{max(shares):.2f} | {cost:.2f} ms | {statistics.median(costs):.2f} |"
        )
    return lines
