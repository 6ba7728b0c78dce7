"""How a model of each format is explained. Every method gives values that add up to an output.

Boosters of XGBoost and LightGBM explain themselves (the algorithm is shap's own, in their engines);
trees from ONNX are written as LightGBM's, those that cannot be and trees from skops go through
`shap.TreeExplainer`, linear models are explained by their coefficients, all else is asked by
`shap.PermutationExplainer`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np

from monitoring.engine.attributions import as_lightgbm, onnx_graph
from monitoring.engine.attributions.ensembles import Ensemble, NotTaken
from monitoring.engine.attributions.onnx_graph import agree, exponential, logistic
from monitoring.engine.loaders.model import NUMBER, THREADS, Model, refuse

GENERIC_ROWS: Final = 200
"""A model without a fast explainer is asked thousands of times a row: fewer rows are explained."""
WORK: Final = 3e10
"""The most leaves times squared depths that one explanation walks, about half a minute."""
LEAST_ROWS: Final = 30
_BLOCK: Final = 2_048

Values = tuple[Any, Any, Any]
"""Values (rows, inputs), base (rows or one), output (rows) that they add up to."""


@dataclass(frozen=True)
class Explainer:
    """`explain(matrix, background, seed)`; `most` rows of it are affordable.

    `by_background` is true if other rows of background give other values: they are compared.
    """

    method: str
    unit: str
    explain: Callable[[Any, Any, int], Values]
    most: int
    by_background: bool = False


def explainer_of(model: Model, matrix: Any, score: Any, background: int) -> Explainer:
    """The fastest method that is exact for a model; `score` is its answer to `matrix`."""
    if model.format in ("xgboost_json", "xgboost_ubj"):
        return _xgboost(model, matrix, score)
    if model.format == "lightgbm":
        return _lightgbm(model, matrix, score)
    try:
        if model.format == "onnx":
            return _onnx(model, matrix, score)
        return _scikit(model, matrix, score)
    except (NotTaken, KeyError, IndexError, TypeError, ValueError, AttributeError):
        # What cannot be read can still be asked.
        return _asked(model)


def _unit(output: Any, score: Any, positive_index: int) -> str:
    """What the explained output is, told by the scores that the model makes of it."""
    if positive_index == NUMBER:
        if agree(output, score):
            return "output"
        return "log output" if agree(exponential(output), score) else "raw score"
    if agree(logistic(output), score):
        return "log odds"
    return "probability" if agree(output, score) else "raw score"


def _own(found: Any, output: Any, inputs: int, positive_index: int) -> Values:
    """A booster's table of values, one block of `inputs` + 1 for each class."""
    found, output = np.asarray(found, float), np.asarray(output, float)
    found = found.reshape(len(found), -1, inputs + 1)
    if found.shape[1] > 1:
        if positive_index == NUMBER:
            refuse("the model's output is not one finite number for each row")
        if positive_index >= found.shape[1]:
            refuse(f"the model gives {found.shape[1]} classes")
        output = output.reshape(len(found), -1)[:, positive_index]
    found = found[:, positive_index if found.shape[1] > 1 else 0]
    return found[:, :-1], found[:, -1], np.ravel(output)


def _xgboost(model: Model, matrix: Any, score: Any) -> Explainer:
    import xgboost

    def explain(rows: Any, _known: Any, _seed: int) -> Values:
        data = xgboost.DMatrix(rows, nthread=THREADS)
        found = model.native.predict(data, pred_contribs=True)
        output = model.native.predict(data, output_margin=True)
        return _own(found, output, rows.shape[1], model.positive_index)

    unit = _unit(explain(matrix[:256], None, 0)[2], score[:256], model.positive_index)
    return Explainer("tree shap by xgboost", unit, explain, len(matrix))


def _lightgbm(model: Model, matrix: Any, score: Any) -> Explainer:
    def explain(rows: Any, _known: Any, _seed: int) -> Values:
        found = model.native.predict(rows, pred_contrib=True, num_threads=THREADS)
        output = model.native.predict(rows, raw_score=True, num_threads=THREADS)
        return _own(found, output, rows.shape[1], model.positive_index)

    unit = _unit(explain(matrix[:256], None, 0)[2], score[:256], model.positive_index)
    return Explainer("tree shap by lightgbm", unit, explain, len(matrix))


def _affordable(work: float) -> int:
    return max(LEAST_ROWS, int(WORK / max(1.0, work)))


def _onnx(model: Model, matrix: Any, score: Any) -> Explainer:
    if onnx_graph.is_tree(model.native):
        return _onnx_trees(model, matrix, score)
    if onnx_graph.is_linear(model.native):
        return _onnx_linear(model, matrix, score)
    raise NotTaken("neither trees nor linear")


