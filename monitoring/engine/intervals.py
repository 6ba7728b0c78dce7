"""Intervals of figures formed from a few counts, where a bootstrap of few rows covers too seldom.

Sources: the score interval of a multinomial mean with the nuisance profiled out is Wilson's for
two values and Tango's (1998) for a paired difference; MOVER of Zou and Donner (2008); the variance
of phi of Bishop, Fienberg and Holland (1975), on Fisher's scale; Newcombe (2006, method 5) for an
area whose sample error is nothing.
"""

import math
from collections.abc import Callable, Sequence

from monitoring.engine.statistics import Interval, wilson, z_of

_FAINT = 1e-8
"""Rows that a value nobody had counts for, so that a likelihood can give it weight at all."""


def score_interval(counts: Sequence[int], values: Sequence[float], level: float) -> Interval:
    """Interval of the mean of a variable with few known values, `counts[i]` rows having `values[i]`.

    The means that a score test does not refuse; what is unknown besides the mean is put where the
    data are likeliest. It lies within the values and has a width even if all rows are alike.
    """
    n, low, high = sum(counts), min(values), max(values)
    mean = math.fsum(k * value for k, value in zip(counts, values, strict=True)) / n
    if low == high:
        return Interval(low, high)
    z = z_of(level)

    def excess(at: float) -> float:
        variance = _profiled_variance(counts, values, at)
        return abs(mean - at) - z * math.sqrt(variance / n)

    return Interval(_end(excess, mean, low), _end(excess, mean, high))


def _end(excess: Callable[[float], float], mean: float, edge: float) -> float:
    """Where the test begins to refuse on the way from the mean to an edge of the values."""
    from scipy.optimize import brentq

    span = edge - mean
    if abs(span) < 1e-12 * max(1.0, abs(edge)):
        return edge
    near, far = mean + 1e-9 * span, edge - 1e-12 * span
    if excess(near) >= 0 or excess(far) <= 0:
        return edge
    return float(brentq(excess, near, far, xtol=1e-13 * max(1.0, abs(span))))


def _profiled_variance(counts: Sequence[int], values: Sequence[float], at: float) -> float:
    """The variable's variance under the likeliest distribution on its values whose mean is `at`."""
    from scipy.optimize import brentq

    weights = [max(float(k), _FAINT) for k in counts]
    shifted = [value - at for value in values]

    def balance(tilt: float) -> float:
        pairs = zip(weights, shifted, strict=True)
        return math.fsum(w * c / (1 + tilt * c) for w, c in pairs)

    lower, upper = -1 / max(shifted), -1 / min(shifted)
    fine = 1e-15 * min(-lower, upper)
    lower, upper = lower * (1 - 1e-15), upper * (1 - 1e-15)
    tilt = brentq(balance, lower, upper, xtol=fine, rtol=9e-16, maxiter=500)
    shares = [w / (1 + tilt * c) for w, c in zip(weights, shifted, strict=True)]
    squares = zip(shares, shifted, strict=True)
    return math.fsum(p * c * c for p, c in squares) / math.fsum(shares)


def f1_interval(tp: int, fp: int, fn: int, level: float) -> Interval:
    """Interval of F1. Among the rows that are selected or positive, those that are both are
    binomial, and F1 rises with their share."""
    overlap = wilson(tp, tp + fp + fn, level)
    return Interval(_f1(overlap.lower), _f1(overlap.upper))


def _f1(overlap: float) -> float:
    return 2 * overlap / (1 + overlap)


def mean_of_rates(first: tuple[int, int], second: tuple[int, int], level: float) -> Interval:
    """Interval of the mean of two independent proportions, each (successes, n), by MOVER."""
    one, two = wilson(*first, level), wilson(*second, level)
    p, q = first[0] / first[1], second[0] / second[1]
    down = math.hypot(p - one.lower, q - two.lower) / 2
    up = math.hypot(one.upper - p, two.upper - q) / 2
    return Interval((p + q) / 2 - down, (p + q) / 2 + up)


def matthews(tp: int, fp: int, tn: int, fn: int) -> float | None:
    """Matthews' correlation; None if a class or a decision never occurs."""
    # Whole numbers, however large, keep a product of four margins exact.
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(margins) if margins else None


