"""Processes of our own that read the database: each has settings and a connection of its own.

Apart from what they do, because a new process looks this up before there are any models.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager


def _begin() -> None:
    import django

    django.setup()


@contextmanager
def pool(processes: int) -> Iterator[Executor | None]:
    """Yield a pool of `processes`, or None where one does: this one."""
    if processes < 2:
        yield None
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, initializer=_begin) as executor:
        yield executor
