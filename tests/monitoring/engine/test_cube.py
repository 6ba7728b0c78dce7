"""Cubes are exact: whichever way rows are ordered, cut, threaded or processed, one digest."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from functools import reduce
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import canonical
from monitoring.engine import cube
from monitoring.engine.cube import Cell, Contingency, Moments, ScoreCell, ScoreCube
from monitoring.engine.rollup import Part, RollupJob, roll_up
from monitoring.engine.sources import DataFile, EngineLimits, open_source
from tests.monitoring.engine.making import (
    data_file,
    find,
    loan_job,
    loans,
    mapping,
    quiet,
    run,
    write,
)

DECLARED = {"label": "label", "score": "score", "sensitive": ["g", "h"], "prediction": "said"}
ROWS = 1_000


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    rng = np.random.default_rng(11)
    score = rng.random(ROWS)
    columns = {
        "label": rng.random(ROWS) < score,
        "score": score,
        "said": score > 0.5,
        "g": rng.choice(["a", "b"], ROWS),
        "h": rng.choice(["x", "y", "z"], ROWS),
    }
    return write(tmp_path_factory.mktemp("cube") / "rows.parquet", columns)


def sealed(path, workdir, threads=1):
    data = DataFile.from_json(data_file(path), "dataset")
    source = open_source(data, workdir, limits=EngineLimits(threads=threads))
    declared = mapping(**DECLARED)
    document = {
        "contingency": cube.contingency(source, declared).to_json(),
        "scores": cube.score_cube(source, declared).to_json(),
    }
    return cube.seal(document)[1]


def test_order_threads_and_row_groups_do_not_change_the_digest(rows, tmp_path):
    table = pq.read_table(rows)
    digests = {sealed(rows, tmp_path, threads) for threads in (1, 2, 4)}
    for seed, size in ((1, 50), (2, 1_000)):
        turned = tmp_path / f"turned{seed}.parquet"
        order = np.random.default_rng(seed).permutation(len(table))
        pq.write_table(table.take(order), turned, row_group_size=size)
        digests.add(sealed(turned, tmp_path, 2))
    assert len(digests) == 1


def test_another_process_finds_the_same_digest(rows, tmp_path):
    code = (
        "import sys; from pathlib import Path; from tests.monitoring.engine import test_cube as t;"
        "print(t.sealed(Path(sys.argv[1]), Path(sys.argv[2]), 2))"
    )
    found = {sealed(rows, tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(rows), str(tmp_path)],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    found.add(done.stdout.strip())
    assert len(found) == 1


GROUPS = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"))
OUTCOME = st.sampled_from([0, 1, None])
COUNTED = st.dictionaries(st.tuples(GROUPS, OUTCOME, OUTCOME), st.integers(1, 10**12), max_size=8)
SUM = st.integers(0, 10**30).map(lambda units: Decimal(units).scaleb(-12))
SCORED = st.dictionaries(
    st.tuples(GROUPS, st.sampled_from([0, 1]), st.integers(0, 3_999)),
    st.tuples(st.integers(1, 10**12), SUM),
    max_size=8,
)
LOST = st.dictionaries(GROUPS, st.tuples(st.integers(1, 10**12), SUM, SUM, SUM, SUM), max_size=4)


def counted(cells):
    empty = Contingency(("g", "h"), ())
    found = Contingency(("g", "h"), tuple(Cell(*key, n) for key, n in cells.items()))
    return cube.merge(empty, found)


def scores(cells, moments):
    return ScoreCube(
        ("g", "h"),
        4_000,
        tuple(ScoreCell(*key, *sums) for key, sums in cells.items()),
        tuple(Moments(key, *sums) for key, sums in moments.items()),
    ).by(("g", "h"))


@given(COUNTED, COUNTED, COUNTED)
def test_contingencies_add_up_in_any_order(a, b, c):
    a, b, c = map(counted, (a, b, c))
    assert cube.merge(a, b) == cube.merge(b, a)
    whole = cube.merge(cube.merge(a, b), c)
    assert whole == cube.merge(a, cube.merge(b, c))
    assert whole.by(["h"]) == reduce(cube.merge, [one.by(["h"]) for one in (c, b, a)])
    assert Contingency.from_json(whole.to_json()) == whole
    assert whole.rows == a.rows + b.rows + c.rows


@given(SCORED, LOST, SCORED, LOST, SCORED, LOST)
@settings(max_examples=50)
def test_score_cubes_add_up_in_any_order(a, x, b, y, c, z):
    a, b, c = scores(a, x), scores(b, y), scores(c, z)
    assert cube.merge_scores(a, b) == cube.merge_scores(b, a)
    whole = cube.merge_scores(cube.merge_scores(a, b), c)
    assert whole == cube.merge_scores(a, cube.merge_scores(b, c))
    assert whole.by(["g"]) == cube.merge_scores(
        cube.merge_scores(a.by(["g"]), b.by(["g"])), c.by(["g"])
    )
    assert ScoreCube.from_json(json.loads(canonical.dumps(whole.to_json()))) == whole


@given(st.lists(st.integers(0, ROWS), max_size=3))
@settings(max_examples=2, deadline=None)
def test_cubes_of_parts_are_the_cube_of_all(rows, tmp_path_factory, cuts):
    table, declared = pq.read_table(rows), mapping(**DECLARED)
    home = tmp_path_factory.mktemp("parts")
    ends = [0, *sorted(cuts), ROWS]
    found = []
    for place, (start, end) in enumerate(pairwise(ends)):
        part = home / f"{place}.parquet"
        pq.write_table(table.slice(start, end - start), part)
        found.append(open_source(DataFile.from_json(data_file(part), "dataset"), home))
    whole = open_source(DataFile.from_json(data_file(rows), "dataset"), home)
    assert reduce(cube.merge, [cube.contingency(one, declared) for one in found]) == (
        cube.contingency(whole, declared)
    )
    assert reduce(cube.merge_scores, [cube.score_cube(one, declared) for one in found]) == (
        cube.score_cube(whole, declared)
    )


SUPPLIED = {
    "label": "paid",
    "prediction": "decision",
    "sensitive": ["sex", "race"],
    "features": ["income", "debt", "region"],
    "categorical": ["region"],
}


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Three days of data, the same rows in one file, and a reference."""
    home = tmp_path_factory.mktemp("days")
    columns = loans(900)
    columns["decision"] = columns["paid"]
    files = [write(home / "all.parquet", columns)]
    for day in range(3):
        part = {name: list(values)[day * 300 : day * 300 + 300] for name, values in columns.items()}
        files.append(write(home / f"{day}.parquet", part))
    return files, write(
        home / "reference.parquet", {**loans(500, seed=9), "decision": [True] * 500}
    )


