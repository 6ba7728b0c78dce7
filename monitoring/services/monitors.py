"""Monitors: checks that run on production data by themselves, held against limits."""

import logging
import re
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import in_write, write
from kernel import canonical
from kernel.errors import Conflict, CountersignError, Invalid
from kernel.moments import now, rfc3339
from monitoring import limits as limit_rules
from monitoring.models import Breach, CheckRun, Monitor, ObservationBatch
from monitoring.services.breaches import SILENCE, open_breach, place
from monitoring.services.requests import Question, prepare, queue_run
from registry.models import Dataset, Environment, ModelVersion, Use
from registry.services import lock_version, tick

logger = logging.getLogger(__name__)

EFFECTS = ("no_new_deployment", "fall_back", "stop")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")
_YEAR = 366 * 24 * 3600


@write
def start_monitor(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    name: str,
    kind: str,
    limits: list[dict[str, Any]],
    config: dict[str, Any] | None = None,
    reference: Dataset | None = None,
    min_rows: int = 100,
    consecutive: int = 1,
    silent_after_seconds: int | None = None,
    effect: str = "no_new_deployment",
    actor: Actor,
) -> Monitor:
    """Watch a version, for a use in an environment, from now on. See `begin_monitor`."""
    require(actor, "monitor.manage", version)
    version = lock_version(version.pk)
    return begin_monitor(
        version,
        at=tick(version),
        actor=actor,
        use=use,
        environment=environment,
        name=name,
        kind=kind,
        limits=limits,
        config=config,
        reference=reference,
        min_rows=min_rows,
        consecutive=consecutive,
        silent_after_seconds=silent_after_seconds,
        effect=effect,
    )


def begin_monitor(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    name: str,
    kind: str,
    limits: list[dict[str, Any]],
    config: dict[str, Any] | None,
    reference: Dataset | None,
    min_rows: int,
    consecutive: int,
    silent_after_seconds: int | None,
    effect: str,
    at: datetime,
    actor: Actor,
) -> Monitor:
    """Make a monitor of a locked version. A step inside a write.

    The column mapping and the grade are fixed with it, so that it measures the same for as long
    as it lives. One of the same name at the same place stays if it is the same in all, and else
    ends. Breaches stay open when their monitor ends.

    Raises:
        Invalid: naming the field, as `limits[0].op`.
        Conflict, Unprocessable: see `request_check`.
    """
    in_write()
    _check(version, use, name, min_rows, consecutive, silent_after_seconds, effect)
    question = prepare(version, kind, config=config, reference=reference)
    definition = {
        "kind": kind,
        "config": question.config,
        "mapping": question.mapping,
        "limits": [one.to_json() for one in limit_rules.parse_limits(limits)],
        "min_rows": min_rows,
        "consecutive": consecutive,
        "silent_after_seconds": silent_after_seconds,
        "effect": effect,
    }
    digest = canonical.digest({**definition, "reference": reference.digest if reference else None})
    before = (
        Monitor.objects.select_for_update(of=("self",))
        .select_related("use", "environment")
        .filter(version=version, use=use, environment=environment, name=name, until=None)
        .first()
    )
    if before is not None:
        if before.definition_digest == digest:
            return before
        before.version = version
        finish_monitor(before, at=at, actor=actor)
    monitor = Monitor.objects.create(
        version=version,
        use=use,
        environment=environment,
        name=name,
        reference=reference,
        definition_digest=digest,
        since=at,
        started_by_id=None if actor.kind == "system" else actor.id,
        **definition,
    )
    _record(
        "started",
        monitor,
        at=at,
        actor=actor,
        kind=kind,
        definition_digest=digest,
        effect=effect,
    )
    return monitor


def _check(
    version: ModelVersion,
    use: Use,
    name: str,
    min_rows: int,
    consecutive: int,
    silent_after_seconds: int | None,
    effect: str,
) -> None:
    errors = {}
    if use.model_id != version.model_id:
        errors["use"] = "the use is of another model"
    if not _NAME.fullmatch(name):
        errors["name"] = "expected lower-case letters, digits, - and _, up to 80"
    if not 1 <= min_rows <= 2**31 - 1:
        errors["min_rows"] = "expected a whole number of at least 1"
    if not 1 <= consecutive <= 100:
        errors["consecutive"] = "expected a whole number from 1 to 100"
    if silent_after_seconds is not None and not 1 <= silent_after_seconds <= _YEAR:
        errors["silent_after_seconds"] = f"expected seconds from 1 to {_YEAR}, or null"
    if effect not in EFFECTS:
        errors["effect"] = f"expected one of {', '.join(EFFECTS)}"
    if errors:
        raise Invalid.many(errors)


@write
def end_monitor(monitor: Monitor, *, actor: Actor) -> Monitor:
    """Stop watching. What it found stays, open breaches too.

    Raises:
        Conflict: it has ended already.
    """
    require(actor, "monitor.manage", monitor)
    version = lock_version(monitor.version_id)
    at = tick(version)
    monitor = _whole(monitor)
    monitor.version = version
    if monitor.until is not None:
        raise Conflict("the monitor has ended already", code="ended")
    finish_monitor(monitor, at=at, actor=actor)
    return monitor


