"""The one way into the engine: a job in, an outcome out.

By hand: `python -m monitoring.engine.run job.json out/` writes the outcome, the cube and the
attachments to `out/`.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from kernel.errors import CountersignError, Invalid
from monitoring.engine import cube
from monitoring.engine.job import GRADES, KINDS, CheckJob
from monitoring.engine.loaders import LIBRARIES
from monitoring.engine.rescoring import Progress, Scored, open_scored
from monitoring.engine.results import Attachment, CheckOutcome, CheckResult, Grade

ENGINE = "duckdb"
_ALWAYS = ("duckdb", "ibis-framework", "numpy", "scipy", "pyarrow")
_BY_KIND = {
    "performance": (),
    "fairness": ("fairlearn", "scikit-learn", "pandas"),
    "drift": ("evidently", "pandas"),
    "explainability": ("shap",),
    "data_quality": (),
}
_DISTRIBUTIONS = {"xgboost": "xgboost-cpu"}


@dataclass(frozen=True)
class Worked:
    """What a kind's own part hands back: its aggregates, what was measured, and the grade."""

    aggregates: dict[str, Any]
    result: CheckResult
    grade: Grade
    rows: int
    scored: list[Scored]
    attachments: list[Attachment]


def run_check(kind: str, *, job: CheckJob, workdir: Path, progress: Progress) -> CheckOutcome:
    """Run one check. The same job gives the same cube digest and the same measurements.

    `workdir` is a folder of this run's own; the caller removes it. `progress(share, text)` is
    called now and then with a share that rises from 0 to 1; what it raises ends the run.

    Raises:
        Invalid, TooLarge, Unprocessable: the input is at fault; the error names the field.
        Unavailable: the sandbox could not be started.
    """
    if kind not in KINDS or kind != job.kind:
        raise Invalid(f"expected one of {', '.join(KINDS)}", field="kind")
    workdir.mkdir(parents=True, exist_ok=True)
    clock = _Clock(progress)
    clock("opening the data", 0.02)
    worked = _WORK[kind](job, workdir, clock)
    clock("sealing the cube", 0.98)
    document = {
        "schema": "countersign.cube/1",
        "kind": kind,
        "dataset": job.dataset.identity(),
        "reference": job.reference.identity() if job.reference else None,
        "mapping": job.mapping.to_json(),
        "model": _model(job, worked),
        "rows": worked.rows,
        **worked.aggregates,
    }
    data, digest = cube.seal(document)
    notes = [note for one in worked.scored for note in one.notes] + worked.result.notes
    clock("done", 1.0)
    return CheckOutcome(
        kind=kind,
        grade=worked.grade,
        cube=data,
        cube_digest=digest,
        measurements=worked.result.measurements,
        plots=worked.result.plots,
        notes=notes,
        attachments=worked.attachments,
        engine=ENGINE,
        libraries=libraries(job),
        seed=job.effective_seed(),
        rows=worked.rows,
        timings=clock.timings,
        sandbox=next((one.isolation for one in worked.scored if one.isolation), {}),
    )


class _Clock:
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


def _model(job: CheckJob, worked: Worked) -> dict[str, str] | None:
    """The model whose answers the cube holds; None if the predictions were supplied."""
    if job.artifact is None or job.input_spec is None:
        return None
    if not any(one.model for one in worked.scored):
        return None
    return {"artifact": job.artifact.digest, "input_spec": job.input_spec.digest}


def grade_of(scored: Scored) -> Grade:
    return "re-performed" if scored.model and scored.agreed else "recomputed"


def libraries(job: CheckJob) -> dict[str, str]:
    names = [*_ALWAYS, *_BY_KIND[job.kind]]
    if job.artifact is not None and job.artifact.format in LIBRARIES:
        library = LIBRARIES[job.artifact.format]
        names.append(_DISTRIBUTIONS.get(library, library))
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in sorted(names):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _performance(job: CheckJob, workdir: Path, clock: _Clock) -> Worked:
    from monitoring.engine.checks import performance

    _need_label(job)
    clock("scoring the model", 0.05)
    scored = open_scored(job, job.dataset, workdir, clock.between(0.05, 0.6))
    try:
        clock("counting", 0.6)
        counts = cube.contingency(scored.source, job.mapping)
        scores = cube.score_cube(scored.source, job.mapping)
        clock("measuring", 0.8)
        result = performance.measure(counts, scores, job.config, job.effective_seed())
        aggregates: dict[str, Any] = {"contingency": counts.to_json()}
        aggregates["scores"] = scores.to_json() if scores else None
        rows = scored.source.rows
    finally:
        scored.source.close()
    return Worked(aggregates, result, grade_of(scored), rows, [scored], [])


