"""What each rate is made of: counts of a group's confusion table, and the figure they give."""

from collections.abc import Callable, Mapping

from monitoring.engine import statistics
from monitoring.engine.checks.tables import Confusion
from monitoring.engine.statistics import Interval, samples
from monitoring.engine.statistics.samples import Shape
from monitoring.metrics import fairness as names

SHAPES: Mapping[str, tuple[Shape, Shape]] = {
    **dict.fromkeys(names.SHARES, (samples.SHARE, samples.LOGARITHM)),
    names.F1: (samples.F1, samples.LOG_F1),
    names.TREATMENT_EQUALITY: (samples.ODDS, samples.LOG_ODDS),
}
"""Each rate, and its logarithm, as a function of the share that `parts` counts."""
HALVES = (names.TRUE_POSITIVE_RATE, names.TRUE_NEGATIVE_RATE)
"""What balanced accuracy is the mean of."""


def parts(rate: str, t: Confusion) -> tuple[int, int]:
    """Numerator and denominator of the share that a rate is, or is a function of.

    F1 is a function of the true positives among all but the true negatives, treatment equality
    (false negatives to false positives) of the false negatives among the errors.
    """
    return {
        names.SELECTION_RATE: (t.selected, t.predicted),
        names.TRUE_POSITIVE_RATE: (t.tp, t.positives),
        names.FALSE_NEGATIVE_RATE: (t.fn, t.positives),
        names.FALSE_POSITIVE_RATE: (t.fp, t.negatives),
        names.TRUE_NEGATIVE_RATE: (t.tn, t.negatives),
        names.ACCURACY: (t.tp + t.tn, t.labelled),
        names.ERROR_RATE: (t.fp + t.fn, t.labelled),
        names.PRECISION: (t.tp, t.tp + t.fp),
        names.FALSE_DISCOVERY_RATE: (t.fp, t.tp + t.fp),
        names.NEGATIVE_PREDICTIVE_VALUE: (t.tn, t.tn + t.fn),
        names.FALSE_OMISSION_RATE: (t.fn, t.tn + t.fn),
        names.BASE_RATE: (t.positives, t.labelled),
        names.F1: (t.tp, t.tp + t.fp + t.fn),
        names.TREATMENT_EQUALITY: (t.fn, t.fn + t.fp),
    }[rate]


def denominator(rate: str, t: Confusion) -> int:
    """How many people a rate rests on: of balanced accuracy the smaller of its halves.

    It is 0 where the rate is undefined: nobody was missed wrongly or nobody taken wrongly, for
    treatment equality.
    """
    if rate == names.BALANCED_ACCURACY:
        return min(t.positives, t.negatives)
    if rate == names.TREATMENT_EQUALITY and t.fp == 0:
        return 0
    return parts(rate, t)[1]


def figure(rate: str, t: Confusion) -> float:
    """The value of a rate whose denominator is above 0."""
    if rate == names.BALANCED_ACCURACY:
        return (t.tp / t.positives + t.tn / t.negatives) / 2
    if rate == names.F1:
        return 2 * t.tp / (2 * t.tp + t.fp + t.fn)
    if rate == names.TREATMENT_EQUALITY:
        return t.fn / t.fp
    k, n = parts(rate, t)
    return k / n


def interval(rate: str, t: Confusion, level: float) -> tuple[Interval, str]:
    """Wilson's interval of the share, carried over to the figure, and the name of the method."""
    if rate == names.BALANCED_ACCURACY:
        halves = []
        for half in HALVES:
            k, n = parts(half, t)
            one = statistics.wilson(k, n, level)
            halves.append((k / n / 2, Interval(one.lower / 2, one.upper / 2)))
        return statistics.of_sum(halves), "wilson, mover"
    found = statistics.wilson(*parts(rate, t), level)
    if rate == names.F1:
        return _carried(found, lambda share: 2 * share / (1 + share)), "wilson of a share"
    if rate == names.TREATMENT_EQUALITY:
        return _carried(found, lambda share: share / (1 - share)), "wilson of a share"
    return found, "wilson"


def _carried(one: Interval, function: Callable[[float], float]) -> Interval:
    return Interval(function(one.lower), function(one.upper))
