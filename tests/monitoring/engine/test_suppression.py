"""What is shown of a table tells no small count, by no sum that is shown and by no other part."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.engine.public_counts import LABEL, PREDICTION, public_counts
from monitoring.engine.suppression import Crossed, hidden, sums_of, suppressed

FLOOR = 11


def crossed(shape, counts, attributes):
    keys = itertools.product(*(range(size) for size in shape))
    cells = {tuple(map(str, key)): n for key, n in zip(keys, counts, strict=False)}
    return Crossed(tuple(attributes), (LABEL, PREDICTION), cells, FLOOR)


def total(table, axes, key):
    places = [table.axes.index(axis) for axis in axes]
    return sum(n for one, n in table.cells.items() if tuple(one[p] for p in places) == key)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=24, max_size=24))
def test_no_sum_less_what_is_shown_of_it_is_small(counts):
    """Each sum over fewer axes that is not hidden itself: what it hides comes to the floor."""
    table = crossed((3, 2, 2, 2), counts, ("sex", "race"))
    away = table.hide()
    assert all((table.axes, key) in away for key, n in table.cells.items() if 0 < n < FLOOR)
    for part, whole in sums_of(table.attributes, table.inner):
        lines = {}
        for key in {tuple(one[table.axes.index(axis)] for axis in part) for one in table.cells}:
            place = tuple(key[part.index(axis)] for axis in whole)
            lines.setdefault(place, []).append((total(table, part, key), (part, key) in away))
        for place, line in lines.items():
            gone = [n for n, is_away in line if is_away]
            everything = all(is_away for n, is_away in line if n)
            of_everybody = not set(whole) & set(table.attributes)
            if gone and (whole, place) not in away and not (everything and of_everybody):
                assert len(gone) > 1
                assert sum(gone) >= FLOOR


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=12, max_size=12))
def test_no_hidden_small_cell_follows_from_what_is_shown(counts):
    """By linear algebra over all sums that are not hidden, those of everybody among them."""
    table = crossed((3, 2, 2), counts, ("race",))
    away = table.hide()
    unknown = [key for key in table.cells if (table.axes, key) in away]
    rows = []
    for size in range(len(table.axes)):
        for axes in itertools.combinations(table.axes, size):
            places = [table.axes.index(axis) for axis in axes]
            margins = {tuple(key[place] for place in places) for key in table.cells}
            for margin in margins:
                # What no part of a cube sums up is not known: decisions of a group, say.
                known = axes in {(), ("race",), ("race", LABEL), (LABEL,), (LABEL, PREDICTION)}
                if known and (axes, margin) not in away:
                    rows.append([tuple(key[p] for p in places) == margin for key in unknown])
    if not unknown:
        return
    told = np.array(rows, float).reshape(-1, len(unknown))
    for place, key in enumerate(unknown):
        if not 0 < table.cells[key] < FLOOR:
            continue
        wanted = np.zeros(len(unknown))
        wanted[place] = 1
        found = np.linalg.lstsq(told.T, wanted, rcond=None)[0]
        follows = np.allclose(told.T @ found, wanted, atol=1e-8)
        column = [n for one, n in table.cells.items() if one[1:] == key[1:] and n]
        # The whole confusion matrix is published: of one group alone in a cell it is that group's.
        assert not follows or len(column) == 1, (key, table.cells)


def test_a_small_cell_takes_its_neighbours_along():
    cells = {("F", 0, 0): 50, ("F", 0, 1): 40, ("F", 1, 0): 5, ("F", 1, 1): 60}
    cells |= {("M", 0, 0): 45, ("M", 0, 1): 35, ("M", 1, 0): 20, ("M", 1, 1): 70}
    table = Crossed(("sex",), (LABEL, PREDICTION), cells, FLOOR)
    shown = table.shown(table.hide())
    assert {key for key, n in shown.items() if n is None} == {("F", 1, 1), ("M", 1, 0), ("M", 1, 1)}
    assert shown["F", 1, 0] == "<11"
    assert shown["M", 0, 1] == 35


def test_of_a_small_group_no_cell_is_missing():
    """That three people stand in one cell tells what all three had."""
    cells = {("A", 0, 0): 50, ("A", 1, 1): 40, ("B", 0, 1): 30, ("C", 1, 1): 3}
    shown = Crossed(("race",), (LABEL, PREDICTION), cells, FLOOR)
    told = shown.shown(shown.hide())
    assert [n for key, n in told.items() if key[0] == "C"] == ["<11"] * 3
    assert [n for key, n in told.items() if key[0] == "B"] == [None] * 3


@pytest.mark.parametrize(
    ("counts", "away"),
    [
        ([500, 3, 40, 0, 200], {1, 2}),
        ([5, 6, 90], {0, 1}),
        ([5, 90], {0, 1}),
        ([4], {0}),
        ([], set()),
    ],
)
def test_of_a_list_with_a_known_sum(counts, away):
    assert hidden(counts, FLOOR) == away


def test_a_sum_that_has_too_few_parts_is_hidden_too():
    groups = {("a",): 12, ("b",): 60, ("c",): 50}
    cells = {("a", 0): 12, ("b", 0): 40, ("b", 1): 20, ("c", 0): 30, ("c", 1): 20}
    axes = ("g", "l")
    tables = {("g",): groups, axes: cells}
    away = suppressed(tables, [(("g",), ()), (axes, ("g",))], FLOOR, [(axes, ("a", 0))])
    assert {(("g",), ("a",)), (("g",), ("c",))} <= away
    assert (axes, ("c", 1)) in away
    assert (("g",), ("b",)) not in away


@st.composite
def documents(draw):
    """A document's parts over the same people; of some rows the label or the score is missing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(40, 400))
    race = rng.choice(["A", "B", "C", "D"], rows, p=[0.6, 0.3, 0.07, 0.03])
    label, prediction, score = rng.random(rows) < 0.4, rng.random(rows) < 0.5, rng.random(rows)
    labelled, scored = rng.random(rows) < 0.9, rng.random(rows) < 0.95

    def counted(keys):
        found = {}
        for key in keys:
            found[key] = found.get(key, 0) + 1
        return sorted(found.items(), key=repr)

    contingency = counted(
        (race[i], int(label[i]) if labelled[i] else None, int(prediction[i])) for i in range(rows)
    )
    both = [i for i in range(rows) if labelled[i] and scored[i]]
    bins = counted((race[i], int(label[i]), int(score[i] * 4000)) for i in both)
    moments = counted(race[i] for i in both)
    weights = counted(
        (int(label[i]) if labelled[i] else None, int(prediction[i])) for i in range(rows)
    )
    halves = {}
    for i in range(rows):
        if scored[i]:
            above, n = halves.get(race[i], (0, 0))
            halves[race[i]] = above + int(score[i] > 0.5), n + 1
    return {
        "contingency": {
            "attributes": ["race"],
            "cells": [[[str(g)], y, p, n] for (g, y, p), n in contingency],
        },
        "scores": {
            "attributes": ["race"], "bins": 4000, "scale": 12,
            "cells": [[[str(g)], y, b, n, "0.5"] for (g, y, b), n in bins],
            "moments": [[[str(g)], n, "1", "1", "1", "1"] for g, n in moments],
        },
        "above_median": {
            "attributes": ["race"], "median": 0.5, "values": None,
            "cells": [[[str(g)], *pair] for g, pair in sorted(halves.items())],
        },
        "estimated": {
            "origin": {
                "attributes": ["origin"], "scale": 1_000_000,
                "cells": [
                    [[g], y, p, str(n * share), str(n * share * share)]
                    for g, share in (("X", 30_000), ("Y", 970_000))
                    for (y, p), n in weights
                ],
            }
        },
    }  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(documents())
