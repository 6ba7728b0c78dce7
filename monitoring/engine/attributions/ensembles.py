"""Tree ensembles as arrays: read from ONNX, evaluated as ONNX does, handed to shap's TreeExplainer.

shap knows one question at a node, `value <= threshold`, in double precision. ONNX knows seven, in
single precision. A value that is a 32-bit float lies below `t` exactly if it is at most the next
32-bit float under `t`, so every question becomes one or two of shap's without an approximation;
`==` needs two, and the branch of "no" is then met on both sides.

An ONNX file does not say how many rows went which way, which the path-dependent algorithm weighs
branches by; rows of the data are sent through the trees to count them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF = (
    "BRANCH_LEQ",
    "BRANCH_LT",
    "BRANCH_GTE",
    "BRANCH_GT",
    "BRANCH_EQ",
    "BRANCH_NEQ",
    "BRANCH_MEMBER",
    "LEAF",
)
MODES: Final = (LEQ, LT, GTE, GT, EQ, NEQ, MEMBER)
"""In the order of their numbers in operator `TreeEnsemble`."""
MOST_NODES: Final = 20_000_000
LEAST_COVER: Final = 1e-3
"""Weight of a leaf that no row reaches: the algorithm divides by weights."""


class NotTaken(Exception):
    """The ensemble is of a form that is explained otherwise, by asking it."""


@dataclass(frozen=True)
class Node:
    """One node as ONNX has it. `yes` and `no` are places in the tree's list; `members` of a set."""

    mode: str
    feature: int = 0
    threshold: float = 0.0
    yes: int = -1
    no: int = -1
    missing_yes: bool = False
    members: tuple[float, ...] = ()
    leaf: int = -1


@dataclass(frozen=True)
class Tree:
    """A binary tree of `value <= threshold` questions. A leaf has -1 for children and feature.

    `origin` is the leaf's number in the file and `weight` its part of it, since a leaf may be met
    on both sides of an expanded question. `values` has a column for each output.
    """

    left: Any
    right: Any
    missing: Any
    feature: Any
    threshold: Any
    values: Any
    origin: Any
    weight: Any

    @property
    def leaves(self) -> Any:
        return np.flatnonzero(self.left == -1)

    @property
    def depth(self) -> int:
        level, depth = np.array([0]), 0
        while len(level := level[self.left[level] != -1]):
            level = np.concatenate([self.left[level], self.right[level]])
            depth += 1
        return depth

    def reach(self, matrix: Any) -> Any:
        """The leaf that each row reaches."""
        at = np.zeros(len(matrix), np.int64)
        rows = np.arange(len(matrix))
        while len(rows):
            rows = rows[self.left[at[rows]] != -1]
            node = at[rows]
            asked = matrix[rows, self.feature[node]]
            with np.errstate(invalid="ignore"):
                down = np.where(asked <= self.threshold[node], self.left[node], self.right[node])
            at[rows] = np.where(np.isnan(asked), self.missing[node], down)
        return at

    def covers(self, matrix: Any) -> Any:
        """How many rows come through each node, by the questions of the file."""
        counts = np.bincount(self.reach(matrix), minlength=len(self.left)).astype(float)
        ends = self.leaves
        met = np.bincount(self.origin[ends], counts[ends], minlength=self.origin.max() + 1)
        cover = np.zeros(len(self.left))
        cover[ends] = np.maximum(met[self.origin[ends]], LEAST_COVER) * self.weight[ends]
        # Children stand after their parent.
        for node in range(len(self.left) - 1, -1, -1):
            if self.left[node] != -1:
                cover[node] = cover[self.left[node]] + cover[self.right[node]]
        return cover


