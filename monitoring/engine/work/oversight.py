"""Human oversight: a batch of decisions counted, small groups together, and measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid
from monitoring.engine.checks import oversight
from monitoring.engine.checks.oversight import EDGES, Counts, Tally
from monitoring.engine.job import CheckJob
from monitoring.engine.sources import ROW, Source, open_source
from monitoring.engine.work import Clock, Worked
from monitoring.oversight import KEPT, NEEDED

if TYPE_CHECKING:
    import ibis.expr.types as ir

_ID = "^[0-9a-f]{64}$"
# Names that no slice has.
_AT, _DAY, _OVERRIDE = "countersign_at", "countersign_day", "countersign_override"


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    _, _, fast, slices = oversight.settings(job.config)
    clock("counting", 0.2)
    source = open_source(job.dataset, workdir, limits=job.engine)
    try:
        counts = count(source, fast, slices)
        rows = source.rows
    finally:
        source.close()
    clock("measuring", 0.8)
    result = oversight.measure(counts, job.config)
    # The server counted, and nobody can do over what people decided.
    return Worked({"oversight": counts.to_json()}, result, "recomputed", rows, [], [])


def count(source: Source, fast_seconds: float, slices: tuple[str, ...]) -> Counts:
    """Count a file of human decisions as `monitoring.oversight` keeps it.

    Raises:
        Invalid: it lacks a column, or holds ids that are no pseudonyms.
    """
    for name in ("decision", *NEEDED):
        if name not in source.schema:
            raise Invalid(f"the data has no column {name!r}", field="dataset")
    others = [name for name in source.schema if name not in KEPT]
    for place, name in enumerate(slices):
        if name not in others:
            raise Invalid(f"the data has no column {name!r}", field=f"config.slices[{place}]")
    given = _typed(source)
    unhidden = given.filter(~given.decision.re_search(_ID)).count().to_pyarrow().as_py()
    if unhidden:
        raise Invalid(
            f"{unhidden} decisions have an id that is no HMAC-SHA256 of 64 hex digits",
            field="dataset",
        )
    table = _once(given)
    counted = table.group_by(["model_output", "human_decision", "outcome"]).agg(n=table.count())
    pairs = {
        (row["model_output"], row["human_decision"], row["outcome"]): int(row["n"])
        for row in counted.to_pyarrow().to_pylist()
    }
    timed = table.filter(table.seconds.notnull())
    quick = _tallies(timed.mutate(key=(timed.seconds < fast_seconds).cast("string")))
    reviewers = _tallies(_keyed(table, "reviewer"))
    known = {name: name in source.schema for name in ("reviewer", "reason_code", "decided_at")}
    return Counts(
        pairs=pairs,
        bins=_bins(timed),
        fast=quick.get("true", (0, 0)),
        fast_seconds=fast_seconds,
        days=_tallies(_keyed(table, _DAY)) if known["decided_at"] else {},
        slices={
            name: oversight.together(_tallies(table.mutate(key=_text(table[name]))))
            for name in slices or sorted(others)
        },
        reviewers=oversight.together(reviewers),
        reviewer_count=len(reviewers) if known["reviewer"] else None,
        reasons=_reasons(table) if known["reason_code"] else None,
        repeated=int(given.count().to_pyarrow().as_py()) - sum(pairs.values()),
    )


def _typed(source: Source) -> "ir.Table":
    """Texts and numbers as they are meant, whatever a file's reader took them for."""
    import ibis

    table = source.table
    columns: dict[str, Any] = {"decision": table.decision.cast("string")}
    for name in (*NEEDED, "outcome", "reviewer", "reason_code"):
        text = table[name].cast("string").nullif("") if name in source.schema else None
        columns[name] = ibis.null("string") if text is None else text
    if "seconds" in source.schema:
        columns["seconds"] = table.seconds.cast("string").nullif("").cast("float64")
    else:
        columns["seconds"] = ibis.null("float64")
    if "decided_at" in source.schema:
        columns[_AT] = table.decided_at.cast("string").nullif("")
        columns[_DAY] = columns[_AT].substr(0, 10)
    else:
        columns[_AT] = columns[_DAY] = ibis.null("string")
    if ROW in table.columns:
        columns[ROW] = table[ROW]
    others = {
        name: table[name].cast("string") for name in source.schema if name not in (*KEPT, ROW)
    }
    typed = table.select(**columns, **others)
    said = typed.filter(typed.model_output.notnull(), typed.human_decision.notnull())
    changed = (said.model_output != said.human_decision).cast("int64")
    return said.mutate(**{_OVERRIDE: changed})


def _once(table: "ir.Table") -> "ir.Table":
    """Each decision by its last row: the latest of `decided_at`, and of these the last in order.

    Rows of a file have an order; where they have none, that of their values, so that the same rows
    always give the same counts.
    """
    import ibis

    rest = [table[name] for name in sorted(table.columns) if name not in ("decision", _AT, ROW)]
    order = [table[ROW].desc()] if ROW in table.columns else [one.desc() for one in rest]
    # A row without a time comes before those that have one.
    window = ibis.window(
        group_by=table.decision, order_by=[table[_AT].fill_null("").desc(), *order]
    )
    placed = table.mutate(later=ibis.row_number().over(window))
    return placed.filter(placed.later == 0).drop("later")


def _text(column: Any) -> Any:
    return column.nullif("").fill_null("unknown")


def _keyed(table: "ir.Table", name: str) -> "ir.Table":
    return table.filter(table[name].notnull()).mutate(key=table[name])


def _tallies(table: "ir.Table") -> dict[str, Tally]:
    found = table.group_by("key").agg(hits=table[_OVERRIDE].sum(), n=table.count())
    rows = found.to_pyarrow().to_pylist()
    return {row["key"]: (int(row["hits"]), int(row["n"])) for row in rows}


def _bins(timed: "ir.Table") -> list[Tally]:
    import ibis

    branches = [(timed.seconds < edge, place) for place, edge in enumerate(EDGES[1:])]
    placed = timed.mutate(key=ibis.cases(*branches, else_=len(EDGES) - 1).cast("string"))
    found = _tallies(placed)
    return [found.get(str(place), (0, 0)) for place in range(len(EDGES))]


def _reasons(table: "ir.Table") -> dict[str, int]:
    overrides = table.filter(table[_OVERRIDE] == 1)
    coded = overrides.mutate(key=overrides.reason_code.fill_null(""))
    found = {name: n for name, (_, n) in _tallies(coded).items()}
    missing = found.pop("", 0)
    small = oversight.together({name: (0, n) for name, n in found.items()})
    return {name: n for name, (_, n) in small.items()} | ({"": missing} if missing else {})
