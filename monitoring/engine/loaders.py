"""Opening a model from a format that runs no code. Used only inside the sandbox's child.

Pickle, joblib and everything built on them run code when they are loaded and are refused by name
and by their first bytes, before any library sees the file.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel.errors import Invalid, TooLarge

FORMATS = {
    "onnx": "ONNX",
    "skops": "skops (types on the allow-list)",
    "xgboost_json": "XGBoost JSON",
    "xgboost_ubj": "XGBoost UBJ",
    "lightgbm": "LightGBM text",
}
SUFFIXES = {
    "onnx": ".onnx",
    "skops": ".skops",
    "xgboost_json": ".json",
    "xgboost_ubj": ".ubj",
    "lightgbm": ".txt",
}
LIBRARIES = {
    "onnx": "onnxruntime",
    "skops": "skops",
    "xgboost_json": "xgboost",
    "xgboost_ubj": "xgboost",
    "lightgbm": "lightgbm",
}
MAX_BYTES = 2 << 30
ONNX_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
SKOPS_TYPES = frozenset(
    {
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss._loss.CyHalfBinomialLoss",
        "numpy.dtype",
    }
)
"""Types beyond skops' own defaults that were reviewed: arrays and parameters, no behaviour."""

FIELD = "artifact"


def taken() -> str:
    return "formats taken: " + ", ".join(FORMATS.values())


def check_format(path: Path, declared: str, limit: int = MAX_BYTES) -> None:
    """Look at name, size and first bytes of an artifact without opening it as a model.

    Raises:
        Invalid: the format is not taken, or the file is evidently of another one.
        TooLarge: the file is larger than `limit` bytes.
    """
    if declared not in FORMATS:
        raise Invalid(f"{declared} is never opened; {taken()}", field=f"{FIELD}.format")
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise Invalid("the file cannot be read", field=FIELD) from error
    if size > limit:
        raise TooLarge(f"the model has {size} bytes, a check opens up to {limit}", field=FIELD)
    if _is_pickle(head):
        raise Invalid(
            f"the file is a pickle or joblib dump, which is never opened; {taken()}", field=FIELD
        )
    if not _looks_like(declared, head, path):
        raise Invalid(f"the file is not {FORMATS[declared]}; {taken()}", field=FIELD)


def _is_pickle(head: bytes) -> bool:
    # Protocol 2 and up begin so; protocol 0 and 1 with an opcode and a module name; joblib packs.
    if len(head) > 1 and head[0] == 0x80 and head[1] <= 5:
        return True
    if head[:2] in (b"\x78\x01", b"\x78\x9c", b"\x78\xda") or head[:3] == b"\x1f\x8b\x08":
        return True
    return head[:1] in (b"c", b"(", b"]", b"}") and b"\n" in head and not head.startswith(b"{")


def _looks_like(declared: str, head: bytes, path: Path) -> bool:
    if declared == "xgboost_json":
        return head.lstrip()[:1] == b"{" and head.lstrip()[1:].lstrip()[:1] == b'"'
    if declared == "xgboost_ubj":
        return head[:1] == b"{" and head[1:2] in b"iUIlL"
    if declared == "lightgbm":
        # LightGBM's parser never ends on a file that was cut short.
        return head.startswith((b"tree\n", b"tree\r\n")) and _contains(path, b"end of trees")
    if declared == "skops":
        if not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return "schema.json" in archive.namelist()
    # ONNX is a protobuf whose first field is the version of its representation.
    return head[:1] == b"\x08"


def _contains(path: Path, words: bytes) -> bool:
    last = b""
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            if words in last + block:
                return True
            last = block[-len(words) :]
    return False


@dataclass(frozen=True)
class Model:
    """A loaded model: `score` maps float32 (rows, inputs) to probabilities of the positive class.

    `native` is the library's own object, for explanations.
    """

    format: str
    native: Any
    score: Callable[[Any], Any]


