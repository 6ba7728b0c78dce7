"""Values that our own ways of explaining give are shap's, to the last digits."""

import os

import numpy as np
import pytest
from hypothesis import given, settings

from monitoring.engine import loaders
from monitoring.engine.attributions import as_lightgbm, onnx_graph
from monitoring.engine.attributions.ensembles import NotTaken
from monitoring.engine.loaders.model import Model
from tests.monitoring.engine import onnx_making as making
from tests.monitoring.engine.test_loaders_trees import (
    EDGES,
    explainer,
    opened,
    rows,
    runtime,
    trees,
)

__all__ = ["rows"]

# As in the sandbox: compiling takes longer than all that these tests ask for.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
PLAIN = EDGES[[as_lightgbm.fits(row) for row in EDGES]]
"""Every threshold and its neighbours, but for those that LightGBM reads otherwise."""


def by_shap(found, matrix, asked):
    import shap

    made = shap.TreeExplainer(found.to_shap([1.0], matrix))
    values = made.shap_values(asked.astype(float), check_additivity=False)
    return values, float(np.ravel(made.expected_value)[0])


@settings(max_examples=40, deadline=None)
@given(trees(), trees())
def test_trees_that_lightgbm_explains_have_the_values_of_shap(first, second):
    found = onnx_graph.ensemble(making.older([first, second]))
    try:
        booster = as_lightgbm.booster(found, [1.0], PLAIN)
    except NotTaken:
        # Only a leaf that is met on both sides of a value weighs parts of a row.
        assert any(node[0] in ("BRANCH_EQ", "BRANCH_NEQ") for node in (*first, *second))
        return
    own = booster.predict(PLAIN, pred_contrib=True)
    values, base = by_shap(found, PLAIN, PLAIN)
    assert np.abs(own[:, :-1] - values).max() < 1e-9
    assert own[:, -1] == pytest.approx(base, abs=1e-9)
    assert booster.predict(PLAIN, raw_score=True) == pytest.approx(found.raw(PLAIN)[:, 0], abs=1e-9)


@pytest.mark.parametrize("name", ["xgboost.onnx", "lightgbm.onnx", "boosting.onnx", "forest.onnx"])
@pytest.mark.parametrize("positive", [0, 1])
def test_onnx_trees_have_the_values_of_shaps_tree_explainer(rows, name, positive):
    model, matrix = opened(name, positive), rows["matrix"]
    one = explainer(model, matrix)
    assert one.method.startswith("tree shap by lightgbm")
    values, base, _ = one.explain(matrix, matrix, 0)
    found = onnx_graph.ensemble(model.native)
    forms = onnx_graph.forms(found.ids, found.base, positive)
    form, _ = onnx_graph.chosen(forms, found.raw(matrix), model.score(matrix), found.base)
    import shap

    expected = shap.TreeExplainer(found.to_shap(form.combine, matrix))
    assert np.abs(values - expected.shap_values(matrix.astype(float))).max() < 1e-9
    assert base == pytest.approx(np.ravel(expected.expected_value)[0] + form.base, abs=1e-9)


@pytest.mark.parametrize("odd", [np.inf, -np.inf, 1e-36, -1e-40])
def test_a_number_that_lightgbm_reads_otherwise_is_left_to_shap(odd):
    """LightGBM takes 1e-36 for 0, which the question `value < 0` tells apart."""
    proto = making.older([[("BRANCH_LT", 0, 0.0, 1, 2, False), ("LEAF", 0.2), ("LEAF", 0.7)],
                          [("BRANCH_LEQ", 0, 0.0, 1, 2, False), ("LEAF", 0.0), ("LEAF", 0.1)]])  # fmt: skip
    answer = runtime(proto)
    model = Model("onnx", proto, answer, 1)
    matrix = np.linspace(-1, 1, 40, dtype=np.float32).reshape(-1, 1).repeat(3, axis=1)
    asked = matrix.copy()
    asked[3, 0] = odd
    one = explainer(model, matrix)
    assert "lightgbm" in one.method
    values, base, output = one.explain(asked, matrix, 0)
    assert output == pytest.approx(answer(asked), abs=1e-6)
    assert values.sum(axis=1) + base == pytest.approx(answer(asked), abs=1e-6)
    assert "shap tree explainer" in explainer(model, asked).method


