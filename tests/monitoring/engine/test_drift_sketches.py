"""Long columns counted into bins: exact where told, within the stated bounds elsewhere."""

import numpy as np
import pytest

from monitoring.engine import column_profiles, columns, profiles
from monitoring.engine.checks import drift
from tests.monitoring.engine.making import find, mapping, source_of, write

ROWS = 30_000
NAMES = ("normal", "skewed", "whole", "few", "outlier", "large", "huge", "gone")


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
        "large": rng.normal(shift, 1, ROWS) * 1e12,
        "huge": rng.normal(size=ROWS) * 1e18,
        "score": rng.beta(2, 3 + shift, ROWS),
        "gone": np.full(ROWS, np.nan) if shift else rng.normal(size=ROWS),
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sketches")
    sources = [
        source_of(write(folder / f"{seed}.parquet", data(shift, seed)), folder)
        for seed, shift in ((1, 0.0), (2, 0.3))
    ]
    declared = mapping(features=list(NAMES), score="score")
    exact = columns.gather(*sources, declared)[1]
    found_profiles, found = columns.gather(*sources, declared, exact=False)
    return exact, found, found_profiles


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
        assert found.deviation == pytest.approx(exact.deviation, rel=1e-9)
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
    for about in (
        *({"feature": name} for name in ("normal", "skewed", "whole", "outlier", "large")),
        {"output": "score"},
    ):
        for metric in ("psi", "jensen_shannon"):
            ours = find(found, metric, **about)
            assert ours.value == find(exact, metric, **about).value
        for metric, most in (("psi_deciles", 0.02), ("wasserstein_normed", 0.002)):
            one, other = (find(each, metric, **about) for each in (exact, found))
            assert other.value == pytest.approx(one.value, abs=most)
            assert other.detail["drifted"] == one.detail["drifted"]
    assert find(found, "wasserstein_normed", feature="normal").detail["bound"] > 0


def test_the_profiles_count_every_row_and_stand_in_for_a_reference(both):
    for side, shift, seed in (("reference", 0.0, 1), ("current", 0.3, 2)):
        rows = data(shift, seed)
        for name in ("normal", "large"):
            one = column_profiles.read(both[2][side][name], name)
            assert one.n + one.missing + one.infinite == ROWS
            # As one pass over sorted values counts and sums them.
            values = profiles.counted(np.asarray(rows[name], float))
            assert one == column_profiles.of_numbers(values, one.edges)
            assert one.deviation() == pytest.approx(np.std(np.repeat(values.values, values.counts)))


def test_samples_of_one_database_are_read_one_after_the_other(tmp_path):
    path = write(tmp_path / "x.parquet", data(0.0, 1))
    source = source_of(path, tmp_path)
    declared = mapping(features=["normal", "skewed"])
    for exact in (True, False):
        compared = columns.gather(source, source, declared, exact=exact)[1]
        assert [one.gap[0] for one in compared] == [0, 0]
