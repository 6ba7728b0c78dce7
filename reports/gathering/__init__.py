"""Gathering: everything that a report says, read in one snapshot of the lower layers."""

import base64
from datetime import datetime

from django.conf import settings

from audit import checkpoints
from governance import facts as governance_facts
from kernel.canonical import sha256_hex
from kernel.moments import rfc3339
from registry.models import ModelVersion
from reports.bundle_schema import SCHEMA, Facts, Log, ReportBundle
from reports.bundle_schema import Report as ReportPart
from reports.conclusions import summarise
from reports.gathering import decided, happened, history, measured, record
from reports.gathering.index import Cited, EvidenceIndex, who
from reports.models import Report
from reports.version import SOFTWARE


class Overtaken(Exception):
    """Something was recorded about the version after the cut-off was taken; take another one."""


def bundle_of(report: Report) -> ReportBundle:
    """The bundle of a report as of its cut-off, all reads agreeing with each other.

    Raises:
        Overtaken: the version has a newer record than the cut-off, so its rows may say more.
    """
    assert report.cut_off is not None
    with governance_facts.snapshot():
        version = ModelVersion.objects.select_related(
            "model__portfolio",
            "model__legal_entity",
            "author",
            "registered_by",
            "artifact",
            "parent",
        ).get(pk=report.version_id)
        if version.moment > report.cut_off:
            raise Overtaken
        facts = _facts(report, version, report.cut_off)
    return {**facts, "summary": summarise(facts)}


def _facts(report: Report, version: ModelVersion, at: datetime) -> Facts:
    use, environment = report.use, report.environment
    index = EvidenceIndex()
    place = decided.Place(version, use, environment, at)
    version_part = record.version_of(version, use, at, index)
    datasets = record.datasets_of(version, use, at, index)
    record.cite_files(version, at, index)
    checks = measured.checks_of(version, at, index)
    waivers = decided.waivers(place, index)
    findings = decided.findings(place, index)
    validations = decided.validations(place, index)
    standing, policy, dossier = decided.standing_and_policy(place, index)
    signatures = decided.signatures(place, index)
    approvals = decided.approvals(place, standing, index)
    monitors = measured.monitors_of(version, use, environment, at, index)
    breaches = happened.breaches(place, index)
    decisions, older_decisions = happened.gate_decisions(place, index)
    facts: Facts = {
        "schema": SCHEMA,
        "report": _report(report, at),
        "installation": {
            "organisation": settings.COUNTERSIGN.organisation,
            "url": settings.COUNTERSIGN.public_url,
            "log_origin": _origin(),
            "software": SOFTWARE,
        },
        "model": record.model_of(version, at),
        "use": record.use_of(use, at),
        "version": version_part,
        "datasets": datasets,
        "checks": checks,
        "policy": policy,
        "dossier": dossier,
        "validations": validations,
        "findings": findings,
        "signatures": signatures,
        "approvals": approvals,
        "waivers": waivers,
        "suspensions": happened.suspensions(place, index),
        "incidents": happened.incidents(place, index),
        "breaches": breaches,
        "gate_decisions": decisions,
        "deployments": happened.deployments(place, index),
        "monitors": monitors,
        "standing": standing,
        "changes": [],
        "left_out": {"changes": 0, "gate_decisions": older_decisions},
        "log": _log(index),
        "evidence": [],
    }
    facts["changes"], facts["left_out"]["changes"] = history.changes_of(version, at, index)
    facts["evidence"] = index.rows(at)
    return facts


def _report(report: Report, at: datetime) -> ReportPart:
    url = settings.COUNTERSIGN.public_url.rstrip("/")
    return {
        "id": str(report.pk),
        "kind": "version-record",
        "title": "Model governance report",
        "cut_off": rfc3339(at),
        "requested_by": who(report.requested_by),
        "framework": None,
        "supersedes": str(report.supersedes_id) if report.supersedes_id else None,
        "verify_url": f"{url}/verify/{report.pk}",
    }


def _origin() -> str:
    head = checkpoints.newest()
    return head.note.split("\n", 1)[0] if head else ""


def _log(index: EvidenceIndex) -> Log | None:
    """The newest checkpoint there is when the facts are frozen."""
    head = checkpoints.newest()
    if head is None:
        return None
    origin = head.note.split("\n", 1)[0]
    ref = index.cite(
        Cited(
            "log checkpoint",
            origin,
            "checkpoint",
            f"{origin}@{head.size}",
            sha256_hex(head.note.encode()),
            head.created,
            "the service",
        )
    )
    return {
        "ref": ref,
        "origin": origin,
        "size": head.size,
        "root": base64.b64encode(bytes(head.root)).decode(),
        "checkpoint": head.note,
    }