@pytest.mark.parametrize("kind", ["performance", "fairness", "drift"])
def test_a_roll_up_measures_what_all_rows_would(days, tmp_path, kind):
    (everything, *files), reference = days
    config = {} if kind == "drift" else {"minimum": {"default": 5}}
    more = {"reference": data_file(reference)} if kind == "drift" else {}
    more |= {"mapping": SUPPLIED, "config": config, "floor": 1}
    parts = []
    for place, one in enumerate(files):
        outcome = run(loan_job(kind, one, None, **more), tmp_path / f"w{place}")
        path = tmp_path / f"{place}.json"
        path.write_bytes(outcome.cube)
        parts.append(Part(path, outcome.cube_digest, outcome.grade))
    job = RollupJob(kind, tuple(parts), config, floor=1)
    month = roll_up(job, progress=quiet, libraries={})
    again = roll_up(job, progress=quiet, libraries={})
    assert (month.cube_digest, month.measurements) == (again.cube_digest, again.measurements)
    whole = run(loan_job(kind, everything, None, **more), tmp_path / "w")
    assert (month.rows, month.grade) == (whole.rows, whole.grade)
    ours, theirs = json.loads(month.cube), json.loads(whole.cube)
    assert ours["made_of"] == [one.digest for one in parts]
    if kind == "drift":
        for name in ("psi_deciles", "missing_rate_difference"):
            for feature in ("income", "debt"):
                pair = [find(one, name, feature=feature).value for one in (month, whole)]
                assert pair[0] == pair[1]
        area = [find(one, "wasserstein_normed", feature="income") for one in (month, whole)]
        bound = area[0].detail["bound"]
        assert area[0].value - 1e-9 <= area[1].value <= area[0].value + bound + 1e-9
        return
    assert ours["contingency"] == theirs["contingency"]
    figures = [
        {(one.metric, tuple(one.slice.items())): (one.value, one.n) for one in found.measurements}
        for found in (month, whole)
    ]
    assert figures[0] == figures[1]
