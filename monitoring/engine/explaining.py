"""Explaining a pinned artifact: rows chosen by content go into the sandbox, sums come out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from kernel.errors import Invalid
from monitoring.engine import cube, loaders, rescoring, rows, sandbox
from monitoring.engine.attributions import BASE, OUTPUT, SCORE, apart
from monitoring.engine.checks.explainability import reason_codes
from monitoring.engine.checks.explainability.settings import Settings
from monitoring.engine.inputs import InputSpec
from monitoring.engine.job import CheckJob
from monitoring.engine.rescoring import Progress, Scored
from monitoring.engine.results import Attachment
from monitoring.engine.sources import ROW, Source, open_source
from monitoring.engine.sources.filters import filtered
from monitoring.engine.statistics import generator

DIGITS: Final = 12
HALVES: Final = 20
CANDIDATES: Final = 50_000
"""Rows among which those with the decision that reasons are asked for are looked for."""


@dataclass(frozen=True)
class Explained:
    """`aggregates` is what the cube keeps of the explanation; rows stay behind."""

    aggregates: dict[str, Any]
    scored: Scored
    attachments: list[Attachment]


def explain(job: CheckJob, settings: Settings, workdir: Path, progress: Progress) -> Explained:
    """Explain the job's artifact on its dataset.

    Raises:
        Invalid: there is no artifact, its format is not taken, or it needs an input spec.
    """
    if job.artifact is None:
        raise Invalid(f"an explanation needs the model; {loaders.taken()}", field="artifact")
    spec = job.input_spec
    if spec is None:
        raise Invalid("an explanation needs the input spec", field="input_spec")
    if spec.gives_number and settings.reasons and settings.reasons.decision != "any":
        raise Invalid(
            'the model gives a number and decides nothing; ask for "any"',
            field="config.reason_codes.decision",
        )
    loaders.check_format(job.artifact.path, job.artifact.format, job.sandbox.artifact_bytes)
    source = open_source(job.dataset, workdir, limits=job.engine)
    try:
        job.mapping.check(source.schema)
        source.need_rows()
        home = workdir / "sandbox-explain"
        task = rescoring.prepare(job, job.artifact, source, home, write_rows=False)
        parts = _write_rows(source, job, settings, Path(task["rows"]))
        task |= _asked(source, spec, settings, home)
    finally:
        source.close()
    task |= {
        "background": settings.background,
        "drawn": settings.rows,
        "seeds": settings.seeds,
        "values": str(home / "values.parquet"),
    }
    answer = sandbox.run_child(
        {**task, "operation": "explain"}, home, job.sandbox, _part(progress, 0.0, 0.75)
    )
    isolation = answer.pop("isolation")
    values = _Values.read(Path(task["values"]), spec, settings.rows)
    aggregates = {
        **_sums(answer, values, spec),
        **_again(job, task, workdir, values, progress),
        "stability": _stability(answer.pop("seeds"), values, job.effective_seed()),
        "parts": _by_part(parts, values, spec),
    }
    attachments = []
    if settings.reasons is not None:
        asked = _Values.read(Path(task["asked_values"]), spec, settings.reasons.most)
        document = reason_codes.document(
            settings.reasons, answer.pop("asked"), asked.table, spec, aggregates, _model(job)
        )
        attachments.append(reason_codes.attachment(document))
        aggregates["reason_codes"] = reason_codes.counted(document)
    return Explained(aggregates, Scored(source, True, True, [], isolation), attachments)


def _model(job: CheckJob) -> dict[str, str]:
    assert job.artifact is not None
    assert job.input_spec is not None
    return {"artifact": job.artifact.digest, "input_spec": job.input_spec.digest}


def _part(progress: Progress, low: float, high: float) -> Progress:
    return lambda share, text: progress(low + (high - low) * share, text)


@dataclass(frozen=True)
class _Parts:
    """Which of the chosen rows belong to what: rows by attribute, and rows by slice."""

    groups: Mapping[str, Mapping[int, str]]
    groupings: Sequence[tuple[str, ...]]
    slices: Mapping[str, frozenset[int]]


def _write_rows(source: Source, job: CheckJob, settings: Settings, path: Path) -> _Parts:
    """Choose rows, write the model's inputs of them, keep who they belong to for ourselves."""
    import pyarrow.parquet as pq

    assert job.input_spec is not None
    columns = job.input_spec.columns()
    groups = {
        f"countersign_group_{place}": cube.group_of(source, one)
        for place, one in enumerate(job.mapping.sensitive)
    }
    table = rows.with_digest(source, columns).mutate(**groups)
    table = table.order_by([rows.DIGEST, ROW]).limit(settings.rows)
    drawn = table.select(ROW, *columns, *groups).to_pyarrow()
    pq.write_table(drawn.select([ROW, *dict.fromkeys(columns)]), path)
    numbers = drawn[ROW].to_pylist()
    found = {
        one.name: dict(zip(numbers, drawn[name].to_pylist(), strict=True))
        for name, one in zip(groups, job.mapping.sensitive, strict=True)
    }
    kept = {}
    for index, one in enumerate(settings.slices):
        part = filtered(table, (one.filter,), source.schema, f"config.slices[{index}]")
        kept[one.name] = frozenset(part.select(ROW).to_pyarrow()[ROW].to_pylist())
    return _Parts(found, settings.groupings, kept)


