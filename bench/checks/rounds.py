"""Rounds of one subject, and what they took. The standard library alone: every environment has it."""

import resource
import sys
import time
from collections.abc import Callable
from typing import Any


def report(
    once: Callable[[], dict[str, Any]], rounds: int, *, prepared: float = 0.0
) -> dict[str, Any]:
    """Call `once` `rounds` times. The first round of several is not counted: it imports."""
    seconds: list[float] = []
    cpu: list[float] = []
    figures: dict[str, Any] = {}
    for _ in range(rounds):
        begun, spent = time.perf_counter(), time.process_time()
        figures = once()
        seconds.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - spent)
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return {
        "seconds": seconds[1:] or seconds,
        "cpu": cpu[1:] or cpu,
        "prepared": prepared,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale,
        "figures": figures,
    }
