"""How often a monitor would have acted: its past windows, judged one after the other. Pure.

The result of a backtest:

    {"windows", "judged", "insufficient", "failed",   how many windows there were, by state
     "breached",                                       in how many a limit was broken
     "acted",                                          how often a breach would have been opened
     "dates": [{"start", "end", "limit", "reason"}],   where, oldest first
     "summary": "would have breached 3 of 12 windows and acted once"}

A breach that is open is not opened again: a limit that stays broken is one act, until a window keeps it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.limits import Past, acts


@dataclass(frozen=True)
class Judged:
    """One window: its bounds as RFC 3339, its state, and one outcome for each limit by its key."""

    start: str
    end: str
    state: str
    outcomes: Mapping[str, Mapping[str, Any]]


def summarise(windows: Sequence[Judged], consecutive: int) -> dict[str, Any]:
    """What a monitor would have done on `windows`, given oldest first."""
    judged = [one for one in windows if one.state == "judged"]
    breached = sum(any(found["breaks"] for found in one.outcomes.values()) for one in judged)
    dates = sorted(_acts(windows, consecutive), key=lambda one: (one["end"], one["limit"]))
    times = {0: "would never have acted", 1: "acted once"}.get(
        len(dates), f"acted {len(dates)} times"
    )
    of = f"would have breached {breached} of {len(windows)} window{'s' * (len(windows) != 1)}"
    return {
        "windows": len(windows),
        "judged": len(judged),
        "insufficient": sum(one.state == "insufficient" for one in windows),
        "failed": sum(one.state == "failed" for one in windows),
        "breached": breached,
        "acted": len(dates),
        "dates": dates,
        "summary": f"{of} and {times}",
    }


def _acts(windows: Sequence[Judged], consecutive: int) -> list[dict[str, str]]:
    found = []
    for key in dict.fromkeys(key for one in windows for key in one.outcomes):
        history: list[Past] = []
        is_open = False
        for one in windows:
            outcome = one.outcomes.get(key)
            if outcome is None or one.state == "failed":
                continue
            past = Past(outcome["outcome"], outcome["breaks"])
            history.insert(0, past)
            if not past.tells:
                continue
            calls = outcome["breaks"] and acts(history, consecutive)
            if calls and not is_open:
                found.append(
                    {"start": one.start, "end": one.end, "limit": key, "reason": outcome["reason"]}
                )
            is_open = calls or (is_open and outcome["breaks"])
    return found