def load(path: Path, declared: str, inputs: tuple[str, ...], positive_index: int) -> Model:
    """Open an artifact.

    Raises:
        Invalid: the file cannot be loaded, takes other inputs, or is no classifier.
    """
    check_format(path, declared)
    loader = {
        "onnx": _onnx,
        "skops": _skops,
        "xgboost_json": _xgboost,
        "xgboost_ubj": _xgboost,
        "lightgbm": _lightgbm,
    }[declared]
    try:
        native, score, width = loader(path, positive_index)
    except (Invalid, MemoryError):
        raise
    except Exception as error:
        raise Invalid(
            f"the file cannot be loaded as {FORMATS[declared]} ({_first_line(error)})", field=FIELD
        ) from error
    if width is not None and width != len(inputs):
        raise Invalid(
            f"the model takes {width} inputs, the input spec makes {len(inputs)}",
            field="input_spec.features",
        )
    return Model(declared, native, score)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}"


def _column(output: Any, positive_index: int) -> Any:
    import numpy as np

    scores = np.asarray(output, np.float64)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.ndim == 2:
        if positive_index >= scores.shape[1]:
            raise Invalid(
                f"the model gives {scores.shape[1]} classes", field="input_spec.positive_index"
            )
        scores = scores[:, positive_index]
    if scores.ndim != 1:
        raise Invalid("the model's output is not one number for each row", field=FIELD)
    if len(scores) and not (np.isfinite(scores).all() and 0 <= scores.min() <= scores.max() <= 1):
        raise Invalid("the model's output is not a probability", field=FIELD)
    return scores


def _xgboost(path: Path, positive_index: int) -> tuple[Any, Callable[[Any], Any], int | None]:
    import xgboost

    booster = xgboost.Booster({"nthread": 2})
    booster.load_model(str(path))

    def score(matrix: Any) -> Any:
        return _column(booster.inplace_predict(matrix), positive_index)

    return booster, score, int(booster.num_features())


def _lightgbm(path: Path, positive_index: int) -> tuple[Any, Callable[[Any], Any], int | None]:
    import lightgbm

    booster = lightgbm.Booster(model_file=str(path), params={"verbosity": -1})

    def score(matrix: Any) -> Any:
        return _column(booster.predict(matrix, num_threads=2), positive_index)

    return booster, score, int(booster.num_feature())


def _skops(path: Path, positive_index: int) -> tuple[Any, Callable[[Any], Any], int | None]:
    import skops.io

    foreign = set(skops.io.get_untrusted_types(file=path)) - SKOPS_TYPES
    if foreign:
        raise Invalid(f"type {sorted(foreign)[0]} is not on the allow-list", field=FIELD)
    model = skops.io.load(path, trusted=sorted(SKOPS_TYPES))
    if not hasattr(model, "predict_proba"):
        raise Invalid("the model gives no probabilities", field=FIELD)

    def score(matrix: Any) -> Any:
        return _column(model.predict_proba(matrix), positive_index)

    width = getattr(model, "n_features_in_", None)
    return model, score, None if width is None else int(width)


def _onnx(path: Path, positive_index: int) -> tuple[Any, Callable[[Any], Any], int | None]:
    import onnx
    import onnxruntime

    data = path.read_bytes()
    proto = onnx.load_model_from_string(data)
    for imported in proto.opset_import:
        if imported.domain not in ONNX_DOMAINS:
            raise Invalid(f"operators of {imported.domain!r} are not taken", field=FIELD)
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise Invalid("weights in other files are not taken", field=FIELD)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    taken_inputs = session.get_inputs()
    if len(taken_inputs) != 1 or taken_inputs[0].type != "tensor(float)":
        raise Invalid("the model must take one table of 32-bit floats", field=FIELD)

    def score(matrix: Any) -> Any:
        output = session.run(None, {taken_inputs[0].name: matrix})[-1]
        if isinstance(output, list):
            # A ZipMap gives one {class: probability} for each row.
            output = [[row[key] for key in sorted(row)] for row in output]
        return _column(output, positive_index)

    shape = taken_inputs[0].shape
    width = shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None
    return proto, score, width
