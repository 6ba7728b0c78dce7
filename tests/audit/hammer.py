"""A writer for the concurrency tests: `python -m tests.audit.hammer NUMBER COUNT`.

Every fifth write is rolled back, every seventh holds its transaction open while others commit, so that
ids commit out of order.
"""

import os
import sys
from contextlib import suppress

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection  # noqa: E402

from audit.actor import Actor  # noqa: E402
from audit.writing import write  # noqa: E402
from tests.audit import samples  # noqa: E402


@write
def linger(name: str, *, actor: Actor) -> None:
    samples.step(actor, name, private={"name": name})
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.02)")


def main(number: int, count: int) -> None:
    for i in range(count):
        name = f"writer-{number}-{i}"
        if i % 5 == 0:
            with suppress(ZeroDivisionError):
                samples.note_and_fail(actor=samples.ADA)
        if i % 7 == 0:
            linger(name, actor=samples.ADA)
        else:
            samples.note(name, actor=samples.ADA, count=i)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
