"""The format of an artifact, by what it is called. Its bytes are never looked into."""

from kernel.errors import Invalid

ONNX = "onnx"
XGBOOST_JSON = "xgboost_json"
XGBOOST_UBJ = "xgboost_ubj"
LIGHTGBM = "lightgbm"
SKOPS = "skops"
PICKLE = "pickle"
OTHER = "other"

FORMATS = (ONNX, XGBOOST_JSON, XGBOOST_UBJ, LIGHTGBM, SKOPS, PICKLE, OTHER)

# A suffix that says nothing certain (.txt, .json, .bin) is left to the one who registers.
_SUFFIXES = {
    ".onnx": ONNX,
    ".xgb.json": XGBOOST_JSON,
    ".xgboost.json": XGBOOST_JSON,
    ".ubj": XGBOOST_UBJ,
    ".lgb": LIGHTGBM,
    ".lgbm": LIGHTGBM,
    ".lightgbm": LIGHTGBM,
    ".lgb.txt": LIGHTGBM,
    ".lightgbm.txt": LIGHTGBM,
    ".skops": SKOPS,
    ".pkl": PICKLE,
    ".pickle": PICKLE,
    ".joblib": PICKLE,
    ".dill": PICKLE,
    ".pt": PICKLE,
    ".pth": PICKLE,
}


def guess(name: str) -> str:
    """The format that a file's name tells, `other` if it tells none."""
    lowered = name.lower()
    return next((kind for suffix, kind in _SUFFIXES.items() if lowered.endswith(suffix)), OTHER)


def settle(declared: str | None, name: str) -> str:
    """The declared format, else the one that the name tells.

    Raises:
        Invalid: naming the field, if the declared one is unknown.
    """
    if declared is None:
        return guess(name)
    if declared not in FORMATS:
        raise Invalid(f"known formats are: {', '.join(FORMATS)}", field="artifact_format")
    return declared
