"""`python -m bench`: how fast the web process starts, what it holds, how fast the gate answers.

Prints a Markdown table. Runs against SQLite in a temporary folder, over loopback, one connection a
request, as a pipeline asks.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASKS = 400
CLIENTS = 8


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        port = _free_port()
        os.environ |= {
            "COUNTERSIGN_DATA_DIR": folder,
            "COUNTERSIGN_BIND": f"127.0.0.1:{port}",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        question, token = _prepare()
        server = subprocess.Popen([sys.executable, "manage.py", "web"], cwd=ROOT)
        try:
            begun = time.perf_counter()
            _await(f"http://127.0.0.1:{port}/livez")
            started = time.perf_counter() - begun
            rows = [("web process starts", f"{started:.2f} s", "< 3 s")]
            url = f"http://127.0.0.1:{port}/api/v1/gate/decisions/"
            rows += _gate(url, token, question)
            rows.insert(
                1,
                (
                    "web process holds, after the questions",
                    f"{_memory(server.pid):.0f} MB",
                    "< 200 MB",
                ),
            )
        finally:
            server.terminate()
            server.wait(15)
    print("| what | measured | aim |\n|---|---|---|")
    for what, measured, aim in rows:
        print(f"| {what} | {measured} | {aim} |")
    return 0


def _prepare() -> tuple[dict[str, str], str]:
    import django

    django.setup()
    from datetime import timedelta

    from django.core.management import call_command

    from accounts.access import Scope
    from accounts.actors import actor_for
    from accounts.services import issue_token
    from kernel.moments import now
    from tests import factories

    call_command("migrate", verbosity=0)
    version = factories.make_version()
    environment = factories.make_environment("enforce")
    operator = factories.make_user("operator", "operator")
    _, token = issue_token(
        operator,
        name="bench",
        scopes=[Scope.GATE],
        expires_at=now() + timedelta(hours=1),
        actor=actor_for(operator),
    )
    return {"digest": version.artifact_digest, "environment": environment.name}, token


def _gate(url: str, token: str, question: dict[str, str]) -> list[tuple[str, str, str]]:
    body = json.dumps(question).encode()

    def ask(_: int) -> float:
        request = urllib.request.Request(
            url,
            data=body,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        begun = time.perf_counter()
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.loads(answer.read())["decision"] == "deny"
        return time.perf_counter() - begun

    ask(0)
    alone = sorted(ask(index) for index in range(ASKS // 4))
    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        together = sorted(pool.map(ask, range(ASKS)))
    rate = ASKS / (time.perf_counter() - begun)
    return [
        ("gate decision, recorded and signed, 1 client, p50", _ms(alone, 0.5), "≤ 1 s"),
        (f"the same, {CLIENTS} clients, p50", _ms(together, 0.5), "≤ 1 s"),
        (f"the same, {CLIENTS} clients, p99", _ms(together, 0.99), "≤ 1 s"),
        (f"gate decisions a second, {CLIENTS} clients", f"{rate:.0f}", "—"),
        ("spread: mean of 1 client", f"{statistics.mean(alone) * 1000:.1f} ms", "—"),
    ]


def _ms(times: list[float], share: float) -> str:
    return f"{times[min(len(times) - 1, int(share * len(times)))] * 1000:.1f} ms"


def _memory(pid: int) -> float:
    """Resident memory of a process and its children, in MB; shared pages count once (PSS)."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            if f"\nPPid:\t{pid}\n" in text or status.parent.name == str(pid):
                rollup = (status.parent / "smaps_rollup").read_text()
                total += int(rollup.split("\nPss:")[1].split()[0])
        except (OSError, IndexError):
            continue
    return total / 1000


def _await(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except (OSError, urllib.error.URLError):
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(url)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
