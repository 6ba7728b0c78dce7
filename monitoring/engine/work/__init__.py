"""What each kind of check does with its job: open the data, count it, measure it.

A module a kind, named like it, with one function `work(job, workdir, clock) -> Worked`. It is
imported when a run of its kind starts, since a kind's library may take seconds to load.
"""

import time
from dataclasses import dataclass
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.job import CheckJob
from monitoring.engine.rescoring import Progress, Scored
from monitoring.engine.results import Attachment, CheckResult, Grade


@dataclass(frozen=True)
class Worked:
    """What a kind's own part hands back: its aggregates, what was measured, and the grade."""

    aggregates: dict[str, Any]
    result: CheckResult
    grade: Grade
    rows: int
    scored: list[Scored]
    attachments: list[Attachment]


class Clock:
    """Reports progress and keeps the seconds between reports by name."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._last, self._name = time.monotonic(), ""
        self.timings: dict[str, float] = {}

    def __call__(self, name: str, share: float) -> None:
        now = time.monotonic()
        if self._name:
            spent = self.timings.get(self._name, 0.0) + now - self._last
            self.timings[self._name] = round(spent, 4)
        self._last, self._name = now, name
        self._progress(share, name)

    def between(self, low: float, high: float) -> Progress:
        """Progress of a part, spread from `low` to `high`."""
        return lambda share, text: self._progress(low + (high - low) * share, text)


def grade_of(scored: Scored) -> Grade:
    """Re-performed if the model was scored, on all rows or on a sample that nobody chose, and what was
    supplied agreed with it."""
    scoring = scored.model or scored.verified
    return "re-performed" if scoring and scored.agreed else "recomputed"


def model_of(job: CheckJob, scored: list[Scored]) -> dict[str, str] | None:
    """The model whose answers were counted, and who gave them; None if they were supplied."""
    if job.scoring_endpoint is not None and job.pinned is not None:
        return {"artifact": job.pinned, "endpoint": job.scoring_endpoint}
    used = any(one.model or one.verified for one in scored)
    if job.artifact is None or job.input_spec is None or not used:
        return None
    return {"artifact": job.artifact.digest, "input_spec": job.input_spec.digest}


def need_label(job: CheckJob) -> None:
    """Raises Invalid if the mapping names no column of the outcome."""
    if job.mapping.label is None:
        raise Invalid(f"{job.kind} needs the column of the outcome", field="mapping.label")
