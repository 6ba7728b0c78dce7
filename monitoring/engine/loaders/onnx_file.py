"""ONNX: known operators alone, no other files, no tensor that claims more than it holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from kernel.errors import Invalid
from monitoring.engine.loaders.formats import FIELD
from monitoring.engine.loaders.model import THREADS, Opened, probabilities, refuse

DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml")
ELEMENTS: Final = 1 << 28
"""The most numbers that one tensor may claim: a gigabyte of floats."""
DEPTH: Final = 8


def open_model(path: Path, positive_index: int) -> Opened:
    import onnx

    data = path.read_bytes()
    proto = onnx.load_model_from_string(data)
    check(proto)
    session = session_of(data)
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        refuse("the model must take one table of 32-bit floats")

    def score(matrix: Any) -> Any:
        return probabilities(
            as_table(session.run(None, {inputs[0].name: matrix})[-1]), positive_index
        )

    shape = inputs[0].shape
    width = shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None
    return proto, score, width


def session_of(data: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def as_table(output: Any) -> Any:
    """A ZipMap gives one {class: probability} for each row."""
    if isinstance(output, list):
        return [[row[key] for key in sorted(row)] for row in output]
    return output


def check(proto: Any) -> None:
    """Refuse what a check never runs or reads.

    Raises:
        Invalid: naming the operator or tensor.
    """
    for imported in proto.opset_import:
        _check_domain(imported.domain)
    for function in proto.functions:
        _check_domain(function.domain)
        _check_nodes(function.node, 1)
    _check_graph(proto.graph, 0)
    if not proto.graph.node:
        refuse("the model computes nothing")


def _check_domain(name: str) -> None:
    if name not in DOMAINS:
        raise Invalid(f"operators of {name[:80]!r} are not taken", field=FIELD)


def _check_graph(graph: Any, depth: int) -> None:
    if depth > DEPTH:
        refuse(f"graphs nest deeper than {DEPTH}")
    for tensor in graph.initializer:
        _check_tensor(tensor)
    for sparse in graph.sparse_initializer:
        _check_sparse(sparse)
    _check_nodes(graph.node, depth)


def _check_nodes(nodes: Any, depth: int) -> None:
    for node in nodes:
        _check_domain(node.domain)
        for attribute in node.attribute:
            for tensor in _tensors(attribute):
                _check_tensor(tensor)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                _check_sparse(sparse)
            if attribute.HasField("g"):
                _check_graph(attribute.g, depth + 1)
            for graph in attribute.graphs:
                _check_graph(graph, depth + 1)


def _tensors(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors


def _check_sparse(sparse: Any) -> None:
    _check_tensor(sparse.values)
    _check_tensor(sparse.indices)
    _size(sparse.dims, "a sparse tensor")


def _check_tensor(tensor: Any) -> None:
    import onnx

    name = f"tensor {tensor.name[:60]!r}"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise Invalid(f"weights in other files are not taken ({name})", field=FIELD)
    claimed = _size(tensor.dims, name)
    # What is packed in fewer bytes than elements is not weighed: half a byte is the least.
    held = (
        2 * len(tensor.raw_data)
        + sum(
            len(getattr(tensor, kind))
            for kind in (
                "float_data",
                "int32_data",
                "int64_data",
                "double_data",
                "uint64_data",
                "string_data",
            )
        )
        * 8
    )
    if claimed > held and tensor.data_type != onnx.TensorProto.UNDEFINED:
        refuse(f"{name} claims {claimed} numbers and does not hold them")


def _size(dims: Any, name: str) -> int:
    size = 1
    for one in dims:
        if one < 0:
            refuse(f"{name} has a negative size")
        size *= one
        if size > ELEMENTS:
            refuse(f"{name} claims more than {ELEMENTS} numbers")
    return size
