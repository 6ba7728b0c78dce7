"""`make bench-checks`: the checks beside other tools, on the same files in one run. Prints Markdown.

Each measurement is a process of its own, so that its peak memory is its own, and the tools take turns,
so that ratios mean something on a busy machine too; the seconds of CPU, of all cores, mean more there.
Imports are not counted, for anybody.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.checks import making

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
ENVIRONMENTS = ROOT / ".venv" / "peers"
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Measured:
    """What one subject took: the medians of its rounds in seconds, peak memory in MB, its figures."""

    seconds: float
    cpu: float
    rss: float
    figures: dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.checks", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--more", type=int, default=5_000_000)
    parser.add_argument("--huge", type=int, default=100_000_000, help="0 leaves it out")
    parser.add_argument("--without-peers", action="store_true", help="install nothing")
    parser.add_argument("--only", choices=("fairness", "drift", "growth"), help="one part")
    options = parser.parse_args()
    _machine()
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as name:
        folder = Path(name)
        parts = {options.only} if options.only else {"fairness", "drift", "growth"}
        for rows in (options.rows, options.more) if "fairness" in parts else ():
            _fairness(folder, rows, peers=not options.without_peers)
        if "drift" in parts:
            _drift(folder, options.rows, peers=not options.without_peers)
        if options.huge and "growth" in parts:
            _growth(folder, options.huge)
    return 0


def _machine() -> None:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(
        f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}, ",
        end="",
    )
    print(f"load before the run {load}\n")


def _fairness(folder: Path, rows: int, *, peers: bool) -> None:
    path = making.decisions(folder / f"decisions-{rows}.parquet", rows)
    ours, scan = _ours("fairness", 4, path), _ours("scan", 4, path)
    theirs = {"Fairlearn MetricFrame, without intervals": _peer("fairlearn", 1, path)}
    if peers:
        theirs["Aequitas Group and Bias, without intervals"] = _peer("aequitas", 3, path)
    print(f"Fairness, {rows:,} rows, five by two groups\n")
    _head()
    _line("Countersign, the whole check with intervals and p-values", ours, ours)
    _line("a bare scan of its columns (DuckDB)", scan, ours)
    for name, one in theirs.items():
        _line(name, one, ours)
    bootstrap = _ours("bootstrap", 4, path)
    _line("10,000 bootstrap replicates of a gap, in Countersign", bootstrap, ours)
    for name, one in theirs.items():
        print(f"\n{_agreement(name, ours, one)}", end="")
    print("\n")
    sys.stdout.flush()
    if rows > 1_000_000:
        path.unlink()


def _drift(folder: Path, rows: int, *, peers: bool) -> None:
    reference = making.wide(folder / "reference.parquet", rows, shift=0.0, seed=2)
    current = making.wide(folder / "current.parquet", rows, shift=0.05, seed=3)
    ours = _ours("drift", 4, reference, current)
    bins = _ours("drift_in_bins", 4, reference, current)
    theirs = {
        "Evidently DataDriftPreset, one statistic a column": _peer(
            "evidently", 1, reference, current
        )
    }
    if peers:
        theirs["NannyML univariate Jensen-Shannon"] = _peer("nannyml", 2, reference, current)
        theirs["whylogs profiles of both files"] = _peer("whylogs", 2, reference, current)
    print(f"Drift, {rows:,} against {rows:,} rows, 25 columns\n")
    _head()
    _line("Countersign, the whole check: all statistics and tests", ours, ours)
    _line("the same by counts in bins (`exact: false`)", bins, ours)
    for name, one in theirs.items():
        _line(name, one, ours)
    evidently = next(iter(theirs.items()))
    print(f"\n{_agreement(evidently[0], ours, evidently[1])}\n")
    sys.stdout.flush()


def _growth(folder: Path, rows: int) -> None:
    print("Fairness and performance as the rows grow, one machine\n")
    print("| rows | file | fairness | rows/s | peak memory | performance | rows/s | peak memory |")
    print("|---|---|---|---|---|---|---|---|")
    for count in (rows // 100, rows // 10, rows):
        path = making.decisions(folder / f"growth-{count}.parquet", count)
        cells = [f"{count:,}", f"{path.stat().st_size / 1e6:,.0f} MB"]
        for subject in ("fairness", "performance"):
            one = _ours(subject, 2, path)
            cells += [
                f"{one.seconds:.1f} s",
                f"{count / one.seconds / 1e6:.1f} M",
                f"{one.rss:,.0f} MB",
            ]
        print(f"| {' | '.join(cells)} |")
        sys.stdout.flush()
        path.unlink()
    print()


def _head() -> None:
    print(
        "| what | seconds | of CPU | peak memory | times Countersign's time |\n|---|---|---|---|---|"
    )


def _line(name: str, one: Measured, ours: Measured) -> None:
    ratio = one.seconds / ours.seconds
    print(f"| {name} | {one.seconds:.3g} | {one.cpu:.3g} | {one.rss:,.0f} MB | {ratio:,.3g} |")


def _agreement(name: str, ours: Measured, theirs: Measured) -> str:
    """Say how far the figures that both have are apart."""
    shared = {
        key: abs(ours.figures[key] - value)
        for key, value in theirs.figures.items()
        if ours.figures.get(key) is not None and value == value
    }
    if not shared:
        return f"{name}: no figure in common."
    worst = max(shared.values())
    word = "equal" if worst <= TOLERANCE else "NOT equal"
    return f"{name}: {len(shared)} figures in common, {word}, largest difference {worst:.1e}."


def _ours(subject: str, rounds: int, *files: Path) -> Measured:
    return _run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "bench.checks.ours",
            subject,
            str(rounds),
            *map(str, files),
        ]
    )


def _peer(subject: str, rounds: int, *files: Path) -> Measured:
    python = _environment(subject)
    return _run([str(python), str(HERE / "peers.py"), subject, str(rounds), *map(str, files)])


def _environment(subject: str) -> Path:
    """The interpreter of a peer's own environment, made at its first use; ours if it has none."""
    needed = tomllib.loads((HERE / "peers.toml").read_text()).get(subject)
    if needed is None:
        return Path(sys.executable)
    python = ENVIRONMENTS / subject / "bin" / "python"
    ready = python.parent.parent / ".installed"
    if not ready.exists():
        print(f"installing {subject} apart from the product", file=sys.stderr)
        venv.create(ENVIRONMENTS / subject, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *needed["packages"]], check=True)
        ready.touch()
    return python


def _run(command: list[str]) -> Measured:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    took = statistics.median(said["seconds"]), statistics.median(said["cpu"])
    return Measured(*took, said["rss"], said["figures"])


if __name__ == "__main__":
    sys.exit(main())
