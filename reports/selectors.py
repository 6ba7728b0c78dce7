"""Reads: reports, and what anybody may be told of one."""

from typing import Any, BinaryIO
from uuid import UUID

from django.db.models import QuerySet

from accounts.access import visible
from audit.actor import Actor
from kernel import keys
from kernel.canonical import sha256_hex
from kernel.errors import Conflict, NotFound
from kernel.moments import rfc3339
from registry.store import open_blob
from reports.models import Report

_ROWS = Report.objects.select_related(
    "version__model", "use", "environment", "requested_by", "bundle", "pdf"
)


def visible_reports(actor: Actor) -> QuerySet[Report]:
    """The reports of the models that `actor` may read, newest first."""
    return visible(_ROWS, actor, "version__model")


def report_of(report_id: UUID, actor: Actor) -> Report:
    """Raises: NotFound, if there is none that the actor may read."""
    found = visible_reports(actor).filter(pk=report_id).first()
    if found is None:
        raise NotFound(f"there is no report {report_id}")
    return found


def superseding(report: Report) -> Report | None:
    """The newest issued report that replaced this one."""
    replaced = report.superseded_by.filter(state=Report.State.ISSUED)
    return replaced.order_by("-issued_at", "-pk").first()


def file_of(report: Report) -> BinaryIO:
    """The sealed file, its digest checked.

    Raises:
        Conflict: code `not_issued`, while there is none.
    """
    if report.pdf_id is None:
        raise Conflict(f"the report is {report.state}, not issued", code="not_issued")
    return open_blob(report.pdf_id, verify=True)


def bundle_of(report: Report) -> BinaryIO:
    """The frozen bundle, its digest checked.

    Raises:
        Conflict: code `not_frozen`, while there is none.
    """
    if report.bundle_id is None:
        raise Conflict("the report's facts are not frozen yet", code="not_frozen")
    return open_blob(report.bundle_id, verify=True)


def registered(report_id: UUID) -> dict[str, Any]:
    """What the register tells anybody about a report: digests, dates, the seal. Nothing of the model.

    Raises:
        NotFound: there is no such issued report.
    """
    report = Report.objects.filter(pk=report_id, state=Report.State.ISSUED).first()
    if report is None or report.issued_at is None or report.cut_off is None:
        raise NotFound(f"no report {report_id} was issued here")
    newer = superseding(report)
    return {
        "id": str(report.pk),
        "bundle_sha256": report.bundle_id,
        "content_sha256": report.content_digest,
        "file_sha256": report.pdf_id,
        "cut_off": rfc3339(report.cut_off),
        "issued_at": rfc3339(report.issued_at),
        "template_version": report.template_version,
        "seal_fingerprint": _fingerprint(report.seal_key),
        "superseded_by": str(newer.pk) if newer else None,
    }


def _fingerprint(key_id: str) -> str:
    """SHA-256 of the certificate that the report was sealed with; empty if the key is gone."""
    from cryptography.hazmat.primitives.serialization import Encoding

    for key in keys.history("seal"):
        if key.id == key_id and key.certificate is not None:
            return sha256_hex(key.certificate.public_bytes(Encoding.DER))
    return ""
