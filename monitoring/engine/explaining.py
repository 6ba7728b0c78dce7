"""Explaining a pinned artifact: a sample chosen by content goes into the sandbox, sums come out."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kernel.errors import Invalid
from monitoring.engine import loaders, rescoring, rows, sandbox
from monitoring.engine.checks import explainability
from monitoring.engine.job import CheckJob
from monitoring.engine.rescoring import Progress, Scored
from monitoring.engine.sources import open_source

DIGITS = 12


def explain(job: CheckJob, workdir: Path, progress: Progress) -> tuple[dict[str, Any], Scored]:
    """Explain the job's artifact on its dataset.

    Raises:
        Invalid: there is no artifact, its format is not taken, or it needs an input spec.
    """
    if job.artifact is None:
        raise Invalid(f"an explanation needs the model; {loaders.taken()}", field="artifact")
    if job.input_spec is None:
        raise Invalid("an explanation needs the input spec", field="input_spec")
    _, size, background = explainability.settings(job.config)
    loaders.check_format(job.artifact.path, job.artifact.format, job.sandbox.artifact_bytes)
    source = open_source(job.dataset, workdir, limits=job.engine)
    try:
        job.mapping.check(source.schema)
        if not source.rows:
            raise Invalid("no rows are left after filtering", field="dataset")
        home = workdir / "sandbox-explain"
        task = rescoring.prepare(job, job.artifact, source, home, write_rows=False)
        chosen = rows.sample(source, job.input_spec.columns(), size)
        pq.write_table(chosen.to_pyarrow(), task["rows"])
    finally:
        source.close()
    answer = sandbox.run_child(
        {**task, "operation": "explain", "background": background}, home, job.sandbox, progress
    )
    isolation = answer.pop("isolation")
    for column in answer["columns"]:
        for name in ("absolute", "absolute_2", "signed"):
            # The last bits of a sum of floats are not a fact about the model.
            column[name] = float(f"{column[name]:.{DIGITS}g}")
    answer["additivity_error"] = float(f"{answer['additivity_error']:.2g}")
    answer["scale"] = float(f"{answer['scale']:.{DIGITS}g}")
    return answer, Scored(source, True, True, [], isolation)