def _asked(source: Source, spec: InputSpec, settings: Settings, home: Path) -> dict[str, Any]:
    """Write the rows among which reasons are asked for."""
    import pyarrow.parquet as pq

    asked = settings.reasons
    if asked is None:
        return {}
    columns = spec.columns()
    table = rows.with_digest(source, columns)
    table = filtered(table, asked.filters, source.schema, "config.reason_codes")
    most = asked.most if asked.decision == "any" else CANDIDATES
    table = table.order_by([rows.DIGEST, ROW]).limit(most)
    path = home / "asked.parquet"
    pq.write_table(table.select(ROW, *columns).to_pyarrow(), path)
    return {
        "asked": str(path),
        "asked_values": str(home / "asked-values.parquet"),
        "decision": asked.decision,
        "most": asked.most,
    }


@dataclass(frozen=True)
class _Values:
    """The sandbox's answer for each row. `values` has shape (rows, features)."""

    table: Any
    rows: Any
    values: Any

    @classmethod
    def read(cls, path: Path, spec: InputSpec, most: int) -> "_Values":
        """Read up to `most` rows."""
        names = [f"value_{place}" for place in range(len(spec.features))]
        table = sandbox.table_of(path, [ROW, SCORE, OUTPUT, BASE, "error", *names], most)
        columns = [table[name].to_numpy() for name in names]
        values = np.column_stack(columns) if columns else np.empty((table.num_rows, 0))
        if not np.isfinite(values).all():
            raise Invalid("the explanation is not finite", field="artifact")
        return cls(table, table[ROW].to_numpy(), values)


def rounded(value: float, digits: int = DIGITS) -> float:
    """The last bits of a sum of floats are not a fact about the model."""
    return float(f"{value:.{digits}g}")


def _column_sums(values: Any, spec: InputSpec) -> list[dict[str, Any]]:
    size = np.abs(values)
    return [
        {
            "column": one.column,
            "absolute": rounded(float(size[:, place].sum())),
            "absolute_2": rounded(float((size[:, place] ** 2).sum())),
            "signed": rounded(float(values[:, place].sum())),
            "signed_2": rounded(float((values[:, place] ** 2).sum())),
        }
        for place, one in enumerate(spec.features)
    ]


