"""What the model looks at, told by attributions that add up, and whether it may look at it."""

import json

import numpy as np
import pytest

from monitoring.engine import explaining, privacy
from monitoring.engine.attributions import by_column
from monitoring.engine.checks import explainability
from monitoring.engine.checks.explainability import reason_codes
from monitoring.engine.inputs import InputSpec
from tests.monitoring.engine.making import (
    SPEC,
    find,
    loan_job,
    loans,
    mapping,
    matrix_of,
    run,
    train_xgboost,
    write,
)

ASKED = {
    "groupings": ["sex", ["sex", "race"]],
    "slices": [{"name": "well off", "column": "income", "least": 55}],
    "proxy_screen": True,
    "reason_codes": {"top": 2, "most": 10},
}


def with_proxy(rows: int = 600):
    """Loans whose region gives away the sex of four in five."""
    columns = loans(rows)
    rng = np.random.default_rng(3)
    kept = rng.random(rows) < 0.8
    by_sex = np.where(columns["sex"] == "Male", "north", "south")
    columns["region"] = np.where(kept, by_sex, columns["region"])
    return columns


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    """One run with everything that can be asked for; the model takes no attribute of people."""
    folder = tmp_path_factory.mktemp("explained")
    columns = with_proxy()
    data = write(folder / "d.parquet", columns)
    model = train_xgboost(folder / "m.json", columns)
    outcome = run(loan_job("explainability", data, model, config=ASKED), folder / "w")
    return outcome, columns, model


def contributions(columns, model):
    import xgboost

    booster = xgboost.Booster(model_file=str(model))
    return booster.predict(xgboost.DMatrix(matrix_of(columns)), pred_contribs=True)[:, :-1]


def test_attributions_are_the_librarys_own(explained):
    outcome, columns, model = explained
    expected = np.abs(contributions(columns, model)).mean(axis=0)
    for place, name in enumerate(("income", "debt", "region")):
        got = find(outcome, "mean_abs_shap", feature=name)
        assert got.value == pytest.approx(expected[place], rel=1e-6)
        assert got.lower <= got.value <= got.upper
        assert got.unit == "log odds"
    assert find(outcome, "shap_additivity_error").value < 1e-4
    assert find(outcome, "attribution_stability").value == pytest.approx(1, abs=0.2)


def test_attributions_of_a_group_and_of_a_slice_are_means_over_their_rows(explained):
    outcome, columns, model = explained
    values = contributions(columns, model)
    women = columns["sex"] == "Female"
    got = find(outcome, "mean_abs_shap", feature="region", sex="Female")
    assert got.value == pytest.approx(np.abs(values[women, 2]).mean(), rel=1e-6)
    assert got.n == women.sum()
    signed = find(outcome, "mean_shap", feature="region", sex="Female")
    assert signed.value == pytest.approx(values[women, 2].mean(), rel=1e-5)
    rich = columns["income"] >= 55
    got = find(outcome, "mean_abs_shap", feature="income", slice="well off")
    assert got.value == pytest.approx(np.abs(values[rich, 0]).mean(), rel=1e-6)
    few = find(outcome, "mean_abs_shap", feature="income", sex="Male", race="C")
    assert (few.value, few.undefined_reason) == (None, "insufficient")


def test_a_feature_that_tells_who_people_are_is_found(explained):
    outcome, columns, _ = explained
    told = find(outcome, "proxy_auc", sex="*")
    assert told.lower > 0.8
    assert told.lower < told.value < told.upper
    # Region says it for four in five and by chance for half of the others.
    same = np.mean((columns["region"] == "north") == (columns["sex"] == "Male"))
    assert find(outcome, "proxy_balanced_accuracy", sex="*").value == pytest.approx(same, abs=0.05)
    drops = {name: find(outcome, "proxy_auc_drop", feature=name, sex="*").value
             for name in ("income", "debt", "region")}  # fmt: skip
    assert max(drops, key=drops.get) == "region"
    chance = find(outcome, "proxy_auc", race="*")
    assert chance.lower < 0.55
    few = find(outcome, "proxy_auc", race="C")
    assert few.undefined_reason == "insufficient"


def test_reasons_are_the_largest_contributions_against_the_row(explained):
    outcome, columns, model = explained
    (file,) = outcome.attachments
    document = json.loads(file.content)
    values = contributions(columns, model)
    assert len(document["rows"]) == 10
    assert document["rows_meant"] > 200
    for row in document["rows"]:
        assert row["decision"] == "negative"
        own = values[row["row"]]
        lowest = [place for place in np.argsort(own) if own[place] < 0][:2]
        names = [("income", "debt", "region")[place] for place in lowest]
        assert [one["feature"] for one in row["reasons"]] == names
        assert all(one["contribution"] < 0 for one in row["reasons"])
        assert [one["rank"] for one in row["reasons"]] == list(range(1, len(names) + 1))
    assert any(note.code == "fewer_reasons" for note in outcome.notes)
    # A reason names a feature, never somebody's value of it.
    assert {key for row in document["rows"] for key in row} == {
        "row", "score", "decision", "base", "output", "reasons"
    }  # fmt: skip


def test_ties_between_reasons_stand_in_the_order_of_the_input_spec():
    features = ["a", "b", "c", "d"]
    found = reason_codes.reasons(features, [-0.5, 0.0, -0.5 - 1e-13, 0.7], 4, "against")
    assert [one["feature"] for one in found] == ["a", "c"]
    found = reason_codes.reasons(features, [-0.5, 0.0, -0.5, 0.7], 2, "either")
    assert [(one["feature"], one["direction"]) for one in found] == [("d", "for"), ("a", "against")]
    assert reason_codes.reasons(features, [-0.5, 0.0, -0.5, 0.7], 9, "for")[0]["feature"] == "d"


