"""Profiles add up exactly, and stand in for the rows of a reference within bounds that hold."""

import json
from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, wasserstein_distance

from kernel import canonical
from kernel.errors import Invalid
from monitoring.engine import column_profiles, comparing, profiles
from monitoring.engine.checks import drift
from monitoring.engine.profiles import Categories
from tests.monitoring.engine.making import find

FINITE = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))
COLUMN = st.lists(
    st.one_of(FINITE, st.integers(-3, 3).map(float), st.sampled_from([np.nan, np.inf, -np.inf])),
    max_size=40,
)
LABELS = st.lists(st.sampled_from("abcdef"), max_size=40)


def numbers(values, missing=0):
    return profiles.counted(np.asarray(values, float), missing)


def categories(values, missing=0):
    return Categories({name: values.count(name) for name in sorted(set(values))}, missing)


def of(values, edges):
    return column_profiles.of_numbers(numbers(values), edges)


@given(st.lists(COLUMN, min_size=3, max_size=3), COLUMN)
def test_numeric_profiles_of_days_add_up_to_that_of_all_days(days, reference):
    edges = column_profiles.profile_edges(numbers(reference))
    a, b, c = (of(day, edges) for day in days)
    assert column_profiles.merge(a, b) == of(days[0] + days[1], edges)
    assert column_profiles.merge(a, b) == column_profiles.merge(b, a)
    left = column_profiles.merge(column_profiles.merge(a, b), c)
    assert left == column_profiles.merge(a, column_profiles.merge(b, c))
    assert left == of([value for day in days for value in day], edges)
    again = column_profiles.read(json.loads(canonical.dumps(left.to_json())), "profile")
    assert again == left


@given(st.lists(LABELS, min_size=3, max_size=3))
def test_categorical_profiles_of_days_add_up_to_that_of_all_days(days):
    each = [column_profiles.of_categories(categories(day)) for day in days]
    whole = column_profiles.of_categories(categories([one for day in days for one in day]))
    assert reduce(column_profiles.merge, each) == whole
    assert reduce(column_profiles.merge, reversed(each)) == whole
    assert column_profiles.read(whole.to_json(), "x") == whole


def test_a_column_of_too_many_values_names_none_whichever_way_it_was_counted(monkeypatch):
    monkeypatch.setattr(column_profiles, "CATEGORIES", 3)
    few, more = categories(list("ab")), categories(list("cd"))
    merged = column_profiles.merge(*map(column_profiles.of_categories, (few, more)))
    assert merged == column_profiles.of_categories(categories(list("abcd")))
    assert merged.values is None
    assert column_profiles.compare("x", merged, merged) is None
    assert column_profiles.merge(merged, column_profiles.of_categories(few)).values is None


@given(
    st.lists(FINITE, min_size=1, max_size=60),
    st.lists(FINITE, min_size=1, max_size=60),
    st.integers(0, 6),
)
@settings(max_examples=150)
def test_both_distances_lie_within_their_stated_bounds(before, after, kept):
    edges = sorted(set(before))[:: max(1, len(before) // (kept + 1))]
    one = column_profiles.compare("x", of(before, edges), of(after, edges))
    true = wasserstein_distance(before, after)
    slack = 1e-9 * (1 + abs(true))
    assert one.distance - slack - 2e-9 <= true <= one.distance + one.distance_bound + slack
    gap = ks_2samp(before, after).statistic
    assert one.gap[0] / one.gap[1] <= gap + 1e-12
    assert gap <= one.gap[0] / one.gap[1] + one.gap_bound + 1e-12


def test_a_profile_measures_what_the_rows_do():
    rng = np.random.default_rng(3)
    before, after = rng.normal(0, 1, 20_000), rng.normal(0.1, 1.1, 5_000)
    edges = column_profiles.profile_edges(numbers(before))
    sketch = column_profiles.compare("x", of(before, edges), of(after, edges))
    exact = comparing.compare_numbers("x", numbers(before), numbers(after))
    assert sketch.deciles == exact.deciles
    assert sketch.deviation == pytest.approx(exact.deviation, rel=1e-9)
    assert sketch.distance == pytest.approx(exact.distance, abs=1e-3)
    assert sketch.distance_bound < 0.02
    assert sketch.gap_bound < 0.01
    measured = drift.measure([sketch], {})
    rows = drift.measure([exact], {})
    for metric in ("psi_deciles", "missing_rate_difference"):
        assert find(measured, metric, feature="x").value == find(rows, metric, feature="x").value
    close = find(measured, "wasserstein_normed", feature="x").value
    assert close == pytest.approx(find(rows, "wasserstein_normed", feature="x").value, abs=1e-3)


@given(st.lists(st.integers(0, 9), min_size=1), st.lists(st.integers(0, 9), min_size=1))
@settings(deadline=None)
def test_few_values_are_compared_exactly(before, after):
    after = [value for value in after if value in before] or before
    edges = column_profiles.profile_edges(numbers(before))
    sketch = column_profiles.compare("x", of(before, edges), of(after, edges))
    exact = comparing.compare_numbers("x", numbers(before), numbers(after))
    assert sketch.bins == exact.bins
    assert sketch.gap == exact.gap
    assert sketch.gap_bound == 0
    assert sketch.distance == pytest.approx(exact.distance, abs=1e-12)
    assert sketch.distance_bound <= 1e-8


def test_squares_are_exact_however_large():
    values = [1e17, -1e17, 3.5, 0.1]
    one = of(values, [0.0])
    exact = 2 * Fraction(1e17 * 1e17) + Fraction("12.25") + Fraction(str(0.1 * 0.1))
    assert Fraction(str(one.squares)) == exact
    assert of([1e300], [0.0]).extreme == 1


@given(
    st.lists(
        st.one_of(FINITE, st.floats(-1e18, 1e18), st.sampled_from([-0.0, 0.0, 2e6])), max_size=30
    )
)
def test_sums_and_squares_are_those_of_whole_numbers_of_any_size(values):
    """Against fractions: a value and its square are each rounded once to the scale."""
    near = [value for value in values if abs(value) < profiles.LARGEST]
    one = of(values, [0.0])

    def units(amount, scale):
        whole = int(amount)
        return whole + Fraction(round((amount - whole) * 10.0**scale), 10**scale)

    exact = sum((units(value, profiles.SCALE) for value in near), Fraction(0))
    assert sum(map(Fraction, one.sums), Fraction(0)) == exact
    assert Fraction(one.squares) == sum(
        (units(value * value, profiles.SQUARES) for value in near), Fraction(0)
    )
    assert one.extreme == len(values) - len(near)


@pytest.mark.parametrize(
    "change",
    [
        {"counts": [1]},
        {"counts": [1, 5]},
        {"sums": ["x", "0"]},
        {"kind": "categorical"},
        {"edges": None},
    ],
)
def test_a_malformed_profile_is_refused(change):
    with pytest.raises(Invalid):
        column_profiles.read({**of([1.0, 2.0], [1.5]).to_json(), **change}, "profile")


def test_what_does_not_fit_is_not_added_and_not_compared():
    one, other = of([1.0], [0.5]), of([1.0], [0.6])
    named = column_profiles.of_categories(categories(["a"]))
    for pair in ((one, other), (one, named)):
        with pytest.raises(Invalid):
            column_profiles.merge(*pair)
        with pytest.raises(Invalid):
            column_profiles.compare("x", *pair)
