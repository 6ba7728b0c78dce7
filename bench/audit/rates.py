"""Write rates on PostgreSQL: many writers, one variant after the other, round after round.

Each write locks a row, changes it, and does what its variant does; `work` seconds of the application's own
work may follow before the commit. Writers have rows of their own, so only the audit makes them meet.
"""

import json
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from django.db import connection, connections, transaction

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
    writers: int, seconds: float, rounds: int, *, work: float = 0.0
) -> dict[str, list[Round]]:
    """Return each variant's rounds, in turns."""
    found: dict[str, list[Round]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name in VARIANTS:
            sequencing = _Sequencing() if name == "Countersign" else None
            done, used = _rate(name, writers, seconds, work)
            if sequencing:
                used += sequencing.end()
            found[name].append(Round(done / seconds, used * 1000 / done))
    return found


def _processor() -> float:
    """Return the seconds of processor time of this process and of its database connection's."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    served = int(Path(f"/proc/{backend}/schedstat").read_text().split()[0])
    return time.process_time() + served / 1e9


def _rate(name: str, writers: int, seconds: float, work: float) -> tuple[int, float]:
    connections.close_all()
    counts = _FORK.SimpleQueue()
    start = _FORK.Barrier(writers)
    running = [
        _FORK.Process(target=_writer, args=(name, number, seconds, work, start, counts))
        for number in range(writers)
    ]
    for process in running:
        process.start()
    said = [counts.get() for _ in running]
    for process in running:
        process.join()
    return sum(done for done, _ in said), sum(used for _, used in said)


def _writer(
    name: str, number: int, seconds: float, work: float, start: object, counts: object
) -> None:
    variant, done = VARIANTS[name], 0
    # The first write connects and imports; it does not count.
    variant(number * ROWS + 1, 0, 0.0)
    used = _processor()
    start.wait()  # type: ignore[attr-defined]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        variant(number * ROWS + 1 + done % ROWS, done, work)
        done += 1
    used = _processor() - used
    connections.close_all()
    counts.put((done, used))  # type: ignore[attr-defined]


class _Sequencing:
    """The sequencer in a process of its own, until `end`, which returns what it took of the processor."""

    def __init__(self) -> None:
        connections.close_all()
        self._stop, self._said = _FORK.Event(), _FORK.SimpleQueue()
        self._process = _FORK.Process(target=_sequence, args=(self._stop, self._said))
        self._process.start()

    def end(self) -> float:
        self._stop.set()
        used: float = self._said.get()
        self._process.join()
        return used


def _sequence(stop: threading.Event, said: object) -> None:
    from audit import sequencer

    used = _processor()
    sequencer.run_forever(stop)
    said.put(_processor() - used)  # type: ignore[attr-defined]


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
