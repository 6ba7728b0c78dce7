"""Reads: what was measured, and what stands open."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet, prefetch_related_objects

from kernel.moments import rfc3339
from monitoring.models import Breach, CheckRun, CubeErasure, Measurement, Monitor
from registry.models import Dataset, Environment, ModelVersion, Use

WHOLE = "cube-whole.json"
"""What the whole cube of a run is called among its files."""
_ENDED = (CheckRun.State.SUCCEEDED, CheckRun.State.FAILED, CheckRun.State.CANCELLED)


def open_breaches(
    version: ModelVersion,
    use: Use | None = None,
    environment: Environment | None = None,
    at: datetime | None = None,
) -> QuerySet[Breach]:
    """The breaches of a version that stand unresolved: now, or as they stood at `at`."""
    found = Breach.objects.filter(version=version)
    if use is not None:
        found = found.filter(use=use)
    if environment is not None:
        found = found.filter(environment=environment)
    if at is None:
        return found.filter(resolved_at=None)
    return found.filter(Q(resolved_at=None) | Q(resolved_at__gt=at), opened_at__lte=at)


def measurement_facts(
    version: ModelVersion, at: datetime | None = None, *, since: datetime | None = None
) -> list[dict[str, Any]]:
    """Every validation run of a version that has ended, oldest first, as canonical JSON values.

    Failed and cancelled runs are among them, so that whoever counts attempts counts all. The
    measurements stand with the newest run that succeeded for each question (kind, dataset,
    configuration with mapping and reference); older answers to it have `superseded_by` and an
    empty list.

    `at` asks for what was known then; `since` for what came after, as after the freeze:

        {"id", "kind", "purpose", "state", "grade", "attempt", "dataset": {"name", "digest"},
         "reference": {...} | null, "config", "config_digest", "cube", "result_digest", "rows",
         "finished_at", "superseded_by", "findings": [note],
         "measurements": [{"metric", "attribute", "slice", "value", "lower", "upper", "level", "n",
                           "undefined", "method", "unit", "grade", "detail"}]}
    """
    runs = _ended(version, at, since)
    if not runs:
        return []
    newest: dict[tuple[str, UUID | None, str], CheckRun] = {}
    for run in runs:
        if run.state == CheckRun.State.SUCCEEDED:
            newest[_question(run)] = run
    in_order = Prefetch("measurements", Measurement.objects.order_by("position"))
    prefetch_related_objects(list(newest.values()), in_order)
    facts = []
    for run in runs:
        latest = newest.get(_question(run))
        measured: list[Measurement] = []
        superseded: str | None = None
        if run.state == CheckRun.State.SUCCEEDED and latest is not None:
            if latest is run:
                measured = list(run.measurements.all())
            else:
                superseded = str(latest.pk)
        facts.append(
            {
                **_about(run),
                "superseded_by": superseded,
                "measurements": [measurement_fact(one) for one in measured],
            }
        )
    return facts


def measurement_fact(one: Measurement) -> dict[str, Any]:
    """One measurement as facts hold it."""
    return {
        "metric": one.metric,
        "attribute": one.attribute,
        "slice": one.slice,
        "value": one.value,
        "lower": one.lower,
        "upper": one.upper,
        "level": one.level,
        "n": one.n,
        "undefined": one.undefined,
        "method": one.method,
        "unit": one.unit,
        "grade": one.grade,
        "detail": one.detail,
    }


def ended_runs(version: UUID) -> QuerySet[CheckRun]:
    """The validation runs of a version that have ended, whichever way."""
    return CheckRun.objects.filter(
        version=version, purpose=CheckRun.Purpose.VALIDATION, state__in=_ENDED
    )


def effect_note(monitor: Monitor) -> str:
    """Why a monitor has a milder effect than was wanted of it; empty if it has that one."""
    if monitor.effect == monitor.wanted_effect:
        return ""
    wanted = monitor.wanted_effect.replace("_", " ")
    return (
        f"the effect {wanted} takes a backtest of this definition, which shows how often the monitor "
        "would have acted; until then a breach stops new deployments alone"
    )


def same_result(run: CheckRun) -> CheckRun | None:
    """The earliest other run of the version whose result has the same digest: same cube, same
    measurements, same grade. None if there is none, or the run has no result yet."""
    if not run.result_digest:
        return None
    others = CheckRun.objects.filter(version=run.version_id, result_digest=run.result_digest)
    return others.exclude(pk=run.pk).order_by("pk").first()


def previous_run(run: CheckRun) -> CheckRun | None:
    """The last run before this one that answered the same check: of the same monitor, or of the same
    kind and configuration for the same version."""
    runs = CheckRun.objects.filter(
        state=CheckRun.State.SUCCEEDED, version=run.version_id, kind=run.kind, pk__lt=run.pk
    )
    if run.monitor_id is not None:
        runs = runs.filter(monitor=run.monitor_id)
    else:
        runs = runs.filter(config_digest=run.config_digest, monitor=None)
    return runs.order_by("-pk").first()


def library_changes(run: CheckRun, before: CheckRun | None) -> list[dict[str, str | None]]:
    """Which libraries had another version in the earlier run: name, `before` and `now`.

    None stands for a library that was not used.
    """
    if before is None or run.state != CheckRun.State.SUCCEEDED:
        return []
    names = sorted({*run.libraries, *before.libraries})
    return [
        {"name": name, "before": before.libraries.get(name), "now": run.libraries.get(name)}
        for name in names
        if before.libraries.get(name) != run.libraries.get(name)
    ]


def _ended(version: ModelVersion, at: datetime | None, since: datetime | None) -> list[CheckRun]:
    runs = ended_runs(version.pk)
    if at is not None:
        runs = runs.filter(finished_at__lte=at)
    if since is not None:
        runs = runs.filter(finished_at__gt=since)
    wanted = runs.select_related("dataset", "reference").order_by("finished_at", "pk")
    return list(wanted.defer("mapping", "libraries", "plots", "timings", "sandbox"))


def _question(run: CheckRun) -> tuple[str, UUID | None, str]:
    return run.kind, run.dataset_id, run.config_digest


def _about(run: CheckRun) -> dict[str, Any]:
    return {
        "id": str(run.pk),
        "kind": run.kind,
        "purpose": run.purpose,
        "state": run.state,
        "grade": run.grade,
        "attempt": run.attempt,
        "dataset": _dataset(run.dataset),
        "reference": _dataset(run.reference),
        "config": run.config,
        "config_digest": run.config_digest,
        "cube": run.cube_id,
        "result_digest": run.result_digest or None,
        "rows": run.rows,
        "finished_at": rfc3339(run.finished_at) if run.finished_at else None,
        "findings": [note for note in run.notes if note.get("finding")],
    }


def _dataset(dataset: Dataset | None) -> dict[str, Any] | None:
    if dataset is None:
        return None
    return {"name": dataset.name, "digest": dataset.digest}


def erasure_of(run: CheckRun) -> CubeErasure | None:
    """The erasure of a run's whole cube, if its bytes are gone.

    Runs that found the same share its bytes, and so their end; who finds it again has it again.
    """
    if run.cube_id is None or run.finished_at is None:
        return None
    found = CubeErasure.objects.filter(cube=run.cube_id, erased_at__gte=run.finished_at)
    return found.order_by("erased_at").first()


def open_cube(run: CheckRun) -> str | None:
    """The digest of what everybody may see of a run's cube; the cube itself if it hides nothing."""
    return run.public_cube_id or run.cube_id