def _onnx_trees(model: Model, matrix: Any, score: Any) -> Explainer:
    found = onnx_graph.ensemble(model.native)
    node = onnx_graph.main_node(model.native, onnx_graph.ENSEMBLES)
    seen = onnx_graph.before(model.native, node, matrix)
    possible = onnx_graph.forms(found.ids, found.base, model.positive_index)
    found.check_width(seen.shape[1])
    raw = found.raw(seen)
    form, _ = onnx_graph.chosen(possible, raw, score, found.base)
    combine = np.asarray(form.combine)
    engine, quick = _engine(found, combine, seen, raw)

    @cache
    def slow() -> Any:
        import shap

        return shap.TreeExplainer(found.to_shap(combine, seen))

    def explain(rows: Any, _known: Any, _seed: int) -> Values:
        rows = onnx_graph.before(model.native, node, rows)
        if quick is not None and as_lightgbm.fits(rows):
            own = quick.predict(rows, pred_contrib=True, num_threads=THREADS)
            output = quick.predict(rows, raw_score=True, num_threads=THREADS)
            return own[:, :-1], own[:, -1] + form.base, output + form.base
        output = found.raw(rows) @ combine + form.base
        values = np.asarray(slow().shap_values(rows.astype(float), check_additivity=False), float)
        base = float(np.ravel(slow().expected_value)[0]) + form.base
        return values.reshape(rows.shape), base, output

    method = f"{engine}, branches weighed by the explained rows"
    return Explainer(method, form.unit, explain, _affordable(found.work))


def _engine(found: Ensemble, combine: Any, seen: Any, raw: Any) -> tuple[str, Any]:
    """LightGBM with the trees in it, if it answers to every row as they do; else shap's own."""
    try:
        quick = as_lightgbm.booster(found, combine, seen)
    except NotTaken:
        return "shap tree explainer", None
    own = quick.predict(seen, raw_score=True, num_threads=THREADS)
    if not as_lightgbm.fits(seen) or not np.allclose(own, raw @ combine, rtol=1e-9, atol=1e-9):
        return "shap tree explainer", None
    return "tree shap by lightgbm", quick


def _onnx_linear(model: Model, matrix: Any, score: Any) -> Explainer:
    node, weights, constants, ids = onnx_graph.linear(model.native)
    seen = onnx_graph.before(model.native, node, matrix)
    possible = onnx_graph.forms(ids, constants.tolist(), model.positive_index)
    form, _ = onnx_graph.chosen(possible, seen @ weights.T, score, constants.tolist())
    weight = np.asarray(form.combine) @ weights
    return _linear(
        weight, form.base, form.unit, lambda rows: onnx_graph.before(model.native, node, rows)
    )


def _linear(weight: Any, constant: float, unit: str, before: Callable[[Any], Any]) -> Explainer:
    """A coefficient times the distance from the background's mean: exact for independent inputs."""

    def explain(rows: Any, known: Any, _seed: int) -> Values:
        rows, mean = before(rows), before(known).astype(float).mean(axis=0)
        values, output = np.empty(rows.shape), np.empty(len(rows))
        # In place and in blocks that fit the processor's cache: memory is what this waits for.
        for start in range(0, len(rows), _BLOCK):
            part = slice(start, start + _BLOCK)
            block = values[part]
            block[...] = rows[part]
            np.dot(block, weight, out=output[part])
            block -= mean
            block *= weight
        return values, float(weight @ mean) + constant, output + constant

    return Explainer("linear shap", unit, explain, 10**9, by_background=True)


