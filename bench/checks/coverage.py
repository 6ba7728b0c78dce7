"""How often each interval of the checks contains the truth: `python -m bench.checks.coverage`.

Each case draws data of a known truth and forms the interval at a nominal 95 %, 1,000 times. An
interval keeps its promise if it contains the truth in 93 to 97 of 100. Cases of other modules join
by `register`; a module that has some is named in `MODULES`.

    python -m bench.checks.coverage [--runs 1000] [--only TEXT]

Exit code 0 if every case lies within its bounds.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from monitoring.engine.statistics import Interval

LEVEL = 0.95
BOUNDS = (0.93, 0.97)
RUNS = 1_000
MODULES: tuple[str, ...] = (
    "bench.checks.coverage_fairness",
    "bench.checks.coverage_comparisons",
    "bench.checks.coverage_performance",
)

Draw = Callable[[np.random.Generator, int], Interval]
"""Draws data with the generator, forms the interval; the whole number seeds the interval's own."""


@dataclass(frozen=True)
class Case:
    """One interval on one kind of data. `bounds` differ from 93-97 % only where `why` says so."""

    method: str
    about: str
    truth: float
    draw: Draw
    bounds: tuple[float, float] = BOUNDS
    why: str = ""

    @property
    def name(self) -> str:
        return f"{self.method}: {self.about}"


@dataclass(frozen=True)
class Covered:
    """Shares of runs in which the interval contained the truth, lay above it, lay below it."""

    case: Case
    runs: int
    inside: float
    above: float
    below: float
    width: float
    seconds: float

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
) -> Callable[[Draw], Draw]:
    """Add a case. Its name, `method: about`, must be its own."""

    def add(draw: Draw) -> Draw:
        case = Case(method, about, truth, draw, bounds, why)
        assert case.name not in _CASES, case.name
        _CASES[case.name] = case
        return draw

    return add


def cases() -> list[Case]:
    for name in MODULES:
        import_module(name)
    return list(_CASES.values())


def simulate(case: Case, runs: int = RUNS, seed: int = 20) -> Covered:
    rng = np.random.default_rng([seed, *case.name.encode()])
    above = below = 0
    width, begun = 0.0, time.perf_counter()
    for run in range(runs):
        one = case.draw(rng, run)
        above += one.lower > case.truth + 1e-9
        below += one.upper < case.truth - 1e-9
        width += one.upper - one.lower
    inside = 1 - (above + below) / runs
    seconds = time.perf_counter() - begun
    return Covered(case, runs, inside, above / runs, below / runs, width / runs, seconds)


def table(found: Sequence[Covered]) -> str:
    lines = [
        "| interval | data | contains the truth | lies above | lies below | mean width |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        told = "" if one.kept() else " **missed**"
        if one.case.why:
            told += f" ({one.case.why})"
        lines.append(
            f"| {one.case.method} | {one.case.about} | {one.inside:.1%}{told} | {one.above:.1%} "
            f"| {one.below:.1%} | {one.width:.4f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.checks.coverage")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    given = parser.parse_args(arguments)
    found = []
    for case in cases():
        if given.only not in case.name:
            continue
        found.append(simulate(case, given.runs))
        sys.stderr.write(f"{found[-1].inside:7.1%} {found[-1].seconds:6.1f} s {case.name}\n")
    sys.stdout.write(table(found) + "\n")
    return 0 if all(one.kept() for one in found) else 1


if __name__ == "__main__":
    # The cases register with the module of this name, not with `__main__`.
    sys.exit(import_module("bench.checks.coverage").main(sys.argv[1:]))
