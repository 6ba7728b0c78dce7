"""What everybody sees of a cube tells no small group, and the whole can still be verified."""

import hashlib
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical
from monitoring.engine import column_profiles, privacy
from monitoring.engine.profiles import Categories, counted
from monitoring.engine.results import MeasurementValue, Note, Plot
from tests.monitoring.engine.making import find, loan_job, loans, run, write

DIGEST = "a" * 64


def public(**parts):
    return privacy.public({"schema": "countersign.cube/1", "kind": "x", **parts}, DIGEST, 11)


def cells(*counts):
    return {
        "attributes": ["sex"],
        "cells": [[[f"g{place}"], 0, 1, n] for place, n in enumerate(counts)],
    }


def test_a_small_cell_is_hidden_and_another_so_that_the_total_does_not_tell_it():
    shown = public(contingency=cells(500, 3, 40, 0, 200))
    assert [cell[3] for cell in shown["contingency"]["cells"]] == [500, "<11", None, 0, 200]
    assert shown["commitment"] == {"cube": DIGEST, "schema": "countersign.cube/1"}
    assert "blind" not in public(contingency=cells(3), blind="secret")


def test_a_cube_without_small_cells_is_shown_whole():
    assert public(contingency=cells(11, 400, 0), scores=None) is None


def test_a_part_that_is_not_known_is_withheld():
    shown = public(contingency=cells(20), rows_of_people=[1, 2])
    assert shown["withheld"] == ["rows_of_people"]
    assert "rows_of_people" not in shown


@given(st.lists(st.integers(0, 60), max_size=12))
def test_hidden_counts_cannot_be_found_from_the_total(counts):
    away = privacy.hidden(counts, 11)
    assert {place for place, n in enumerate(counts) if 0 < n < 11} <= away
    if away and any(n >= 11 for place, n in enumerate(counts) if place not in away):
        assert len(away) > 1
        assert sum(counts[place] for place in away) >= 11


def test_the_digest_of_the_whole_cannot_be_found_by_trying(tmp_path):
    """Without the blind, a digest over one unknown count has ten candidates."""
    path = write(tmp_path / "x.parquet", _decided(300))
    outcome = run(loan_job("fairness", path, None, **_supplied()), tmp_path / "w")
    whole = json.loads(outcome.cube)
    shown = json.loads(outcome.public_cube)
    assert shown["commitment"]["cube"] == outcome.cube_digest
    assert hashlib.sha256(outcome.cube).hexdigest() == outcome.cube_digest
    assert whole["blind"] == hashlib.sha256(b"countersign blind\0" + path.read_bytes()).hexdigest()
    guessed = {**whole}
    del guessed["blind"]
    assert canonical.digest(guessed) != outcome.cube_digest
    assert whole["blind"] not in outcome.public_cube.decode()


def _decided(rows):
    columns = loans(rows)
    return {**columns, "decision": columns["paid"]}


def _supplied():
    return {
        "mapping": {
            "label": "paid",
            "prediction": "decision",
            "sensitive": ["sex", "race"],
            "features": ["income", "debt", "region"],
            "categorical": ["region"],
        }
    }


def test_no_small_count_leaves_a_run(tmp_path):
    path = write(tmp_path / "x.parquet", _decided(120))
    outcome = run(loan_job("fairness", path, None, **_supplied()), tmp_path / "w")
    small = json.loads(outcome.cube)["contingency"]["cells"]
    assert any(cell[3] < 11 for cell in small)
    for one in json.loads(outcome.public_cube)["contingency"]["cells"]:
        assert one[3] is None or one[3] == "<11" or one[3] >= 11
    measured = find(outcome, "selection_rate", race="C")
    assert (measured.n, measured.detail["n_below"]) == (None, 11)
    assert measured.value is None
    text = json.dumps(outcome.to_json())
    for numbers in itertools.chain(_counts(json.loads(text)["measurements"])):
        assert numbers == 0 or numbers >= 11


def _counts(value):
    if isinstance(value, dict):
        if isinstance(value.get("n"), int):
            yield value["n"]
        for one in value.values():
            yield from _counts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _counts(one)


def test_a_value_over_too_few_says_what_each_had_and_is_undefined():
    rate = MeasurementValue("selection_rate", {"sex": "x"}, 1.0, 0.5, 1.0, 0.95, 4)
    masked = privacy.masked(rate, {"sex"}, 11)
    assert (masked.value, masked.lower, masked.n) == (None, None, None)
    assert masked.undefined_reason == "too_few_to_show"
    overall = MeasurementValue("accuracy", {}, 1.0, n=4)
    assert privacy.masked(overall, {"sex"}, 11) is overall


