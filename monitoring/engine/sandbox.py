"""Running a model in a child process: limits on memory, processor and time, and no network.

The child sees a copy of the model's inputs (never labels or sensitive attributes), the artifact
and the work directory. On Linux it leaves the host's network by a network namespace of its own
where the kernel grants one, and the host's files by Landlock where the kernel has it; everywhere
an audit hook of the interpreter refuses sockets, other processes, unpickling and files elsewhere.
The hook does not bind native code: `isolation` in the answer, kept with the run, says for
`network` and for `files` which of them held.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kernel.errors import CountersignError, Invalid, TooLarge, Unavailable

_ROOT = Path(__file__).resolve().parents[2]
_RESULT_LIMIT = 64 << 20
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from monitoring.engine.sandbox_child import main; main(sys.argv[2])"
)


@dataclass(frozen=True)
class SandboxLimits:
    """`memory` in MiB of address space, `cpu` and `seconds` in seconds of processor and of time.

    `loading` are the seconds within which the model must be open: a parser can be made to loop.
    """

    memory: int = 6144
    cpu: int = 600
    seconds: int = 600
    loading: int = 120
    artifact_bytes: int = 2 << 30


def run_child(
    task: Mapping[str, Any],
    workdir: Path,
    limits: SandboxLimits,
    progress: Callable[[float, str], None],
) -> dict[str, Any]:
    """Run one task of `sandbox_child` and return its result.

    `progress` is called a few times a second with the child's share done; what it raises stops
    the child.

    Raises:
        Invalid: the model or its inputs are at fault; the detail says how.
        TooLarge: a limit was reached.
        Unavailable: the child could not be started.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    order, result = workdir / "task.json", workdir / "result.json"
    for old in (result, workdir / "progress"):
        old.unlink(missing_ok=True)
    order.write_text(json.dumps({**task, "workdir": str(workdir), "limits": asdict(limits)}))
    with (workdir / "child.log").open("wb") as log:
        try:
            child = subprocess.Popen(  # noqa: S603  # fixed words and paths of our own
                [sys.executable, "-I", "-c", _BOOT, str(_ROOT), str(order)],
                cwd=workdir,
                env=_environment(workdir),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable("the sandbox could not be started") from error
        try:
            code = _wait(child, workdir, limits, progress)
        finally:
            _stop(child)
    return _read(result, code, limits)


def _environment(workdir: Path) -> dict[str, str]:
    """Nothing of the server's environment reaches the child: it may hold secrets."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(workdir),
        "TMPDIR": str(workdir),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        # What shap compiles takes longer to compile than to do for the rows that are asked of it.
        "NUMBA_DISABLE_JIT": "1",
        # Waiting threads must not burn the processor that the others need.
        "OMP_WAIT_POLICY": "PASSIVE",
        "DO_NOT_TRACK": "1",
        "PYTHONHASHSEED": "0",
    }


def _wait(
    child: "subprocess.Popen[bytes]",
    workdir: Path,
    limits: SandboxLimits,
    progress: Callable[[float, str], None],
) -> int:
    started = time.monotonic()
    while True:
        try:
            return child.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            spent = time.monotonic() - started
            if spent > limits.seconds:
                raise TooLarge(
                    f"the model did not finish within {limits.seconds} s", field="artifact"
                ) from None
            if spent > limits.loading and not (workdir / "progress").exists():
                raise TooLarge(
                    f"the model could not be loaded within {limits.loading} s", field="artifact"
                ) from None
            progress(*_progress(workdir))


def _progress(workdir: Path) -> tuple[float, str]:
    try:
        share, text = (workdir / "progress").read_text().split(" ", 1)
        return min(1.0, max(0.0, float(share))), text[:80]
    except (OSError, ValueError):
        return 0.0, "starting the sandbox"


def _stop(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _read(result: Path, code: int, limits: SandboxLimits) -> dict[str, Any]:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise TooLarge(f"the model used more than {limits.cpu} s of processor", field="artifact")
    if not result.exists() or result.stat().st_size > _RESULT_LIMIT:
        raise Invalid(
            f"the model stopped its process ({_cause(code)}) while being loaded or run; "
            f"its memory is limited to {limits.memory} MiB",
            field="artifact",
        )
    try:
        answer = json.loads(result.read_text())
    except ValueError as error:
        raise Invalid("the sandbox left no readable result", field="artifact") from error
    if "error" in answer:
        raise _error(answer["error"])
    return dict(answer)


def _error(value: Mapping[str, Any]) -> CountersignError:
    kinds: dict[str, type[CountersignError]] = {"Invalid": Invalid, "TooLarge": TooLarge}
    kind = kinds.get(str(value.get("kind")), Invalid)
    return kind(str(value.get("detail"))[:500], field=str(value.get("field") or "artifact"))


def _cause(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
