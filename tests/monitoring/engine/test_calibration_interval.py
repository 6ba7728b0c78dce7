"""The interval of an expected calibration error, against simulation and a figure of one bin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.engine import statistics
from monitoring.engine.statistics import generator

bins = st.integers(1, 400).flatmap(
    lambda n: st.tuples(st.just(n), st.floats(0, 1), st.integers(0, n).map(lambda k: k / n))
)


def error_of(table):
    return sum(n * abs(mean - rate) for n, mean, rate in table) / sum(n for n, _, _ in table)


def simulated(table, rates, runs, rng):
    """Errors of samples of the same rows whose bins have these rates of positives."""
    rows = np.array([n for n, _, _ in table])
    means = np.array([mean for _, mean, _ in table])
    positives = rng.binomial(rows, rates, (runs, len(rows)))
    return np.abs(positives - rows * means).sum(axis=1) / rows.sum()


def interval_of(table, seed=1):
    return statistics.calibration_interval(table, 0.95, generator(seed, "error"))


@settings(max_examples=60, deadline=None)
@given(st.lists(bins, min_size=1, max_size=10))
def test_it_contains_the_figure_and_what_is_left_of_it_without_chance(table):
    interval, corrected = interval_of(table)
    value = error_of(table)
    assert 0 <= interval.lower <= corrected <= value + 1e-12
    assert value - 1e-12 <= interval.upper <= 1 + 1e-12
    assert interval_of(table) == (interval, corrected)


def test_it_contains_0_where_chance_explains_the_figure():
    """The lower end is 0 exactly where calibrated scores give such an error in 5 of 100 samples."""
    rng, told = np.random.default_rng(1), set()
    for _ in range(40):
        rows, means = rng.integers(3, 200, 10), (np.arange(10) + rng.random(10)) / 10
        rates = rng.binomial(rows, np.clip(means + rng.choice([0, 0.05]), 0, 1)) / rows
        table = [*zip(rows.tolist(), means.tolist(), rates.tolist(), strict=True)]
        chance = np.mean(simulated(table, means, 20_000, rng) >= error_of(table) - 1e-12)
        if not 0.035 < chance < 0.065:
            assert (interval_of(table)[0].lower == 0) == (chance > 0.05), chance
            told.add(chance > 0.05)
    assert told == {True, False}


def test_of_one_bin_it_is_the_interval_of_a_share():
    """The error is then the distance of one rate from a number."""
    wilson = statistics.wilson(280, 400, 0.95)
    interval, corrected = interval_of([(400, 0.5, 0.7)])
    assert interval.lower == pytest.approx(wilson.lower - 0.5, abs=0.006)
    assert interval.upper == pytest.approx(wilson.upper - 0.5, abs=0.006)
    assert corrected == pytest.approx(0.2, abs=0.003)


def test_the_corrected_figure_has_lost_what_chance_adds():
    """Over many samples the figure is too large by far more than the corrected one."""
    rng, means = np.random.default_rng(2), np.linspace(0.05, 0.95, 10)
    true, rows = np.clip(means - 0.06 * (np.arange(10) < 3), 0, 1), np.full(10, 40)
    error = error_of([*zip(rows, means, true, strict=True)])
    found = []
    for run in range(80):
        rates = rng.binomial(rows, true) / rows
        table = [*zip(rows.tolist(), means.tolist(), rates.tolist(), strict=True)]
        found.append((error_of(table), interval_of(table, run)[1]))
    value, corrected = np.mean(found, axis=0) - error
    assert value > 0.025
    assert abs(corrected) < 0.4 * value
