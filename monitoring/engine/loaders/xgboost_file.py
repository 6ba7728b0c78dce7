"""XGBoost's JSON and UBJ: each tree's arrays must have the sizes and indices that it claims."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.loaders import ubjson
from monitoring.engine.loaders.model import THREADS, Opened, probabilities, refuse
from monitoring.engine.loaders.structure import reached

_ARRAYS = (
    "left_children",
    "right_children",
    "parents",
    "split_indices",
    "split_conditions",
    "default_left",
    "base_weights",
    "sum_hessian",
    "loss_changes",
)


def open_model(path: Path, positive_index: int) -> Opened:
    check(path)
    import xgboost

    booster = xgboost.Booster({"nthread": THREADS})
    booster.load_model(str(path))

    def score(matrix: Any) -> Any:
        return probabilities(booster.inplace_predict(matrix), positive_index)

    return booster, score, int(booster.num_features())


def check(path: Path) -> None:
    """Read the file as XGBoost will, and refuse what would lead it out of its arrays.

    Raises:
        Invalid: naming the tree and what is wrong with it.
    """
    data = path.read_bytes()
    try:
        document = json.loads(data) if path.suffix == ".json" else ubjson.loads(data)
        learner = document["learner"]
        inputs = int(learner["learner_model_param"]["num_feature"])
        booster = learner["gradient_booster"]
        if booster.get("name") == "gblinear":
            _check_linear(booster["model"], learner["learner_model_param"], inputs)
            return
        # DART keeps its trees one level further in.
        model = booster["gbtree"]["model"] if "gbtree" in booster else booster["model"]
        _check_ensemble(model, inputs)
    except Invalid:
        raise
    except RecursionError as error:
        refuse("the file nests too deeply", error)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        refuse(f"the file is not XGBoost's ({type(error).__name__}: {str(error)[:80]})", error)


def _check_linear(model: Mapping[str, Any], about: Mapping[str, Any], inputs: int) -> None:
    groups = max(1, int(about.get("num_class", 0)))
    if len(model["weights"]) != (inputs + 1) * groups:
        refuse("the weights are not as many as the inputs")


def _check_ensemble(model: Mapping[str, Any], inputs: int) -> None:
    trees = model["trees"]
    declared = int(model["gbtree_model_param"]["num_trees"])
    if declared != len(trees) or len(model["tree_info"]) != declared:
        refuse(f"the file claims {declared} trees and has {len(trees)}")
    if not 1 <= inputs <= 10**7:
        refuse("the file claims an impossible number of inputs")
    for place, tree in enumerate(trees):
        _check_tree(tree, place, inputs)


def _check_tree(tree: Mapping[str, Any], place: int, inputs: int) -> None:
    import numpy as np

    about = tree["tree_param"]
    nodes = int(about["num_nodes"])
    if int(about.get("size_leaf_vector", 1)) > 1:
        refuse("trees with several values a leaf are not taken")
    for name in _ARRAYS:
        if name in tree and len(tree[name]) != nodes:
            refuse(f"tree {place} claims {nodes} nodes and has {len(tree[name])} of {name}")
    left = np.asarray(tree["left_children"], np.int64)
    right = np.asarray(tree["right_children"], np.int64)
    found = reached(left, right)
    if found is None:
        refuse(f"tree {place} is not a tree: its nodes lead out of it or in a circle")
    inner = found[left[found] != -1]
    used = np.asarray(tree["split_indices"], np.int64)[inner]
    if len(used) and (used.min() < 0 or used.max() >= inputs):
        refuse(f"tree {place} splits by an input that the model does not have")
    _check_categories(tree, place, nodes)


def _check_categories(tree: Mapping[str, Any], place: int, nodes: int) -> None:
    import numpy as np

    def numbers(name: str) -> Any:
        found: Sequence[int] = tree.get(name, ())
        return np.asarray(found, np.int64)

    at, begin, size = map(numbers, ("categories_nodes", "categories_segments", "categories_sizes"))
    if not len(at) == len(begin) == len(size):
        refuse(f"tree {place} has malformed sets of categories")
    if len(at) and (
        min(at.min(), begin.min(), size.min()) < 0
        or at.max() >= nodes
        or (begin + size).max() > len(tree["categories"])
    ):
        refuse(f"tree {place} has malformed sets of categories")
