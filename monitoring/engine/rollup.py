"""A month from its days: what a check would have measured over a period, from stored cubes alone.

Counts and sums add up exactly, so nothing is read again and no row need be there any more. What does
not add up (see `summed`) is said, and undefined where it was asked for.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kernel import canonical
from kernel.errors import Invalid, Unprocessable
from monitoring.engine import cube, privacy
from monitoring.engine.job import GRADES, Kind
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.profiles import FLOOR
from monitoring.engine.rescoring import Progress
from monitoring.engine.results import CheckOutcome, Grade, Note
from monitoring.engine.summed import summed

KINDS: tuple[Kind, ...] = ("performance", "fairness", "drift")


@dataclass(frozen=True)
class Part:
    """The cube of one run: its bytes, their SHA-256, and that run's grade."""

    path: Path
    digest: str
    grade: Grade

    def load(self) -> dict[str, Any]:
        data = self.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise Unprocessable("the bytes are not those of the digest", field="made_of")
        return cast(dict[str, Any], json.loads(data))


@dataclass(frozen=True)
class RollupJob:
    """Cubes of one kind of check, in the order of their time, and how to measure their sum.

    `left_out` windows of the period have no cube.
    """

    kind: Kind
    parts: tuple[Part, ...]
    config: Mapping[str, Any]
    floor: int = FLOOR
    left_out: int = 0

    @property
    def seed(self) -> int:
        identity = {"parts": [one.digest for one in self.parts], "config": dict(self.config)}
        return int(canonical.digest(identity)[:13], 16)


def roll_up(job: RollupJob, *, progress: Progress, libraries: Mapping[str, str]) -> CheckOutcome:
    """Add the cubes up and measure. The grade is the least of the parts'.

    Raises:
        Invalid: the cubes do not add up: of other kinds, mappings, models or references.
        Unprocessable: the bytes of one are not those of its digest.
    """
    if job.kind not in KINDS:
        raise Invalid(f"only checks of {', '.join(KINDS)} add up", field="kind")
    if not job.parts:
        raise Invalid("there is nothing to add up", field="made_of")
    started = time.monotonic()
    progress(0.05, "reading the cubes")
    documents = _fitting(job)
    progress(0.3, "adding them up")
    config = job.config
    if job.kind == "fairness":
        config = privacy.least_compared(config, job.floor)
    aggregates, result = summed(job.kind, documents, config, job.seed)
    rows = sum(int(one["rows"]) for one in documents)
    notes = [*result.notes, *_notes(job, documents, aggregates)]
    document = {
        "schema": "countersign.cube/1",
        "kind": job.kind,
        "dataset": None,
        "reference": documents[0].get("reference"),
        "mapping": documents[0]["mapping"],
        "model": documents[0].get("model"),
        "rows": rows,
        "made_of": [one.digest for one in job.parts],
        "blind": _blind(documents),
        **aggregates,
    }
    data, digest = cube.seal(document)
    shown = privacy.public(document, digest, job.floor)
    mapping = ColumnMapping.from_json(documents[0]["mapping"])
    told = privacy.masked_result(result, notes, privacy.group_names(mapping), job.floor)
    progress(1.0, "done")
    return CheckOutcome(
        kind=job.kind,
        grade=min((one.grade for one in job.parts), key=GRADES.index),
        cube=data,
        cube_digest=digest,
        measurements=told.measurements,
        plots=told.plots,
        notes=told.notes,
        attachments=[],
        engine="rollup",
        libraries=libraries,
        seed=job.seed,
        rows=rows,
        timings={"adding up": round(time.monotonic() - started, 4)},
        sandbox={},
        public_cube=cube.seal(shown)[0] if shown is not None else None,
    )


_OWN = (
    "schema",
    "kind",
    "dataset",
    "reference",
    "reference_profile",
    "mapping",
    "model",
    "rows",
    "blind",
    "made_of",
)
_TOLD = (
    *("comparisons", "compared_with", "sorted_errors", "above_median", "paired", "paired_errors"),
)
"""Parts whose absence from a sum has words of its own, or which are formed anew."""


def _fitting(job: RollupJob) -> list[dict[str, Any]]:
    """The parts' documents, which are all of one check, mapping and model."""
    documents = [one.load() for one in job.parts]
    for name in ("kind", "mapping", "model"):
        if any(one.get(name) != documents[0].get(name) for one in documents):
            raise Invalid(f"cubes of a different {name} do not add up", field="made_of")
    if documents[0]["kind"] != job.kind:
        raise Invalid(f"the cubes are of {documents[0]['kind']}", field="made_of")
    return documents


def _notes(
    job: RollupJob, documents: Sequence[Mapping[str, Any]], aggregates: Mapping[str, Any]
) -> list[Note]:
    """What of the period, and of its cubes, is not in the sum."""
    known = {*_OWN, *_TOLD, *aggregates}
    left = sorted({name for one in documents for name in one if name not in known})
    notes = []
    if job.left_out:
        text = f"{job.left_out} windows of the period were not measured and are not in the sum"
        notes.append(Note("windows_left_out", text, {"windows": job.left_out}))
    if left:
        text = f"not added up, since it does not follow from its parts: {', '.join(left)}"
        notes.append(Note("not_rolled_up", text, {"parts": len(left)}))
    return notes


def _blind(documents: Sequence[Mapping[str, Any]]) -> str:
    """Known to whoever knows those of the parts."""
    return canonical.digest([one.get("blind") for one in documents])
