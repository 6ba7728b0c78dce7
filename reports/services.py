"""Every write of reports. What a worker does between them is in `issuing`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q

from accounts.access import require
from audit.actor import Actor
from audit.models import Entry
from audit.recording import record
from audit.writing import in_write, write
from kernel.errors import Conflict, Forbidden, Invalid
from kernel.moments import now
from registry.models import Environment, ModelVersion, Use
from registry.services import blob_of, lock_version, tick
from registry.store import Stored
from reports import dispatch
from reports.models import Report

LEASE = timedelta(minutes=10)
MAX_ATTEMPTS = 5
_SETTLE = timedelta(seconds=5)


@dataclass(frozen=True)
class Claim:
    """One attempt at a report. What it brings counts while it is the newest one."""

    report: Report
    attempt: int


@write
def request_report(
    version: ModelVersion, use: Use, environment: Environment, *, actor: Actor
) -> Report:
    """Ask for the record of a version, for a use, in an environment.

    The queue is told after the commit; if no broker answers, the sweep finds the report.

    Raises:
        Refused: the actor may not ask for reports of this model.
        Invalid: naming `use`, if it is another model's.
    """
    require(actor, "report.request", version)
    if use.model_id != version.model_id:
        raise Invalid("the use is of another model", field="use")
    if actor.kind == "system":
        raise Forbidden("a report is asked for by somebody")
    at = now()
    report = Report.objects.create(
        version=version,
        use=use,
        environment=environment,
        requested_at=at,
        requested_by_id=actor.id,
    )
    _note("reports.report.requested", report, actor=actor, at=at, public={"kind": report.kind})
    dispatch.on_commit(report.pk)
    return report


@write
def claim(report_id: UUID, *, actor: Actor) -> Claim | None:
    """Begin an attempt; None if the report is done or another attempt holds it.

    Until its facts are frozen, each attempt takes a cut-off of its own: the version is locked and its
    newest moment raised to it, so that whatever is recorded later is later.
    """
    require(actor, "report.issue")
    found = Report.objects.filter(pk=report_id).values_list("version_id", flat=True).first()
    if found is None:
        return None
    version = lock_version(found)
    report = _lock(report_id)
    at = now()
    held = report.leased_until is not None and report.leased_until > at
    if held or report.state not in (Report.State.REQUESTED, Report.State.FROZEN):
        return None
    report.attempt += 1
    report.leased_until = at + LEASE
    if report.state == Report.State.REQUESTED:
        at = report.cut_off = tick(version)
        report.supersedes = _newest_issued(report)
    assert report.cut_off is not None
    report.save(update_fields=["attempt", "leased_until", "cut_off", "supersedes"])
    public = {"attempt": report.attempt, "cut_off": report.cut_off}
    _note("reports.report.started", report, actor=actor, at=at, public=public)
    return Claim(report, report.attempt)


def _newest_issued(report: Report) -> Report | None:
    """The report of the same place that this one replaces."""
    same = Report.objects.filter(
        kind=report.kind,
        version=report.version_id,
        use=report.use_id,
        environment=report.environment_id,
        state=Report.State.ISSUED,
    )
    return same.order_by("-issued_at", "-pk").first()


@write
def freeze(held: Claim, stored: Stored, *, actor: Actor) -> Report:
    """Keep the bundle, whose bytes are in the store, and put its digest into the log.

    Raises:
        Conflict: the attempt is not the newest one any more.
    """
    require(actor, "report.issue")
    report = _lock_for(held, Report.State.REQUESTED)
    assert report.cut_off is not None
    at = now()
    report.bundle = blob_of(stored, at)
    entry = _note(
        "reports.report.frozen",
        report,
        actor=actor,
        at=at,
        public={
            "bundle_digest": stored.digest,
            "cut_off": report.cut_off,
            "supersedes": str(report.supersedes_id) if report.supersedes_id else None,
        },
    )
    report.state = Report.State.FROZEN
    report.frozen_at, report.frozen_entry = at, entry.uuid
    report.save(update_fields=["bundle", "state", "frozen_at", "frozen_entry"])
    return report


@write
def issue(
    held: Claim,
    stored: Stored,
    *,
    content_digest: str,
    template_version: str,
    seal_key: str,
    actor: Actor,
) -> Report:
    """Keep the sealed file, whose bytes are in the store: the report is issued.

    Raises:
        Conflict: the attempt is not the newest one any more.
    """
    require(actor, "report.issue")
    report = _lock_for(held, Report.State.FROZEN)
    at = now()
    report.pdf = blob_of(stored, at)
    report.state, report.issued_at, report.leased_until = Report.State.ISSUED, at, None
    report.content_digest, report.template_version = content_digest, template_version
    report.seal_key, report.error = seal_key, ""
    report.save()
    _note(
        "reports.report.issued",
        report,
        actor=actor,
        at=at,
        public={
            "bundle_digest": report.bundle_id,
            "content_digest": content_digest,
            "file_digest": stored.digest,
            "template_version": template_version,
            "seal_key": seal_key,
        },
    )
    return report


@write
def fail(held: Claim, code: str, detail: str, *, actor: Actor) -> Report:
    """End a report that cannot be made: a name that no font can draw, say."""
    require(actor, "report.issue")
    report = _lock_for(held, Report.State.REQUESTED, Report.State.FROZEN)
    report.state, report.leased_until, report.error = Report.State.FAILED, None, detail
    report.save(update_fields=["state", "leased_until", "error"])
    _note(
        "reports.report.failed",
        report,
        actor=actor,
        at=now(),
        public={"attempt": report.attempt, "code": code},
        private={"detail": detail},
    )
    return report


def release(held: Claim) -> None:
    """Give a claim back, so that the sweep tries again. A worker's matter: no entry."""
    Report.objects.filter(pk=held.report.pk, attempt=held.attempt).update(leased_until=None)


def sweep() -> int:
    """Tell the queue of every report that nobody works on, and return how many there are."""
    at = now()
    idle = Q(leased_until=None) | Q(leased_until__lte=at)
    waiting = Report.objects.filter(
        idle,
        state__in=[Report.State.REQUESTED, Report.State.FROZEN],
        requested_at__lte=at - _SETTLE,
    )
    found = list(waiting.order_by("pk").values_list("pk", flat=True)[:100])
    for report_id in found:
        dispatch.send(report_id)
    return len(found)


def _lock(report_id: UUID) -> Report:
    in_write()
    return (
        Report.objects.select_for_update(of=("self",))
        .select_related("version__model", "use", "environment", "requested_by")
        .get(pk=report_id)
    )


def _lock_for(held: Claim, *states: Report.State) -> Report:
    report = _lock(held.report.pk)
    if report.attempt != held.attempt or report.state not in states:
        raise Conflict(f"attempt {held.attempt} is not the one that counts any more")
    return report


def _note(
    type: str,
    report: Report,
    *,
    actor: Actor,
    at: datetime,
    public: dict[str, Any],
    private: dict[str, Any] | None = None,
) -> Entry:
    version = report.version
    return record(
        type,
        actor=actor,
        at=at,
        object_type="report",
        object_id=str(report.pk),
        public={
            "model": version.model.name,
            "number": version.number,
            "use": report.use.name,
            "environment": report.environment.name,
            **public,
        },
        private=private,
        scope=version.model_id,
    )