def build(nodes: Sequence[Node], values: Any) -> Tree:
    """A tree from ONNX's nodes, the first being the root; `values[leaf]` are a leaf's outputs.

    Raises:
        NotTaken: a question cannot be asked exactly, or the tree grows too large.
    """
    grown = _Grown(nodes)
    grown.grow()
    origin, weight = np.array(grown.origin), np.array(grown.weight)
    ends = origin >= 0
    # A leaf that is met several times weighs as much as in the file, all its places together.
    weight[ends] /= np.bincount(origin[ends], weight[ends])[origin[ends]]
    return Tree(
        np.array(grown.left),
        np.array(grown.right),
        np.array(grown.missing),
        np.array(grown.feature),
        np.array(grown.threshold, float),
        np.where(ends[:, None], np.asarray(values, float)[origin], 0.0),
        origin,
        weight,
    )


@dataclass(frozen=True)
class _Branch:
    """Where an answer leads: a place in the file's nodes or another question, and its weight.

    `bound` is what is then known of the feature: above the first, at most the second, and whether
    it may be missing.
    """

    to: "int | _Question"
    weight: float = 1.0
    bound: tuple[float, float, bool] | None = None


@dataclass(frozen=True)
class _Question:
    feature: int
    threshold: float
    low: _Branch
    high: _Branch
    missing_low: bool


_Bounds = Mapping[int, tuple[float, float, bool]]
_ANYTHING: Final = (-np.inf, np.inf, True)


class _Grown:
    """The arrays of a tree while it is written down, parents before children."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self.left: list[int] = []
        self.right: list[int] = []
        self.missing: list[int] = []
        self.feature: list[int] = []
        self.threshold: list[float] = []
        self.origin: list[int] = []
        self.weight: list[float] = []

    def grow(self) -> None:
        """Write node 0 and all below it."""
        nothing: _Bounds = {}
        root = self._write()
        waiting: list[tuple[int, int | _Question, float, _Bounds]] = [(root, 0, 1.0, nothing)]
        while waiting:
            place, what, weight, bounds = waiting.pop()
            while isinstance(what, int):
                node = self._nodes[what]
                if node.mode == LEAF:
                    break
                what = _question(node, bounds)
            if isinstance(what, int):
                self.origin[place], self.weight[place] = self._nodes[what].leaf, weight
                continue
            self.feature[place], self.threshold[place] = what.feature, what.threshold
            self.left[place], self.right[place] = self._write(), self._write()
            self.missing[place] = self.left[place] if what.missing_low else self.right[place]
            for child, branch in ((self.left[place], what.low), (self.right[place], what.high)):
                known = bounds if branch.bound is None else {**bounds, what.feature: branch.bound}
                waiting.append((child, branch.to, weight * branch.weight, known))

    def _write(self) -> int:
        if len(self.left) >= MOST_NODES:
            raise NotTaken("the ensemble has too many nodes")
        for values in (self.left, self.right, self.missing, self.feature, self.origin):
            values.append(-1)
        self.threshold.append(0.0)
        self.weight.append(0.0)
        return len(self.left) - 1


def _question(node: Node, bounds: _Bounds) -> "int | _Question":
    """What a node asks, as one or more of shap's questions; a place if the answer is known."""
    yes, no, missing = _Branch(node.yes), _Branch(node.no), node.missing_yes
    if node.mode == LEQ:
        return _Question(node.feature, _single(node.threshold), yes, no, missing)
    if node.mode == GT:
        return _Question(node.feature, _single(node.threshold), no, yes, not missing)
    if node.mode == LT:
        return _Question(node.feature, below(_single(node.threshold)), yes, no, missing)
    if node.mode == GTE:
        return _Question(node.feature, below(_single(node.threshold)), no, yes, not missing)
    if node.mode not in (EQ, NEQ, MEMBER):
        raise NotTaken(f"a node asks {node.mode[:40]}")
    # NaN equals nothing, so that "not equal" holds for it whatever the file says of the missing.
    inside, outside = (node.no, node.yes) if node.mode == NEQ else (node.yes, node.no)
    return _among(node, inside, outside, missing and node.mode != NEQ, bounds)