_FORESTS: Final = frozenset({"DecisionTree", "ExtraTree", "ExtraTrees", "RandomForest"})
_BOOSTED: Final = frozenset({"GradientBoosting", "HistGradientBoosting"})
_LINEAR: Final = frozenset({"LogisticRegression", "LogisticRegressionCV", "SGDClassifier"})
_LINES: Final = frozenset({"ElasticNet", "Lasso", "LinearRegression", "Ridge"})
"""Regressions whose answer is the sum itself."""
_COLUMNWISE: Final = frozenset(
    {"StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "SimpleImputer"}
)


def _scikit(model: Model, matrix: Any, score: Any) -> Explainer:
    last, before = _last_step(model.native, matrix.shape[1])
    name = type(last).__name__
    if name in _LINEAR | _LINES:
        found = _scikit_linear(model, last, before)
        expected = "output" if name in _LINES else "log odds"
    elif name.endswith("Regressor") and name.removesuffix("Regressor") in _FORESTS | _BOOSTED:
        found, expected = _number_trees(last, before), ""
    elif name.removesuffix("Classifier") in _FORESTS | _BOOSTED:
        return _class_trees(model, last, before)
    else:
        raise NotTaken(f"{name} is asked")
    _, _, output = found.explain(matrix[:256], matrix[:256], 0)
    unit = _unit(output, score[:256], model.positive_index)
    if unit != (expected or unit):
        raise NotTaken("the score is not what the sum makes")
    return replace(found, unit=unit)


def _scikit_linear(model: Model, last: Any, before: Callable[[Any], Any]) -> Explainer:
    weights, constants = np.atleast_2d(last.coef_), np.atleast_1d(last.intercept_)
    if len(weights) != 1 or len(constants) != 1:
        raise NotTaken("more than two classes, or more than one number")
    sign = -1.0 if model.positive_index == 0 else 1.0
    return _linear(sign * weights[0].astype(float), sign * float(constants[0]), "", before)


def _number_trees(last: Any, before: Callable[[Any], Any]) -> Explainer:
    """Trees whose sum, or what a link makes of it, is a number."""
    import shap

    if getattr(last, "is_categorical_", None) is not None:
        raise NotTaken("splits by category are asked")
    trees = shap.TreeExplainer(last)
    # Histogram boosting adds in the scale of its loss; the others add answers.
    summed = getattr(last, "_raw_predict", last.predict)

    def explain(rows: Any, _known: Any, _seed: int) -> Values:
        rows = before(rows)
        values = np.asarray(trees.shap_values(rows, check_additivity=False), float)
        output = np.asarray(summed(rows), float).reshape(len(rows))
        return values.reshape(rows.shape), float(np.ravel(trees.expected_value)[0]), output

    return Explainer("shap tree explainer", "", explain, _affordable(_work(last)))


def _class_trees(model: Model, last: Any, before: Callable[[Any], Any]) -> Explainer:
    import shap

    boosted = type(last).__name__.removesuffix("Classifier") in _BOOSTED
    if getattr(last, "is_categorical_", None) is not None:
        raise NotTaken("splits by category are asked")
    if boosted and len(last.classes_) != 2:
        raise NotTaken("more than two classes")
    trees = shap.TreeExplainer(last)
    sign = -1.0 if boosted and model.positive_index == 0 else 1.0

    def explain(rows: Any, _known: Any, _seed: int) -> Values:
        rows = before(rows)
        values = np.asarray(trees.shap_values(rows, check_additivity=False), float)
        base = np.ravel(trees.expected_value)
        if boosted:
            return sign * values, sign * float(base[-1]), sign * last.decision_function(rows)
        output = last.predict_proba(rows)[:, model.positive_index]
        return values[..., model.positive_index], float(base[model.positive_index]), output

    unit = "log odds" if boosted else "probability"
    return Explainer("shap tree explainer", unit, explain, _affordable(_work(last)))


def _last_step(native: Any, inputs: int) -> tuple[Any, Callable[[Any], Any]]:
    """The estimator at the end of a pipeline whose other steps keep columns apart."""
    if type(native).__name__ != "Pipeline":
        return native, lambda rows: rows
    for _, step in native.steps[:-1]:
        if type(step).__name__ not in _COLUMNWISE or getattr(step, "add_indicator", False):
            raise NotTaken("a step mixes columns")

    def before(rows: Any) -> Any:
        for _, step in native.steps[:-1]:
            rows = step.transform(rows)
        if rows.shape[1] != inputs:
            raise NotTaken("a step drops columns")
        return rows

    return native.steps[-1][1], before


def _work(estimator: Any) -> float:
    """Leaves times squared depth of scikit-learn's trees; small where they are of another make."""
    found = getattr(estimator, "estimators_", [estimator])
    total = 0.0
    for one in np.ravel(np.asarray(found, object)):
        tree = getattr(one, "tree_", None)
        if tree is not None:
            total += float(tree.n_leaves) * max(1, tree.max_depth) ** 2
    for stage in getattr(estimator, "_predictors", ()):
        for one in stage:
            total += float(one.get_n_leaf_nodes()) * max(1, one.get_max_depth()) ** 2
    return total


def _asked(model: Model) -> Explainer:
    import shap

    def explain(rows: Any, known: Any, seed: int) -> Values:
        explainer = shap.PermutationExplainer(
            lambda asked: model.score(np.asarray(asked, np.float32)), known, seed=seed
        )
        found = explainer(rows, silent=True)
        return np.asarray(found.values, float), np.asarray(found.base_values), model.score(rows)

    unit = "output" if model.positive_index == NUMBER else "probability"
    return Explainer("shap permutation explainer", unit, explain, GENERIC_ROWS, True)
