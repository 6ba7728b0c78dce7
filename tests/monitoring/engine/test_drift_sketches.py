"""Long columns counted into bins: exact where told, within the stated bounds elsewhere."""

import numpy as np
import pytest

from monitoring.engine import columns
from monitoring.engine.checks import drift
from tests.monitoring.engine.making import find, mapping, source_of, write

ROWS = 30_000
NAMES = ("normal", "skewed", "whole", "few", "outlier", "huge", "gone")


def data(shift, seed):
    rng = np.random.default_rng(seed)
    normal = rng.normal(shift, 1, ROWS)
    normal[::50], normal[1::5000] = np.nan, np.inf
    return {
        "normal": normal,
        "skewed": rng.lognormal(shift, 1, ROWS),
        "whole": rng.integers(-300, 400, ROWS),
        "few": rng.integers(0, 4, ROWS),
        "outlier": np.append(rng.normal(shift, 1, ROWS - 1), 1e4),
        "huge": rng.normal(size=ROWS) * 1e12,
        "gone": np.full(ROWS, np.nan) if shift else rng.normal(size=ROWS),
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sketches")
    sources = [
        source_of(write(folder / f"{seed}.parquet", data(shift, seed)), folder)
        for seed, shift in ((1, 0.0), (2, 0.3))
    ]
    declared = mapping(features=list(NAMES))
    exact = columns.gather(*sources, declared)[1]
    profiles, found = columns.gather(*sources, declared, exact=False)
    return exact, found, profiles


def test_counts_are_exact_and_distances_within_their_bounds(both):
    for exact, found in zip(*both[:2], strict=True):
        assert found.column == exact.column
        assert found.bins == exact.bins
        assert (found.reference_missing, found.current_missing) == (
            exact.reference_missing,
            exact.current_missing,
        )
        if exact.distance is None:
            continue
        assert found.deviation == pytest.approx(exact.deviation, rel=1e-11)
        slack = 1e-9 * max(1.0, exact.distance)
        assert found.distance - slack <= exact.distance
        assert exact.distance <= found.distance + found.distance_bound + slack
        gaps = exact.gap[0] / exact.gap[1], found.gap[0] / found.gap[1]
        assert gaps[1] - 1e-12 <= gaps[0] <= gaps[1] + found.gap_bound + 1e-12
        assert found.chance[0] == pytest.approx(exact.chance[0], rel=0.3)


def test_what_does_not_fit_bins_is_compared_as_always(both):
    for exact, found in zip(*both[:2], strict=True):
        if exact.column in ("few", "huge", "gone"):
            assert found == exact


def test_the_same_figures_and_flags_come_of_it(both):
    exact, found = (drift.measure(part, {}) for part in both[:2])
    for name in ("normal", "skewed", "whole", "outlier"):
        for metric in ("psi", "jensen_shannon"):
            ours = find(found, metric, feature=name)
            assert ours.value == find(exact, metric, feature=name).value
        for metric, most in (("psi_deciles", 0.02), ("wasserstein_normed", 0.002)):
            one, other = (find(each, metric, feature=name) for each in (exact, found))
            assert other.value == pytest.approx(one.value, abs=most)
            assert other.detail["drifted"] == one.detail["drifted"]
    assert find(found, "wasserstein_normed", feature="normal").detail["bound"] > 0


def test_the_profiles_count_every_row(both):
    for side in ("reference", "current"):
        one = both[2][side]["normal"]
        assert one["n"] + one["missing"] + one["infinite"] == ROWS
        assert sum(one["counts"]) == one["n"]
