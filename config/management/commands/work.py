"""A worker of the embedded mode: one process, in which Celery runs one task at a time.

It has no pool. The children of Celery's pool share a lock on this broker's queue, and one that is killed
while it waits keeps the lock for ever; processes that are supervised one by one share nothing.
"""

import os
import resource
import signal
import sys
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import task_postrun, task_prerun
from celery.worker import state
from django.core.management.base import BaseCommand

from config.celery import app
from config.supervision import end_with_parent

_LATE = signal.ITIMER_REAL


class Command(BaseCommand):
    help = "Run checks, reports and what is due, one at a time (embedded mode)."
    requires_system_checks: list[str] = []  # noqa: RUF012  # `up` ran them

    def handle(self, *args: Any, **options: Any) -> None:
        end_with_parent()
        task_prerun.connect(_begin, weak=False)
        task_postrun.connect(_end, weak=False)
        app.worker_main(
            [
                "--quiet",
                "worker",
                "--pool=solo",
                f"--hostname=worker-{os.getpid()}@%h",
                "--queues=default,checks",
                "--loglevel=WARNING",
                "--without-gossip",
                "--without-mingle",
            ]
        )


def _begin(task: Any, **_: object) -> None:
    """Hold the task to its limits of time, which a worker without a pool leaves alone."""
    if not task.soft_time_limit:
        return
    further = [task.time_limit - task.soft_time_limit]

    def late(*_: object) -> None:
        if further:
            signal.setitimer(_LATE, further.pop())
            raise SoftTimeLimitExceeded(task.soft_time_limit)
        os._exit(1)

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(_LATE, task.soft_time_limit)


def _end(**_: object) -> None:
    signal.setitimer(_LATE, 0)
    scale = 1024 if sys.platform == "darwin" else 1
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    if held > app.conf.worker_max_memory_per_child:
        # Another takes its place: what was once held is never wholly given back.
        state.should_stop = 0
