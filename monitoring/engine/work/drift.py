"""Drift: the data now against the data then."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid
from monitoring.configs import NEED_ROWS
from monitoring.engine import columns, cube, privacy, profiles, rows
from monitoring.engine.checks import drift
from monitoring.engine.comparing import Comparison
from monitoring.engine.documents import Fields
from monitoring.engine.effects import read_window
from monitoring.engine.job import GRADES, CheckJob
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.reference_profile import ReferenceProfile
from monitoring.engine.rescoring import Scored, open_scored
from monitoring.engine.results import Attachment, Grade, Note
from monitoring.engine.sources import Source, category_of
from monitoring.engine.windows import Windowed, compare_windows
from monitoring.engine.work import Clock, Worked, grade_of, model_of

if TYPE_CHECKING:
    from monitoring.engine.checks.drift.domain import Samples


def work(job: CheckJob, workdir: Path, clock: Clock) -> Worked:
    if not job.mapping.features:
        raise Invalid("drift needs the features", field="mapping.features")
    if job.reference_profile is not None:
        return _against_profile(job, job.reference_profile, workdir, clock)
    if job.reference is None:
        raise Invalid("drift needs a reference dataset", field="reference")
    clock("scoring the reference", 0.05)
    reference = open_scored(
        job, job.reference, workdir, clock.between(0.05, 0.3), field="reference", required=False
    )
    try:
        clock("scoring the model", 0.3)
        current = open_scored(job, job.dataset, workdir, clock.between(0.3, 0.5), required=False)
        try:
            clock("counting", 0.5)
            exact = Fields(job.config, "config", drift.FIELDS).flag("exact", True)
            profiled, compared = columns.gather(
                reference.source, current.source, job.mapping, exact=exact
            )
            more = _more(job, reference.source, current.source, workdir, clock)
            more.notes.extend(_retyped(reference.source, current.source, job.mapping))
            if exact and columns.in_bins(reference.source, current.source):
                more.notes.append(_binned())
            size = current.source.rows
        finally:
            current.source.close()
    finally:
        reference.source.close()
    grade = min(grade_of(reference), grade_of(current), key=GRADES.index)
    return _measured(job, clock, profiled, compared, more, grade, size, [reference, current])


def _retyped(reference: Source, current: Source, mapping: ColumnMapping) -> list[Note]:
    names = columns.retyped(reference, current, mapping)
    if not names:
        return []
    told = ", ".join(
        f"{name!r} was {reference.schema[name]} and is {current.schema[name]}" for name in names
    )
    text = f"columns changed their type: {told}; they are compared as 0 and 1"
    return [Note("column_type_changed", text, {"columns": len(names)}, finding=True)]


def _imprecise(compared: list[Comparison]) -> list[Note]:
    names = [one.column for one in compared if one.imprecise]
    if not names:
        return []
    told = ", ".join(map(repr, names))
    text = (
        f"columns with integers beyond 2**53, which floats merge, are not compared: {told}; "
        "declare codes as categorical, or subtract a base"
    )
    return [Note("integers_too_large", text, {"columns": len(names)})]


def _binned() -> Note:
    text = (
        f"of more than {profiles.MOST_SORTED} rows numbers are counted into bins and not sorted: "
        "distances are at most their bound too small"
    )
    return Note("columns_in_bins", text, {"most_rows": profiles.MOST_SORTED})


def _against_profile(
    job: CheckJob, stored: ReferenceProfile, workdir: Path, clock: Clock
) -> Worked:
    """The same against the profiles of an earlier run: no row of the reference is read."""
    if job.reference is not None:
        raise Invalid("give a reference dataset or a reference profile", field="reference_profile")
    for name in NEED_ROWS:
        if job.config.get(name):
            raise Invalid("needs the rows of a reference", field=f"config.{name}")
    clock("reading the reference's profiles", 0.05)
    before = stored.load()
    clock("scoring the model", 0.1)
    current = open_scored(job, job.dataset, workdir, clock.between(0.1, 0.5), required=False)
    try:
        clock("counting", 0.5)
        same_model = before.model == model_of(job, [current])
        profiled, compared, left = columns.gather_against(
            before.features, before.answers if same_model else {}, current.source, job.mapping
        )
        size = current.source.rows
    finally:
        current.source.close()
    notes = []
    if before.answers and not same_model:
        text = "the reference profile holds the answers of another model: they are not compared"
        notes.append(Note("answers_of_another_model", text))
    if left:
        text = f"{len(left)} columns have too many different values to be compared by profile"
        notes.append(Note("columns_without_profile", text, {"columns": len(left)}))
    grade = min(stored.grade, grade_of(current), key=GRADES.index)
    more = _More(notes=notes)
    return _measured(job, clock, profiled, compared, more, grade, size, [current])


@dataclass
class _More:
    """What was asked for beside the columns: windows, rows for a classifier, a conformance run."""

    windows: Windowed | None = None
    samples: "Samples | None" = None
    attachments: list[Attachment] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def _more(job: CheckJob, reference: Source, current: Source, workdir: Path, clock: Clock) -> _More:
    found = _More()
    fields = Fields(job.config, "config", drift.FIELDS)
    window = read_window(fields, "window")
    if window is not None:
        clock("counting by window", 0.6)
        found.windows = compare_windows(reference, current, job.mapping, window)
        if found.windows.timeless:
            text = (
                f"{found.windows.timeless} rows have no time, or none of the years 1 to 9999, "
                "and are in no window"
            )
            found.notes.append(Note("rows_without_time", text, {"rows": found.windows.timeless}))
    if fields.flag("multivariate", False):
        clock("choosing rows", 0.65)
        found.samples = _samples(reference, current, job.mapping)
    if fields.flag("conformance", False):
        from monitoring.engine import conformance

        clock("comparing with evidently's own figures", 0.66)
        attachment, note = conformance.drift(reference, current, job.mapping, workdir)
        found.attachments.append(attachment)
        found.notes.append(note)
    return found


def _samples(reference: Source, current: Source, mapping: ColumnMapping) -> "Samples":
    from monitoring.engine.checks.drift.domain import ROWS, Samples

    reference, current = columns.aligned(reference, current, mapping)
    categorical = frozenset(
        name
        for name in mapping.features
        if name in mapping.categorical or reference.schema[name] != "numeric"
    )
    drawn = []
    for source in (reference, current):
        table = rows.chosen(source, mapping.features, ROWS)
        drawn.append(
            table.select(
                **{
                    name: category_of(source.backend, table[name])
                    if name in categorical
                    else table[name].cast("float64")
                    for name in mapping.features
                }
            )
            .to_pyarrow()
            .to_pydict()
        )
    return Samples(drawn[0], drawn[1], categorical)


def _measured(
    job: CheckJob,
    clock: Clock,
    profiled: dict[str, Any],
    compared: list[Comparison],
    more: _More,
    grade: Grade,
    size: int,
    scored: list[Scored],
) -> Worked:
    clock("measuring", 0.7)
    windows = more.windows.windows if more.windows else ()
    result = drift.measure(
        compared, job.config, windows=windows, samples=more.samples, seed=job.effective_seed()
    )
    result.notes.extend([*more.notes, *_imprecise(compared)])
    aggregates: dict[str, Any] = {
        "profiles": profiled,
        "comparisons": [one.to_json() for one in compared],
    }
    if more.windows is not None:
        aggregates["windows"] = more.windows.to_json()
    clock("reporting by evidently", 0.8)
    # Evidently takes as much memory as the columns did: it comes when they are gone.
    from monitoring.engine import evidently_report

    html = Fields(job.config, "config", drift.FIELDS).flag("html", False)
    # A digest of what all may see: one of few unknown counts could be found by trying.
    compared_as_shown = privacy.public_comparisons(aggregates["comparisons"], job.floor)
    evidence = cube.seal({"comparisons": compared_as_shown})[1]
    attachments = evidently_report.report(result.measurements, evidence, html=html)
    return Worked(aggregates, result, grade, size, scored, attachments + more.attachments)
