"""Is an array of nodes a tree? Native code follows indices without asking."""

from typing import Any


def reached(left: Any, right: Any) -> Any | None:
    """The nodes that are reached from node 0, or None if they do not make a tree.

    `left` and `right` are integer arrays of children; a leaf has -1 for both. None is also the
    answer if a child lies outside the arrays or is met twice.
    """
    import numpy as np

    total = len(left)
    if not total or len(right) != total:
        return None
    level, found, met = np.array([0]), [], np.zeros(total, bool)
    while len(level):
        if met[level].any():
            return None
        met[level] = True
        found.append(level)
        inner = level[(left[level] != -1) | (right[level] != -1)]
        level = np.concatenate([left[inner], right[inner]])
        if len(level) and (level.min() < 0 or level.max() >= total):
            return None
        if len(np.unique(level)) != len(level):
            return None
    return np.concatenate(found)
