"""What each database role does in its process: `python -m tests.audit.roles_at_work WHAT [ARGUMENT]`."""

import os
import sys

import django
import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from accounts import services  # noqa: E402
from accounts.actors import actor_for  # noqa: E402
from accounts.models import User  # noqa: E402
from audit import erasure, outbox, proofs  # noqa: E402
from audit.actor import Actor  # noqa: E402
from audit.models import Entry  # noqa: E402
from audit.writing import Refused  # noqa: E402

PASSWORD = "correct horse battery staple"


def application() -> None:
    """Everyday work: people, roles, tokens, the outbox, reading the log."""
    root = services.create_first_administrator(
        "root", name="Root", password=PASSWORD, actor=Actor.system("up")
    )
    actor = actor_for(root)
    for name in ("ada", "ben"):
        user = services.create_person(name, name=name.title(), password=PASSWORD, actor=actor)
        services.grant_organisation_role(user, "developer", actor=actor)
    services.deactivate_user(User.objects.get(username="ben"), actor=actor)
    while outbox.sweep():
        pass
    assert proofs.inclusion(Entry.objects.order_by("id")[0].uuid) is None


def refused_to_erase() -> None:
    """The application asks for an erasure, which is the eraser's: refused, and on record."""
    actor = actor_for(User.objects.get(username="root"))
    entry = Entry.objects.filter(type="accounts.user.created").order_by("id")[0]
    ground = {"basis": "retention", "reason": "a test"}
    for attempt in (
        lambda: erasure.erase_payload(actor=actor, entry=entry.uuid, **ground),
        lambda: services.erase_person(User.objects.get(username="ben"), actor=actor, **ground),
    ):
        with pytest.raises(Refused) as refusal:
            attempt()
        assert refusal.value.code == "eraser_only"
    assert Entry.objects.filter(type="audit.write.refused").count() == 2


if __name__ == "__main__":
    {"application": application, "refused": refused_to_erase}[sys.argv[1]]()
