"""Run by `test_killed.py` as a process of its own, on a data folder of its own.

Queues checks, kills the worker with -9 in the middle of one, starts another, and prints what the
rows and the log say in the end as JSON.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 150.0


@contextlib.contextmanager
def worker(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "config", "worker", "--beat", "-c", "1"),
                *("-Q", "checks,default", "-s", str(folder / "beat"), "-l", "WARNING"),
            ],
            cwd=ROOT,
            start_new_session=True,
            stdout=log,
            stderr=log,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from audit.models import Entry
    from monitoring.models import CheckRun, Measurement
    from tests.monitoring import helpers

    folder = Path(os.environ["COUNTERSIGN_DATA_DIR"])
    for kind in ("fairness", "performance"):
        helpers.request(helpers.version(), kind=kind)
    ends = time.monotonic() + DEADLINE

    def wait(*states: str, every: bool) -> None:
        while time.monotonic() < ends:
            found = [state in states for state in CheckRun.objects.values_list("state", flat=True)]
            if all(found) if every else any(found):
                return
            time.sleep(0.05)
        raise TimeoutError((folder / "worker.log").read_text()[-2000:])

    with worker(folder):
        wait("running", every=False)
    with worker(folder):
        wait("succeeded", "failed", every=True)
    runs = list(CheckRun.objects.order_by("pk").values("state", "attempt", "cube_id"))
    entries = Entry.objects.filter(type__startswith="monitoring.check.").order_by("id")
    sys.stdout.write(
        json.dumps(
            {
                "runs": runs,
                "entries": [entry.type.rpartition(".")[2] for entry in entries],
                "measurements": Measurement.objects.count(),
                "distinct": Measurement.objects.values("run", "position").distinct().count(),
            }
        )
    )


if __name__ == "__main__":
    main()
