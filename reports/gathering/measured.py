"""What was measured: every validation run that ended, and what the monitors found."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from kernel.moments import rfc3339
from monitoring.limits import parse_limits
from monitoring.models import Breach, CheckRun, Measurement, Window
from monitoring.models import Monitor as MonitorRow
from monitoring.selectors import measurement_facts
from registry.models import Environment, ModelVersion, Use
from reports import bundle_schema as schema
from reports import numbers
from reports.gathering.index import Cited, EvidenceIndex, who

_ENDED = {
    CheckRun.State.SUCCEEDED: "monitoring.check.succeeded",
    CheckRun.State.FAILED: "monitoring.check.failed",
    CheckRun.State.CANCELLED: "monitoring.check.cancelled",
}
LONGEST_SERIES = 60


def checks_of(version: ModelVersion, at: datetime, index: EvidenceIndex) -> list[schema.Check]:
    """The validation runs, in the order in which they ended."""
    facts = measurement_facts(version, at)
    rows = CheckRun.objects.select_related("dataset", "reference", "requested_by").in_bulk(
        [fact["id"] for fact in facts], field_name="pk"
    )
    by_id = {str(key): row for key, row in rows.items()}
    refs = {fact["id"]: cite_run(by_id[fact["id"]], index) for fact in facts}
    return [_check(by_id[fact["id"]], fact, refs) for fact in facts]


def cite_run(run: CheckRun, index: EvidenceIndex) -> str:
    kind = run.kind.replace("_", " ")
    if run.batch_id:
        about = f"batch {run.batch.batch_id}" if run.batch else ""
    else:
        about = run.dataset.name if run.dataset else ""
    ended = "" if run.state == CheckRun.State.SUCCEEDED else f", {run.state}"
    return index.cite(
        Cited(
            "check run",
            f"{kind} on {about}{ended}",
            "check_run",
            str(run.pk),
            run.cube_id or "",
            run.finished_at or run.requested_at,
            who(run.requested_by),
            _ENDED.get(CheckRun.State(run.state), ""),
        )
    )


def _check(run: CheckRun, fact: dict[str, Any], refs: dict[str, str]) -> schema.Check:
    superseded = fact["superseded_by"]
    return {
        "ref": refs[fact["id"]],
        "id": fact["id"],
        "kind": run.kind,
        "purpose": run.purpose,
        "state": run.state,
        "attempt": run.attempt,
        "grade": run.grade,
        "engine": run.engine,
        "libraries": {str(name): str(number) for name, number in run.libraries.items()},
        "seed": run.seed,
        "dataset": run.dataset.name if run.dataset else "",
        "reference": run.reference.name if run.reference else "",
        "rows": run.rows,
        "finished_at": rfc3339(run.finished_at) if run.finished_at else None,
        "error": run.error,
        "superseded_by": refs.get(superseded, "") if superseded else "",
        "cube_digest": run.cube_id or "",
        "measurements": [_measurement(one) for one in fact["measurements"]],
        "plots": [] if superseded else list(run.plots),
        "notes": [] if superseded else [str(note["text"]) for note in run.notes],
    }


def _measurement(fact: dict[str, Any]) -> schema.Measurement:
    detail = fact.get("detail") or {}
    found: schema.Measurement = {
        "metric": fact["metric"],
        "slice": fact["slice"],
        "value": fact["value"],
        "lower": fact["lower"],
        "upper": fact["upper"],
        "level": fact["level"],
        "n": fact["n"],
        "undefined": fact["undefined"],
        "method": fact["method"],
        "unit": fact["unit"],
    }
    if detail.get("n_below") is not None:
        found["n_below"] = detail["n_below"]
    if detail.get("estimated"):
        found["estimated"] = detail["proxy"]
    return found


def monitors_of(
    version: ModelVersion, use: Use, environment: Environment, at: datetime, index: EvidenceIndex
) -> list[schema.Monitor]:
    """The monitors that ran in the place by the cut-off, each limit with its figure by window."""
    rows = MonitorRow.objects.filter(
        version=version, use=use, environment=environment, since__lte=at
    ).order_by("since", "pk")
    return [_monitor(row, at, index) for row in rows.select_related("environment", "started_by")]


def _monitor(row: MonitorRow, at: datetime, index: EvidenceIndex) -> schema.Monitor:
    ended = row.until is not None and row.until <= at
    ref = index.cite(
        Cited(
            "monitor",
            row.name + (", ended" if ended else ""),
            "monitor",
            str(row.pk),
            row.definition_digest,
            row.since,
            who(row.started_by),
        )
    )
    runs = _newest_of_windows(row, at)
    breaches = Breach.objects.filter(monitor=row, opened_at__lte=at)
    still_open = breaches.filter(resolved_at=None) | breaches.filter(resolved_at__gt=at)
    measured = list(Measurement.objects.filter(run__in=runs))
    return {
        "ref": ref,
        "name": row.name,
        "kind": row.kind,
        "environment": row.environment.name,
        "watched": [_watched(limit, runs, measured, index) for limit in row.limits],
        "last_run_at": rfc3339(runs[-1].finished_at) if runs and runs[-1].finished_at else None,
        "open_breaches": still_open.count(),
    }


def _newest_of_windows(row: MonitorRow, at: datetime) -> list[CheckRun]:
    """The last windows of a monitor, oldest first, each by the newest run of it."""
    found = (
        CheckRun.objects.filter(
            monitor=row, state=CheckRun.State.SUCCEEDED, finished_at__lte=at, window__isnull=False
        )
        .select_related("batch", "window", "requested_by")
        .order_by("-window__end", "-window__start", "-window", "-finished_at", "-pk")
    )
    newest: dict[object, CheckRun] = {}
    for run in found.iterator(chunk_size=2 * LONGEST_SERIES):
        newest.setdefault(run.window_id, run)
        if len(newest) == LONGEST_SERIES:
            break
    return list(newest.values())[::-1]


def _watched(
    stored: dict[str, Any],
    runs: Iterable[CheckRun],
    measured: Iterable[Measurement],
    index: EvidenceIndex,
) -> schema.Watched:
    (limit,) = parse_limits([stored])
    found = {
        one.run_id: one
        for one in measured
        if one.metric == limit.metric and one.slice == dict(limit.slice)
    }
    units = {one.unit for one in found.values() if one.unit}
    word = {"<=": "at most", ">=": "at least"}[limit.op]
    end = "" if limit.bound == "value" else f", {limit.bound} end of the interval"
    return {
        "limit": f"{limit.metric.replace('_', ' ')} {word} {numbers.figure(limit.value)}{end}",
        "metric": limit.metric,
        "slice": dict(limit.slice),
        "value": limit.value,
        "unit": units.pop() if len(units) == 1 else "",
        "observations": [
            _observation(run, run.window, found.get(run.pk), index) for run in runs if run.window
        ],
    }


def _begins(window: Window) -> str:
    """The day on which a window begins, and the hour where it is shorter than one."""
    text = rfc3339(window.start)
    hours = window.end - window.start < timedelta(days=1)
    return f"{text[:10]} {text[11:16]}" if hours else text[:10]


def _observation(
    run: CheckRun, window: Window, one: Measurement | None, index: EvidenceIndex
) -> schema.Observation:
    return {
        "ref": cite_run(run, index),
        "batch": run.batch.batch_id if run.batch else _begins(window),
        "window_end": rfc3339(window.end),
        "value": one.value if one else None,
        "lower": one.lower if one else None,
        "upper": one.upper if one else None,
        "n": one.n if one else None,
        "undefined": one.undefined if one else "not measured",
    }
