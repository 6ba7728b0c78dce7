"""Answers to inputs that are a little off: the same change for the same seed, and what it changes."""

import numpy as np
import pyarrow as pa
import pytest

from kernel.errors import Invalid
from monitoring.engine import privacy
from monitoring.engine.checks import robustness
from monitoring.engine.inputs import InputSpec
from monitoring.engine.perturbed import perturbed
from monitoring.engine.perturbing import check
from monitoring.engine.requested import KINDS, Perturbation, usual
from tests.monitoring.engine.making import (
    SPEC,
    find,
    loan_job,
    loans,
    matrix_of,
    run,
    train_xgboost,
    write,
)

DECLARED = [
    {"name": "cut income", "column": "income", "kind": "scale", "amount": 0.5},
    {"column": "debt", "kind": "missing", "amount": 1},
    {"column": "income", "kind": "noise", "amount": 0.01},
    {"column": "region", "kind": "swap_category", "amount": 1},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("robust")
    columns = loans()
    data = write(folder / "d.parquet", columns)
    return columns, data, train_xgboost(folder / "m.json", columns)


@pytest.fixture(scope="module")
def declared(files, tmp_path_factory):
    _, data, model = files
    config = {"perturbations": DECLARED, "groupings": ["sex"]}
    job = loan_job("robustness", data, model, config=config)
    return run(job, tmp_path_factory.mktemp("declared"))


def scores(columns, model):
    import xgboost

    return xgboost.Booster(model_file=str(model)).inplace_predict(matrix_of(columns))


def test_what_changes_is_counted_from_the_models_own_answers(files, declared):
    columns, _, model = files
    before = scores(columns, model)
    after = scores({**columns, "income": columns["income"] * 0.5}, model)
    about = {"perturbation": "cut income"}
    assert find(declared, "mean_score_change", **about).value == pytest.approx(
        np.abs(after - before).mean(), rel=1e-6
    )
    most = find(declared, "max_score_change", **about).value
    assert most == pytest.approx(np.abs(after - before).max(), rel=1e-6)
    flipped = (after >= 0.5) != (before >= 0.5)
    got = find(declared, "flip_rate", **about)
    assert got.value == pytest.approx(flipped.mean())
    assert got.lower < got.value < got.upper
    paid = np.asarray(columns["paid"])
    right, was = (after >= 0.5) == paid, (before >= 0.5) == paid
    assert find(declared, "accuracy_under_perturbation", **about).value == right.mean()
    assert find(declared, "baseline_accuracy").value == was.mean()
    drop = find(declared, "accuracy_drop", **about)
    assert drop.value == pytest.approx(was.mean() - right.mean())
    assert drop.lower < drop.value < drop.upper
    women = columns["sex"] == "Female"
    assert find(declared, "flip_rate", **about, sex="Female").value == flipped[women].mean()


def test_areas_under_the_curve_are_scikit_learns(files, declared):
    from sklearn.metrics import roc_auc_score

    columns, _, model = files
    after = scores({**columns, "debt": [None] * 600}, model)
    got = find(declared, "auc_under_perturbation", perturbation="missing 1 of debt")
    assert got.value == pytest.approx(roc_auc_score(columns["paid"], after), abs=1e-9)
    expected = roc_auc_score(columns["paid"], scores(columns, model))
    assert find(declared, "baseline_auc").value == pytest.approx(expected, abs=1e-9)


def test_the_largest_is_told_with_an_interval_that_makes_up_for_choosing(declared):
    flips = {
        one.slice["perturbation"]: one
        for one in declared.measurements
        if one.metric == "flip_rate" and set(one.slice) == {"perturbation"}
    }
    worst = flips.pop("*")
    named = flips[worst.detail["perturbation"]]
    assert worst.value == max(one.value for one in flips.values())
    assert worst.lower < named.lower < named.upper < worst.upper


def test_charts_are_data(declared):
    kinds = {plot.name: plot.kind for plot in declared.plots}
    assert kinds == {
        "flip_rate": "interval",
        "accuracy_under_perturbation": "interval",
        "score_change": "histogram",
    }


def test_without_a_declaration_small_errors_of_every_kind_are_tried(files, tmp_path):
    _, data, model = files
    outcome = run(loan_job("robustness", data, model), tmp_path / "w")
    tried = {one.slice["perturbation"] for one in outcome.measurements if one.slice}
    assert tried == {one.name for one in usual(True, True)} | {"*"}
    assert len(tried) == len(KINDS) + 1
    assert outcome.grade == "re-performed"
    again = run(loan_job("robustness", data, model), tmp_path / "again")
    assert again.cube_digest == outcome.cube_digest


BATCH = pa.record_batch(
    {
        "income": pa.array([10.0, 12.345, None, 40.0]),
        "debt": pa.array([1, 2, 3, 4], pa.int64()),
        "region": pa.array(["north", "south", None, "elsewhere"]),
    }
)


def changed(**declared):
    one = Perturbation.from_json(declared, "p")
    found = perturbed(BATCH, InputSpec.from_json(SPEC), one, 7)
    return {name: found.column(name).to_pylist() for name in found.schema.names}


def test_each_kind_changes_what_it_says_and_nothing_else():
    plain = {name: BATCH.column(name).to_pylist() for name in BATCH.schema.names}
    scaled = changed(column="income", kind="scale", amount=2)
    assert scaled["income"] == [20.0, 24.69, None, 80.0]
    assert {**scaled, "income": 0} == {**plain, "income": 0}
    spread = np.std([10.0, 12.345, 40.0])
    moved = changed(column="income", kind="shift", amount=-1)["income"]
    assert moved[0] == pytest.approx(10 - spread)
    assert changed(column="income", kind="round", amount=2)["income"] == [10.0, 12.0, None, 40.0]
    assert changed(column="*", kind="missing", amount=1) == {
        name: [None] * 4 for name in BATCH.schema.names
    }
    swapped = changed(column="region", kind="swap_category", amount=1)["region"]
    assert swapped[:3] == ["south", "north", None]
    assert swapped[3] in ("north", "south")


def test_noise_stays_in_the_range_and_whole_numbers_stay_whole():
    noisy = changed(column="*", kind="noise", amount=3)
    assert all(1 <= one <= 4 and one == int(one) for one in noisy["debt"])
    assert all(10 <= one <= 40 for one in noisy["income"] if one is not None)
    assert noisy["income"][2] is None
    assert noisy == changed(column="*", kind="noise", amount=3)
    assert noisy["region"] == BATCH.column("region").to_pylist()


def test_a_perturbation_that_fits_no_input_is_refused_by_name():
    one = Perturbation.from_json({"column": "region", "kind": "noise"}, "p")
    with pytest.raises(Invalid) as caught:
        check([one], InputSpec.from_json(SPEC))
    assert caught.value.field == "config.perturbations[0].column"


QUALITY = {"labelled": 0, "right": 0, "auc": None, "auc_error": None, "positives": 0}
ONE = {
    "name": "n",
    "column": "*",
    "kind": "noise",
    "amount": 0.1,
    "refused": None,
    "n": 100,
    "change": 5.0,
    "change_2": 1.0,
    "most": 0.4,
    "to_positive": 0,
    "to_negative": 0,
    "histogram": [100] + [0] * 8,
    **QUALITY,
}


def measured(*found, baseline=QUALITY, **config):
    counted = {"rows": 100, "baseline": baseline, "perturbations": list(found)}
    return robustness.measure(counted, config)


def test_no_change_at_all_has_an_interval_that_is_not_nothing():
    got = find(measured(ONE), "flip_rate", perturbation="n")
    assert (got.value, got.lower) == (0, 0)
    assert got.upper > 0.01


def test_without_labels_accuracy_is_not_available_and_few_rows_are_insufficient():
    result = measured(ONE)
    got = find(result, "accuracy_drop", perturbation="n")
    assert (got.value, got.undefined_reason) == (None, "not_available")
    assert find(result, "baseline_accuracy").undefined_reason == "not_available"
    few = {**ONE, "labelled": 20, "right": 20, "lost": 0, "won": 0}
    assert find(measured(few), "accuracy_drop", perturbation="n").undefined_reason == "insufficient"


def test_flips_of_few_people_are_not_in_the_public_cube():
    groups = [
        {"slice": {"sex": name}, "n": n, "flips": 2}
        for name, n in (("a", 300), ("b", 200), ("c", 4))
    ]
    cube = {"schema": "countersign.cube/1", "kind": "robustness"}
    cube["robustness"] = {"perturbations": [{**ONE, "groups": groups}, ONE]}
    shown = privacy.public(cube, "0" * 64, 11)["robustness"]["perturbations"]
    assert [one["n"] for one in shown[0]["groups"]] == [300, None, "<11"]
    assert [one["flips"] for one in shown[0]["groups"]] == [2, None, None]
    assert shown[1] == ONE


def test_a_perturbation_that_the_model_refuses_is_undefined_and_noted():
    refused = {**ONE, "name": "gone", "kind": "missing", "refused": "no probability"}
    result = measured(refused)
    assert find(result, "flip_rate", perturbation="gone").undefined_reason == "refused_by_model"
    assert find(result, "flip_rate", perturbation="*").undefined_reason == "refused_by_model"
    assert result.notes[0].code == "refused_by_model"
    both = measured(refused, ONE)
    assert find(both, "flip_rate", perturbation="*").detail == {"perturbation": "n"}
