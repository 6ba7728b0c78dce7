"""What the sandbox's child gives up before it opens a model.

Four walls, as far as the platform has them: a network namespace of its own (or, failing that,
Landlock's refusal of TCP), Landlock over the file system, limits of the kernel on memory and
processor, and an audit hook of the interpreter. The first three bind native code as well. Each
function says which wall stands, and a run records it.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_REFUSED: Final = frozenset(
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
WRITTEN: Final = 8 << 30
"""Bytes of one file: scores of 400,000,000 rows, or a library that never stops complaining."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# Linux's <linux/landlock.h>; the three calls have the same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14
_REMOVE_FILE, _MAKE_REG, _MAKE_DIR, _REMOVE_DIR = 1 << 5, 1 << 8, 1 << 7, 1 << 4
_RIGHTS: Final = ((1, 13), (2, 14), (3, 15), (5, 16))
"""From which version of Landlock how many rights over files are known."""

HOST: Final = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/dev/random",
)
"""What libraries of numbers read of the machine: themselves, and how many processors there are."""


@dataclass(frozen=True)
class Places:
    """Where the child may read, and where it may also write."""

    readable: tuple[str, ...]
    writable: tuple[str, ...]

    @classmethod
    def of(cls, code: Path, files: Iterable[str], workdir: Path) -> "Places":
        """The interpreter, our own code beneath `code`, the named files, and the work directory."""
        own = [str(code / name) for name in ("kernel", "monitoring", "registry")]
        libraries = [
            entry
            for entry in (sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path)
            if entry and Path(entry).resolve() != code.resolve()
        ]
        readable = [*HOST, *own, *libraries, *files]
        return cls(
            tuple(dict.fromkeys(os.path.realpath(one) for one in readable)),
            (os.path.realpath(workdir),),
        )


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


def leave_files(places: Places) -> int:
    """Let this process open nothing outside `places`, native code included.

    Must be called before any thread is started: it binds the calling one and those it starts.
    Returns the version of Landlock that holds, 0 for none. From version 4 on TCP is refused too.
    """
    if not sys.platform.startswith("linux"):
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return 0
    handled = (1 << max(count for since, count in _RIGHTS if since <= version)) - 1
    # No rule ever grants TCP (3) or, from version 6, sockets and signals outside (3).
    attributes = struct.pack("=QQQ", handled, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, attributes, size, 0)
    if ruleset < 0:
        return 0
    try:
        read = _READ_FILE | _READ_DIR
        write = read | _WRITE_FILE | _MAKE_REG | _MAKE_DIR | _REMOVE_FILE | _REMOVE_DIR | _TRUNCATE
        for paths, rights in ((places.readable, read), (places.writable, write)):
            for path in paths:
                _allow(libc, ruleset, path, rights & handled)
        _allow(libc, ruleset, "/dev/null", (_READ_FILE | _WRITE_FILE | _TRUNCATE) & handled)
        if libc.syscall(_RESTRICT_SELF, ruleset, 0) != 0:
            return 0
    finally:
        os.close(ruleset)
    return int(version)


def _allow(libc: Any, ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # A machine without this path has nothing to grant.
        return
    try:
        if not os.path.isdir(path):
            rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
        libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def limit(limits: Mapping[str, int]) -> None:
    """Let the kernel hold `memory` (MiB of address space), `cpu` (seconds) and what is written."""
    for name, value in (
        (resource.RLIMIT_AS, limits["memory"] << 20),
        (resource.RLIMIT_CPU, limits["cpu"]),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 512),
        (resource.RLIMIT_FSIZE, WRITTEN),
    ):
        try:
            _, hard = resource.getrlimit(name)
            top = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(name, (top, top))
        except (OSError, ValueError):
            # A platform without this limit still has the others and the parent's timeout.
            continue


def refuse_actions(places: Places) -> None:
    """From here on the interpreter opens no socket, starts no process, unpickles nothing."""
    writable = tuple(f"{one}{os.sep}" for one in places.writable)
    readable = tuple(f"{one}{os.sep}" for one in places.readable)
    single = {*places.readable, *places.writable}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            raise PermissionError(f"{event} is refused in the sandbox")
        if event == "open" and isinstance(arguments[0], str | bytes):
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if path.startswith(writable) or path == "/dev/null":
                return
            if flags & _WRITING:
                raise PermissionError("writing outside the work directory is refused")
            if path not in single and not path.startswith(readable):
                raise PermissionError("reading outside the model and its inputs is refused")

    sys.addaudithook(hook)