def test_what_one_part_hides_no_other_tells(document):
    shown = public_counts(document, FLOOR)
    people = shown["contingency"]["cells"]
    told = {}
    for name, counts in (
        ("contingency", [(cell[0][0], cell[3]) for cell in people]),
        ("scores", [(cell[0][0], cell[3]) for cell in shown["scores"]["cells"]]),
        ("moments", [(cell[0][0], cell[1]) for cell in shown["scores"]["moments"]]),
        ("median", [(cell[0][0], cell[2]) for cell in shown["above_median"]["cells"]]),
    ):
        for group in "ABCD":
            own = [n for one, n in counts if one == group]
            told.setdefault(group, {})[name] = bool(own) and all(isinstance(n, int) for n in own)
    for group, parts in told.items():
        rows = sum(c[3] for c in document["contingency"]["cells"] if c[0] == [group])
        if 0 < rows < FLOOR:
            assert not any(parts.values()), (group, parts)
    gone = [group for group, parts in told.items() if not any(parts.values())]
    sizes = [sum(c[3] for c in document["contingency"]["cells"] if c[0] == [g]) for g in gone]
    if any(0 < n < FLOOR for n in sizes):
        assert sum(n > 0 for n in sizes) > 1
        assert sum(sizes) >= FLOOR
    for cells in [people, shown["scores"]["cells"]]:
        assert all(
            not isinstance(cell[3], int) or cell[3] >= FLOOR or cell[3] == 0 for cell in cells
        )
    for group, above, n in shown["above_median"]["cells"]:
        if isinstance(above, int) and isinstance(n, int):
            assert all(part == 0 or part >= FLOOR for part in (above, n - above)), group
    for cell in shown["estimated"]["origin"]["cells"]:
        assert cell[3] in (None, "<11") or int(cell[3]) >= FLOOR * 1_000_000


def test_rows_by_single_scores_are_not_shown():
    cells = [[["F"], 30, 60], [["M"], 20, 40]]
    part = {"attributes": ["sex"], "median": 3.0, "cells": cells, "values": [[["F"], 1.0, 60]]}
    shown = public_counts({"above_median": part}, FLOOR)["above_median"]
    assert shown == {**part, "values": None}
    cells[1] = [["M"], 37, 40]
    shown = public_counts({"above_median": part}, FLOOR)["above_median"]
    assert shown["cells"] == [[["F"], None, 60], [["M"], None, 40]]