def test_the_model_is_scored_again_in_another_process_and_another_order(explained):
    got = find(explained[0], "deterministic_output")
    assert got.value == 1
    assert got.detail == {
        "differing": 0,
        "order_differing": 0,
        "process_differing": 0,
        "batch_differing": 0,
    }


def test_the_run_says_what_held_the_model(explained):
    isolation = explained[0].sandbox
    assert isolation["files"] in ("landlock", "audit hook")
    assert isolation["limits"]["memory"] > 0


def test_a_sensitive_input_is_told(explained):
    assert find(explained[0], "sensitive_attribute_not_an_input").value == 1
    declared = mapping(label="paid", sensitive=["sex", {"name": "area", "column": "region"}])
    used = measured(declared)
    assert find(used, "sensitive_attribute_not_an_input").value == 0
    assert find(used, "sensitive_attribute_not_an_input", attribute="area").value == 0
    assert find(used, "sensitive_attribute_not_an_input", attribute="sex").value == 1


def test_a_network_is_asked_in_the_sandbox(tmp_path):
    """No reader knows it: shap asks the model itself, under the sandbox's walls."""
    from tests.monitoring.engine.test_loaders_trees import network

    model = tmp_path / "m.onnx"
    model.write_bytes(network().SerializeToString())
    columns = loans(50)
    columns["debt"] = [1.0] * 50
    columns["income"] = columns["income"] / 50 - 1
    data = write(tmp_path / "d.parquet", columns)
    job = loan_job("explainability", data, model, config={"seeds": 2, "background": 10})
    job["artifact"]["format"] = "onnx"
    outcome = run(job, tmp_path / "w")
    assert find(outcome, "mean_abs_shap", feature="debt").value == pytest.approx(0, abs=1e-9)
    assert find(outcome, "mean_abs_shap", feature="region").value > 0.01
    assert find(outcome, "mean_abs_shap", feature="region").n == 40
    assert find(outcome, "shap_additivity_error").value < 1e-6
    assert "seeds" in find(outcome, "attribution_stability").method


EXPLAINED = {
    "rows": 100,
    "offered": 100,
    "method": "m",
    "unit": "log odds",
    "additivity_error": 0.0,
    "scale": 2.0,
    "repeated": 100,
    "differing": 0,
    "order_differing": 0,
    "columns": [{"column": "income", "absolute": 50.0, "absolute_2": 30.0, "signed": -10.0}],
}


def measured(declared=None, **changes):
    declared = declared or mapping(label="paid", sensitive=["sex"])
    spec = InputSpec.from_json(SPEC)
    return explainability.measure({**EXPLAINED, **changes}, spec, declared, {})


def test_attributions_that_do_not_add_up_are_not_used():
    result = measured(
        additivity_error=0.3, stability={"by": "halves", "pairs": 1, "correlations": [1.0]}
    )
    got = find(result, "mean_abs_shap", feature="income")
    assert (got.value, got.undefined_reason) == (None, "not_additive")
    assert find(result, "attribution_stability").undefined_reason == "not_additive"
    assert result.notes[0].finding


@pytest.mark.parametrize(
    "turn", ["differing", "order_differing", "process_differing", "batch_differing"]
)
def test_a_model_that_answers_otherwise_each_time_is_told(turn):
    result = measured(**{turn: 1})
    got = find(result, "deterministic_output")
    assert got.value == 0
    assert got.detail[turn] == 1
    assert any(note.finding for note in result.notes)


def test_stability_is_the_rank_correlation_of_importances():
    assert explaining.rank_correlation([3, 2, 1], [30, 20, 10]) == 1
    assert explaining.rank_correlation([3, 2, 1], [10, 20, 30]) == -1
    assert explaining.rank_correlation([1, 1, 1], [10, 20, 30]) is None
    assert explaining.rank_correlation([1], [1]) is None
    found = measured(stability={"by": "halves", "pairs": 2, "correlations": [1.0, 0.5]})
    got = find(found, "attribution_stability")
    assert (got.value, got.detail["least"]) == (0.75, 0.5)
    none = measured(stability={"by": "halves", "pairs": 2, "correlations": []})
    assert find(none, "attribution_stability").undefined_reason == "not_available"


def test_sums_of_few_people_are_not_in_the_public_cube():
    parts = [
        {"slice": {"race": name}, "rows": rows, "columns": [{"column": "a", "absolute": 1.0}]}
        for name, rows in (("A", 300), ("B", 200), ("C", 4))
    ]
    cube = {"schema": "countersign.cube/1", "kind": "explainability", "rows": 504}
    shown = privacy.public({**cube, "explanation": {"columns": [], "parts": parts}}, "0" * 64, 11)
    by = {one["slice"]["race"]: one for one in shown["explanation"]["parts"]}
    assert by["A"] == parts[0]
    # Of three groups a second one is hidden, or the total would tell the first.
    assert (by["B"]["rows"], by["B"]["columns"]) == (None, None)
    assert (by["C"]["rows"], by["C"]["columns"]) == ("<11", None)
    assert shown["withheld"] == []


def test_fewer_rows_than_drawn_are_said():
    assert measured(offered=300).notes[0].code == "fewer_rows_explained"


def test_the_inputs_of_one_column_count_together():
    """One-hot inputs are one feature; their Shapley values are summed before the size is taken."""
    spec = InputSpec.from_json(
        {
            "features": [
                {"column": "a"},
                {"column": "b", "kind": "one_hot", "categories": ["x", "y"]},
            ]
        }
    )
    values = np.array([[1.0, 2.0, -2.0], [1.0, 0.5, 0.5]])
    assert by_column(spec, values).tolist() == [[1.0, 0.0], [1.0, 1.0]]
