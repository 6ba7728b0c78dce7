"""Files of rows to be scored and of a model's answers to them, batch by batch."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid
from monitoring.engine import cube, endpoints
from monitoring.engine.cube.paired import OTHER_PREDICTION, OTHER_SCORE
from monitoring.engine.endpoints import FIELD, Endpoint
from monitoring.engine.job import CheckJob
from monitoring.engine.sources import ROW, Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

__all__ = ["FIELD", "by_endpoint", "join", "write_rows"]

_BATCH = 50_000
THRESHOLD = 0.5
"""At which a score selects if the version has no input specification that says so."""


def write_rows(source: Source, rows: "ir.Table", columns: Sequence[str], target: Path) -> None:
    """Write the inputs of some rows, and nothing else, in the order of their numbers."""
    import pyarrow.parquet as pq

    batches = source.batches(rows.select(ROW, *columns).order_by(ROW))
    with pq.ParquetWriter(target, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def by_endpoint(
    job: CheckJob,
    source: Source,
    rows: "ir.Table",
    target: Path,
    progress: Callable[[float, str], None],
) -> dict[str, int]:
    """Send rows to the endpoint that the job names and write its answers to `target`.

    What is sent are the inputs of the model: those of its input specification, else the features of
    the mapping. The first batch is sent twice, since a model may answer otherwise each time.

    Raises:
        Invalid, Unprocessable, Unavailable: see `endpoints.named` and `endpoints.ask`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    endpoint, digest = endpoints.named(job.scoring_endpoint or ""), job.pinned or ""
    columns = job.input_spec.columns() if job.input_spec else job.mapping.features
    missing = [name for name in columns if name not in source.schema]
    if not columns or missing:
        detail = f"the data has no column {missing[0]!r}" if missing else "no inputs are declared"
        raise Invalid(detail, field="mapping.features")
    total, done, repeated, differing = int(rows.count().to_pyarrow().as_py()), 0, 0, 0
    batches = source.batches(rows.select(ROW, *columns).order_by(ROW), endpoint.batch)
    numbers, positives = [pa.field(ROW, pa.int64())], job.mapping.task == "classification"
    numbers += [pa.field(cube.SCORE, pa.float64()), pa.field(cube.PREDICTION, pa.int8())]
    schema = pa.schema(numbers)
    with pq.ParquetWriter(target, schema) as writer:
        for batch in batches:
            for start in range(0, batch.num_rows, endpoint.batch):
                part = batch.slice(start, endpoint.batch)
                scores, chosen = _asked(job, endpoint, digest, part, positives)
                if not done:
                    repeated = part.num_rows
                    again = _asked(job, endpoint, digest, part, positives)
                    pairs = zip(
                        zip(scores, chosen, strict=True), zip(*again, strict=True), strict=True
                    )
                    differing = sum(one != other for one, other in pairs)
                arrays = [part.column(ROW).cast(pa.int64())]
                arrays += [pa.array(scores, pa.float64()), pa.array(chosen, pa.int8())]
                writer.write_batch(pa.record_batch(arrays, schema))
                done += part.num_rows
                progress(done / total, f"{done} of {total} rows scored by {endpoint.name}")
    return {"rows": done, "repeated": repeated, "differing": differing}


def _asked(
    job: CheckJob, endpoint: Endpoint, digest: str, batch: Any, probabilities: bool
) -> tuple[list[float | None], list[int | None]]:
    """Scores and decisions of a batch; what the endpoint does not give is missing or follows."""
    rows: list[Mapping[str, Any]] = batch.drop_columns([ROW]).to_pylist()
    answer = endpoints.ask(endpoint, digest, [_plain(row) for row in rows])
    nothing: list[Any] = [None] * len(rows)
    scores = nothing if answer.scores is None else list(answer.scores)
    if not probabilities:
        return scores, nothing
    if any(score is not None and not 0 <= score <= 1 for score in scores):
        raise Invalid("the endpoint's scores are no probabilities", field=FIELD)
    if answer.predictions is not None:
        return scores, list(answer.predictions)
    threshold = job.input_spec.threshold if job.input_spec else THRESHOLD
    return scores, [int(score >= threshold) for score in scores]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON can carry it: what is no number is null, a moment or a decimal is text."""
    plain: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, float) and (value != value or abs(value) == float("inf")):
            value = None
        kept = value is None or isinstance(value, str | bool | int | float)
        plain[name] = value if kept else str(value)
    return plain


def join(ours: Path | None, other: Path, target: Path) -> None:
    """Put two models' answers to the same rows side by side; without `ours` the other's alone.

    Raises:
        Invalid: they are not of the same rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    second = pq.ParquetFile(other)
    first = pq.ParquetFile(ours) if ours is not None else None
    if first is not None and first.metadata.num_rows != second.metadata.num_rows:
        raise Invalid(
            "the two models were not scored on the same rows", field="config.compare_with"
        )
    names = {cube.SCORE: OTHER_SCORE, cube.PREDICTION: OTHER_PREDICTION}
    writer = None
    try:
        others = second.iter_batches(_BATCH)
        for batch in others if first is None else first.iter_batches(_BATCH):
            beside = batch if first is None else next(others)
            if first is not None and batch.column(ROW) != beside.column(ROW):
                raise Invalid(
                    "the two models were not scored on the same rows", field="config.compare_with"
                )
            columns = {ROW: beside.column(ROW)}
            if first is not None:
                columns |= {name: batch.column(name) for name in names}
            columns |= {new: beside.column(old) for old, new in names.items()}
            table = pa.record_batch(columns)
            writer = writer or pq.ParquetWriter(target, table.schema)
            writer.write_batch(table)
    finally:
        if writer is not None:
            writer.close()
