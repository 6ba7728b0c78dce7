"""Trees from ONNX answer as ONNX's runtime does, and are explained as the library that made them."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.engine.attributions import onnx_graph
from monitoring.engine.attributions.ensembles import LEAF, Node, NotTaken, build
from monitoring.engine.attributions.methods import explainer_of
from monitoring.engine.loaders import lightgbm_file, onnx_file, skops_file, xgboost_file
from monitoring.engine.loaders.model import Model
from tests.monitoring.engine import onnx_making as making

# As in the sandbox: compiling takes longer than all that these tests ask for.
os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
MODELS = Path(__file__).parent / "models"
OPENERS = {
    ".onnx": (onnx_file, "onnx"),
    ".skops": (skops_file, "skops"),
    ".json": (xgboost_file, "xgboost_json"),
    ".txt": (lightgbm_file, "lightgbm"),
}


@pytest.fixture(scope="module")
def rows():
    return np.load(MODELS / "rows.npz")


def opened(name, positive=1):
    path = MODELS / name
    module, form = OPENERS[path.suffix]
    native, score, _ = module.open_model(path, positive)
    return Model(form, native, score, positive)


def explainer(model, matrix):
    return explainer_of(model, matrix, model.score(matrix), 50)


def explained(model, matrix):
    one = explainer(model, matrix)
    values, base, output = one.explain(matrix, matrix[:50], 0)
    assert np.abs(values.sum(axis=1) + base - output).max() < 1e-5
    return one, values, output


NAMES = [
    ("boosting.onnx", "matrix", "log odds", "tree"),
    ("forest.onnx", "matrix", "probability", "tree"),
    ("scaled.onnx", "matrix", "log odds", "tree"),
    ("classes.onnx", "matrix", "raw score", "tree"),
    ("xgboost.onnx", "missing", "log odds", "tree"),
    ("lightgbm.onnx", "missing", "log odds", "tree"),
    ("categories.onnx", "matrix", "log odds", "tree"),
    ("logistic.onnx", "missing", "log odds", "linear"),
    ("descent.onnx", "matrix", "log odds", "linear"),
    ("boosting.skops", "matrix", "log odds", "tree"),
    ("forest.skops", "matrix", "probability", "tree"),
    ("histograms.skops", "missing", "log odds", "tree"),
    ("logistic.skops", "missing", "log odds", "linear"),
    ("xgboost.json", "missing", "log odds", "tree"),
    ("lightgbm.txt", "missing", "log odds", "tree"),
    ("categories.txt", "matrix", "log odds", "tree"),
]


@pytest.mark.parametrize(("name", "kind", "unit", "method"), NAMES)
@pytest.mark.parametrize("positive", [0, 1])
def test_every_safe_format_has_a_fast_explainer_that_adds_up(
    rows, name, kind, unit, method, positive
):
    if positive == 0 and name.endswith((".json", ".txt")):
        pytest.skip("a booster of two classes gives the positive one alone")
    model, matrix = opened(name, positive), rows[kind]
    one, _, output = explained(model, matrix)
    assert one.unit == unit
    assert method in one.method
    if unit == "log odds":
        assert 1 / (1 + np.exp(-output)) == pytest.approx(model.score(matrix), abs=1e-5)
    if unit == "probability":
        assert output == pytest.approx(model.score(matrix), abs=1e-5)


def interventional(name, background):
    """The values of ONNX's trees against a background, by shap from our dictionary."""
    import shap

    model = opened(name)
    found = onnx_graph.ensemble(model.native)
    sign = [1.0] if len(found.ids) == 1 else np.eye(len(found.ids))[1]
    data = background.astype(float)
    return shap.TreeExplainer(found.to_shap(sign, background), data=data), found


def test_boosting_has_the_values_of_scikit_learns_own_trees(rows):
    import shap

    matrix = rows["matrix"]
    native = opened("boosting.skops").native
    # With every row of the training the branches weigh as the library weighed them.
    _, values, _ = explained(opened("boosting.onnx"), matrix)
    expected = shap.TreeExplainer(native).shap_values(matrix)
    assert np.abs(values - expected).max() < 1e-7
    found, _ = interventional("boosting.onnx", matrix[:40])
    expected = shap.TreeExplainer(native, data=matrix[:40]).shap_values(matrix)
    assert np.abs(found.shap_values(matrix.astype(float)) - expected).max() < 1e-7


