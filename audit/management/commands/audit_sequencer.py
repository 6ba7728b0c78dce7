import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import startup
from audit.sequencer import INTERVAL, Halted, Sequencer


class Command(BaseCommand):
    help = "Run the sequencer: it alone holds the log's key. SIGTERM ends it after its step."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="empty the queue and end")
        parser.add_argument(
            "--interval", type=float, default=INTERVAL, help="seconds between polls"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        sequencer = Sequencer()
        if options["once"]:
            try:
                # Also where nothing waits: a database that was rolled back must not pass.
                done = sequencer.step(inspect=True) + sequencer.drain()
            except Halted as halt:
                raise CommandError(f"nothing is signed: {halt}", returncode=1) from halt
            self.stdout.write(f"{done} entries sequenced")
            return
        startup.at_start("audit_sequencer")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        sequencer.run_forever(stop, interval=options["interval"])
