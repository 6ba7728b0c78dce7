"""Shapley values of a loaded model, in the sandbox's child: aggregates leave it, rows do not."""

from pathlib import Path
from typing import Any

import numpy as np

from kernel.errors import Invalid
from monitoring.engine.inputs import InputSpec, encode
from monitoring.engine.loaders import Model

TREES = ("xgboost_json", "xgboost_ubj", "lightgbm")
GENERIC_ROWS = 200
"""A model without a fast explainer is asked thousands of times a row: fewer rows are explained."""


def explain(model: Model, spec: InputSpec, rows: Path, background: int) -> dict[str, Any]:
    """Mean absolute Shapley value of each column over the rows, and how well the values add up.

    Values of boosted trees are in log odds (tree path dependent), of other models in probability
    (permutations against `background` rows). The inputs that one column makes count together.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(rows).combine_chunks()
    batch = table.to_batches()[0]
    matrix = encode(spec, batch)
    stable = _stability(model, matrix)
    if model.format in TREES:
        values, base, output = _trees(model, matrix)
        method, unit = "shap tree explainer", "log odds"
    else:
        matrix = matrix[: GENERIC_ROWS + background]
        values, base, output = _permutations(model, matrix, background)
        method, unit = "shap permutation explainer", "probability"
    if values.shape[1] != matrix.shape[1]:
        raise Invalid("the explainer gave another number of inputs", field="artifact")
    error = float(np.abs(values.sum(axis=1) + base - output).max())
    return {
        **stable,
        "rows": len(values),
        "method": method,
        "unit": unit,
        "additivity_error": error,
        "scale": float(np.abs(output).max()),
        "columns": _by_column(spec, values),
    }


def _stability(model: Model, matrix: Any) -> dict[str, Any]:
    """Ask twice, and once more in the other order: a deterministic model answers the same."""
    first, second = model.score(matrix), model.score(matrix.copy())
    turned = model.score(np.ascontiguousarray(matrix[::-1]))[::-1]
    return {
        "repeated": len(first),
        "differing": int(np.count_nonzero(first != second)),
        # A batch's other shape may change the last bits of a sum, never a decision's ground.
        "order_differing": int(np.count_nonzero(np.abs(first - turned) > 1e-6)),
    }


def _trees(model: Model, matrix: Any) -> tuple[Any, Any, Any]:
    if model.format == "lightgbm":
        found = model.native.predict(matrix, pred_contrib=True, num_threads=2)
        output = model.native.predict(matrix, raw_score=True, num_threads=2)
    else:
        import xgboost

        found = model.native.predict(xgboost.DMatrix(matrix), pred_contribs=True)
        output = model.native.inplace_predict(matrix, predict_type="margin")
    found = np.asarray(found, float)
    if found.ndim != 2 or found.shape[1] != matrix.shape[1] + 1:
        raise Invalid("only models of two classes are explained", field="artifact")
    return found[:, :-1], found[:, -1], np.asarray(output, float)


def _permutations(model: Model, matrix: Any, background: int) -> tuple[Any, Any, Any]:
    import shap

    explained, known = matrix[:-background], matrix[-background:]
    if not len(explained):
        raise Invalid("too few rows to explain", field="dataset")
    explainer = shap.PermutationExplainer(
        lambda asked: model.score(np.asarray(asked, np.float32)), known, seed=0
    )
    found = explainer(explained, silent=True)
    return np.asarray(found.values, float), np.asarray(found.base_values), model.score(explained)


def _by_column(spec: InputSpec, values: Any) -> list[dict[str, Any]]:
    columns, place = [], 0
    for one in spec.features:
        width = len(one.names())
        together = values[:, place : place + width].sum(axis=1)
        size = np.abs(together)
        columns.append(
            {
                "column": one.column,
                "absolute": float(size.sum()),
                "absolute_2": float((size**2).sum()),
                "signed": float(together.sum()),
            }
        )
        place += width
    return columns
