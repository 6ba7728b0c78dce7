from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import anchors
from audit.checkpoints import newest
from kernel.conf import ConfigurationError


class Command(BaseCommand):
    help = "Carry the newest checkpoint to every anchor now. Exits 1 if one did not take it."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            failures = anchors.anchor_now()
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=64) from error
        if not failures:
            raise CommandError(
                "no anchor is configured; name one in COUNTERSIGN_ANCHOR_*", returncode=64
            )
        head = newest()
        for target, failure in failures.items():
            holds = f"holds {head.size if head else 0} entries"
            self.stdout.write(f"{target}: {failure or holds}")
        if any(failures.values()):
            raise CommandError("an anchor did not take the checkpoint", returncode=1)
