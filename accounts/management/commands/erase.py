from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from accounts import services
from accounts.actors import actor_for
from accounts.models import User
from audit import erasure
from kernel.errors import CountersignError


class Command(BaseCommand):
    help = (
        "Erase a person, or the private payload of one entry. Where the database has roles, run it with "
        "the eraser's: nobody else may."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--person", help="the username of who is erased")
        what.add_argument("--entry", type=UUID, help="the id of the entry whose payload is erased")
        parser.add_argument(
            "--by", required=True, help="the username of the administrator who does it"
        )
        parser.add_argument(
            "--basis", required=True, choices=erasure.BASES, help="the legal ground"
        )
        parser.add_argument("--reason", required=True, help="why; name nobody in it")

    def handle(self, *args: Any, **options: Any) -> None:
        ground = {"basis": options["basis"], "reason": options["reason"]}
        actor = actor_for(self._user(options["by"]))
        try:
            if options["entry"]:
                entry = erasure.erase_payload(actor=actor, entry=options["entry"], **ground)
            else:
                entry = services.erase_person(self._user(options["person"]), actor=actor, **ground)
        except CountersignError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"erased; entry {entry.uuid} says so")

    def _user(self, username: str) -> User:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"no account is named {username!r}")
        return user
