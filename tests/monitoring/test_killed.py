"""A worker is killed with -9 in the middle of a check: nothing is lost, nothing is doubled."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from django.conf import settings


@pytest.mark.stack
@pytest.mark.slow
def test_what_a_killed_worker_was_doing_is_done_by_the_next(tmp_path):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")
    }
    environment |= {
        "COUNTERSIGN_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.monitoring.killed"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert [run["state"] for run in found["runs"]] == ["succeeded", "succeeded"]
    assert sorted(run["attempt"] for run in found["runs"])[-1] == 2
    entries = Counter(found["entries"])
    assert (entries["requested"], entries["started"], entries["succeeded"]) == (2, 3, 2)
    assert found["measurements"] == found["distinct"] > 0
