"""The sandbox's child process: give up rights, open one artifact, score or explain, stop."""

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernel.errors import CountersignError, Invalid
from monitoring.engine import loaders
from monitoring.engine.inputs import InputSpec, encode
from monitoring.engine.sources import ROW

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_REFUSED = frozenset(
    {
        "socket.__new__",
        "socket.connect",
        "socket.bind",
        "socket.getaddrinfo",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
        "pickle.find_class",
    }
)
_WITHOUT_SKLEARN = frozenset({"xgboost_json", "xgboost_ubj", "lightgbm"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main(order: str) -> None:
    task = json.loads(Path(order).read_text())
    workdir = Path(task["workdir"])
    network = leave_network()
    _limit(task["limits"])
    try:
        answer: dict[str, Any] = _perform(task, workdir)
        answer["isolation"] = {"network": network, "limits": task["limits"]}
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


def leave_network() -> str:
    """Move this process into an empty network namespace; say what holds instead if refused."""
    if not sys.platform.startswith("linux"):
        return "audit hook"
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # As root a network namespace alone is enough; others need a user namespace to own it.
    for flags in (_CLONE_NEWNET, _CLONE_NEWUSER | _CLONE_NEWNET):
        if libc.unshare(flags) == 0:
            libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            return "namespace"
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return "audit hook"


def _limit(limits: Mapping[str, int]) -> None:
    memory = limits["memory"] << 20
    for name, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 512),
    ):
        try:
            _, hard = resource.getrlimit(name)
            top = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(name, (top, top))
        except (OSError, ValueError):
            # A platform without this limit still has the others and the parent's timeout.
            continue


def refuse_actions(workdir: Path) -> None:
    """From here on the interpreter opens no socket, starts no process, unpickles nothing."""
    home = str(workdir.resolve())

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            raise PermissionError(f"{event} is refused in the sandbox")
        if event == "open" and isinstance(arguments[0], str | bytes):
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if flags & _WRITING and not path.startswith((home + os.sep, "/dev/null")):
                raise PermissionError("writing outside the work directory is refused")

    sys.addaudithook(hook)


def _perform(task: Mapping[str, Any], workdir: Path) -> dict[str, Any]:
    import pyarrow.parquet  # noqa: F401  # what is imported after the hook may be refused by it

    spec = InputSpec.from_json(task["input_spec"])
    declared = task["format"]
    loaders.check_format(Path(task["artifact"]), declared, task["limits"]["artifact_bytes"])
    if task["operation"] == "score" and declared in _WITHOUT_SKLEARN:
        # Their scikit-learn faces take three quarters of the start, and a booster needs none of it.
        sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]
    importlib.import_module(loaders.LIBRARIES[declared])
    if task["operation"] == "explain":
        importlib.import_module("shap")
    refuse_actions(workdir)
    model = loaders.load(Path(task["artifact"]), declared, spec.names(), spec.positive_index)
    _report(workdir, 0.0, "the model is loaded")
    if task["operation"] == "score":
        return _score(model, spec, task, workdir)
    if task["operation"] == "explain":
        from monitoring.engine import attributions

        return attributions.explain(model, spec, Path(task["rows"]), task["background"])
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
            chosen = (scores >= spec.threshold).astype(np.int8)
            writer.write_batch(
                pa.record_batch([batch.column(ROW), pa.array(scores), pa.array(chosen)], schema)
            )
            done += batch.num_rows
            _report(workdir, done / total, f"scored {done} of {total} rows")
    return {"rows": done, "repeated": repeated if done else 0, "differing": differing}
