from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import epochs, sequencer
from audit.actor import Actor
from audit.highwater import HighWaterFile
from audit.writing import Refused


class Command(BaseCommand):
    help = (
        "Start a new epoch of the log after a restore (run it where the sequencer runs, with the "
        "sequencer stopped), or adopt a log whose high-water file was lost."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--start", action="store_true", help="freeze this epoch, start the next")
        what.add_argument("--adopt", action="store_true", help="make a lost high-water file anew")
        parser.add_argument("--reason", default="", help="why; kept with the first entry")

    def handle(self, *args: Any, **options: Any) -> None:
        marks = HighWaterFile(sequencer.folder())
        try:
            if options["adopt"]:
                mark = epochs.adopt(marks)
                self.stdout.write(f"adopted epoch {mark.epoch} at {mark.size} entries")
                self.stdout.write("compare this with a checkpoint that was held outside:")
                self.stdout.write(mark.note)
                return
            if not options["reason"].strip():
                raise CommandError("--reason: say why the log starts anew")
            epoch = epochs.start_epoch(
                actor=Actor.system("audit_epoch"), reason=options["reason"], marks=marks
            )
        except (Refused, sequencer.Halted) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"epoch {epoch.number} starts as {epoch.origin}")
