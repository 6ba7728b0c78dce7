"""Asking a pinned artifact again with inputs that were changed a little, in the sandbox.

The child changes the inputs and scores them; labels and sensitive attributes never reach it. The
parent joins them to the scores by the rows' places and counts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from kernel.errors import Invalid
from monitoring.engine import cube, loaders, rescoring, rows, sandbox, statistics
from monitoring.engine.checks.robustness import EDGES, Settings
from monitoring.engine.inputs import InputSpec
from monitoring.engine.job import CheckJob
from monitoring.engine.perturbed import BASE, fits
from monitoring.engine.requested import EVERY, Perturbation, usual
from monitoring.engine.rescoring import Progress, Scored
from monitoring.engine.sources import ROW, open_source

DIGITS: Final = 12


def perturb(
    job: CheckJob, settings: Settings, workdir: Path, progress: Progress
) -> tuple[dict[str, Any], Scored]:
    """Score the chosen rows as they are and under each perturbation, and count what changed.

    Raises:
        Invalid: there is no artifact, its format is not taken, it needs an input spec, or a
            perturbation does not fit the model's inputs.
    """
    import pyarrow.parquet as pq

    if job.artifact is None:
        raise Invalid(f"robustness needs the model; {loaders.taken()}", field="artifact")
    spec = job.input_spec
    if spec is None:
        raise Invalid("robustness needs the input spec", field="input_spec")
    if spec.gives_number:
        raise Invalid(
            "robustness counts decisions that change, and the model gives a number",
            field="input_spec.output",
        )
    loaders.check_format(job.artifact.path, job.artifact.format, job.sandbox.artifact_bytes)
    asked = settings.perturbations or usual(*_kinds(spec))
    check(asked, spec)
    source = open_source(job.dataset, workdir, limits=job.engine)
    try:
        job.mapping.check(source.schema)
        source.need_rows()
        home = workdir / "sandbox-perturb"
        task = rescoring.prepare(job, job.artifact, source, home, write_rows=False)
        columns = spec.columns()
        known = {
            f"countersign_group_{place}": cube.group_of(source, one)
            for place, one in enumerate(job.mapping.sensitive)
        }
        label = cube.label_of(source, job.mapping)
        if label is not None:
            known["countersign_label"] = label
        table = rows.with_digest(source, columns).mutate(**known)
        table = table.order_by([rows.DIGEST, ROW]).limit(settings.rows)
        drawn = table.select(ROW, *columns, *known).to_pyarrow()
    finally:
        source.close()
    pq.write_table(drawn.select([ROW, *columns]), task["rows"])
    order = {
        **task,
        "operation": "perturb",
        "perturbations": [one.to_json() for one in asked],
        "seed": job.effective_seed(),
        "scores": str(home / "scores.parquet"),
    }
    answer = sandbox.run_child(order, home, job.sandbox, progress)
    names = [ROW, BASE, *(f"score_{place}" for place in range(len(asked)))]
    scores = sandbox.table_of(Path(order["scores"]), names, drawn.num_rows)
    if scores[ROW].to_pylist() != drawn[ROW].to_pylist():
        raise Invalid("the model did not answer for every row", field="artifact")
    counted = _count(asked, answer["refused"], scores, drawn, spec, settings, job)
    return counted, Scored(source, True, True, [], dict(answer["isolation"]))


def _kinds(spec: InputSpec) -> tuple[bool, bool]:
    numeric = [one.kind == "numeric" for one in spec.features]
    return any(numeric), not all(numeric)


def check(asked: Sequence[Perturbation], spec: InputSpec) -> None:
    """Each perturbation must change an input of the model.

    Raises:
        Invalid: naming the perturbation.
    """
    for index, one in enumerate(asked):
        if not any(fits(one, feature) for feature in spec.features):
            said = "no input" if one.column == EVERY else f"no input {one.column!r}"
            raise Invalid(
                f"the model has {said} that {one.kind} fits",
                field=f"config.perturbations[{index}].column",
            )


def _count(
    asked: Sequence[Perturbation],
    refused: Mapping[str, str],
    scores: Any,
    drawn: Any,
    spec: InputSpec,
    settings: Settings,
    job: CheckJob,
) -> dict[str, Any]:
    before = scores[BASE].to_numpy()
    label = None
    if "countersign_label" in drawn.column_names:
        label = np.array(
            [
                np.nan if one is None else float(one)
                for one in drawn["countersign_label"].to_pylist()
            ]
        )
    groups = {
        one.name: np.array(drawn[f"countersign_group_{place}"].to_pylist(), object).astype(str)
        for place, one in enumerate(job.mapping.sensitive)
    }
    counted = []
    for place, one in enumerate(asked):
        found: dict[str, Any] = {**one.to_json(), "refused": refused.get(one.name)}
        if one.name not in refused:
            after = scores[f"score_{place}"].to_numpy()
            found |= _changes(before, after, label, spec.threshold)
            found["groups"] = _by_group(before, after, groups, spec.threshold, settings)
        counted.append(found)
    return {
        "rows": len(before),
        "threshold": spec.threshold,
        "declared": bool(settings.perturbations),
        "baseline": _quality(before, label, spec.threshold),
        "perturbations": counted,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _changes(before: Any, after: Any, label: Any, threshold: float) -> dict[str, Any]:
    change = np.abs(after - before)
    old, new = before >= threshold, after >= threshold
    counts, _ = np.histogram(np.clip(change, 0, 1), EDGES)
    return {
        "n": len(before),
        "change": _rounded(float(change.sum())),
        "change_2": _rounded(float((change**2).sum())),
        "most": _rounded(float(change.max())),
        "to_positive": int((new & ~old).sum()),
        "to_negative": int((old & ~new).sum()),
        "histogram": counts.tolist(),
        **_quality(after, label, threshold),
        **_paired(old, new, label),
    }


def _paired(old: Any, new: Any, label: Any) -> dict[str, int]:
    if label is None:
        return {}
    known = ~np.isnan(label)
    was, now = (old == (label == 1))[known], (new == (label == 1))[known]
    return {"lost": int((was & ~now).sum()), "won": int((now & ~was).sum())}


def _quality(score: Any, label: Any, threshold: float) -> dict[str, Any]:
    """How many decisions are right, and the area under the curve, of rows that have a label."""
    if label is None:
        return {"labelled": 0, "right": 0, "auc": None, "auc_error": None, "positives": 0}
    known = ~np.isnan(label)
    positive, score = label[known] == 1, score[known]
    _, bins = np.unique(np.round(score, DIGITS), return_inverse=True)
    size = int(bins.max()) + 1 if len(bins) else 1
    area = statistics.area_under_curve(
        np.bincount(bins[positive], minlength=size).tolist(),
        np.bincount(bins[~positive], minlength=size).tolist(),
    )
    return {
        "labelled": len(score),
        "positives": int(positive.sum()),
        "right": int(((score >= threshold) == positive).sum()),
        "auc": _rounded(area.value) if area else None,
        "auc_error": _rounded(area.error) if area else None,
    }


def _by_group(
    before: Any, after: Any, groups: Mapping[str, Any], threshold: float, settings: Settings
) -> list[dict[str, Any]]:
    flipped, found = (before >= threshold) != (after >= threshold), []
    for grouping in settings.groupings:
        belongs = list(zip(*(groups[name] for name in grouping), strict=True))
        for group in sorted(set(belongs)):
            own = np.array([one == group for one in belongs])
            about = dict(zip(grouping, map(str, group), strict=True))
            found.append({"slice": about, "n": int(own.sum()), "flips": int(flipped[own].sum())})
    return found