def _among(
    node: Node, inside: int, outside: int, missing_inside: bool, bounds: _Bounds
) -> "int | _Question":
    """Is the value one of some: two questions for each that is still possible, the highest first."""
    low, high, may_miss = bounds.get(node.feature, _ANYTHING)
    asked = {_single(one) for one in (node.members or (node.threshold,))}
    members = sorted(one for one in asked if low < one <= high)
    if not members:
        if not (missing_inside and may_miss):
            return outside
        # Nothing but "missing" is left to be told: every number is at most infinity.
        here = _Branch(outside, 1.0, (low, high, False)), _Branch(inside, 1.0, (high, high, True))
        return _Question(node.feature, np.inf, *here, False)
    found = _Branch(outside, 1.0, (low, below(members[0]), may_miss and not missing_inside))
    for place, value in enumerate(members):
        ending = members[place + 1] if place + 1 < len(members) else None
        at = _Branch(inside, 1.0, (below(value), value, missing_inside and ending is None))
        # What is missing goes down the chain to "no", or from its first pair to "yes".
        pair = _Question(
            node.feature, below(value), found, at, not (missing_inside and ending is None)
        )
        above = _Branch(outside, 1.0, (value, high if ending is None else below(ending), False))
        found = _Branch(_Question(node.feature, value, _Branch(pair), above, True))
    assert isinstance(found.to, _Question)
    return found.to


def below(threshold: float) -> float:
    """The greatest 32-bit float under a 32-bit float."""
    return float(np.nextafter(np.float32(threshold), np.float32(-np.inf)))


def _single(threshold: float) -> float:
    if not np.isfinite(np.float32(threshold)):
        raise NotTaken("a threshold is not finite")
    return float(np.float32(threshold))


@dataclass(frozen=True)
class Ensemble:
    """Trees whose leaves are summed to `outputs` numbers. `ids` names them, `base` is added."""

    trees: tuple[Tree, ...]
    ids: tuple[int, ...]
    base: tuple[float, ...]

    @property
    def work(self) -> float:
        """What a row costs the path-dependent algorithm, leaves times squared depth."""
        return float(sum(len(tree.leaves) * max(1, tree.depth) ** 2 for tree in self.trees))

    def check_width(self, inputs: int) -> None:
        """Native code reads the inputs that nodes ask for, whatever row reaches them.

        Raises:
            NotTaken: a node asks for one that there is not.
        """
        for tree in self.trees:
            asked = tree.feature[tree.left != -1]
            if len(asked) and not 0 <= asked.min() <= asked.max() < inputs:
                raise NotTaken("a node asks for an input that the model does not have")

    def averaged(self, how: str) -> "Ensemble":
        """The same with each leaf's part of an average.

        Raises:
            NotTaken: the trees are neither added nor averaged.
        """
        if how == "SUM":
            return self
        if how != "AVERAGE":
            raise NotTaken(f"the trees are combined by {how[:40]}")
        trees = tuple(replace(one, values=one.values / len(self.trees)) for one in self.trees)
        return replace(self, trees=trees)

    def raw(self, matrix: Any) -> Any:
        """The sums for each row, shape (rows, outputs), without `base`."""
        total = np.zeros((len(matrix), len(self.ids)))
        for tree in self.trees:
            total += tree.values[tree.reach(matrix)]
        return total

    def to_shap(self, combine: Any, known: Any) -> dict[str, Any]:
        """The dictionary that `shap.TreeExplainer` takes, for one output.

        `combine` is a vector over the outputs; rows `known` give the branches their weights.
        """
        return {"trees": [_shap_tree(tree, combine, known) for tree in self.trees]}


def _shap_tree(tree: Tree, combine: Any, known: Any) -> Mapping[str, Any]:
    return {
        "children_left": tree.left.astype(np.int32),
        "children_right": tree.right.astype(np.int32),
        "children_default": tree.missing.astype(np.int32),
        "features": tree.feature.astype(np.int32),
        "thresholds": tree.threshold,
        "values": (tree.values @ np.asarray(combine, float)).reshape(-1, 1),
        "node_sample_weight": tree.covers(known),
    }