def test_a_count_of_a_group_is_a_cell():
    few = MeasurementValue("true_positives", {"sex": "x"}, 4.0, n=200, unit="count")
    masked = privacy.masked(few, {"sex"}, 11)
    assert (masked.value, masked.undefined_reason) == (None, "too_few_to_show")
    unknown = MeasurementValue("unknown_count", {"sex": "unknown"}, 4.0, n=200, unit="count")
    assert privacy.masked(unknown, {"sex"}, 11).value == 4.0


def test_a_note_tells_no_small_count():
    text = "3 rows have no value of sex: counted apart"
    masked = privacy.masked_note(Note("missing_sensitive_value", text, {"rows": 3}), 11)
    assert masked.text == "fewer than 11 rows have no value of sex: counted apart"
    assert masked.counts == {"rows_below": 11}
    many = Note("missing_sensitive_value", text, {"rows": 30})
    assert privacy.masked_note(many, 11) is many


def test_a_chart_loses_the_same_points():
    points = [{"label": "a", "value": 0.5, "n": 4}, {"label": "b", "value": 0.4, "n": 40}, {"x": 1}]
    plot = Plot("p", "interval", "P", "", "rate", [{"name": "p", "points": points}])
    a, b, c = privacy.masked_plot(plot, 11).series[0]["points"]
    assert (a["value"], a["n"], a["reason"]) == (None, None, "too_few_to_show")
    assert (b, c) == (points[1], points[2])


@given(st.lists(st.integers(0, 300).map(float), max_size=200), st.integers(1, 20))
def test_bins_of_a_profile_are_joined_until_they_hold_the_floor(values, floor):
    column = counted(__import__("numpy").asarray(values, float))
    one = column_profiles.of_numbers(column, column_profiles.profile_edges(column))
    shown = privacy.public({"profiles": {"x": one.to_json()}}, DIGEST, floor)
    joined = (shown or {"profiles": {"x": one.to_json()}})["profiles"]["x"]
    if len(values) >= floor:
        assert sum(joined["counts"]) == len(values)
        assert all(n >= floor or n == 0 for n in joined["counts"])
    assert len(joined["edges"]) + 1 == len(joined["counts"]) == len(joined["sums"])
    if shown:
        assert joined["least"] is None
        assert joined["most"] is None


@pytest.mark.parametrize(
    ("counts", "kept", "other"),
    [
        ({"a": 30, "b": 11, "c": 10, "d": 5}, {"a": 30, "b": 11}, 15),
        ({"a": 30, "b": 12, "c": 3}, {"a": 30}, 15),
        ({"a": 4}, {}, "<11"),
        ({"a": 30}, {"a": 30}, 0),
    ],
)
def test_rare_values_are_named_nowhere(counts, kept, other):
    one = column_profiles.of_categories(Categories(counts, 0)).to_json()
    shown = privacy.public({"profiles": {"current": {"x": one}}}, DIGEST, 11)
    found = shown["profiles"]["current"]["x"]
    assert (found["values"], found["other"]) == (kept, other)


def test_a_comparison_shows_no_small_bin_and_no_extreme_value():
    bins = {"reference": [20, 3, 40], "current": [2, 30, 20], "edges": [0, 1, 2, 3], "names": []}
    one = {"column": "x", "bins": bins, "distance": 0.5, "deciles": None}
    shown = public(comparisons=[one])["comparisons"][0]
    assert shown["bins"]["reference"] == [None, "<11", 40]
    assert shown["bins"]["current"] == ["<11", 30, None]
    assert shown["bins"]["edges"] == [None] * 4
    assert shown["distance"] == 0.5


def test_scores_are_shown_in_twenty_bins():
    part = {
        "attributes": [],
        "bins": 4000,
        "scale": 12,
        "cells": [[[], 0, 10, 6, "0.1"], [[], 0, 30, 7, "0.2"], [[], 1, 3999, 2, "1.9"]],
        "moments": [[[], 15, "1", "1", "1", "1"]],
    }
    shown = public(scores=part)["scores"]
    assert shown["cells"] == [[[], 0, 0, None, None], [[], 1, 19, "<11", None]]
    assert shown["moments"] == part["moments"]
