"""Scores that many rows share: their order is known, and nothing is uncertain about figures of it."""

import json
from decimal import Decimal
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from kernel import canonical
from monitoring.engine import cube as cubes
from monitoring.engine import curves, statistics
from monitoring.engine.checks import performance
from monitoring.engine.cube import Moments, ScoreCell, ScoreCube
from tests.monitoring.engine.making import data_file, find, mapping, run, source_of, write

DECLARED = {"label": "y", "score": "s", "sensitive": ["g"]}
NOBODY = cubes.Contingency((), ())


def rows_of(score, seed=0):
    rng = np.random.default_rng(seed)
    label = (rng.random(len(score)) < 0.2 + 0.6 * score).astype(int)
    return {"y": label == 1, "s": score, "g": rng.choice(["a", "b"], len(score))}


def counted(columns, folder, name="x.parquet"):
    return cubes.score_cube(source_of(write(folder / name, columns), folder), mapping(**DECLARED))


def measured(cube, **config):
    return performance.measure(NOBODY, cube.by(()), config, 1)


SCORES = {
    "two": np.array([0.25, 0.75]),
    "eight": np.arange(9) / 8,
    "one": np.array([0.5]),
    "near": np.array([0.3, 0.1 + 0.2, 0.30001, 0.30002]),
    "thousands": np.random.default_rng(1).random(4_000),
}


@pytest.mark.parametrize("name", list(SCORES))
def test_figures_of_few_different_scores_are_exact(name, tmp_path):
    given = np.random.default_rng(2).choice(SCORES[name], 6_000)
    columns = rows_of(given)
    found = measured(counted(columns, tmp_path))
    natives = {"auc": metrics.roc_auc_score, "average_precision": metrics.average_precision_score}
    for metric, native in natives.items():
        one = find(found, metric)
        assert one.value == pytest.approx(native(columns["y"], given), abs=1e-9)
        assert one.detail["certified_error"] == 0.0
        assert one.lower <= one.value <= one.upper
        assert one.upper - one.lower < 0.05


def test_of_more_scores_only_bins_with_several_are_uncertain(tmp_path):
    """Half of the rows have the score 0; the others more scores than are counted one by one."""
    rng = np.random.default_rng(4)
    score = np.where(rng.random(20_000) < 0.5, 0.0, 0.1 + 0.9 * rng.random(20_000))
    columns = rows_of(score)
    cube = counted(columns, tmp_path)
    assert not cube.exact
    assert {cell.value for cell in cube.cells if cell.bin == 0} == {0.0}
    for metric, native in (
        ("auc", metrics.roc_auc_score),
        ("average_precision", metrics.average_precision_score),
    ):
        one = find(measured(cube), metric)
        bound = one.detail["certified_error"]
        # The 10,000 tied rows alone would add 0.06 to the bound of the area.
        assert 0 < bound < 2e-3
        assert abs(one.value - native(columns["y"], score)) <= bound


def test_zeros_of_both_signs_are_one_score(tmp_path):
    columns = {"y": [False, True] * 3, "s": [0.0, -0.0, 0.0, 1.0, -0.0, 0.5], "g": ["a"] * 6}
    cube = counted(columns, tmp_path)
    assert json.loads(canonical.dumps(cube.to_json())) == json.loads(
        canonical.dumps(counted({**columns, "s": np.abs(columns["s"])}, tmp_path).to_json())
    )
    assert sorted({cell.value for cell in cube.cells}) == [0.0, 0.5, 1.0]


def test_what_everybody_sees_of_them_has_twenty_bins_and_no_score(tmp_path):
    columns = {**rows_of(np.random.default_rng(2).choice(SCORES["eight"], 900)), "d": [True] * 900}
    path = write(tmp_path / "x.parquet", columns)
    job = {
        "kind": "performance",
        "dataset": data_file(path),
        "mapping": {**DECLARED, "prediction": "d"},
    }
    found = run(job, tmp_path / "w")
    kept = json.loads(found.cube)["scores"]
    assert kept["exact"]
    assert cubes.ScoreCube.from_json(kept).to_json() == kept
    document = json.loads(found.public_cube) if found.public_cube else {"scores": None}
    if document["scores"] is not None:
        assert "exact" not in document["scores"]
        assert {len(cell) for cell in document["scores"]["cells"]} == {5}
    assert find(found, "auc").detail["certified_error"] == 0.0


ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.sampled_from(np.arange(9) / 8)),
    min_size=1,
    max_size=12,
)


def row(group, label, score, bins=4):
    place = min(int(score * bins), bins - 1)
    cell = ScoreCell((group,), label, place, 1, Decimal(float(score)), float(score))
    sums = Moments((group,), 1, *[Decimal(0)] * 4)
    return ScoreCube(("g",), bins, (cell,), (sums,), True)


@given(ROWS, st.randoms())
@settings(max_examples=60)
def test_scores_add_up_in_any_order_and_bracketing(drawn, random):
    """As long as there are no more different scores than bins each is kept; else only what a bin
    holds alone."""
    parts = [row(*one) for one in drawn]
    whole = cubes.merge_scores(*parts)
    shuffled = random.sample(parts, len(parts))
    assert reduce(cubes.merge_scores, shuffled) == whole
    cut = random.randint(1, len(parts))
    halves = [reduce(cubes.merge_scores, one) for one in (parts[:cut], parts[cut:]) if one]
    assert cubes.merge_scores(*halves) == whole
    assert ScoreCube.from_json(json.loads(canonical.dumps(whole.to_json()))) == whole
    assert whole.exact == (len({score for _, _, score in drawn}) <= 4)
    for cell in whole.cells:
        about = cell.group[0], cell.label, cell.bin
        scores = {s for g, y, s in drawn if (g, y, min(int(s * 4), 3)) == about}
        assert (
            cell.value in scores
            if whole.exact
            else cell.value == (scores.pop() if len(scores) == 1 else None)
        )


COUNTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), max_size=8)


@given(COUNTS)
def test_bounds_hold_however_loose_bins_are_ordered(drawn):
    p, n, loose = ([one[place] for one in drawn] for place in range(3))
    area = statistics.area_under_curve(p, n, loose)
    precision = curves.average_precision(p, n, loose)
    if area is None:
        assert precision is None
        return
    for best in (0, 1):
        label, score = [], []
        for place, (k, m, free) in enumerate(drawn):
            for each in range(k):
                label.append(1)
                score.append(place + free * (0.5 * best + 0.01 * each))
            for each in range(m):
                label.append(0)
                score.append(place + free * (0.5 * (1 - best) + 0.01 * each))
        assert abs(metrics.roc_auc_score(label, score) - area.value) <= area.bound + 1e-12
        found = metrics.average_precision_score(label, score)
        assert abs(found - precision.value) <= precision.bound + 1e-12