def test_a_forest_has_the_values_of_scikit_learns_own_trees(rows):
    import shap

    matrix = rows["matrix"]
    native = opened("forest.skops").native
    found, _ = interventional("forest.onnx", matrix[:40])
    expected = shap.TreeExplainer(native, data=matrix[:40]).shap_values(matrix)[..., 1]
    assert np.abs(found.shap_values(matrix.astype(float)) - expected).max() < 1e-7


@pytest.mark.parametrize(
    ("name", "native"), [("xgboost.onnx", "xgboost.json"), ("lightgbm.onnx", "lightgbm.txt")]
)
def test_boosters_trees_from_onnx_have_the_boosters_values(rows, name, native):
    import shap

    matrix = rows["missing"]
    background = matrix[:40]
    found, ensemble = interventional(name, background)
    booster = opened(native).native
    expected = shap.TreeExplainer(booster, data=background).shap_values(matrix)
    assert np.abs(found.shap_values(matrix.astype(float)) - expected).max() < 1e-6
    _, margins = onnx_graph.chosen(
        onnx_graph.forms(ensemble.ids, ensemble.base, 1),
        ensemble.raw(matrix),
        opened(native).score(matrix),
        ensemble.base,
    )
    raw = opened(native)
    _, _, output = explained(raw, matrix)
    assert margins == pytest.approx(output, abs=1e-5)


def test_splits_by_category_have_the_values_of_the_definition(rows):
    """shap does not take LightGBM's sets of categories; the definition does."""
    matrix, background = rows["matrix"], rows["matrix"][:15]
    found, ensemble = interventional("categories.onnx", background)
    booster = opened("categories.txt").native
    values = found.shap_values(matrix[:3].astype(float))
    for row, own in zip(matrix[:3], values, strict=True):
        expected = making.shapley(
            lambda asked: booster.predict(asked, raw_score=True), row, background
        )
        assert np.abs(own - expected).max() < 1e-6
    raw = ensemble.raw(matrix)[:, 0] + (ensemble.base[0] if ensemble.base else 0)
    assert raw == pytest.approx(booster.predict(matrix, raw_score=True), abs=1e-6)


@st.composite
def trees(draw):
    """A random tree over three features, thresholds few enough that questions meet again."""
    nodes, waiting = [], [0]
    nodes.append(None)
    while waiting:
        place = waiting.pop()
        if len(nodes) > 15 or (place and draw(st.booleans())):
            nodes[place] = ("LEAF", draw(st.sampled_from([-2.0, -0.5, 0.25, 1.0, 3.0])))
            continue
        yes, no = len(nodes), len(nodes) + 1
        nodes += [None, None]
        nodes[place] = (
            draw(st.sampled_from(making.MODES)),
            draw(st.integers(0, 2)),
            float(np.float32(draw(st.sampled_from([-1.5, -0.1, 0.0, 0.1, 1.0, 3.0])))),
            yes,
            no,
            draw(st.booleans()),
        )
        waiting += [yes, no]
    return nodes


def edges():
    """Every threshold, its neighbours, what is missing and what is endless."""
    marks = np.array([-1.5, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0], np.float32)
    values = [*marks, *np.nextafter(marks, np.float32(9)), *np.nextafter(marks, np.float32(-9))]
    values += [np.nan, np.inf, -np.inf]
    rng = np.random.default_rng(1)
    return rng.choice(np.array(values, np.float32), (400, 3))


EDGES = edges()


def runtime(proto):
    session = onnx_file.session_of(proto.SerializeToString())
    return lambda matrix: session.run(None, {"x": np.asarray(matrix, np.float32)})[0][:, 0]


@settings(max_examples=60, deadline=None)
@given(st.lists(trees(), min_size=1, max_size=3))
def test_every_question_is_answered_as_the_runtime_answers_it(drawn):
    proto = making.older(drawn)
    found = onnx_graph.ensemble(proto)
    assert found.raw(EDGES)[:, 0] == pytest.approx(runtime(proto)(EDGES), abs=1e-6)


@settings(max_examples=6, deadline=None)
@given(st.lists(trees(), min_size=1, max_size=2))
def test_every_question_is_explained_by_the_definition(drawn):
    import shap

    proto = making.older(drawn)
    answer, found = runtime(proto), onnx_graph.ensemble(proto)
    background = EDGES[:12]
    made = shap.TreeExplainer(found.to_shap([1.0], background), data=background.astype(float))
    values = made.shap_values(EDGES[50:53].astype(float), check_additivity=False)
    for row, own in zip(EDGES[50:53], values, strict=True):
        assert np.abs(own - making.shapley(answer, row, background)).max() < 1e-6


