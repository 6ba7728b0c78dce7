"""Opening a model from a format that runs no code. `load` is called only inside the sandbox's child.

Pickle, joblib and everything built on them run code when they are loaded and are refused by name
and by their first bytes, before any library sees the file. The libraries that open the formats
taken trust their files further than a stranger's file deserves, so each file is first read by us:
sizes, indices, operators and types must be what they claim before native code meets them.
"""

from importlib import import_module
from pathlib import Path

from kernel.errors import CountersignError, Invalid
from monitoring.engine.loaders.formats import (
    FIELD,
    FORMATS,
    LIBRARIES,
    MAX_BYTES,
    RESTS_ON,
    SUFFIXES,
    check_format,
    taken,
)
from monitoring.engine.loaders.model import NUMBER, Model

__all__ = [
    "FIELD",
    "FORMATS",
    "LIBRARIES",
    "MAX_BYTES",
    "NUMBER",
    "RESTS_ON",
    "SUFFIXES",
    "Model",
    "check_format",
    "load",
    "taken",
]

OPENERS = {
    "onnx": "onnx_file",
    "skops": "skops_file",
    "xgboost_json": "xgboost_file",
    "xgboost_ubj": "xgboost_file",
    "lightgbm": "lightgbm_file",
}
"""The module that opens a format, by `open_model(path, positive_index) -> Opened`."""


def load(path: Path, declared: str, inputs: tuple[str, ...], positive_index: int) -> Model:
    """Open an artifact.

    Raises:
        Invalid: the file cannot be loaded, takes other inputs, or is no classifier.
        TooLarge: it claims more than is granted.
    """
    check_format(path, declared)
    opener = import_module(f"monitoring.engine.loaders.{OPENERS[declared]}")
    try:
        native, score, width = opener.open_model(path, positive_index)
    except (CountersignError, MemoryError):
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
    return Model(declared, native, score, positive_index)


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}"
