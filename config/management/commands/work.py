"""The worker of the embedded mode: Celery with beat, and the log's sequencer as a loop beside it."""

import threading
from typing import Any

from celery.signals import worker_ready, worker_shutting_down
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from config.celery import app
from config.supervision import end_with_parent


class Command(BaseCommand):
    help = "Run checks, reports, the outbox and the sequencer in one worker (embedded mode)."
    requires_system_checks: list[str] = []  # noqa: RUF012  # `up` ran them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=2)

    def handle(self, *args: Any, **options: Any) -> None:
        end_with_parent()
        stop = threading.Event()

        # Once the pool has forked: a thread that holds a lock while a process forks would leave
        # the lock taken in the child for ever.
        def begin(**_: object) -> None:
            from audit import outbox, sequencer

            for loop in (sequencer.run_forever, outbox.run_forever):
                threading.Thread(
                    target=loop, args=(stop,), name=loop.__module__, daemon=True
                ).start()

        def finish(**_: object) -> None:
            stop.set()

        worker_ready.connect(begin, weak=False)
        worker_shutting_down.connect(finish, weak=False)
        app.conf.worker_max_tasks_per_child = None
        app.worker_main(
            [
                "--quiet",
                "worker",
                "--beat",
                f"--schedule={settings.COUNTERSIGN.data_dir / 'beat-schedule'}",
                "--queues=default,checks",
                f"--concurrency={options['concurrency']}",
                "--loglevel=WARNING",
                "--without-gossip",
                "--without-mingle",
            ]
        )
