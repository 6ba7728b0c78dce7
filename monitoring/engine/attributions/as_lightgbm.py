"""A tree ensemble written as LightGBM's text, so that LightGBM's tree SHAP explains it.

LightGBM asks `value <= threshold` in double precision, sends what is missing the way that a node
says, and weighs branches by whole counts of rows: the same questions and weights as in `Tree`. Its
algorithm is that of shap (Lundberg and others, 2020, algorithm 2), and it divides rows among
threads, which shap's does not.

It takes a number nearer to 0 than `SMALLEST` for 0 and knows no endless threshold; `fits` and
`booster` tell where that would change an answer.
"""

from typing import Any, Final

import numpy as np

from monitoring.engine.attributions.ensembles import LEAST_COVER, Ensemble, NotTaken, Tree

SMALLEST: Final = 1.1e-35
"""LightGBM's zero reaches to 1e-35, as a 32-bit float."""
MOST_NODES: Final = 1_000_000
"""A node takes about 100 bytes of text."""
_UNIT: Final = round(1 / LEAST_COVER)
"""What a row counts, so that a leaf that no row reaches counts 1."""
_MISSING_LOW, _MISSING_HIGH = 2 | 8, 8
"""LightGBM's kind of a question by number in which NaN is missing: 2 sends it to the left."""


def fits(matrix: Any) -> bool:
    """Does LightGBM read every number of the rows as it stands?"""
    size = np.abs(matrix)
    return not bool((((size > 0) & (size < SMALLEST)) | np.isinf(size)).any())


def booster(found: Ensemble, combine: Any, known: Any) -> Any:
    """The ensemble as a LightGBM booster of one output; rows `known` give branches their weights.

    Raises:
        NotTaken: LightGBM cannot ask or weigh as the ensemble does.
    """
    import lightgbm

    if sum(len(tree.left) for tree in found.trees) > MOST_NODES:
        raise NotTaken("the ensemble is too large to be written down")
    width = known.shape[1]
    parts = [
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        f"max_feature_idx={width - 1}\nobjective=regression\n"
        f"feature_names={' '.join(f'f{place}' for place in range(width))}\n"
        f"feature_infos={' '.join(['none'] * width)}\n\n"
    ]
    parts += [_tree(place, tree, combine, known) for place, tree in enumerate(found.trees)]
    text = "".join((*parts, "end of trees\n"))
    return lightgbm.Booster(model_str=text)


def _tree(number: int, tree: Tree, combine: Any, known: Any) -> str:
    ends, inner = tree.left == -1, tree.left != -1
    values = tree.values @ np.asarray(combine, float)
    if not np.isfinite(tree.threshold[inner]).all() or not np.isfinite(values[ends]).all():
        raise NotTaken("LightGBM knows no endless number")
    if (tree.weight[ends] != 1).any():
        raise NotTaken("a leaf is met on several sides, and would weigh parts of a row")
    covers = np.rint(tree.covers(known) * _UNIT)
    if covers[0] >= 2**31:
        raise NotTaken("more rows than LightGBM counts")
    # Inner nodes are counted from 0 up, leaves from -1 down, each kind in the order of the tree.
    place = np.where(ends, -np.cumsum(ends), np.cumsum(inner) - 1)
    unused = np.zeros(int(inner.sum()), int)
    kind = np.where(tree.missing[inner] == tree.left[inner], _MISSING_LOW, _MISSING_HIGH)
    fields = {
        "num_leaves": [int(ends.sum())],
        "num_cat": [0],
        "split_feature": tree.feature[inner].tolist(),
        "split_gain": unused.tolist(),
        "threshold": tree.threshold[inner].tolist(),
        "decision_type": kind.tolist(),
        "left_child": place[tree.left[inner]].tolist(),
        "right_child": place[tree.right[inner]].tolist(),
        "leaf_value": values[ends].tolist(),
        "leaf_weight": [0] * int(ends.sum()),
        "leaf_count": covers[ends].astype(np.int64).tolist(),
        "internal_value": unused.tolist(),
        "internal_weight": unused.tolist(),
        "internal_count": covers[inner].astype(np.int64).tolist(),
        "is_linear": [0],
        "shrinkage": [1],
    }
    lines = [f"{name}={' '.join(map(repr, one))}\n" for name, one in fields.items()]
    return f"Tree={number}\n{''.join(lines)}\n\n"
