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
    "split_type",
)
_NO_PARENT = 2**31 - 1


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
        by_text = path.suffix == ".json"
        document = json.loads(data, object_pairs_hook=_once) if by_text else ubjson.loads(data)
        learner = document["learner"]
        inputs = int(learner["learner_model_param"]["num_feature"])
        booster = learner["gradient_booster"]
        if booster.get("name") == "gblinear":
            _check_linear(booster["model"], learner["learner_model_param"], inputs)
            return
        # DART keeps its trees one level further in, and a weight for each.
        inner = booster.get("gbtree", booster)
        model = inner["model"]
        _check_ensemble(model, inputs, _outputs(learner["learner_model_param"]))
        if "weight_drop" in booster and len(booster["weight_drop"]) != len(model["trees"]):
            refuse("the weights are not as many as the trees")
    except Invalid:
        raise
    except RecursionError as error:
        refuse("the file nests too deeply", error)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        refuse(f"the file is not XGBoost's ({type(error).__name__}: {str(error)[:80]})", error)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice: of two, XGBoost might read the other one."""
    found = dict(pairs)
    if len(found) != len(pairs):
        refuse("a name stands twice in an object")
    return found


def _outputs(about: Mapping[str, Any]) -> int:
    """How many numbers a row gets."""
    return max(1, int(about.get("num_class", 0)), int(about.get("num_target", 1)))


def _whole(values: Any, name: str, least: int, most: int) -> Any:
    """An array of whole numbers between two bounds."""
    import numpy as np

    found = np.asarray(values)
    if len(found) and found.dtype.kind not in "iu":
        refuse(f"{name} holds something else than whole numbers")
    found = found.astype(np.int64)
    if len(found) and not least <= found.min() <= found.max() <= most:
        refuse(f"{name} leads out of its array")
    return found


def _check_linear(model: Mapping[str, Any], about: Mapping[str, Any], inputs: int) -> None:
    groups = max(1, int(about.get("num_class", 0)))
    if len(model["weights"]) != (inputs + 1) * groups:
        refuse("the weights are not as many as the inputs")


def _check_ensemble(model: Mapping[str, Any], inputs: int, outputs: int) -> None:
    trees = model["trees"]
    declared = int(model["gbtree_model_param"]["num_trees"])
    if declared != len(trees) or len(model["tree_info"]) != declared:
        refuse(f"the file claims {declared} trees and has {len(trees)}")
    if not 1 <= inputs <= 10**7:
        refuse("the file claims an impossible number of inputs")
    # Which of a row's numbers a tree adds to, and which trees belong together.
    _whole(model["tree_info"], "tree_info", 0, outputs - 1)
    starts = _whole(model.get("iteration_indptr", [0, declared]), "iteration_indptr", 0, declared)
    if (
        len(starts) < 2
        or starts[0] != 0
        or starts[-1] != declared
        or (starts[1:] < starts[:-1]).any()
    ):
        refuse("iteration_indptr does not divide the trees")
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
    if not 1 <= nodes < _NO_PARENT:
        refuse(f"tree {place} claims {nodes} nodes")
    left = _whole(tree["left_children"], f"tree {place}", -_NO_PARENT, _NO_PARENT)
    right = _whole(tree["right_children"], f"tree {place}", -_NO_PARENT, _NO_PARENT)
    found = reached(left, right)
    if found is None:
        refuse(f"tree {place} is not a tree: its nodes lead out of it or in a circle")
    inner = found[left[found] != -1]
    parents = _whole(tree["parents"], f"tree {place}", -_NO_PARENT, _NO_PARENT)
    if (parents[left[inner]] != inner).any() or (parents[right[inner]] != inner).any():
        refuse(f"tree {place} is not a tree: a node has another parent")
    used = np.asarray(tree["split_indices"], np.int64)[inner]
    if len(used) and (used.min() < 0 or used.max() >= inputs):
        refuse(f"tree {place} splits by an input that the model does not have")
    _check_categories(tree, place, nodes)


def _check_categories(tree: Mapping[str, Any], place: int, nodes: int) -> None:
    at, begin, size = (
        _whole(tree.get(name, ()), f"tree {place}", -_NO_PARENT, 2**62)
        for name in ("categories_nodes", "categories_segments", "categories_sizes")
    )
    if not len(at) == len(begin) == len(size):
        refuse(f"tree {place} has malformed sets of categories")
    if len(at) and (
        min(at.min(), begin.min(), size.min()) < 0
        or at.max() >= nodes
        or (begin + size).max() > len(tree["categories"])
    ):
        refuse(f"tree {place} has malformed sets of categories")
