"""What Countersign's engine takes, each subject in a process of its own.

`python -m bench.checks.ours SUBJECT ROUNDS FILE [FILE]` prints one JSON object: seconds of each round without
imports, the peak memory in MB, and the figures that another tool's are compared with.
"""

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.checks import making
from bench.checks.rounds import report

GROUPS = [["race", "sex"]]


def _mapping(**more: Any) -> dict[str, Any]:
    return {
        "label": "label", "positive": 1, "prediction": "prediction",
        "sensitive": ["race", "sex"], **more,
    }  # fmt: skip


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check(kind: str, job: dict[str, Any]) -> Any:
    from monitoring.engine.job import CheckJob
    from monitoring.engine.run import run_check

    read = CheckJob.from_json({"kind": kind, **job})
    with tempfile.TemporaryDirectory() as folder:
        return run_check(kind, job=read, workdir=Path(folder), progress=lambda share, text: None)


def fairness(path: Path) -> Callable[[], dict[str, Any]]:
    """The whole check, digest of the file included: rates and gaps with intervals and p-values."""
    job = {
        "dataset": {"path": str(path), "digest": _digest(path)},
        "mapping": _mapping(),
        "config": {"groupings": GROUPS},
        "grade": "recomputed",
    }

    def once() -> dict[str, Any]:
        outcome = _check("fairness", job)
        return {
            f"{one.metric}|{'|'.join(one.slice.values())}": one.value
            for one in outcome.measurements
        }

    return once


def scan(path: Path) -> Callable[[], dict[str, Any]]:
    """A bare scan of the columns that the fairness check reads, by DuckDB."""
    import duckdb

    def once() -> dict[str, Any]:
        with duckdb.connect() as connection:
            connection.execute("SET threads = 2")
            question = (
                "SELECT max(race), max(sex), sum(label), sum(prediction) FROM read_parquet(?)"
            )
            connection.execute(question, [str(path)]).fetchall()
        return {}

    return once


def performance(path: Path) -> Callable[[], dict[str, Any]]:
    """The whole check of performance, with the score cube by group."""
    job = {
        "dataset": {"path": str(path), "digest": _digest(path)},
        "mapping": _mapping(score="score"),
        "grade": "recomputed",
    }

    def once() -> dict[str, Any]:
        outcome = _check("performance", job)
        return {one.metric: one.value for one in outcome.measurements if not one.slice}

    return once


def drift(reference: Path, current: Path, *, exact: bool = True) -> Callable[[], dict[str, Any]]:
    """The whole check of drift over 25 columns: all its statistics, tests and thresholds."""
    job = {
        "dataset": {"path": str(current), "digest": _digest(current)},
        "reference": {"path": str(reference), "digest": _digest(reference)},
        "mapping": {
            "features": making.numeric_names() + making.categorical_names(),
            "categorical": making.categorical_names(),
        },
        "config": {} if exact else {"exact": False},
        "grade": "recomputed",
    }

    def once() -> dict[str, Any]:
        outcome = _check("drift", job)
        found: dict[str, Any] = {}
        for one in outcome.measurements:
            if "feature" in one.slice:
                found[f"{one.metric}|{one.slice['feature']}"] = one.value
        return found

    return once


def drift_in_bins(reference: Path, current: Path) -> Callable[[], dict[str, Any]]:
    """The same by counts in bins, without a sort: Wasserstein and KS within stated bounds."""
    return drift(reference, current, exact=False)


def bootstrap(path: Path) -> Callable[[], dict[str, Any]]:
    """10,000 bootstrap replicates of a gap between groups, from the cells alone."""
    from monitoring.engine import cube, statistics
    from monitoring.engine.mapping import ColumnMapping
    from monitoring.engine.sources import DataFile, open_source

    with tempfile.TemporaryDirectory() as folder:
        data = DataFile(path, _digest(path))
        source = open_source(data, Path(folder))
        counts = cube.contingency(source, ColumnMapping.from_json(_mapping()))
        source.close()
    selected: dict[Any, list[int]] = {}
    for cell in counts.cells:
        pair = selected.setdefault(cell.group, [0, 0])
        pair[0] += cell.n * (cell.prediction or 0)
        pair[1] += cell.n
    k, n = [one[0] for one in selected.values()], [one[1] for one in selected.values()]

    def once() -> dict[str, Any]:
        interval, _ = statistics.spread_interval(k, n, 0.95, statistics.generator(1, "bench"))
        return {"lower": interval.lower, "upper": interval.upper}

    return once


SUBJECTS: dict[str, Callable[..., Callable[[], dict[str, Any]]]] = {
    "fairness": fairness,
    "scan": scan,
    "performance": performance,
    "drift": drift,
    "drift_in_bins": drift_in_bins,
    "bootstrap": bootstrap,
}


def main(arguments: list[str]) -> int:
    subject, rounds, *files = arguments
    begun = time.perf_counter()
    once = SUBJECTS[subject](*map(Path, files))
    sys.stdout.write(json.dumps(report(once, int(rounds), prepared=time.perf_counter() - begun)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
