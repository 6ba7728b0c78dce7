"""Writers and dying sequencers for the concurrency tests, as processes of their own.

`python -m tests.audit.hammer crowd WRITERS FILE`  many, until the file is there; prints how many entries they left
`python -m tests.audit.hammer die SECONDS`  sequencers that are killed -9 at each statement in turn, and between
commit and high-water file, at least once each; prints where

Every fifth write is rolled back, every seventh holds its transaction open while others commit, so that
ids commit out of order.
"""

import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection, connections  # noqa: E402

from audit.actor import Actor  # noqa: E402
from audit.highwater import HighWaterFile  # noqa: E402
from audit.sequencer import Sequencer  # noqa: E402
from audit.writing import write  # noqa: E402
from tests.audit import samples  # noqa: E402

ACTOR = Actor.system("hammer")


@write
def linger(name: str, *, actor: Actor) -> None:
    samples.step(actor, name, private={"name": name})
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.02)")


def one(number: int, i: int) -> None:
    name = f"writer-{number}-{i}"
    if i % 5 == 0:
        with suppress(ZeroDivisionError):
            samples.note_and_fail(actor=ACTOR)
    if i % 7 == 0:
        linger(name, actor=ACTOR)
    else:
        samples.note(name, actor=ACTOR, count=i)


def crowd(writers: int, stop: Path) -> None:
    """Let forked writers write until the file `stop` is there."""
    connections.close_all()
    reading, writing = os.pipe()
    for number in range(writers):
        if os.fork():
            continue
        done = 0
        while not stop.exists():
            one(number, done)
            done += 1
        os.write(writing, f"{done}\n".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as counts:
        total = sum(int(line) for line in counts)
    for _ in range(writers):
        _, status = os.wait()
        assert status == 0
    sys.stdout.write(f"{total}\n")


_IDLE = 3


def die(seconds: float) -> None:
    """Fork sequencers that are killed at the first statement, at the second, and so on, again and again.

    Ends when the time is over and a whole round was made: 0 is the moment between commit and high-water
    file, and a step that outlives its number was shorter than that.
    """
    connections.close_all()
    end = time.monotonic() + seconds
    killed: Counter[int] = Counter()
    at = rounds = 0
    while time.monotonic() < end or not rounds:
        child = os.fork()
        if not child:
            _sequence_and_die(at)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            killed[at] += 1
            at += 1
        elif os.waitstatus_to_exitcode(status) != _IDLE:
            at, rounds = 0, rounds + 1
    places = " ".join(f"{place}:{count}" for place, count in sorted(killed.items()))
    sys.stdout.write(f"{places}\n")


def _sequence_and_die(at: int) -> None:
    seen = 0

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    def torn(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if at == 0:
        HighWaterFile.write = torn  # type: ignore[method-assign]
    sequencer = Sequencer()
    for _ in range(40):
        seen = 0
        with connection.execute_wrapper(count):
            if sequencer.step():
                os._exit(0)
        time.sleep(0.005)
    # The other one took the work, or there was none.
    os._exit(_IDLE)


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    if what == "crowd":
        crowd(int(numbers[0]), Path(numbers[1]))
    else:
        die(float(numbers[0]))
