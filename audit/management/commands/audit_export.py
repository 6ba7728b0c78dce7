from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from audit import export
from audit.management.progress import Bar
from audit.selection import Selection
from kernel.errors import CountersignError
from kernel.moments import parse_rfc3339


class Command(BaseCommand):
    help = "Export the log, with proofs, and the verifier that checks it offline."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("output", type=Path, help="a new folder, or a new .zip")
        parser.add_argument(
            "--format", choices=["jsonl", "tiles"], default="jsonl", help="JSON lines or tlog-tiles"
        )
        parser.add_argument("--private", action="store_true", help="with the private payloads")
        parser.add_argument("--scope", type=UUID, help="of one scope (a model's id)")
        parser.add_argument("--actor", type=UUID, help="by one actor's pseudonym")
        parser.add_argument("--type", help="of one entry type, or a prefix as governance.*")
        parser.add_argument("--since", help="from this instant on (RFC 3339)")
        parser.add_argument("--until", help="before this instant")
        parser.add_argument("--first", type=int, help="from this index on")
        parser.add_argument("--last", type=int, help="before this index")
        parser.add_argument(
            "--extends",
            type=Path,
            action="append",
            default=[],
            help="a checkpoint that the receiver holds: proves that the log extends it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        progress = Bar(self.stderr, "entries")
        target: Path = options["output"]
        try:
            if options["format"] == "tiles":
                export.write_tiles(target, progress=progress)
            else:
                extends = [path.read_text() for path in options["extends"]]
                export.write(
                    target,
                    self._selection(options),
                    private=options["private"],
                    extends=extends,
                    progress=progress,
                )
        except (CountersignError, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"exported to {target}; check it with: python verifier.py . --vkey KEY")

    def _selection(self, options: dict[str, Any]) -> Selection:
        return Selection(
            scope=options["scope"],
            actor=options["actor"],
            type=options["type"],
            since=_instant(options, "since"),
            until=_instant(options, "until"),
            first=options["first"],
            last=options["last"],
        )


def _instant(options: dict[str, Any], name: str) -> datetime | None:
    if options[name] is None:
        return None
    return parse_rfc3339(options[name], name, time_zone=settings.COUNTERSIGN.time_zone)
