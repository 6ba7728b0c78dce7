import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from audit import startup
from audit.sequencer import INTERVAL, Sequencer


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
            self.stdout.write(f"{sequencer.drain()} entries sequenced")
            return
        startup.at_start("audit_sequencer")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        sequencer.run_forever(stop, interval=options["interval"])