def matthews_interval(tp: int, fp: int, tn: int, fn: int, level: float) -> Interval:
    """Interval of Matthews' correlation, on Fisher's scale, half a row added to each cell."""
    a, b, c, d = (k + 0.5 for k in (tp, fp, fn, tn))
    n = a + b + c + d
    selected, positive = (a + b) / n, (a + c) / n
    spreads = selected * (1 - selected), positive * (1 - positive)
    phi = (a * d - b * c) / (n * n) / math.sqrt(spreads[0] * spreads[1])
    skews = 1 - 2 * selected, 1 - 2 * positive
    variance = 1 - phi * phi
    variance += (phi + phi**3 / 2) * skews[0] * skews[1] / math.sqrt(spreads[0] * spreads[1])
    variance -= 0.75 * phi * phi * (skews[0] ** 2 / spreads[0] + skews[1] ** 2 / spreads[1])
    width = z_of(level) * math.sqrt(max(0.0, variance) / n) / (1 - phi * phi)
    centre = math.atanh(phi)
    return Interval(math.tanh(centre - width), math.tanh(centre + width))


def on_logits(value: float, error: float, level: float) -> Interval | None:
    """Normal interval of a figure between 0 and 1 on the logarithm of its odds; None at the ends."""
    if not 0 < value < 1 or error <= 0:
        return None
    centre, width = math.log(value / (1 - value)), z_of(level) * error / (value * (1 - value))
    return Interval(*(1 / (1 + math.exp(-(centre + side * width))) for side in (-1, 1)))


def area_interval(value: float, error: float, counts: tuple[int, int], level: float) -> Interval:
    """Interval of an area under a ROC curve over (positives, negatives) with DeLong's error.

    Where all rows are ordered alike that error is nothing, and the area itself gives the variance.
    """
    found = on_logits(value, error, level)
    if found is not None:
        return found
    z, spare = z_of(level), sum(counts) / 2 - 1

    def excess(at: float) -> float:
        grown = 1 + spare * (1 - at) / (2 - at) + spare * at / (1 + at)
        return abs(value - at) - z * math.sqrt(at * (1 - at) * grown / (counts[0] * counts[1]))

    return Interval(_end(excess, value, 0.0), _end(excess, value, 1.0))


def log_ratio_interval(value: float, error: float, level: float) -> Interval:
    """Interval of a positive figure whose logarithm has this standard error."""
    width = z_of(level) * error
    return Interval(value * math.exp(-width), value * math.exp(width))


def mean_interval(total: float, squares: float, n: int, level: float) -> Interval | None:
    """Student's interval of a mean from the sums of values and of their squares; None for one row."""
    if n < 2:
        return None
    mean = total / n
    variance = max(0.0, (squares - n * mean * mean) / (n - 1))
    width = t_of(level, n) * math.sqrt(variance / n)
    return Interval(mean - width, mean + width)


def share_interval(total: float, squares: float, n: int, level: float) -> Interval | None:
    """Interval of a mean of numbers within 0 and 1, from their sum and that of their squares.

    Of zeros and ones it is Wilson's of a proportion. Other numbers vary by less than zeros and ones
    of their mean would, and Wilson's interval is formed as if there were more rows by that much, at
    Student's quantile; half a row's worth is added to both, so that numbers which happen to be alike
    do not pass for certain. Student's own covers too seldom where few numbers are far from the rest,
    and has no width where none of these was drawn. None for one row, unless it is 0 or 1.
    """
    if squares == total:
        return wilson(round(total), n, level)
    if n < 2:
        return None
    mean = min(1.0, max(0.0, total / n))
    most = mean * (1 - mean)
    varying = max(0.0, squares - n * mean * mean)
    part = min(1.0, (varying + 0.5) / (n * most + 0.5))
    z, rows = t_of(level, n), n / part
    spread = z * math.sqrt(most / rows + z * z / (4 * rows * rows))
    centre, scale = mean + z * z / (2 * rows), 1 + z * z / rows
    lower, upper = (centre - spread) / scale, (centre + spread) / scale
    return Interval(max(0.0, min(lower, mean)), min(1.0, max(upper, mean)))


def t_of(level: float, n: int) -> float:
    """The two-sided quantile of Student's distribution for a mean of `n` values."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.5 + level / 2))


def quantile_ranks(n: int, share: float, level: float) -> tuple[int, int]:
    """Ranks, from 1, of the two sorted values between which a quantile lies, whatever the
    distribution; 0 or n + 1 where no value of n is far enough out.

    Ranks are whole, so that both ends together fail less often than they may: one of them comes
    a rank nearer if the other leaves room for it.
    """
    from scipy.stats import binom

    tail = (1 - level) / 2
    low, high = int(binom.ppf(tail, n, share)), int(binom.ppf(1 - tail, n, share)) + 1

    def covered(ranks: tuple[int, int]) -> float:
        """How often the quantile lies from the lower value on and under the higher one."""
        first, last = ranks
        return float(binom.cdf(last - 1, n, share) - binom.cdf(first - 1, n, share))

    nearer = [ranks for ranks in ((low + 1, high), (low, high - 1)) if covered(ranks) >= level]
    return min(nearer, key=covered, default=(low, high))
