"""Shapley values of a loaded model, in the sandbox's child.

What leaves the child is a file of numbers for each row, by the row's place alone, which the parent
turns into sums, and the facts of how they were made.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from kernel.errors import Invalid
from monitoring.engine.attributions.methods import Explainer, explainer_of
from monitoring.engine.inputs import InputSpec, encode
from monitoring.engine.loaders.model import Model
from monitoring.engine.sources import ROW

SCORE, OUTPUT, BASE = "countersign_score", "countersign_output", "countersign_base"
BATCH: Final = 997
"""No batch that another order of rows is asked in is as long as one of the first time."""
CLOSE: Final = 1e-6
"""A batch's other shape may change the last bits of a sum, never a decision's ground. Of an answer
larger than 1 it is a share."""
_CHUNK: Final = 5_000


def explain(model: Model, spec: InputSpec, task: Mapping[str, Any]) -> dict[str, Any]:
    """Explain the rows of `task["rows"]`, and those of `task["asked"]` if it is given.

    The last `task["background"]` rows serve as background for methods that need one and are not
    explained by these. Values go to `task["values"]` and `task["asked_values"]` (parquet: row,
    score, explained output, base, and a column `value_0`, ... for each feature of the spec, the
    inputs that one column makes taken together).
    """
    rows, matrix = _read(spec, task["rows"])
    score = model.score(matrix)
    background = int(task["background"])
    explainer = explainer_of(model, matrix, score, background)
    explained, known = matrix[: explainer.most], matrix
    if explainer.by_background:
        explained, known = matrix[:-background][: explainer.most], matrix[-background:]
    if not len(explained):
        raise Invalid("too few rows to explain", field="dataset")
    values = _checked(explainer, explained, known, 0)
    _write(task["values"], rows[: len(explained)], score[: len(explained)], values, spec)
    answer = {
        "rows": len(explained),
        "offered": len(matrix),
        "method": explainer.method,
        "unit": explainer.unit,
        **_repeated(model, matrix, score),
        "seeds": _seeds(explainer, explained, matrix, int(task.get("seeds", 1)), background, spec),
    }
    if task.get("asked"):
        answer["asked"] = _asked(model, spec, task, explainer, known)
    return answer


def repeat(model: Model, spec: InputSpec, task: Mapping[str, Any]) -> dict[str, Any]:
    """Score rows that another process has scored: in their order, then in another, in batches.

    `task["scores"]` receives row, `same` and `other`. The seed of the order is `task["seed"]`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, matrix = _read(spec, task["rows"])
    order = np.random.default_rng(int(task["seed"])).permutation(len(matrix))
    other = np.empty(len(matrix))
    for start in range(0, len(matrix), BATCH):
        part = order[start : start + BATCH]
        other[part] = model.score(np.ascontiguousarray(matrix[part]))
    table = {ROW: rows, "same": model.score(matrix), "other": other}
    pq.write_table(pa.table(table), task["scores"])
    return {"rows": len(matrix)}


def _read(spec: InputSpec, path: str) -> tuple[Any, Any]:
    import pyarrow.parquet as pq

    table = pq.read_table(path).combine_chunks()
    if not table.num_rows:
        return np.empty(0, np.int64), np.empty((0, len(spec.names())), np.float32)
    batch = table.to_batches()[0]
    return table[ROW].to_numpy(), encode(spec, batch)


def _checked(explainer: Explainer, matrix: Any, known: Any, seed: int) -> tuple[Any, Any, Any]:
    parts = [
        explainer.explain(matrix[start : start + _CHUNK], known, seed)
        for start in range(0, len(matrix), _CHUNK)
    ]
    values = np.concatenate([one[0] for one in parts])
    base = np.concatenate([np.broadcast_to(one[1], len(one[0])) for one in parts])
    output = np.concatenate([one[2] for one in parts])
    if values.shape != matrix.shape:
        raise Invalid("the explainer gave another number of inputs", field="artifact")
    if not (np.isfinite(values).all() and np.isfinite(base).all() and np.isfinite(output).all()):
        raise Invalid("the explanation is not finite", field="artifact")
    return values, base, output


def by_column(spec: InputSpec, values: Any) -> Any:
    """Values by feature, shape (rows, features): the inputs that one column makes are added."""
    found, place = np.empty((len(values), len(spec.features))), 0
    for index, one in enumerate(spec.features):
        width = len(one.names())
        found[:, index] = values[:, place : place + width].sum(axis=1)
        place += width
    return found


def _write(path: str, rows: Any, score: Any, found: tuple[Any, Any, Any], spec: InputSpec) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    values, base, output = found
    error = np.abs(values.sum(axis=1) + base - output)
    columns = {ROW: rows, SCORE: score, OUTPUT: output, BASE: base, "error": error}
    features = by_column(spec, values)
    for place in range(features.shape[1]):
        columns[f"value_{place}"] = features[:, place]
    pq.write_table(pa.table(columns), path)


def _repeated(model: Model, matrix: Any, first: Any) -> dict[str, Any]:
    """Ask again, and once more in the other order: a deterministic model answers the same."""
    second = model.score(matrix.copy())
    turned = model.score(np.ascontiguousarray(matrix[::-1]))[::-1]
    return {
        "repeated": len(first),
        "differing": int(np.count_nonzero(first != second)),
        "order_differing": int(np.count_nonzero(apart(first, turned))),
    }


def apart(first: Any, second: Any) -> Any:
    """For each row, whether two answers differ by more than `CLOSE`."""
    return np.abs(first - second) > CLOSE * np.maximum(1.0, np.abs(first))


def _seeds(
    explainer: Explainer, explained: Any, matrix: Any, seeds: int, background: int, spec: InputSpec
) -> list[list[float]]:
    """Mean absolute values by feature under other backgrounds and seeds, one list for each seed."""
    if not explainer.by_background or seeds < 2:
        return []
    found = []
    for seed in range(seeds):
        chosen = np.random.default_rng(seed).choice(len(matrix), background, replace=False)
        values, _, _ = _checked(explainer, explained, matrix[np.sort(chosen)], seed)
        found.append([float(one) for one in np.abs(by_column(spec, values)).mean(axis=0)])
    return found


def _asked(
    model: Model, spec: InputSpec, task: Mapping[str, Any], explainer: Explainer, known: Any
) -> dict[str, int]:
    """Explain rows that reasons are asked for: the first ones with the decision that is meant."""
    rows, matrix = _read(spec, task["asked"])
    score = model.score(matrix) if len(matrix) else np.empty(0)
    chosen = np.ones(len(matrix), bool)
    if task["decision"] != "any" and not spec.gives_number:
        chosen = (score >= spec.threshold) == (task["decision"] == "positive")
    meant = int(chosen.sum())
    places = np.flatnonzero(chosen)[: min(int(task["most"]), explainer.most)]
    empty = np.empty((0, matrix.shape[1])), np.empty(0), np.empty(0)
    found = _checked(explainer, matrix[places], known, 0) if len(places) else empty
    _write(task["asked_values"], rows[places], score[places], found, spec)
    return {"offered": len(matrix), "meant": meant, "explained": len(places)}
