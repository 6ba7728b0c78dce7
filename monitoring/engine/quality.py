"""Counting what the data quality check looks at."""

from datetime import datetime
from pathlib import Path
from typing import Any

from kernel.errors import Invalid
from kernel.moments import rfc3339
from monitoring.engine import columns, cube, profiles, quality_rules, rows
from monitoring.engine.checks.data_quality import FIELDS, Facts
from monitoring.engine.checks.data_quality.facts import AHEAD, Outside
from monitoring.engine.documents import Fields
from monitoring.engine.job import CheckJob
from monitoring.engine.rules import read_rules
from monitoring.engine.sources import Source, open_source


def gather(job: CheckJob, workdir: Path) -> tuple[Facts, dict[str, Any]]:
    """The facts of a dataset, compared with the reference if there is one, and its profiles."""
    identity = _identity(job)
    current = open_source(job.dataset, workdir, limits=job.engine)
    try:
        job.mapping.check(current.schema)
        current.need_rows()
        _check_identity(identity, current, "dataset")
        reference = None
        if job.reference is not None:
            reference = open_source(job.reference, workdir, field="reference", limits=job.engine)
        try:
            if reference is not None:
                _check_identity(identity, reference, "reference")
            profiled = columns.profiles_of(current, job.mapping)
            facts = _facts(job, current, reference, identity, profiled)
        finally:
            if reference is not None:
                reference.close()
    finally:
        current.close()
    return facts, profiled


def _identity(job: CheckJob) -> list[str]:
    given = Fields(job.config, "config", FIELDS).texts("identity")
    mapping = job.mapping
    found = given or (
        *mapping.features,
        *([mapping.label] if mapping.label else []),
        *(one.column for one in mapping.sensitive),
    )
    names = list(dict.fromkeys(found))
    if not names:
        raise Invalid("data quality needs the features", field="mapping.features")
    return names


def _check_identity(identity: list[str], source: Source, field: str) -> None:
    for name in identity:
        if name not in source.schema:
            raise Invalid(f"the {field} has no column {name!r}", field="config.identity")


def _facts(
    job: CheckJob,
    current: Source,
    reference: Source | None,
    identity: list[str],
    profiled: dict[str, Any],
) -> Facts:
    missing = {name: one["missing"] for name, one in profiled.items()}
    fields = Fields(job.config, "config", FIELDS)
    others = [one.column for one in job.mapping.sensitive]
    for name in [*others, *([job.mapping.label] if job.mapping.label else [])]:
        missing.setdefault(name, profiles.categories(current, name).missing)
    counts = cube.contingency(current, job.mapping) if job.mapping.label else None
    labelled = [cell for cell in counts.cells if cell.label is not None] if counts else []
    return Facts(
        rows=current.rows,
        missing=missing,
        distinct={name: one["distinct"] for name, one in profiled.items()},
        positives=sum(cell.n for cell in labelled if cell.label) if counts else None,
        labelled=sum(cell.n for cell in labelled) if counts else None,
        identity=identity,
        repeated=rows.repeated(current, identity),
        shared=rows.shared(current, reference, identity) if reference else None,
        schema=current.schema,
        reference_schema=reference.schema if reference else None,
        reference_rows=reference.rows if reference else None,
        repeated_whole=_repeated_whole(current, identity, fields),
        rules=quality_rules.count_rules(current, read_rules(fields.items("rules"))),
        outside=_outside(current, reference, job, fields),
        **_ages(job, current, fields),
    )


def _repeated_whole(source: Source, identity: list[str], fields: Fields) -> int | None:
    everything = sorted(source.schema)
    if not fields.has("identity") or set(identity) == set(everything):
        return None
    return rows.repeated(source, everything)


def _outside(
    current: Source, reference: Source | None, job: CheckJob, fields: Fields
) -> dict[str, Outside]:
    if not fields.flag("ranges", False) or reference is None:
        return {}
    numeric = [
        name
        for name in job.mapping.features
        if name not in job.mapping.categorical
        and current.schema.get(name) == reference.schema.get(name) == "numeric"
    ]
    return quality_rules.outside(current, reference, numeric)


def _ages(job: CheckJob, source: Source, fields: Fields) -> dict[str, Any]:
    if not fields.has("freshness"):
        return {}
    if job.mapping.time is None:
        raise Invalid("freshness needs the column of time", field="mapping.time")
    until = datetime.fromisoformat(job.as_of) + AHEAD if job.as_of else None
    found = quality_rules.ages(source, job.mapping.time, until)
    return {
        "newest": rfc3339(found.newest) if found.newest else None,
        "as_of": job.as_of,
        "timeless": found.timeless,
        "ahead": found.ahead,
    }
