"""`make bench-audit`: the audit log beside what else there is, and a long log. Prints Markdown.

Starts a PostgreSQL of its own with fsync on. All figures of one table come from one run, in turns, so
that ratios mean something on a busy machine too; absolute figures say what the machine was.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

SETTINGS = "bench.audit.settings"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each variant in each round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--output", type=Path, help="a file that gets what is printed, too")
    options = parser.parse_args()
    from tests.servers import postgres

    with (
        tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder,
        postgres("fsync=on", "shared_buffers=256MB", "max_wal_size=4GB") as server,
    ):
        os.environ |= {
            "COUNTERSIGN_DATA_DIR": f"{folder}/data",
            "COUNTERSIGN_DATABASE_URL": server.create("bench"),
            "DJANGO_SETTINGS_MODULE": SETTINGS,
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("migrate", run_syncdb=True, verbosity=0)
        _machine()
        if options.rounds:
            _rates(options)
        if options.entries:
            _long(options.entries, Path(folder))
    if options.output:
        options.output.write_text("\n".join(_said) + "\n")
        print(f"\nwritten to {options.output}")
    return 0


_said: list[str] = []


def say(text: str) -> None:
    """Print a piece of the report, and keep it for `--output`."""
    _said.append(text)
    print(text, flush=True)


def _machine() -> None:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    say(
        f"{len(names)} x {names[0] if names else platform.processor()}, Python {platform.python_version()}, "
        f"load before the run {load}\n"
    )


def _rates(options: argparse.Namespace) -> None:
    from bench.audit import rates

    rates.fill(options.writers)
    for work in (0.0, 0.005):
        found = rates.measure(options.writers, options.seconds, options.rounds, work=work)
        said = f", {work * 1000:.0f} ms of the application's own work in each" if work else ""
        say(
            f"Writes with {options.writers} writers{said}; {options.rounds} rounds of {options.seconds:g} s\n"
        )
        for line in rates.table(found):
            say(line)
        say(f"\n{rates.left_over()} entries waited for the sequencer when the writers stopped\n")


def _long(entries: int, folder: Path) -> None:
    from audit.models import Entry, LogKey
    from bench.audit import million

    def row(what: str, measured: object, aim: str = "") -> None:
        say(f"| {total:,} | {what} | {measured} | {aim} |")

    say("| entries | what | measured | aim |\n|---|---|---|---|")
    million.make_actors()
    for total in (entries // 10, entries):
        aims = total == entries
        missing = total - Entry.objects.count()
        seconds = million.grow(missing)
        row("sequencing what is queued", f"{missing / seconds:,.0f} entries/s")
        middle, high, computing = million.proofs_ms()
        row(
            "inclusion proof from the database, p50 / p99",
            f"{middle:.2f} / {high:.2f} ms ({computing:.2f} ms of own processor time)",
            "< 1 ms" if aims else "",
        )
        verify = ("manage.py", "audit_verify", "--skip-checks", "--processes", "2")
        row(
            "`audit_verify` in the database, 2 processes",
            million.command(*verify, settings=SETTINGS),
        )
        out = folder / f"export-{total}"
        export = ("manage.py", "audit_export", "--skip-checks", str(out), "--private")
        took = million.command(*export, settings=SETTINGS)
        size = (out / "export.jsonl").stat().st_size / 1e6
        row(f"`audit_export` with private payloads, {size:,.0f} MB", took)
        key = LogKey.objects.get().vkey
        # In turns, so that what the machine does beside meets both.
        alone, stream = million.hashing_alone(out / "export.jsonl")
        row(
            "the same digests by `hashlib` and `hmac` alone, 1 process",
            f"{alone:.1f} s of processor time",
        )
        for processes in (1, 2):
            took = million.command(
                str(million.VERIFIER), str(out), "--vkey", key, "--processes", str(processes),
                settings=SETTINGS,
            )  # fmt: skip
            name = f"`verifier.py`, {processes} process{'es' if processes > 1 else ''}"
            row(name, took, "< 10 s, flat memory" if aims and processes == 2 else "")
            used = took.processor if processes == 1 else took.seconds
            row(
                f"its rate of that, {'by processor time' if processes == 1 else 'by the clock'}",
                f"{alone / used:.2f}",
                ">= 0.4" if aims else "",
            )
        row("the file's bytes through one SHA-256", f"{stream:.1f} s of processor time")


if __name__ == "__main__":
    sys.exit(main())
