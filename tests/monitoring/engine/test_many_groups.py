"""What a run of very many groups makes: bounded, told before it is measured, and not too slow."""

import numpy as np
import pytest

from kernel.errors import Invalid
from monitoring.engine import statistics
from monitoring.engine.checks import fairness, groups, performance
from monitoring.engine.cube import Cell, Contingency
from monitoring.engine.cube.regression import regression_cube
from monitoring.engine.statistics import base, extremes, samples
from tests.monitoring.engine.making import find, mapping, source_of, write

PROXY = "0190a0b0-0000-7000-8000-000000000001"


def crossed(*sizes, n=50):
    """Every group that attributes of so many values make, half of each selected."""
    cells = [
        Cell(tuple(f"g{one:03}" for one in place), 1, decided, n // 2)
        for place in np.ndindex(*sizes)
        for decided in (0, 1)
    ]
    return Contingency(tuple(f"a{place}" for place in range(len(sizes))), tuple(cells))


@pytest.mark.parametrize(
    ("sizes", "config", "field"),
    [
        ((9, 9, 9, 9), {"intersections": True}, "config.intersections"),
        ((90, 90), {"groupings": ["a0", ["a0", "a1"]]}, "config.groupings[1]"),
        ((20_001,), {"metrics": ["selection_rate"]}, "mapping.sensitive"),
        ((90, 90), {"groupings": ["a0"], "controls": ["a1"]}, "config.controls"),
        ((110, 110), {"groupings": ["a0"], "ll144": {}}, "config.ll144"),
    ],
)
def test_fairness_of_too_many_groups_is_refused_before_it_is_measured(
    monkeypatch, sizes, config, field
):
    monkeypatch.setattr(samples, "sample", None)
    with pytest.raises(Invalid, match="more than the 20000 that a run makes") as caught:
        fairness.measure(crossed(*sizes), config, 1, controls=config.get("controls", ()))
    assert caught.value.field == field


def test_performance_of_too_many_groups_is_refused():
    with pytest.raises(Invalid, match="more than the 20000") as caught:
        performance.measure(crossed(40, 60), None, {"intersections": True}, 1)
    assert caught.value.field == "config.intersections"


def test_a_regression_of_too_many_groups_is_refused(tmp_path):
    rng = np.random.default_rng(1)
    columns = {"y": rng.random(3_000), "p": rng.random(3_000), "g": np.arange(3_000).astype(str)}
    declared = {"task": "regression", "label": "y", "prediction": "p", "sensitive": ["g"]}
    path = write(tmp_path / "r.parquet", columns)
    found, bins = regression_cube(source_of(path, tmp_path), mapping(**declared))
    with pytest.raises(Invalid, match="more than the 20000") as caught:
        performance.measure_regression(found, None, {}, 1, bins=bins)
    assert caught.value.field == "mapping.sensitive"


def test_estimated_groups_crossed_with_too_many_are_refused():
    race = {"name": "race", "state": "proxied", "proxy": {"version": PROXY, "columns": {"A": "p"}}}
    declared = mapping(label="y", prediction="d", sensitive=["a1", race])
    _, apart = groups.split(declared, {"groupings": [["race", "a1"]]})
    counted = crossed(1, 2_000)
    counted = Contingency(("race", "a1"), counted.cells, 10**6)
    with pytest.raises(Invalid, match="more than the 20000") as caught:
        groups.measure(declared, {"race": counted}, apart)
    assert caught.value.field == "config.groupings"


def test_as_many_groups_as_a_run_takes_are_measured(monkeypatch):
    monkeypatch.setattr(base, "REPLICATES", 20)
    found = fairness.measure(crossed(130), {"metrics": ["demographic_parity_difference"]}, 1)
    assert find(found, "demographic_parity_difference", a0="*").detail["groups"] == 130


def test_fewer_replicates_are_drawn_of_more_groups():
    assert [base.replicates(groups) for groups in (1, 2, 100, 1_000)] == [10_000] * 3 + [2_000]
    counts = [20] * 120, [50] * 120
    drawn = samples.sample(*counts, statistics.generator(1, "many"))
    assert drawn.noise.shape == (120, base.replicates(120))
    assert 2_000 < drawn.noise.shape[1] < 10_000


def one_at_a_time(families, asked):
    """The figures of `_deviations`, formed contrast by contrast."""
    replicates = min(one.sample.noise.shape[1] for one in families)
    truth, near, start = asked.truth, asked.near(), 0
    jointly, needed = np.zeros(replicates), np.full(replicates, np.inf)
    together, questioned = np.full(replicates, -np.inf), np.full(replicates, -np.inf)
    for family in families:
        deviation = family.deviations()
        for at in range(len(family.first)):
            here = start + at
            towards = deviation(np.array([at]))[0, :replicates] * asked.sign[here]
            jointly = np.maximum(jointly, np.abs(towards) if family.both else towards)
            if asked.forward[here]:
                together = np.maximum(together, towards)
            if asked.backward[here]:
                questioned = np.maximum(questioned, -towards)
            if near[here]:
                again = asked.size[here] + towards * asked.errors[here]
                again = np.abs(again) if family.both else again
                needed = np.minimum(needed, (truth - again) / asked.errors[here])
        start += len(family.first)
    return jointly, np.maximum(questioned, together), together, needed


@pytest.mark.parametrize("groups_of", [(3,), (12, 5), (130, 40)])
def test_deviations_worked_out_together_are_those_of_each_contrast(monkeypatch, groups_of):
    monkeypatch.setattr(base, "REPLICATES", 3_000)
    monkeypatch.setattr(base, "LEAST_REPLICATES", 300)
    monkeypatch.setattr(base, "_PAIRED", 4_000_000)
    rng = np.random.default_rng(3)
    families = [
        extremes.between(samples.sample(rng.integers(5, 45, n), [50] * n, rng)) for n in groups_of
    ]
    asked = extremes._question(families)
    assert not asked.plain
    found = extremes._deviations(families, asked)
    ours = found.jointly, found.questioned, found.together, found.needed
    for one, other in zip(ours, one_at_a_time(families, asked), strict=True):
        assert np.array_equal(one, other)