@pytest.mark.parametrize("name", ["logistic.onnx", "descent.onnx", "logistic.skops"])
@pytest.mark.parametrize("known", [1, 50])
def test_a_linear_model_has_the_values_of_shaps_linear_explainer(rows, name, known):
    import shap

    matrix = rows["matrix"]
    model = opened(name)
    values, base, output = explainer(model, matrix).explain(matrix, matrix[:known], 0)
    # Two rows that differ in one input tell its coefficient.
    weight, steps = np.empty(matrix.shape[1]), np.eye(matrix.shape[1], dtype=np.float32)
    zero = np.zeros((1, matrix.shape[1]), np.float32)
    _, _, start = explainer(model, matrix).explain(zero, zero, 0)
    _, _, stepped = explainer(model, matrix).explain(steps, zero, 0)
    weight = stepped - start[0]
    expected = shap.LinearExplainer((weight, start[0]), matrix[:known].astype(float))
    assert values == pytest.approx(expected.shap_values(matrix.astype(float)), abs=1e-6)
    assert base == pytest.approx(expected.expected_value, abs=1e-6)
    assert np.abs(values.sum(axis=1) + base - output).max() < 1e-9


@pytest.mark.parametrize("far", [-1, 3, 2_000_000])
def test_trees_that_ask_for_no_input_of_the_model_reach_no_native_code(far):
    """They may stand in a graph beside what is computed, where the runtime never looks at them."""
    node = [("BRANCH_LEQ", 0, 5.0, 1, 2, False), ("LEAF", 0.2), ("BRANCH_LEQ", far, 0.0, 3, 4, False),
            ("LEAF", 0.1), ("LEAF", 0.3)]  # fmt: skip
    found = onnx_graph.ensemble(making.older([node]))
    with pytest.raises(NotTaken):
        found.check_width(3)


def test_numbers_of_onnx_trees_and_of_boosters_are_explained_in_their_own_unit(rows, tmp_path):
    import lightgbm
    import xgboost

    matrix = rows["matrix"]
    worth = np.exp(matrix[:, 0]) * 500
    counts = np.rint(worth)
    grown = xgboost.XGBRegressor(n_estimators=4, max_depth=3, n_jobs=1).fit(matrix, worth)
    grown.save_model(tmp_path / "m.json")
    counted = xgboost.XGBRegressor(objective="count:poisson", n_estimators=4, n_jobs=1)
    counted.fit(matrix, counts).save_model(tmp_path / "c.ubj")
    options = {"objective": "regression", "verbosity": -1, "num_threads": 1}
    lightgbm.train(options, lightgbm.Dataset(matrix, worth), 4).save_model(tmp_path / "m.txt")
    tree = [("BRANCH_LEQ", 0, 0.0, 1, 2, False), ("LEAF", 20_000.0), ("LEAF", 70_000.0)]
    (tmp_path / "m.onnx").write_bytes(making.older([tree, tree]).SerializeToString())
    for name, form, unit in (
        ("m.json", "xgboost_json", "output"),
        ("c.ubj", "xgboost_ubj", "log output"),
        ("m.txt", "lightgbm", "output"),
        ("m.onnx", "onnx", "output"),
    ):
        asked = matrix[:, :3] if form == "onnx" else matrix
        names = tuple("abcde"[: asked.shape[1]])
        model = loaders.load(tmp_path / name, form, names, loaders.NUMBER)
        score = model.score(asked)
        one = explainer(model, asked)
        assert (one.unit, "tree shap" in one.method) == (unit, True)
        values, base, output = one.explain(asked, asked[:50], 0)
        answer = np.exp(output) if unit == "log output" else output
        assert answer == pytest.approx(score, rel=1e-5)
        assert values.sum(axis=1) + base == pytest.approx(output, rel=1e-5)