def _sums(answer: Mapping[str, Any], found: _Values, spec: InputSpec) -> dict[str, Any]:
    facts = {
        name: answer[name]
        for name in (
            "rows",
            "offered",
            "method",
            "unit",
            "repeated",
            "differing",
            "order_differing",
        )
    }
    return {
        **facts,
        "additivity_error": rounded(float(found.table["error"].to_numpy().max()), 2),
        "scale": rounded(float(np.abs(found.table[OUTPUT].to_numpy()).max())),
        "columns": _column_sums(found.values, spec),
    }


def _again(
    job: CheckJob, task: Mapping[str, Any], workdir: Path, found: _Values, progress: Progress
) -> dict[str, int]:
    """Score the same rows in a second process: as before, then in another order and batches."""
    home = workdir / "sandbox-repeat"
    asked = {
        **{name: task[name] for name in ("artifact", "format", "input_spec", "rows")},
        "operation": "repeat",
        "scores": str(home / "scores.parquet"),
        "seed": job.effective_seed() % 2**32,
    }
    sandbox.run_child(asked, home, job.sandbox, _part(progress, 0.75, 1.0))
    drawn = int(task["drawn"])
    table = sandbox.table_of(Path(asked["scores"]), [ROW, "same", "other"], drawn)
    at = {row: place for place, row in enumerate(table[ROW].to_pylist())}
    if not set(found.rows.tolist()) <= set(at):
        raise Invalid("the model did not answer for every row", field="artifact")
    places = [at[row] for row in found.rows.tolist()]
    first = found.table[SCORE].to_numpy()
    same, other = table["same"].to_numpy()[places], table["other"].to_numpy()[places]
    return {
        "process_differing": int(np.count_nonzero(same != first)),
        "batch_differing": int(np.count_nonzero(apart(first, other))),
    }


def _stability(seeds: Sequence[Sequence[float]], found: _Values, seed: int) -> dict[str, Any]:
    """Do features keep their order of importance, under other seeds or in other rows?

    Spearman's rank correlation between pairs of lists of mean absolute values: of every two seeds,
    or of the two halves of the rows, dealt `HALVES` times.
    """
    size = np.abs(found.values)
    if len(seeds) > 1:
        pairs = [
            (seeds[first], seeds[second])
            for first in range(len(seeds))
            for second in range(first + 1, len(seeds))
        ]
        by = "seeds and backgrounds"
    else:
        rng = generator(seed, "stability")
        half, pairs, by = len(size) // 2, [], "halves of the rows"
        for _ in range(HALVES if half else 0):
            order = rng.permutation(len(size))
            pairs.append((size[order[:half]].mean(axis=0), size[order[half:]].mean(axis=0)))
    found_all = [rank_correlation(*pair) for pair in pairs]
    known = [one for one in found_all if one is not None]
    return {"by": by, "pairs": len(pairs), "correlations": [rounded(one, 6) for one in known]}


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's correlation, ties sharing their rank; None if one list is constant."""
    from scipy.stats import rankdata

    one, two = rankdata(np.round(first, 12)), rankdata(np.round(second, 12))
    if len(one) < 2 or one.std() == 0 or two.std() == 0:
        return None
    return float(np.corrcoef(one, two)[0, 1])


def _by_part(parts: _Parts, found: _Values, spec: InputSpec) -> list[dict[str, Any]]:
    """The same sums for each group of the groupings and each slice."""
    numbers, summed = found.rows.tolist(), []
    for grouping in parts.groupings:
        belongs = [tuple(parts.groups[name][row] for name in grouping) for row in numbers]
        for group in sorted(set(belongs)):
            chosen = np.array([one == group for one in belongs])
            about = dict(zip(grouping, group, strict=True))
            summed.append(_part_sums(about, found.values[chosen], spec))
    for name, kept in parts.slices.items():
        chosen = np.array([row in kept for row in numbers], bool)
        summed.append(_part_sums({"slice": name}, found.values[chosen], spec))
    return summed


def _part_sums(about: Mapping[str, str], values: Any, spec: InputSpec) -> dict[str, Any]:
    return {"slice": dict(about), "rows": len(values), "columns": _column_sums(values, spec)}