def test_sets_of_values_are_asked_one_by_one():
    """Operator TreeEnsemble asks whether a value is among some."""
    proto = making.newer(
        modes=[6, 0],
        splits=[0.0, 0.1],
        features=[0, 1],
        yes=[-1, -2],
        no=[1, -3],
        missing=[1, 0],
        leaves=[5.0, 1.0, 2.0],
        members=[-1.0, 1.0, 3.0, float("nan")],
    )
    found = onnx_graph.ensemble(proto)
    # The runtime makes whole numbers of what is asked, which categories are.
    asked = np.array(EDGES)
    asked[:, 0] = np.random.default_rng(2).choice([-2, -1, 0, 1, 2, 3, 4, np.nan], len(asked))
    assert found.raw(asked)[:, 0] == pytest.approx(runtime(proto)(asked), abs=1e-6)


def test_a_long_chain_of_equals_stays_small():
    """As LightGBM's sets of categories are written; each "no" is met on two sides of each value."""
    chain = [Node("BRANCH_EQ", 0, float(place), 41 + place, place + 1) for place in range(40)]
    chain.append(Node(LEAF, leaf=0))
    chain += [Node(LEAF, leaf=place + 1) for place in range(40)]
    tree = build(chain, [[float(place)] for place in range(41)])
    assert len(tree.left) < 400
    asked = np.array([[0.0], [17.0], [39.0], [40.0], [16.5], [np.nan]])
    assert tree.values[tree.reach(asked)][:, 0].tolist() == [1, 18, 40, 0, 0, 0]
    covers = tree.covers(asked)
    assert covers[0] == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize(
    "node",
    [
        ("BRANCH_LT", 0, float("inf"), 1, 2, False),
        ("BRANCH_LEQ", 0, float("nan"), 1, 2, False),
    ],
)
def test_a_threshold_that_is_no_number_is_not_taken(node):
    proto = making.older([[node, ("LEAF", 1.0), ("LEAF", 2.0)]])
    with pytest.raises(NotTaken):
        onnx_graph.ensemble(proto)


def network(width=3):
    """A small neural network: neither trees nor a line."""
    from onnx import TensorProto, helper

    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(width, 4)), rng.normal(size=(4, 1))
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("MatMul", ["t", "b"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["y"]),
    ]
    held = [
        helper.make_tensor("a", TensorProto.FLOAT, first.shape, first.ravel()),
        helper.make_tensor("b", TensorProto.FLOAT, second.shape, second.ravel()),
    ]
    return making.model(nodes, [None, 1], initializers=held, width=width)


def test_what_is_neither_trees_nor_a_line_is_asked(rows):
    proto = network()
    answer = runtime(proto)
    model = Model("onnx", proto, answer, 1)
    matrix = rows["matrix"][:40, :3]
    one = explainer(model, matrix)
    assert "permutation" in one.method
    assert one.by_background
    background = matrix[-10:]
    values, base, output = one.explain(matrix[:3], background, 0)
    assert np.abs(values.sum(axis=1) + base - output).max() < 1e-6
    for row, own in zip(matrix[:3], values, strict=True):
        assert np.abs(own - making.shapley(answer, row, background)).max() < 0.05


def test_trees_that_are_not_the_whole_model_are_asked(rows):
    """A square after the trees: what was read is not what is computed, and nobody is told it is."""
    from onnx import helper

    proto = making.older([[("BRANCH_LEQ", 0, 0.0, 1, 2, False), ("LEAF", 0.2), ("LEAF", 0.7)]])
    proto.graph.node[0].output[0] = "z"
    proto.graph.node.append(helper.make_node("Mul", ["z", "z"], ["y"]))
    model = Model("onnx", proto, runtime(proto), 1)
    assert "permutation" in explainer(model, rows["matrix"][:40, :3]).method


def test_a_line_is_its_coefficients(rows):
    matrix = rows["missing"]
    native = opened("logistic.skops").native
    _, values, _ = explained(opened("logistic.onnx"), matrix)
    seen = native[:-1].transform(matrix)
    expected = native[-1].coef_[0] * (seen - seen[:50].mean(axis=0))
    assert np.abs(values - expected).max() < 1e-4
