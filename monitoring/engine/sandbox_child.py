"""The sandbox's child process: give up rights, open one artifact, score or explain, stop."""

import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernel.errors import CountersignError, Invalid
from monitoring.engine import loaders
from monitoring.engine.confinement import (
    Places,
    leave_files,
    leave_network,
    limit,
    refuse_actions,
)
from monitoring.engine.inputs import InputSpec, encode
from monitoring.engine.sources import ROW

_CODE = Path(__file__).resolve().parents[2]
_WITHOUT_SKLEARN = frozenset({"xgboost_json", "xgboost_ubj", "lightgbm"})


def main(order: str) -> None:
    task = json.loads(Path(order).read_text())
    workdir = Path(task["workdir"])
    network = leave_network()
    limit(task["limits"])
    files = [str(task[name]) for name in ("artifact", "rows", "asked") if task.get(name)]
    places = Places.of(_CODE, [order, *files], workdir)
    landlock = leave_files(places)
    if network == "audit hook" and landlock >= 4:
        network = "landlock, TCP alone"
    try:
        answer: dict[str, Any] = _perform(task, workdir, places)
        answer["isolation"] = {
            "network": network,
            "files": "landlock" if landlock else "audit hook",
            "limits": task["limits"],
        }
    except CountersignError as error:
        answer = _failure(type(error).__name__, error.detail, error.field)
    except MemoryError:
        megabytes = task["limits"]["memory"]
        answer = _failure("TooLarge", f"the model needs more than {megabytes} MiB", "artifact")
    except Exception as error:
        answer = _failure("Invalid", f"the model failed ({type(error).__name__})", "artifact")
        sys.stderr.write(f"{error}\n")
    part = workdir / "result.part"
    part.write_text(json.dumps(answer, allow_nan=False))
    part.replace(workdir / "result.json")
    sys.stdout.flush()
    # Native libraries may hang or crash while unloading; the result is already written.
    os._exit(0)


def _failure(kind: str, detail: str, field: str | None) -> dict[str, Any]:
    return {"error": {"kind": kind, "detail": detail, "field": field}}


def _perform(task: Mapping[str, Any], workdir: Path, places: Places) -> dict[str, Any]:
    import pyarrow.parquet  # noqa: F401  # what is imported after the hook may be refused by it

    spec = InputSpec.from_json(task["input_spec"])
    declared = task["format"]
    loaders.check_format(Path(task["artifact"]), declared, task["limits"]["artifact_bytes"])
    if declared in _WITHOUT_SKLEARN:
        # Their scikit-learn faces take three quarters of the start, and a booster needs none of it.
        sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    importlib.import_module(loaders.LIBRARIES[declared])
    if task["operation"] == "explain" and declared not in _WITHOUT_SKLEARN:
        importlib.import_module("shap")
    if task["operation"] == "explain" and declared == "onnx":
        # Explains the trees of a graph.
        importlib.import_module("lightgbm")
    refuse_actions(places)
    wanted = loaders.NUMBER if spec.gives_number else spec.positive_index
    model = loaders.load(Path(task["artifact"]), declared, spec.names(), wanted)
    _report(workdir, 0.0, "the model is loaded")
    if task["operation"] == "score":
        return _score(model, spec, task, workdir)
    if task["operation"] in ("explain", "repeat"):
        from monitoring.engine import attributions

        operation = attributions.explain if task["operation"] == "explain" else attributions.repeat
        return operation(model, spec, task)
    if task["operation"] == "perturb":
        from monitoring.engine import perturbed

        return perturbed.answer(model, spec, task)
    raise Invalid("unknown operation", field="operation")


def _report(workdir: Path, share: float, text: str) -> None:
    part = workdir / "progress.part"
    part.write_text(f"{share:.4f} {text}")
    part.replace(workdir / "progress")


def _score(
    model: loaders.Model, spec: InputSpec, task: Mapping[str, Any], workdir: Path
) -> dict[str, Any]:
    """Score every row; the first batch twice, since a model may answer otherwise each time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = pq.ParquetFile(task["rows"])
    total, done, differing = source.metadata.num_rows, 0, 0
    schema = pa.schema(
        [
            (ROW, pa.int64()),
            ("countersign_score", pa.float64()),
            ("countersign_prediction", pa.int8()),
        ]
    )
    with pq.ParquetWriter(task["predictions"], schema) as writer:
        for batch in source.iter_batches(batch_size=50_000):
            matrix = encode(spec, batch)
            scores = model.score(matrix)
            if len(scores) != batch.num_rows:
                raise Invalid("the model gives another number of rows", field="artifact")
            if not done:
                differing = int(np.count_nonzero(model.score(matrix.copy()) != scores))
                repeated = batch.num_rows
            chosen = pa.nulls(len(scores), pa.int8())
            if not spec.gives_number:
                chosen = pa.array((scores >= spec.threshold).astype(np.int8))
            writer.write_batch(
                pa.record_batch([batch.column(ROW), pa.array(scores), chosen], schema)
            )
            done += batch.num_rows
            _report(workdir, done / total, f"scored {done} of {total} rows")
    return {"rows": done, "repeated": repeated if done else 0, "differing": differing}
