import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from audit import notes, sequencer, verification
from audit.highwater import HighWaterFile
from audit.management.progress import Bar
from audit.models import Leaf

# Starting processes takes about two seconds each.
_LARGE = 50_000


class Command(BaseCommand):
    help = "Verify the whole log: exits 1 if anything is wrong, and names what."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--vkey", action="append", default=[], help="a key to trust, instead of the key files"
        )
        parser.add_argument(
            "--checkpoint",
            type=Path,
            action="append",
            default=[],
            help="a checkpoint from outside that the log must extend",
        )

        parser.add_argument(
            "--processes",
            type=int,
            default=0,
            help="how many read the entries; by default all cores for a large log on PostgreSQL",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            trusted = [notes.parse_vkey(text) for text in options["vkey"]] or None
            report = verification.verify(
                trusted=trusted,
                older=[path.read_text() for path in options["checkpoint"]],
                marks=HighWaterFile(sequencer.folder()),
                processes=options["processes"] or _processes(),
                progress=Bar(self.stderr, "entries"),
            )
        except (notes.NoteError, OSError) as error:
            raise CommandError(str(error), returncode=64) from error
        self.stdout.write(
            f"{report.entries:,} entries, {report.payloads:,} private payloads ({report.erased:,} erased), "
            f"{report.tiles:,} tiles, {report.checkpoints:,} checkpoints; {report.pending:,} entries wait"
        )
        for remark in report.remarks:
            self.stdout.write(f"note: {remark}")
        for finding in report.findings:
            self.stdout.write(str(finding))
        if not report.ok:
            raise CommandError(
                f"{len(report.findings)} findings: the log is not whole", returncode=1
            )
        self.stdout.write("the log is whole")


def _processes() -> int:
    large = connection.vendor == "postgresql" and Leaf.objects.count() > _LARGE
    return os.cpu_count() or 1 if large else 1
