"""What goes on by itself in the embedded mode: the sequencer, the outbox, and the clock of what is due.

They are in no worker, and no pool is beside them: a process that forks must have no threads, whose locks
would be taken and whose database connections open in the child.
"""

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

from celery import beat
from django.conf import settings
from django.core.management.base import BaseCommand

from config.celery import app
from config.supervision import end_with_parent


class Command(BaseCommand):
    help = "Run the sequencer, the outbox and the schedule in one process (embedded mode)."
    requires_system_checks: list[str] = []  # noqa: RUF012  # `up` ran them

    def handle(self, *args: Any, **options: Any) -> None:
        from audit import outbox, sequencer, startup

        end_with_parent()
        startup.at_start("audit_sequencer")
        stop = threading.Event()
        schedule = str(settings.COUNTERSIGN.data_dir / "beat-schedule")
        clock = beat.Service(app, schedule_filename=schedule, remote_control=False)

        def end(*_: object) -> None:
            stop.set()
            clock.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        threads = [_beside(loop, stop) for loop in (sequencer.run_forever, outbox.run_forever)]
        clock.start()
        stop.set()
        for thread in threads:
            thread.join()


def _beside(loop: Callable[[threading.Event], None], stop: threading.Event) -> threading.Thread:
    """A loop in a thread. If it ends before it is told to, so does the process, and is started anew."""

    def run() -> None:
        try:
            loop(stop)
        finally:
            if not stop.is_set():
                os._exit(1)

    thread = threading.Thread(target=run, name=loop.__module__)
    thread.start()
    return thread
