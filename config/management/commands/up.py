"""One command from nothing to a running Countersign."""

import secrets
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import startup
from audit.actor import Actor
from config.supervision import Supervisor, embedded
from kernel import keys


class Command(BaseCommand):
    help = "Check, migrate, make keys and the first administrator, then serve (embedded mode)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--prepare-only", action="store_true", help="do all but serve")
        parser.add_argument("--quiet", action="store_true", help="say nothing but errors")

    def handle(self, *args: Any, **options: Any) -> None:
        say = (lambda text: None) if options["quiet"] else self.stdout.write
        self._prepare(say)
        if options["prepare_only"]:
            return
        if settings.COUNTERSIGN.production:
            raise CommandError(
                "production runs its processes apart: web, celery worker, celery beat and audit_sequencer"
            )
        startup.at_start("up")
        say(f"Countersign serves at {settings.COUNTERSIGN.public_url} (Ctrl-C ends it)")
        supervisor = Supervisor(embedded(), say)
        supervisor.start()
        if supervisor.run():
            raise CommandError("a process could not stay up; see the messages above")

    def _prepare(self, say: Any) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        for purpose in ("log", "attestation", "seal", "pepper"):
            keys.current(purpose)
        say(f"data folder: {settings.COUNTERSIGN.data_dir}")
        self._first_administrator(say)

    def _first_administrator(self, say: Any) -> None:
        from accounts.models import OrganisationRole, Role
        from accounts.services import create_first_administrator

        if OrganisationRole.objects.filter(role=Role.ADMINISTRATOR).exists():
            return
        password = secrets.token_urlsafe(15)
        create_first_administrator(
            "admin", name="Administrator", password=password, actor=Actor.system("up")
        )
        path = settings.COUNTERSIGN.data_dir / "first-administrator.txt"
        path.touch(mode=0o600)
        path.write_text(f"admin\n{password}\n")
        say(f"first administrator: user admin, password in {path}; change it and delete the file")
