"""The one way into the engine: a job in, an outcome out.

By hand: `python -m monitoring.engine.run job.json out/` writes the outcome, the cube and the
attachments to `out/`.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from kernel.errors import CountersignError, Invalid
from monitoring.engine import cube, privacy, sources
from monitoring.engine.job import GRADES, KINDS, CheckJob
from monitoring.engine.loaders import RESTS_ON
from monitoring.engine.rescoring import Progress, Scored
from monitoring.engine.results import CheckOutcome, Grade
from monitoring.engine.work import Clock, model_of

DRAWN = ("explainability", "robustness")
"""Checks that ask the model about rows which they draw."""
EXPLAINED = 200_000
"""Rows of a table that are pulled for these: as many as either may be configured to draw."""
_ALWAYS = ("duckdb", "ibis-framework", "numpy", "scipy", "pyarrow")
_BY_KIND = {
    "performance": (),
    "fairness": ("fairlearn", "scikit-learn", "pandas"),
    "drift": ("evidently", "pandas"),
    "explainability": ("shap",),
    "data_quality": (),
    "oversight": (),
    "robustness": (),
}
_DISTRIBUTIONS = {"xgboost": "xgboost-cpu"}


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
    if kind == "fairness":
        # What a handful of people differ by from others would tell what each of them had.
        raised = privacy.least_compared(job.config, job.floor)
        job = replace(job, config=raised, seed=job.effective_seed())
    clock = Clock(progress)
    clock("opening the data", 0.02)
    local = _within_reach(job, workdir).typed()
    with sources.said(job.dataset):
        worked = import_module(f"monitoring.engine.work.{kind}").work(local, workdir, clock)
    clock("sealing the cube", 0.98)
    document = {
        "schema": "countersign.cube/1",
        "kind": kind,
        "dataset": job.dataset.identity(),
        "reference": job.reference.identity() if job.reference else None,
        "mapping": job.mapping.to_json(),
        "model": model_of(job, worked.scored),
        "rows": worked.rows,
        **worked.aggregates,
    }
    if job.reference_profile is not None:
        document["reference_profile"] = job.reference_profile.identity()
    if (blind := sources.blind_of(job.dataset)) is not None:
        document["blind"] = blind
    data, digest = cube.seal(document)
    beside = any(one.restricted for one in worked.attachments)
    shown = privacy.public(document, digest, job.floor, always=beside)
    groups = privacy.group_names(job.mapping)
    notes = [note for one in worked.scored for note in one.notes] + worked.result.notes
    result = privacy.masked_result(worked.result, notes, groups, job.floor)
    clock("done", 1.0)
    return CheckOutcome(
        kind=kind,
        grade=_capped(worked.grade, job),
        cube=data,
        cube_digest=digest,
        measurements=result.measurements,
        plots=result.plots,
        notes=result.notes,
        attachments=worked.attachments,
        engine=sources.engine_of(local.dataset),
        libraries=libraries(job),
        seed=job.effective_seed(),
        rows=worked.rows,
        timings=clock.timings,
        sandbox=_sandbox(worked.scored),
        public_cube=cube.seal(shown)[0] if shown is not None else None,
    )


def _sandbox(scored: Sequence[Scored]) -> dict[str, Any]:
    """How the model was confined, and the names of kept predictions that the run made or used."""
    found = next((dict(one.isolation) for one in scored if one.isolation), {})
    names = sorted(set().union(*(one.kept for one in scored)))
    return {**found, "kept": names} if names else found


def _within_reach(job: CheckJob, workdir: Path) -> CheckJob:
    """The same job with a table's rows pulled into files, if some model is to be asked about them."""
    drawn = job.kind in DRAWN
    scored = job.grade == "re-performed" and job.artifact is not None and job.input_spec is not None
    elsewhere = job.scoring_endpoint is not None or job.comparator is not None
    if job.kind in ("data_quality", "oversight") or not (drawn or scored or elsewhere):
        return job
    if drawn and not job.dataset.pinned:
        raise Invalid(
            f"{job.kind} draws rows by their digests, and none pins those of this dataset",
            field="dataset",
        )
    dataset = sources.localized(job.dataset, workdir, sample=EXPLAINED if drawn else None)
    reference = job.reference
    if reference is not None:
        reference = sources.localized(reference, workdir, field="reference")
    # What is pulled has a digest of its own; the seed derives from what the data are.
    return replace(job, dataset=dataset, reference=reference, seed=job.effective_seed())


def _capped(grade: Grade, job: CheckJob) -> Grade:
    """Rows that no digest pins can be counted, and never counted again."""
    pinned = job.dataset.pinned and (job.reference is None or job.reference.pinned)
    return grade if pinned else min(grade, "recomputed", key=GRADES.index)


def libraries(job: CheckJob) -> dict[str, str]:
    form = job.artifact.format if job.artifact is not None else ""
    names = [*RESTS_ON.get(form, ())]
    if job.kind == "explainability" and form == "onnx":
        # Explains the trees of a graph.
        names.append("lightgbm")
    return versions_of(job.kind, [_DISTRIBUTIONS.get(name, name) for name in names])


def versions_of(kind: str, more: Iterable[str] = ()) -> dict[str, str]:
    """The versions of the libraries that a check of a kind rests on."""
    names = [*_ALWAYS, *_BY_KIND[kind], *more]
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    found = {name: _version(name) for name in sorted(names)}
    return versions | {name: version for name, version in found.items() if version is not None}


@cache
def _version(name: str) -> str | None:
    """Of what is installed; reading it takes a few milliseconds a library."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


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
