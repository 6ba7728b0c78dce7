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
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kernel.errors import CountersignError, Invalid, TooLarge, Unavailable

_ROOT = Path(__file__).resolve().parents[2]
_RESULT_LIMIT = 64 << 20
_PROGRESS_LIMIT = 200
_GLANCE = 0.01
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
    links = _links(workdir)
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
    if _links(workdir) != links:
        raise Invalid("the model left something else than files", field="artifact")
    return _read(result, code, limits)


def _links(workdir: Path) -> dict[str, str]:
    """What is no file and no folder, which a path would lead elsewhere through, or wait at."""
    found = {}
    with os.scandir(workdir) as entries:
        for one in entries:
            if one.is_symlink():
                found[one.name] = os.readlink(one.path)
            elif not one.is_file() and not one.is_dir():
                found[one.name] = ""
    return found


def _told(path: Path, limit: int) -> bytes | None:
    """Up to `limit` bytes of a plain file that the child may be writing; None without one.

    The child is not trusted to write what we expect: a link is not followed, a pipe not waited for.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags), "rb") as stream:
            plain = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            return stream.read(limit) if plain else None
    except OSError:
        return None


def table_of(path: Path, columns: Sequence[str], rows: int) -> Any:
    """Columns of a file that the child left, an Arrow table of up to `rows` rows.

    Raises:
        Invalid: it is no such file. Nothing is unpacked before its footer says so.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > rows or set(file.schema_arrow.names) != set(columns):
                raise Invalid("the sandbox left other rows than were asked for", field="artifact")
            return file.read(list(columns))
    except (pa.ArrowException, OSError) as error:
        raise Invalid("the sandbox left no readable result", field="artifact") from error


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
    while not _ended(child):
        spent = time.monotonic() - started
        if spent > limits.seconds:
            raise TooLarge(f"the model did not finish within {limits.seconds} s", field="artifact")
        if spent > limits.loading and not (workdir / "progress").exists():
            raise TooLarge(
                f"the model could not be loaded within {limits.loading} s", field="artifact"
            )
        progress(*_progress(workdir))
    if child.returncode is None:
        # Nothing that the model started outlives it. Until it is waited for, its number is its own.
        _kill(child)
    return child.wait()


def _ended(child: "subprocess.Popen[bytes]", within: float = 0.2) -> bool:
    """Has the child ended, now or soon? It is left to be waited for, where the platform can."""
    until = time.monotonic() + within
    while not _is_over(child):
        if time.monotonic() > until:
            return False
        time.sleep(_GLANCE)
    return True


def _is_over(child: "subprocess.Popen[bytes]") -> bool:
    if not hasattr(os, "waitid"):
        return child.poll() is not None
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def _progress(workdir: Path) -> tuple[float, str]:
    try:
        told = (_told(workdir / "progress", _PROGRESS_LIMIT) or b"").decode()
        share, text = told.split(" ", 1)
        return min(1.0, max(0.0, float(share))), text[:80]
    except ValueError:
        return 0.0, "starting the sandbox"


def _kill(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _stop(child: "subprocess.Popen[bytes]") -> None:
    if child.returncode is None:
        _kill(child)
        child.wait()


def _read(result: Path, code: int, limits: SandboxLimits) -> dict[str, Any]:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        raise TooLarge(f"the model used more than {limits.cpu} s of processor", field="artifact")
    told = _told(result, _RESULT_LIMIT + 1)
    if told is None or len(told) > _RESULT_LIMIT:
        raise Invalid(
            f"the model stopped its process ({_cause(code)}) while being loaded or run; "
            f"its memory is limited to {limits.memory} MiB",
            field="artifact",
        )
    try:
        answer = json.loads(told)
        if not isinstance(answer, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
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
