"""A month from its days: what a check would have measured over a period, from stored cubes alone.

Counts and sums add up exactly, so nothing is read again and no row need be there any more. What does
not add up (a median, a pair of models) is left out and said.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, cast

from kernel import canonical
from kernel.errors import Invalid, Unprocessable
from monitoring.engine import column_profiles, columns, cube, privacy
from monitoring.engine.cube import Contingency, ScoreCube
from monitoring.engine.job import GRADES, Kind
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.profiles import FLOOR
from monitoring.engine.reference_profile import StoredProfiles, profiles_in
from monitoring.engine.rescoring import Progress
from monitoring.engine.results import CheckOutcome, CheckResult, Grade, Note

KINDS: tuple[Kind, ...] = ("performance", "fairness", "drift")
_UNMERGED = {
    "performance": ("estimate", "compare_with", "groupings"),
    "fairness": ("ll144",),
    "drift": ("multivariate", "html", "window", "conformance", "exact"),
}
"""Configuration that asks for what does not add up, or is told apart here."""


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
    documents = [one.load() for one in job.parts]
    for name in ("kind", "mapping", "model"):
        if any(one.get(name) != documents[0].get(name) for one in documents):
            raise Invalid(f"cubes of a different {name} do not add up", field="made_of")
    if documents[0]["kind"] != job.kind:
        raise Invalid(f"the cubes are of {documents[0]['kind']}", field="made_of")
    progress(0.3, "adding them up")
    aggregates, result = _BY_KIND[job.kind](documents, _config(job), job.seed)
    rows = sum(int(one["rows"]) for one in documents)
    known = {*_OWN, *aggregates}
    left = sorted({name for one in documents for name in one if name not in known})
    notes = list(result.notes)
    if job.left_out:
        text = f"{job.left_out} windows of the period were not measured and are not in the sum"
        notes.append(Note("windows_left_out", text, {"windows": job.left_out}))
    if left:
        text = f"not added up, since it does not follow from its parts: {', '.join(left)}"
        notes.append(Note("not_rolled_up", text, {"parts": len(left)}))
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
    groups = privacy.group_names(mapping)
    progress(1.0, "done")
    return CheckOutcome(
        kind=job.kind,
        grade=min((one.grade for one in job.parts), key=GRADES.index),
        cube=data,
        cube_digest=digest,
        measurements=[privacy.masked(one, groups, job.floor) for one in result.measurements],
        plots=[privacy.masked_plot(one, job.floor) for one in result.plots],
        notes=[privacy.masked_note(one, job.floor) for one in notes],
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
    "comparisons",
)


def _config(job: RollupJob) -> dict[str, Any]:
    away = _UNMERGED[job.kind]
    return {name: value for name, value in job.config.items() if name not in away}


def _blind(documents: Sequence[Mapping[str, Any]]) -> str:
    """Known to whoever knows those of the parts."""
    return canonical.digest([one.get("blind") for one in documents])


def _contingency(documents: Sequence[Mapping[str, Any]]) -> Contingency:
    return reduce(cube.merge, [Contingency.from_json(one["contingency"]) for one in documents])


def _scores(documents: Sequence[Mapping[str, Any]]) -> ScoreCube | None:
    parts = [one.get("scores") for one in documents]
    if any(part is None for part in parts):
        return None
    return reduce(cube.merge_scores, [ScoreCube.from_json(part) for part in parts if part])


def _performance(
    documents: Sequence[Mapping[str, Any]], config: dict[str, Any], seed: int
) -> tuple[dict[str, Any], CheckResult]:
    from monitoring.engine.checks import performance

    if "contingency" not in documents[0]:
        raise Invalid("only decisions add up, not numbers", field="made_of")
    counts, scores = _contingency(documents), _scores(documents)
    result = performance.measure(counts, scores, config, seed)
    return {"contingency": counts.to_json(), "scores": scores and scores.to_json()}, result


def _fairness(
    documents: Sequence[Mapping[str, Any]], config: dict[str, Any], seed: int
) -> tuple[dict[str, Any], CheckResult]:
    from monitoring.engine.checks import fairness, groups

    mapping = ColumnMapping.from_json(documents[0]["mapping"])
    counts, scores = _contingency(documents), _scores(documents)
    sensitive = {one.name for one in mapping.sensitive}
    controls = [name for name in counts.attributes if name not in sensitive]
    estimated = {
        name: reduce(
            cube.merge, [Contingency.from_json(one["estimated"][name]) for one in documents]
        )
        for name in documents[0].get("estimated") or {}
    }
    own, apart = groups.split(mapping, config)
    result = CheckResult([])
    if own is not None:
        result = fairness.measure(counts, own, seed, controls=controls, scores=scores)
    result = groups.joined(result, groups.measure(mapping, estimated, apart))
    found: dict[str, Any] = {"contingency": counts.to_json()}
    if scores is not None:
        found["scores"] = scores.to_json()
    if estimated:
        found["estimated"] = {name: one.to_json() for name, one in estimated.items()}
    return found, result


def _drift(
    documents: Sequence[Mapping[str, Any]], config: dict[str, Any], seed: int
) -> tuple[dict[str, Any], CheckResult]:
    from monitoring.engine.checks import drift

    first = profiles_in(documents[0], "reference")
    days = [profiles_in(one) for one in documents]
    for one in documents[1:]:
        if profiles_in(one, "reference") != first:
            raise Invalid("cubes of a different reference do not add up", field="made_of")
    features = _added([one.features for one in days])
    answers = _added([one.answers for one in days])
    compared, left = columns.compare_profiles(first.features, features)
    more, _ = columns.compare_profiles(first.answers, answers)
    compared += more
    result = drift.measure(compared, config, seed=seed)
    if left:
        text = f"{len(left)} columns have too many different values to be compared by profile"
        result.notes.append(Note("columns_without_profile", text, {"columns": len(left)}))
    found = {
        "profiles": {
            "reference": {name: one.to_json() for name, one in first.features.items()},
            "current": {name: one.to_json() for name, one in features.items()},
            "answers": {
                "reference": {name: one.to_json() for name, one in first.answers.items()},
                "current": {name: one.to_json() for name, one in answers.items()},
            },
        },
        "comparisons": [one.to_json() for one in compared],
    }
    return found, result


def _added(days: Sequence[columns.Profiles]) -> dict[str, column_profiles.ColumnProfile]:
    """The columns that every day has, added up."""
    return {
        name: reduce(column_profiles.merge, [day[name] for day in days])
        for name in days[0]
        if all(name in day for day in days)
    }


_BY_KIND: Mapping[
    str,
    Callable[
        [Sequence[Mapping[str, Any]], dict[str, Any], int], tuple[dict[str, Any], CheckResult]
    ],
] = {"performance": _performance, "fairness": _fairness, "drift": _drift}

__all__ = ["KINDS", "Part", "RollupJob", "StoredProfiles", "roll_up"]
