"""Intervals and tests over counts. Everything here is deterministic given its seed."""

from monitoring.engine.statistics.areas import Area, area_under_curve
from monitoring.engine.statistics.base import (
    REPLICATES,
    Counts,
    Floats,
    Interval,
    generator,
    z_of,
)
from monitoring.engine.statistics.calibration import calibration_interval
from monitoring.engine.statistics.categories import chi_square_two_sample
from monitoring.engine.statistics.multiplicity import benjamini_hochberg, holm
from monitoring.engine.statistics.permutations import Dealt, permutation_p
from monitoring.engine.statistics.proportions import mean_interval, newcombe, wilson
from monitoring.engine.statistics.resampling import dealt, multinomial
from monitoring.engine.statistics.spreads import (
    around,
    katz,
    of_logarithms,
    of_sum,
    ratio_interval,
    spread_interval,
)

__all__ = [
    "REPLICATES",
    "Area",
    "Counts",
    "Dealt",
    "Floats",
    "Interval",
    "area_under_curve",
    "around",
    "benjamini_hochberg",
    "calibration_interval",
    "chi_square_two_sample",
    "dealt",
    "generator",
    "holm",
    "katz",
    "mean_interval",
    "multinomial",
    "newcombe",
    "of_logarithms",
    "of_sum",
    "permutation_p",
    "ratio_interval",
    "spread_interval",
    "wilson",
    "z_of",
]
