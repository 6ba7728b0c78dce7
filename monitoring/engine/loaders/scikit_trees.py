"""Trees of scikit-learn that a file brought: its native code follows indices without asking.

What is looked at is what that code trusts: children, the inputs that a node asks for, the number of
outputs that boosting writes to, sets of categories. scikit-learn compares the width of the rows
with what the estimator claims, and that with nothing.
"""

from collections.abc import Iterator
from typing import Any, Final

from monitoring.engine.loaders.model import refuse
from monitoring.engine.loaders.structure import reached

_OF_TREES: Final = ("RandomForest", "ExtraTrees", "GradientBoosting")
"""Beginnings of the names of ensembles that hand their rows to each tree's nodes unseen."""
OBJECTS: Final = 5_000_000
CATEGORIES: Final = 256


def check(model: Any) -> None:
    """Look at every estimator within `model`, wherever it stands.

    Raises:
        Invalid: a tree leads native code out of its arrays or in a circle.
    """
    for one in objects(model):
        kind = type(one).__name__
        if "tree_" in vars(one):
            _check_tree(one)
        if "_predictors" in vars(one):
            _check_histograms(one)
        elif kind.startswith(_OF_TREES):
            _check_ensemble(one, boosted=kind.startswith("Gradient"))


def objects(model: Any) -> Iterator[Any]:
    """The objects with attributes that are reached from `model`, each once."""
    waiting, seen = [model], {id(model)}
    while waiting:
        if len(seen) > OBJECTS:
            refuse("the model is made of too many parts")
        one = waiting.pop()
        if hasattr(one, "__dict__") and not isinstance(one, type):
            yield one
        for part in _parts(one):
            if not isinstance(part, str | bytes | int | float | None) and id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)


def _parts(one: Any) -> Iterator[Any]:
    import numpy as np

    if isinstance(one, dict):
        yield from one.values()
    elif isinstance(one, list | tuple | set):
        yield from one
    elif isinstance(one, np.ndarray):
        if one.dtype == object:
            yield from one.ravel()
    elif hasattr(one, "__dict__") and not isinstance(one, type):
        yield from vars(one).values()


def _width(estimator: Any) -> int:
    """How many inputs the estimator says it takes: scikit-learn compares rows with that alone."""
    width = vars(estimator).get("n_features_in_")
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        refuse("an estimator of the model does not say how many inputs it takes")
    return width


def _check_tree(estimator: Any) -> None:
    tree, width = estimator.tree_, _width(estimator)
    found = reached(tree.children_left, tree.children_right)
    if found is None:
        refuse("a tree of the model leads out of its nodes or in a circle")
    asked = tree.feature[found[tree.children_left[found] != -1]]
    if len(asked) and (asked.min() < 0 or asked.max() >= width):
        refuse("a tree of the model splits by an input that the model does not have")


def _check_ensemble(ensemble: Any, *, boosted: bool) -> None:
    import numpy as np

    width = _width(ensemble)
    trees = np.asarray(vars(ensemble).get("estimators_", ()), object)
    if not trees.size:
        refuse("an ensemble of the model has no trees")
    for tree in trees.ravel():
        if "tree_" not in getattr(tree, "__dict__", {}) or _width(tree) != width:
            refuse("an ensemble of the model has a tree of other inputs")
    outputs = vars(ensemble).get("n_trees_per_iteration_")
    if boosted and (trees.ndim != 2 or trees.shape[1] != outputs):
        refuse("an ensemble of the model has more trees a round than outputs")


def _check_histograms(estimator: Any) -> None:
    width, outputs = _width(estimator), vars(estimator).get("n_trees_per_iteration_")
    if vars(estimator).get("_n_features") != width:
        refuse("an ensemble of the model has a tree of other inputs")
    _check_categories(estimator._bin_mapper)
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    if len(places) < width:
        refuse("an ensemble of the model has malformed sets of categories")
    for stage in estimator._predictors:
        if len(stage) != outputs:
            refuse("an ensemble of the model has more trees a round than outputs")
        for one in stage:
            _check_nodes(one, width, known, places)


def _check_categories(mapper: Any) -> None:
    """Known categories are bits of 256, which native code sets by their numbers."""
    import numpy as np

    for categorical, known in zip(mapper.is_categorical_, mapper.bin_thresholds_, strict=True):
        values = np.asarray(known) if categorical else np.empty(0)
        if len(values) and not 0 <= values.min() <= values.max() < CATEGORIES:
            refuse("an ensemble of the model has malformed sets of categories")


def _check_nodes(predictor: Any, width: int, known: Any, places: Any) -> None:
    import numpy as np

    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    found = reached(left, right)
    if found is None:
        refuse("a tree of the model leads out of its nodes or in a circle")
    inner = nodes[found[~leaf[found]]]
    asked = inner["feature_idx"]
    if len(asked) and (asked.min() < 0 or asked.max() >= width):
        refuse("a tree of the model splits by an input that the model does not have")
    split = inner[inner["is_categorical"].astype(bool)]
    if len(split) and (
        split["bitset_idx"].max() >= len(predictor.raw_left_cat_bitsets)
        or np.asarray(places)[split["feature_idx"]].max() >= len(known)
    ):
        refuse("a tree of the model has malformed sets of categories")
