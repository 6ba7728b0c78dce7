"""Child processes of the embedded mode: started together, restarted when they die, ended together."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PIPE = "COUNTERSIGN_PARENT_PIPE"
GRACE = 15.0
ROOT = Path(__file__).resolve().parent.parent
MAX_RESTARTS = 5
RESTART_WINDOW = 60.0


def end_with_parent() -> None:
    """Have this process and its group end when the one that started it is gone, however it went.

    The parent holds the writing end of a pipe; the kernel closes it even on `kill -9`.
    """
    descriptor = os.environ.pop(PIPE, "")
    if not descriptor:
        return

    def watch() -> None:
        with contextlib.suppress(OSError):
            os.read(int(descriptor), 1)
        os.killpg(os.getpgrp(), signal.SIGTERM)
        time.sleep(GRACE)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


@dataclass
class Child:
    """One supervised process: our interpreter with `arguments`."""

    name: str
    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None
    starts: list[float] = field(default_factory=list)

    def start(self, pipe: int, output: IO[bytes] | None = None) -> None:
        self.starts.append(time.monotonic())
        self.process = subprocess.Popen(  # noqa: S603  # our own interpreter and command
            [sys.executable, *self.arguments],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            pass_fds=[pipe],
            env={**os.environ, PIPE: str(pipe)},
            start_new_session=True,
        )

    def died_too_often(self) -> bool:
        """A child that ended by itself, in order, did not die."""
        if self.process is not None and self.process.returncode == 0:
            self.starts.clear()
        recent = [start for start in self.starts if start > time.monotonic() - RESTART_WINDOW]
        return len(recent) > MAX_RESTARTS

    def end(self, deadline: float) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def embedded() -> list[Child]:
    """The children of the embedded mode."""
    manage = str(ROOT / "manage.py")
    return [
        Child("web", [manage, "web"]),
        *(Child(f"worker {number}", [manage, "work"]) for number in (1, 2)),
        Child("loops", [manage, "loops"]),
    ]


def separate() -> list[Child]:
    """The processes of production, one for each duty, on this machine."""
    celery = ["-m", "celery", "-A", "config"]
    return [
        Child("web", [str(ROOT / "manage.py"), "web"]),
        Child("worker", [*celery, "worker", "-Q", "default,checks", "-c", "2", "-l", "WARNING"]),
        Child("beat", [*celery, "beat", "-l", "WARNING", f"--schedule={_beat_schedule()}"]),
        Child("sequencer", [str(ROOT / "manage.py"), "audit_sequencer"]),
    ]


def _beat_schedule() -> Path:
    from django.conf import settings

    return Path(settings.COUNTERSIGN.data_dir) / "beat-schedule"


class Supervisor:
    """Runs children until it is told to stop or one of them cannot stay up.

    What they print goes to `output`, by default to where this process prints.
    """

    def __init__(
        self, children: list[Child], say: Callable[[str], None], output: IO[bytes] | None = None
    ) -> None:
        self._children = children
        self._output = output
        self._say = say
        self._stop = threading.Event()
        self._ended = False
        self._read, self._write = os.pipe()

    def stop(self, *_: object) -> None:
        self._stop.set()

    def start(self) -> None:
        for child in self._children:
            child.start(self._read, self._output)

    def run(self) -> int:
        """Watch until stopped. Returns 0 if stopped, 1 if a child died too often."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self.stop)
        try:
            while not self._stop.wait(0.5):
                for child in self._children:
                    if child.process is not None and child.process.poll() is None:
                        continue
                    if child.died_too_often():
                        self._say(
                            f"{child.name} died {MAX_RESTARTS} times within a minute; giving up"
                        )
                        return 1
                    self._say(f"{child.name} ended; starting it again")
                    child.start(self._read, self._output)
        finally:
            self.end()
        return 0

    def end(self) -> None:
        """End all children. Ending twice is ending once."""
        if self._ended:
            return
        self._ended = True
        deadline = time.monotonic() + GRACE
        for child in self._children:
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        for child in self._children:
            child.end(deadline)
        os.close(self._write)
        os.close(self._read)
