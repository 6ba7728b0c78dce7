"""Tree ensembles in ONNX's own words, and what each of their answers must be."""

import itertools
import math

import numpy as np

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ")


def older(trees, post="NONE"):
    """TreeEnsembleRegressor of `trees`: each a list of (mode, feature, threshold, yes, no, missing)
    or ("LEAF", weight)."""
    from onnx import helper

    flat = [
        (tree, place, node) for tree, nodes in enumerate(trees) for place, node in enumerate(nodes)
    ]
    inner = [node if node[0] != "LEAF" else ("LEAF", 0, 0.0, 0, 0, False) for _, _, node in flat]
    leaves = [(tree, place, node[1]) for tree, place, node in flat if node[0] == "LEAF"]
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        post_transform=post,
        nodes_treeids=[tree for tree, _, _ in flat],
        nodes_nodeids=[place for _, place, _ in flat],
        nodes_modes=[one[0] for one in inner],
        nodes_featureids=[one[1] for one in inner],
        nodes_values=[float(one[2]) for one in inner],
        nodes_truenodeids=[one[3] for one in inner],
        nodes_falsenodeids=[one[4] for one in inner],
        nodes_missing_value_tracks_true=[int(one[5]) for one in inner],
        target_treeids=[one[0] for one in leaves],
        target_nodeids=[one[1] for one in leaves],
        target_ids=[0] * len(leaves),
        target_weights=[float(one[2]) for one in leaves],
    )
    return model([node], [None, None], ml=3)


def newer(modes, splits, features, yes, no, missing, leaves, members=()):
    """One tree in operator TreeEnsemble; a child that is negative is leaf -1 - child."""
    from onnx import TensorProto, helper

    def tensor(name, kind, values):
        return helper.make_tensor(name, kind, [len(values)], values)

    attributes = {
        "nodes_modes": tensor("modes", TensorProto.UINT8, modes),
        "nodes_splits": tensor("splits", TensorProto.FLOAT, splits),
        "nodes_featureids": features,
        "nodes_truenodeids": [one if one >= 0 else -1 - one for one in yes],
        "nodes_trueleafs": [int(one < 0) for one in yes],
        "nodes_falsenodeids": [one if one >= 0 else -1 - one for one in no],
        "nodes_falseleafs": [int(one < 0) for one in no],
        "nodes_missing_value_tracks_true": missing,
        "leaf_targetids": [0] * len(leaves),
        "leaf_weights": tensor("weights", TensorProto.FLOAT, leaves),
        "tree_roots": [0],
        "n_targets": 1,
        "aggregate_function": 1,
        "post_transform": 0,
    }
    if members:
        attributes["membership_values"] = tensor("members", TensorProto.FLOAT, list(members))
    node = helper.make_node("TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    return model([node], [None, None], ml=5)


def model(nodes, out, ml=3, initializers=(), width=3):
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        list(initializers),
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", ml)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def shapley(answer, row, background):
    """Interventional Shapley values by their definition, over every set of features."""
    width = len(row)
    worth = {}
    for size in range(width + 1):
        for chosen in itertools.combinations(range(width), size):
            mixed = background.copy()
            mixed[:, list(chosen)] = row[list(chosen)]
            worth[chosen] = float(np.mean(answer(mixed)))
    values = np.zeros(width)
    for chosen, value in worth.items():
        for place in range(width):
            size = len(chosen)
            if place in chosen:
                weight = math.factorial(size - 1) * math.factorial(width - size)
                values[place] += weight * value
            else:
                weight = math.factorial(size) * math.factorial(width - size - 1)
                values[place] -= weight * value
    return values / math.factorial(width)
