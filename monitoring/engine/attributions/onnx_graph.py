"""Finding the trees or the linear form in an ONNX graph, and proving that they are what it computes.

What is read from the graph is taken only if, evaluated by us, it gives the runtime's own scores on
every row that is to be explained. So an operator that we misread costs speed, never truth.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from monitoring.engine.attributions.ensembles import (
    LEAF,
    MODES,
    Ensemble,
    Node,
    NotTaken,
    build,
)
from monitoring.engine.loaders.model import NUMBER
from monitoring.engine.loaders.onnx_file import session_of

AGREEMENT: Final = 1e-5
"""How closely our own evaluation meets the runtime's, which adds in single precision: of the largest
score, or of 1 if all are smaller."""
_COLUMNWISE: Final = frozenset({"Identity", "Cast", "Scaler", "Imputer"})
"""Operators before the model that make one column of each column, in order."""
ENSEMBLES: Final = frozenset({"TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble"})
_LINEAR: Final = frozenset({"LinearClassifier", "LinearRegressor", "Gemm", "MatMul"})


@dataclass(frozen=True)
class Form:
    """`sum` over `combine` of the outputs, plus `base`, is what is explained.

    `unit` says what makes the score of it: "log odds", "probability" or "raw score"; of a regression
    "output" or "log output".
    """

    combine: Any
    base: float
    unit: str


def attributes(node: Any) -> dict[str, Any]:
    import onnx

    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def main_node(proto: Any, kinds: frozenset[str]) -> Any:
    """The only node of `kinds` that the graph has.

    Raises:
        NotTaken: there is none, or several.
    """
    found = [node for node in proto.graph.node if node.op_type in kinds]
    if len(found) != 1:
        raise NotTaken("the graph is not one model of this kind")
    return found[0]


def is_tree(proto: Any) -> bool:
    return any(node.op_type in ENSEMBLES for node in proto.graph.node)


def is_linear(proto: Any) -> bool:
    return sum(node.op_type in _LINEAR for node in proto.graph.node) == 1


def before(proto: Any, node: Any, matrix: Any) -> Any:
    """The rows as they reach `node`, if what stands before it keeps columns apart.

    Raises:
        NotTaken: it mixes them.
    """
    import onnx

    makers = {name: one for one in proto.graph.node for name in one.output}
    name = node.input[0]
    fixed = {one.name for one in proto.graph.initializer}
    inputs = [one.name for one in proto.graph.input if one.name not in fixed]
    while name not in inputs:
        maker = makers.get(name)
        if maker is None or maker.op_type not in _COLUMNWISE:
            raise NotTaken("what stands before the model mixes columns")
        name = maker.input[0]
    if node.input[0] == name:
        return matrix
    asking = onnx.ModelProto()
    asking.CopyFrom(proto)
    del asking.graph.output[:]
    asking.graph.output.append(onnx.ValueInfoProto(name=node.input[0]))
    seen = session_of(asking.SerializeToString()).run(None, {name: matrix})[0]
    if np.shape(seen) != matrix.shape:
        raise NotTaken("what stands before the model changes the number of columns")
    return np.asarray(seen, np.float32)


def ensemble(proto: Any) -> Ensemble:
    """The tree ensemble of a graph.

    Raises:
        NotTaken: there is none, or not of a form that can be written as sums of leaves.
    """
    node = main_node(proto, ENSEMBLES)
    found = attributes(node)
    if node.op_type == "TreeEnsemble":
        return _newer(found)
    return _older(found, "class" if node.op_type.endswith("Classifier") else "target")


def _older(found: Mapping[str, Any], kind: str) -> Ensemble:
    """Operators TreeEnsembleClassifier and TreeEnsembleRegressor."""
    modes = [one.decode() for one in found["nodes_modes"]]
    trees, numbers = found["nodes_treeids"], found["nodes_nodeids"]
    thresholds = _numbers(found, "nodes_values")
    missing = found.get("nodes_missing_value_tracks_true") or [0] * len(modes)
    weights = _numbers(found, f"{kind}_weights")
    ids = sorted(set(found[f"{kind}_ids"]))
    leaves: dict[tuple[int, int], list[tuple[int, float]]] = {}
    for tree, number, output, weight in zip(
        found[f"{kind}_treeids"],
        found[f"{kind}_nodeids"],
        found[f"{kind}_ids"],
        weights,
        strict=True,
    ):
        leaves.setdefault((tree, number), []).append((ids.index(output), weight))
    by_tree: dict[int, list[int]] = {}
    for place, tree in enumerate(trees):
        by_tree.setdefault(tree, []).append(place)
    built = []
    for tree, places in by_tree.items():
        at = {numbers[place]: index for index, place in enumerate(places)}
        if len(at) != len(places):
            raise NotTaken("two nodes of a tree have one number")
        nodes: list[Node] = []
        values: list[list[float]] = []
        for place in places:
            if modes[place] == LEAF:
                nodes.append(Node(LEAF, leaf=len(values)))
                row = [0.0] * len(ids)
                for output, weight in leaves.get((tree, numbers[place]), ()):
                    row[output] += weight
                values.append(row)
                continue
            try:
                yes = at[found["nodes_truenodeids"][place]]
                no = at[found["nodes_falsenodeids"][place]]
            except KeyError as error:
                raise NotTaken("a node leads out of its tree") from error
            nodes.append(
                Node(
                    modes[place],
                    found["nodes_featureids"][place],
                    thresholds[place],
                    yes,
                    no,
                    bool(missing[place]),
                )
            )
        built.append(build(nodes, values))
    return Ensemble(tuple(built), tuple(ids), tuple(_numbers(found, "base_values"))).averaged(
        found.get("aggregate_function", b"SUM").decode()
    )


def _numbers(found: Mapping[str, Any], name: str) -> list[float]:
    """Numbers of an attribute, which may also be given as a tensor."""
    import onnx

    tensor = found.get(f"{name}_as_tensor")
    if tensor is not None:
        return [float(one) for one in onnx.numpy_helper.to_array(tensor).ravel()]
    return [float(one) for one in found.get(name, ())]


def _newer(found: Mapping[str, Any]) -> Ensemble:
    """Operator TreeEnsemble of ai.onnx.ml 5: inner nodes and leaves in tables of their own."""
    import onnx

    def table(name: str) -> list[Any]:
        tensor = found.get(name)
        return [] if tensor is None else list(onnx.numpy_helper.to_array(tensor).ravel().tolist())

    modes, splits, weights = table("nodes_modes"), table("nodes_splits"), table("leaf_weights")
    targets = found["leaf_targetids"]
    ids = sorted(set(targets))
    missing = found.get("nodes_missing_value_tracks_true") or [0] * len(modes)
    sets = _sets(table("membership_values"), [MODES[one] for one in modes])
    built = []
    for root in found["tree_roots"]:
        nodes: list[Node] = []
        values: list[list[float]] = []

        def leaf(number: int, nodes: list[Node] = nodes, values: list[list[float]] = values) -> int:
            row = [0.0] * len(ids)
            row[ids.index(targets[number])] = weights[number]
            values.append(row)
            nodes.append(Node(LEAF, leaf=len(values) - 1))
            return len(nodes) - 1

        waiting: list[tuple[int, int, str]] = [(root, -1, "")]
        while waiting:
            number, parent, side = waiting.pop()
            if len(nodes) > 2 * len(modes) + 1 or not 0 <= number < len(modes):
                raise NotTaken("a node leads out of its tree or in a circle")
            place = len(nodes)
            nodes.append(
                Node(
                    MODES[modes[number]],
                    found["nodes_featureids"][number],
                    splits[number],
                    missing_yes=bool(missing[number]),
                    members=sets[number],
                )
            )
            if parent >= 0:
                nodes[parent] = _with(nodes[parent], side, place)
            for side_name, ids_name, leafs_name in (
                ("yes", "nodes_truenodeids", "nodes_trueleafs"),
                ("no", "nodes_falsenodeids", "nodes_falseleafs"),
            ):
                child = found[ids_name][number]
                if found[leafs_name][number]:
                    nodes[place] = _with(nodes[place], side_name, leaf(child))
                else:
                    waiting.append((child, place, side_name))
        built.append(build(nodes, values))
    how = ("AVERAGE", "SUM", "MIN", "MAX")[found.get("aggregate_function", 1)]
    return Ensemble(tuple(built), tuple(ids), ()).averaged(how)


def _with(node: Node, side: str, place: int) -> Node:
    return replace(node, yes=place) if side == "yes" else replace(node, no=place)


def _sets(values: Sequence[float], modes: Sequence[str]) -> list[tuple[float, ...]]:
    """Sets stand one after the other, NaN ending each, for the nodes that ask for membership."""
    found: list[tuple[float, ...]] = []
    one: list[float] = []
    for value in values:
        if value != value:
            found.append(tuple(one))
            one = []
        else:
            one.append(value)
    if one:
        found.append(tuple(one))
    wanted = sum(mode == "BRANCH_MEMBER" for mode in modes)
    if len(found) < wanted:
        raise NotTaken("a node asks for a set that the file does not have")
    given = iter(found)
    return [next(given) if mode == "BRANCH_MEMBER" else () for mode in modes]


def forms(ids: Sequence[int], base: Sequence[float], positive_index: int) -> Iterator[Form]:
    """What the outputs may mean for the score of the positive class; one of these, or none.

    ONNX leaves to the reader whether one output is the positive class of two, how many base values
    there are, and what a later operator makes of the outputs.
    """
    count = len(ids)
    if positive_index == NUMBER:
        for constant in dict.fromkeys((*base[:1], *base[-1:], 0.0)) if count == 1 else ():
            yield Form([1.0], constant, "output")
            yield Form([1.0], constant, "log output")
        return
    if count == 1:
        sign = -1.0 if positive_index == 0 else 1.0
        for constant in dict.fromkeys((*base[:1], *base[-1:], 0.0)):
            for unit in ("log odds", "probability"):
                shift = 1.0 if unit == "probability" and sign < 0 else 0.0
                yield Form([sign], shift + sign * constant, unit)
            if sign < 0:
                # The only output may also be meant as it stands.
                yield Form([1.0], constant, "probability")
                yield Form([1.0], constant, "log odds")
        return
    wanted = [place for place, one in enumerate(ids) if one == positive_index]
    full = [*base, *[0.0] * count][:count]
    for place in wanted:
        own = np.eye(count)[place]
        if count == 2:
            other = np.eye(count)[1 - place]
            yield Form(own - other, full[place] - full[1 - place], "log odds")
        yield Form(own, full[place], "probability")
        yield Form(own, full[place], "log odds")
        yield Form(own, full[place], "raw score")


def chosen(found: Iterator[Form], raw: Any, score: Any, base: Sequence[float]) -> tuple[Form, Any]:
    """The form whose evaluation is the model's own score on every row, and what is explained.

    Raises:
        NotTaken: none is.
    """
    full = np.asarray([*base, *[0.0] * raw.shape[1]][: raw.shape[1]])
    for form in found:
        output = raw @ np.asarray(form.combine) + form.base
        expected = _LINKS[form.unit](output, raw + full, np.argmax(form.combine))
        if len(score) and agree(expected, score):
            return form, output
    raise NotTaken("what was read is not what the model computes")


def agree(first: Any, second: Any) -> bool:
    """Are two answers to the same rows one model's?"""
    largest = max(1.0, float(np.abs(second).max()))
    return bool(np.abs(first - second).max() <= AGREEMENT * largest)