def _fairness(job: CheckJob, workdir: Path, clock: _Clock) -> Worked:
    from monitoring.engine.checks import fairness

    _need_label(job)
    if not job.mapping.sensitive:
        raise Invalid("fairness needs a sensitive attribute", field="mapping.sensitive")
    clock("scoring the model", 0.05)
    scored = open_scored(job, job.dataset, workdir, clock.between(0.05, 0.6))
    try:
        if not scored.model and job.mapping.prediction is None:
            raise Invalid("fairness needs decisions", field="mapping.prediction")
        clock("counting", 0.6)
        counts = cube.contingency(scored.source, job.mapping)
        clock("measuring", 0.7)
        result = fairness.measure(counts, job.config, job.effective_seed())
        rows = scored.source.rows
    finally:
        scored.source.close()
    aggregates = {"contingency": counts.to_json()}
    return Worked(aggregates, result, grade_of(scored), rows, [scored], [])


def _drift(job: CheckJob, workdir: Path, clock: _Clock) -> Worked:
    from monitoring.engine import columns
    from monitoring.engine.checks import drift
    from monitoring.engine.documents import Fields

    if job.reference is None:
        raise Invalid("drift needs a reference dataset", field="reference")
    if not job.mapping.features:
        raise Invalid("drift needs the features", field="mapping.features")
    clock("scoring the reference", 0.05)
    reference = open_scored(
        job, job.reference, workdir, clock.between(0.05, 0.3), field="reference", required=False
    )
    try:
        clock("scoring the model", 0.3)
        current = open_scored(job, job.dataset, workdir, clock.between(0.3, 0.5), required=False)
        try:
            clock("counting", 0.5)
            compared = columns.compare(reference.source, current.source, job.mapping)
            profiles = columns.profiles_pair(reference.source, current.source, job.mapping)
            rows = current.source.rows
        finally:
            current.source.close()
    finally:
        reference.source.close()
    clock("measuring", 0.7)
    result = drift.measure(compared, job.config)
    aggregates = {"profiles": profiles, "comparisons": [one.to_json() for one in compared]}
    clock("reporting by evidently", 0.8)
    from monitoring.engine import evidently_report

    html = Fields(job.config, "config", drift.FIELDS).flag("html", False)
    attachments = evidently_report.report(result.measurements, cube.seal(aggregates)[1], html=html)
    grade = min(grade_of(reference), grade_of(current), key=GRADES.index)
    return Worked(aggregates, result, grade, rows, [reference, current], attachments)


def _explainability(job: CheckJob, workdir: Path, clock: _Clock) -> Worked:
    from monitoring.engine import explaining
    from monitoring.engine.checks import explainability

    clock("explaining the model", 0.05)
    explained, scored = explaining.explain(job, workdir, clock.between(0.05, 0.9))
    if job.input_spec is None:
        raise Invalid("an explanation needs the input spec", field="input_spec")
    clock("measuring", 0.9)
    result = explainability.measure(explained, job.input_spec, job.mapping, job.config)
    rows = scored.source.rows
    return Worked({"explanation": explained}, result, "re-performed", rows, [scored], [])


def _data_quality(job: CheckJob, workdir: Path, clock: _Clock) -> Worked:
    from monitoring.engine import quality
    from monitoring.engine.checks import data_quality

    clock("counting", 0.1)
    facts, profiles = quality.gather(job, workdir)
    clock("measuring", 0.8)
    result = data_quality.measure(facts, job.config)
    aggregates = {"facts": facts.to_json(), "profiles": profiles}
    # Nothing of the model is claimed here: the server counted the data itself.
    return Worked(aggregates, result, "re-performed", facts.rows, [], [])


def _need_label(job: CheckJob) -> None:
    if job.mapping.label is None:
        raise Invalid(f"{job.kind} needs the column of the outcome", field="mapping.label")


_WORK: dict[str, Callable[[CheckJob, Path, _Clock], Worked]] = {
    "performance": _performance,
    "fairness": _fairness,
    "drift": _drift,
    "explainability": _explainability,
    "data_quality": _data_quality,
}


def main(arguments: list[str]) -> int:
    """Run a job from a file. Exit code 0 done, 1 refused, 64 usage."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m monitoring.engine.run job.json out/\n")
        return 64
    target = Path(arguments[1])
    try:
        job = CheckJob.from_json(json.loads(Path(arguments[0]).read_text()))
        with tempfile.TemporaryDirectory() as workdir:
            outcome = run_check(job.kind, job=job, workdir=Path(workdir), progress=_print)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{arguments[0]}: {error}\n")
        return 1
    except CountersignError as error:
        sys.stderr.write(f"{error.field}: {error.detail}\n")
        return 1
    target.mkdir(parents=True, exist_ok=True)
    (target / "cube.json").write_bytes(outcome.cube)
    text = json.dumps(outcome.to_json(), indent=2, allow_nan=False)
    (target / "outcome.json").write_text(text + "\n")
    for one in outcome.attachments:
        (target / one.name).write_bytes(one.content)
    return 0


def _print(share: float, text: str) -> None:
    sys.stderr.write(f"{share:6.1%} {text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
