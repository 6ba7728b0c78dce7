"""Which formats are opened, and what a file looks like from outside. Light: web processes read it."""

from pathlib import Path
from typing import Final

from kernel.errors import Invalid, TooLarge

FORMATS: Final = {
    "onnx": "ONNX",
    "skops": "skops (types on the allow-list)",
    "xgboost_json": "XGBoost JSON",
    "xgboost_ubj": "XGBoost UBJ",
    "lightgbm": "LightGBM text",
}
SUFFIXES: Final = {
    "onnx": ".onnx",
    "skops": ".skops",
    "xgboost_json": ".json",
    "xgboost_ubj": ".ubj",
    "lightgbm": ".txt",
}
LIBRARIES: Final = {
    "onnx": "onnxruntime",
    "skops": "skops",
    "xgboost_json": "xgboost",
    "xgboost_ubj": "xgboost",
    "lightgbm": "lightgbm",
}
RESTS_ON: Final = {
    **{name: (library,) for name, library in LIBRARIES.items()},
    "skops": ("skops", "scikit-learn"),
}
"""Whose versions a model's answers rest on, by the names that they are installed under."""
MAX_BYTES: Final = 2 << 30
FIELD: Final = "artifact"


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
        # The archive's own directory is read in the sandbox alone: it may be a bomb.
        return head[:4] == b"PK\x03\x04"
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