def exponential(values: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.exp(values)


def logistic(values: Any) -> Any:
    from scipy.special import expit

    return expit(values)


def _softmax(values: Any, place: Any) -> Any:
    from scipy.special import softmax

    return softmax(values, axis=1)[:, place]


_LINKS: Final[Mapping[str, Callable[[Any, Any, Any], Any]]] = {
    "log odds": lambda output, _raw, _place: logistic(output),
    "probability": lambda output, _raw, _place: output,
    "raw score": lambda _output, raw, place: _softmax(raw, place),
    "output": lambda output, _raw, _place: output,
    "log output": lambda output, _raw, _place: exponential(output),
}


def linear(proto: Any) -> tuple[Any, Any, Any, list[int]]:
    """(node, coefficients (outputs, inputs), constants, ids) of the only linear operator.

    Raises:
        NotTaken: there is none, or its numbers are not in the file.
    """
    import onnx

    node = main_node(proto, _LINEAR)
    found = attributes(node)
    known = {one.name: onnx.numpy_helper.to_array(one) for one in proto.graph.initializer}
    if node.op_type.startswith("Linear"):
        constants = np.asarray(found.get("intercepts") or [0.0], float)
        weights = np.asarray(found["coefficients"], float).reshape(len(constants), -1)
        return node, weights, constants, list(range(len(constants)))
    if node.input[1] not in known:
        raise NotTaken("the coefficients are not constant")
    weights = np.asarray(known[node.input[1]], float)
    constants = np.zeros(1)
    if node.op_type == "Gemm":
        if found.get("transA"):
            raise NotTaken("the rows are turned")
        weights = (weights.T if not found.get("transB") else weights) * found.get("alpha", 1.0)
        if len(node.input) > 2:
            constants = np.ravel(known.get(node.input[2], 0.0)) * found.get("beta", 1.0)
    else:
        weights = weights.reshape(len(weights), -1).T
        constants = _added(proto, node, known)
    constants = np.broadcast_to(np.asarray(constants, float), (len(weights),))
    return node, weights, constants, list(range(len(weights)))


def _added(proto: Any, node: Any, known: Mapping[str, Any]) -> Any:
    for one in proto.graph.node:
        if one.op_type == "Add" and node.output[0] in one.input:
            other = [name for name in one.input if name != node.output[0]]
            if other and other[0] in known:
                return np.ravel(known[other[0]])
    return np.zeros(1)