def finish_monitor(monitor: Monitor, *, at: datetime, actor: Actor) -> None:
    """End a monitor of a locked version. A step inside a write."""
    in_write()
    monitor.until = at
    monitor.save(update_fields=["until"])
    _record("ended", monitor, at=at, actor=actor)


@write
def evaluate_monitor(monitor: Monitor, batch: ObservationBatch, *, actor: Actor) -> CheckRun:
    """Queue the monitor's check on a batch; the run that there is, if it was queued before.

    Raises:
        Conflict: the monitor has ended.
        Invalid: the batch is of another version, use or environment.
    """
    require(actor, "check.request", monitor)
    version = lock_version(monitor.version_id)
    at = tick(version)
    monitor = _whole(monitor)
    monitor.version = version
    if monitor.until is not None:
        raise Conflict("the monitor has ended", code="ended")
    if _place_of(monitor) != _place_of(batch):
        raise Invalid("the batch is not of what the monitor watches", field="batch")
    return queue_evaluation(monitor, batch, at=at, actor=actor)


def queue_evaluation(
    monitor: Monitor, batch: ObservationBatch, *, at: datetime, actor: Actor
) -> CheckRun:
    """Queue a monitor's check on a batch, once. A step inside a write that holds the version."""
    in_write()
    state = CheckRun.State
    there = (
        CheckRun.objects.filter(monitor=monitor, batch=batch)
        .exclude(state__in=[state.FAILED, state.CANCELLED])
        .first()
    )
    if there is not None:
        return there
    question = Question(monitor.kind, monitor.config, monitor.mapping, monitor.reference)
    return queue_run(
        monitor.version,
        question,
        purpose=CheckRun.Purpose.MONITORING,
        monitor=monitor,
        batch=batch,
        at=at,
        actor=actor,
    )


def run_due_monitors(*, actor: Actor, at: datetime | None = None) -> int:
    """Do what is due: batches that a monitor has not looked at yet, monitors that fell silent.

    One monitor's failure does not keep the others from their turn. Returns how many runs were
    queued and breaches opened.
    """
    require(actor, "check.execute")
    at = at or now()
    done = 0
    for monitor in Monitor.objects.filter(until=None).order_by("pk"):
        waiting = ObservationBatch.objects.filter(
            version=monitor.version_id,
            use=monitor.use_id,
            environment=monitor.environment_id,
            received_at__gte=monitor.since,
        ).exclude(runs__monitor=monitor)
        try:
            for batch in waiting:
                evaluate_monitor(monitor, batch, actor=actor)
                done += 1
            if _is_silent(monitor, at):
                done += _open_silence(monitor, at, actor=actor)
        except CountersignError as error:
            logger.warning("monitor %s: %s", monitor.pk, error)
    return done


def heard_at(monitor: Monitor) -> datetime:
    """Since when a monitor waits for data: its newest batch, its start, or when a person last
    accounted for its silence, whichever is latest."""
    newest = ObservationBatch.objects.filter(
        version=monitor.version_id, use=monitor.use_id, environment=monitor.environment_id
    ).aggregate(at=Max("received_at"))["at"]
    excused = Breach.objects.filter(monitor=monitor, limit_key=SILENCE).aggregate(
        at=Max("resolved_at")
    )["at"]
    return max(one for one in (monitor.since, newest, excused) if one is not None)


def _is_silent(monitor: Monitor, at: datetime) -> bool:
    if monitor.silent_after_seconds is None:
        return False
    if Breach.objects.filter(monitor=monitor, limit_key=SILENCE, resolved_at=None).exists():
        return False
    return at - heard_at(monitor) > timedelta(seconds=monitor.silent_after_seconds)


@write
def _open_silence(monitor: Monitor, seen_at: datetime, *, actor: Actor) -> bool:
    require(actor, "breach.open", monitor)
    version = lock_version(monitor.version_id)
    at = tick(version)
    monitor = _whole(monitor)
    monitor.version = version
    # Looked at again under the lock: a batch may have come in between.
    if monitor.until is not None or not _is_silent(monitor, seen_at):
        return False
    since = heard_at(monitor)
    detail = {
        "reason": f"no batch for more than {monitor.silent_after_seconds} s",
        "silent_since": rfc3339(since),
        "silent_after_seconds": monitor.silent_after_seconds,
    }
    opened = open_breach(
        monitor,
        metric=SILENCE,
        limit_key=SILENCE,
        reason="silent",
        detail=detail,
        run=None,
        at=at,
        actor=actor,
    )
    return opened is not None


def _whole(monitor: Monitor) -> Monitor:
    return (
        Monitor.objects.select_for_update(of=("self",))
        .select_related("use", "environment", "reference")
        .get(pk=monitor.pk)
    )


def _place_of(one: Monitor | ObservationBatch) -> tuple[Any, Any, Any]:
    return one.version_id, one.use_id, one.environment_id


def _record(what: str, monitor: Monitor, *, at: datetime, actor: Actor, **more: Any) -> None:
    record(
        f"monitoring.monitor.{what}",
        actor=actor,
        at=at,
        object_type="monitor",
        object_id=str(monitor.pk),
        public={**place(monitor), "name": monitor.name, **more},
        scope=monitor.version.model_id,
    )
