"""Coverage of the intervals of shares, of their differences and ratios, and of gaps between groups."""

from collections.abc import Sequence

import numpy as np

from bench.checks.coverage import BOUNDS, LEVEL, register
from monitoring.engine import statistics
from monitoring.engine.statistics import Interval, generator

TIES = (0.93, 0.985)
TIED = "several pairs of groups differ by nearly as much"
MANY = (0.93, 1.0)
"""Which of many pairs is the largest is not a fact that the data could settle."""

SHARES = [(0.3, 200), (0.1, 500), (0.5, 60)]
PAIRS = [(0.4, 300, 0.3, 200), (0.15, 2_000, 0.1, 600)]
CONFIGURATIONS: list[tuple[str, Sequence[float], Sequence[int]]] = [
    ("no difference, 5 groups", [0.3] * 5, [5_000, 2_500, 1_500, 700, 300]),
    ("no difference, 3 groups, n 1,000", [0.3] * 3, [500, 300, 200]),
    ("steps, 5 groups", [0.30, 0.35, 0.40, 0.45, 0.50], [3_000, 2_500, 2_000, 1_500, 1_000]),
    ("far apart, 3 groups, n 1,000", [0.2, 0.4, 0.6], [500, 300, 200]),
    ("extremes and a middle, 5 groups", [0.1, 0.4, 0.45, 0.5, 0.9], [300, 250, 200, 150, 100]),
    ("small steps, 3 groups", [0.30, 0.32, 0.34], [5_000, 3_000, 2_000]),
    ("two and two, n 1,000", [0.3, 0.3, 0.45, 0.45], [300, 300, 200, 200]),
    ("two alike and one, n 3,000", [0.3, 0.3, 0.45], [1_000, 1_000, 1_000]),
    ("two nearly alike and one, n 3,000", [0.3, 0.32, 0.45], [1_000, 1_000, 1_000]),
]
NEAR_CONFIGURATIONS: list[tuple[str, Sequence[float], Sequence[int]]] = [
    ("one low, 5 groups, n 1,000", [0.3, 0.3, 0.3, 0.3, 0.2], [400, 200, 150, 150, 100]),
    ("three and two nearly alike, n 5,000", [0.3, 0.31, 0.32, 0.45, 0.46], [1_000] * 5),
]
MANY_CONFIGURATIONS: list[tuple[str, Sequence[float], Sequence[int]]] = [
    ("ten groups in small steps, n 8,000", [0.3 + place / 90 for place in range(10)], [800] * 10),
]


def _counts(
    rng: np.random.Generator, shares: Sequence[float], sizes: Sequence[int]
) -> tuple[list[int], list[int]]:
    return [int(k) for k in rng.binomial(sizes, shares)], list(sizes)


for _p, _n in SHARES:

    @register("Wilson", f"share {_p}, n {_n}", _p)
    def wilson(rng: np.random.Generator, run: int, p: float = _p, n: int = _n) -> Interval:
        return statistics.wilson(int(rng.binomial(n, p)), n, LEVEL)


for _p, _n, _q, _m in PAIRS:

    @register("Newcombe", f"shares {_p} and {_q}, n {_n} and {_m}", _p - _q)
    def newcombe(
        rng: np.random.Generator,
        run: int,
        p: float = _p,
        n: int = _n,
        q: float = _q,
        m: int = _m,
    ) -> Interval:
        first, second = (int(rng.binomial(n, p)), n), (int(rng.binomial(m, q)), m)
        return statistics.newcombe(first, second, LEVEL)

    @register("Katz, ratio of two", f"shares {_q} and {_p}, n {_m} and {_n}", _q / _p)
    def katz(
        rng: np.random.Generator,
        run: int,
        p: float = _p,
        n: int = _n,
        q: float = _q,
        m: int = _m,
    ) -> Interval:
        first, second = (int(rng.binomial(m, q)), m), (int(rng.binomial(n, p)), n)
        return statistics.katz(first, second, LEVEL)


for _about, _shares, _sizes, _bounds in (
    *((*one, BOUNDS) for one in CONFIGURATIONS),
    *((*one, TIES) for one in NEAR_CONFIGURATIONS),
    *((*one, MANY) for one in MANY_CONFIGURATIONS),
):
    _why = "" if _bounds == BOUNDS else TIED

    @register("gap, bootstrap", _about, max(_shares) - min(_shares), bounds=_bounds, why=_why)
    def gap(
        rng: np.random.Generator,
        run: int,
        shares: Sequence[float] = _shares,
        sizes: Sequence[int] = _sizes,
    ) -> Interval:
        k, n = _counts(rng, shares, sizes)
        return statistics.spread_interval(k, n, LEVEL, generator(run, "gap"))[0]

    @register(
        "smallest ratio, bootstrap", _about, min(_shares) / max(_shares), bounds=_bounds, why=_why
    )
    def ratio(
        rng: np.random.Generator,
        run: int,
        shares: Sequence[float] = _shares,
        sizes: Sequence[int] = _sizes,
    ) -> Interval:
        k, n = _counts(rng, shares, sizes)
        return statistics.ratio_interval(k, n, LEVEL, generator(run, "ratio"))[0]
