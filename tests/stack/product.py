"""The product as people start it, `manage.py up` on a data folder of its own, and how a test asks it."""

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]


def until(what: str, question: Callable[[], Any], *, seconds: float, pause: float = 0.05) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = question()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:.0f} s: {what}")
        time.sleep(pause)


class Product:
    """Embedded mode in `folder`. What its processes print is in `log`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder, self.port = folder, free_port()
        self.log = folder.parent / f"{folder.name}.log"
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith("COUNTERSIGN_")
        }
        self.environment = {
            **kept,
            "COUNTERSIGN_DATA_DIR": str(folder),
            "COUNTERSIGN_BIND": f"127.0.0.1:{self.port}",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        self.token = ""

    def python(self, *arguments: str) -> str:
        """Run our interpreter with the product's environment; return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def up(self, command: str = "up") -> Iterator["subprocess.Popen[bytes]"]:
        """Serve until the block is left; then nothing of it is left, however it went.

        `command` is `web` for the web process alone.
        """
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", command],
                cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            until(f"it serves\n{self.said()}", lambda: self.ready(process), seconds=60)
            yield process
        finally:
            kill(process)

    def ready(self, process: "subprocess.Popen[bytes]") -> bool:
        assert process.poll() is None, self.said()
        try:
            return self._request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def said(self) -> str:
        """The end of what the processes printed."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def _request(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, headers if self.token else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """REST: the status and the answer."""
        status, data = self._request(method, f"/api/v1/{path}", body)
        return status, json.loads(data)

    def rows(self, query: str) -> list[Any]:
        """Read the SQLite file beside the application's back."""
        file = self.folder / "countersign.sqlite3"
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name may hold spaces and brackets; what follows the last bracket does not.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found


def kill(process: "subprocess.Popen[bytes]") -> None:
    """`kill -9` of a process and all its descendants at once: none gets to put anything in order."""
    if process.poll() is None:
        # Stopped first, so that none starts another between the looking and the killing.
        seen: list[int] = []
        while (now := tree(process.pid)) != seen:
            for one in now:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGSTOP)
            seen = now
        for one in seen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
    process.wait()
