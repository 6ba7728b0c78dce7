"""How often each interval of the checks contains the truth: `python -m bench.checks.coverage`.

Each case draws data of a known truth and forms the interval at a nominal 95 %, 1,000 times. An
interval keeps its promise if it contains the truth in 93 to 97 of 100. So few draws move a true 95 %
by 0.7 points, one of a hundred cases beyond 93.2 or 96.8: a case that ends outside is drawn 4,000
times more, and judged over all. Cases of other modules join
by `register`; a module that has some is named in `MODULES`.

    python -m bench.checks.coverage [--runs 1000] [--only TEXT] [--jobs 1] [--summary]

Exit code 0 if every case lies within its bounds.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from monitoring.engine.statistics import Interval

LEVEL = 0.95
BOUNDS = (0.93, 0.97)
RUNS = 1_000
FURTHER = 4
"""How many times as many draws again decide about a case that ends outside of its bounds."""
MODULES: tuple[str, ...] = (
    "bench.checks.coverage_fairness",
    "bench.checks.coverage_comparisons",
    "bench.checks.coverage_performance",
    "bench.checks.coverage_groups",
)

Draw = Callable[[np.random.Generator, int], Interval]
"""Draws data with the generator, forms the interval; the whole number seeds the interval's own."""


@dataclass(frozen=True)
class Case:
    """One interval on one kind of data. `bounds` differ from 93-97 % only where `why` says so.

    Cases of one `source` read their intervals off the same drawn data.
    """

    method: str
    about: str
    truth: float
    draw: Draw
    bounds: tuple[float, float] = BOUNDS
    why: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        return f"{self.method}: {self.about}"


@dataclass(frozen=True)
class Covered:
    """Shares of runs in which the interval contained the truth, lay above it, lay below it."""

    name: str
    runs: int
    inside: float
    above: float
    below: float
    width: float
    seconds: float

    @property
    def case(self) -> Case:
        return _CASES[self.name]

    def kept(self, slack: float = 0.0) -> bool:
        low, high = self.case.bounds
        return low - slack <= self.inside <= high + slack


_CASES: dict[str, Case] = {}


def register(
    method: str,
    about: str,
    truth: float,
    *,
    bounds: tuple[float, float] = BOUNDS,
    why: str = "",
    source: str = "",
) -> Callable[[Draw], Draw]:
    """Add a case. Its name, `method: about`, must be its own."""

    def add(draw: Draw) -> Draw:
        case = Case(method, about, truth, draw, bounds, why, source)
        assert case.name not in _CASES, case.name
        _CASES[case.name] = case
        return draw

    return add


def cases() -> list[Case]:
    for name in MODULES:
        import_module(name)
    return list(_CASES.values())


def simulate(case: Case, runs: int = RUNS, seed: int = 20, further: int = 0) -> Covered:
    """Draw `runs` times, and `further` times as often again if the share ends outside."""
    rng = np.random.default_rng([seed, *case.name.encode()])
    begun, found = time.perf_counter(), Covered(case.name, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    above = below = 0
    width = 0.0
    for run in range(runs * (1 + further)):
        if run == runs and found.kept():
            break
        one = case.draw(rng, run)
        above += one.lower > case.truth + 1e-9
        below += one.upper < case.truth - 1e-9
        width += one.upper - one.lower
        if run + 1 in (runs, runs * (1 + further)):
            n, seconds = run + 1, time.perf_counter() - begun
            inside = 1 - (above + below) / n
            found = Covered(case.name, n, inside, above / n, below / n, width / n, seconds)
    return found


def table(found: Sequence[Covered]) -> str:
    lines = [
        "| interval | data | contains the truth | lies above | lies below | mean width |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        told = "" if one.kept() else " **missed**"
        if one.runs > min(each.runs for each in found):
            told += f" of {one.runs:,}"
        if one.case.why:
            told += f" ({one.case.why})"
        lines.append(
            f"| {one.case.method} | {one.case.about} | {one.inside:.1%}{told} | {one.above:.1%} "
            f"| {one.below:.1%} | {one.width:.4f} |"
        )
    return "\n".join(lines)


def summary(found: Sequence[Covered]) -> str:
    """The lowest and the highest of each kind, those with bounds of their own apart."""
    lines = [
        "| interval | cases | contains the truth | bounds, if not 93 to 97 % |",
        "|---|---|---|---|",
    ]
    kinds: dict[tuple[str, tuple[float, float], str], list[float]] = {}
    for one in found:
        case = one.case
        # Many metrics of one data set are a kind of their own.
        kind = case.about if case.about == case.source else case.method
        kinds.setdefault((kind, case.bounds, case.why), []).append(one.inside)
    for (method, (low, high), why), shares in kinds.items():
        told = f"{low:.0%} to {high:.1%}: {why}" if why else ""
        least, most = min(shares), max(shares)
        span = f"{least:.1%}" if least == most else f"{least:.1%} to {most:.1%}"
        lines.append(f"| {method} | {len(shares)} | {span} | {told} |")
    return "\n".join(lines)


def _together(chosen: Iterable[Case]) -> list[list[str]]:
    """Names of cases by what they are drawn from."""
    groups: dict[str, list[str]] = {}
    for case in chosen:
        groups.setdefault(case.source or case.name, []).append(case.name)
    return list(groups.values())


def _simulated(names: Sequence[str], runs: int) -> list[Covered]:
    known = {case.name: case for case in cases()}
    return [simulate(known[name], runs, further=FURTHER) for name in names]


def simulated(chosen: Sequence[Case], runs: int, jobs: int) -> Iterator[Covered]:
    """Simulate cases, those of one source in one process."""
    groups = _together(chosen)
    if jobs == 1:
        for names in groups:
            for name in names:
                yield simulate(_CASES[name], runs, further=FURTHER)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(_simulated, groups, [runs] * len(groups)):
            yield from found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.checks.coverage")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--summary", action="store_true", help="a line for each kind")
    given = parser.parse_args(arguments)
    chosen = [case for case in cases() if given.only in case.name]
    found = []
    for one in simulated(chosen, given.runs, given.jobs):
        found.append(one)
        sys.stderr.write(f"{one.inside:7.1%} {one.seconds:6.1f} s {one.name}\n")
    sys.stdout.write((summary(found) if given.summary else table(found)) + "\n")
    return 0 if all(one.kept() for one in found) else 1


if __name__ == "__main__":
    # The cases register with the module of this name, not with `__main__`.
    sys.exit(import_module("bench.checks.coverage").main(sys.argv[1:]))
