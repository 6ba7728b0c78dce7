"""Making a report: freeze the facts, log their digest, wait for the proof, draw, seal, keep.

Each step is a write of its own, and what is frozen stays frozen, so a worker that dies leaves a
report that the next attempt takes up where it stands.
"""

import io
import logging
from uuid import UUID

from django.conf import settings

from audit import proofs
from audit.actor import Actor
from kernel import keys
from kernel.canonical import dumps, sha256_hex
from kernel.errors import Conflict, CountersignError
from registry.store import Stored, open_blob, put
from reports import gathering, services
from reports.models import Report
from reports.services import Claim

logger = logging.getLogger(__name__)

PROOF_WAIT = 10.0
_CUT_OFFS = 5
SYSTEM = Actor.system("reports")


def make(report_id: UUID, *, proof_wait: float = PROOF_WAIT) -> Report | None:
    """Bring a report as far as it goes now, and return it; None if there is nothing to do.

    It stays frozen if the log gives no proof within `proof_wait` seconds; the sweep comes back.
    """
    held = services.claim(report_id, actor=SYSTEM)
    if held is None:
        return None
    try:
        return _make(held, proof_wait)
    except Conflict:
        logger.info("report %s: attempt %s was overtaken", report_id, held.attempt)
        return None
    except CountersignError as error:
        return services.fail(held, error.code, error.detail, actor=SYSTEM)
    except Exception as error:  # whatever it is, the report must not hang on an expired lease
        logger.exception("report %s: attempt %s broke", report_id, held.attempt)
        if held.attempt >= services.MAX_ATTEMPTS:
            detail = (
                f"{type(error).__name__} in attempt {held.attempt}; the service's own log says more"
            )
            return services.fail(held, "broken", detail, actor=SYSTEM)
        services.release(held)
        return None


def _make(held: Claim, proof_wait: float) -> Report:
    report = held.report
    if report.state == Report.State.REQUESTED:
        held = _freeze(held)
        report = held.report
    assert report.frozen_entry is not None
    proof = proofs.inclusion(report.frozen_entry, timeout=proof_wait)
    if proof is None:
        logger.warning("report %s: the log has given no proof yet", report.pk)
        services.release(held)
        return report
    return _issue(held, proof.tlog_proof)


def _freeze(held: Claim) -> Claim:
    """Gather the facts as of the cut-off. Where the version moved on meanwhile, take a later one."""
    for _ in range(_CUT_OFFS):
        try:
            bundle = gathering.bundle_of(held.report)
        except gathering.Overtaken:
            services.release(held)
            again = services.claim(held.report.pk, actor=SYSTEM)
            if again is None:
                raise Conflict("another worker took the report over") from None
            held = again
            continue
        stored = _keep(dumps(bundle), "bundle")
        return Claim(services.freeze(held, stored, actor=SYSTEM), held.attempt)
    raise RuntimeError("the version is being written to all the time; no cut-off holds")


def _issue(held: Claim, proof: str) -> Report:
    # ReportLab, pikepdf and pyHanko take a second to import, and only a worker needs them.
    from reports.pdf.rendering import TEMPLATE_VERSION, render
    from reports.pdf.sealing import seal

    assert held.report.bundle_id is not None
    with open_blob(held.report.bundle_id, verify=True) as stream:
        unsigned = render(stream.read(), proof=proof)
    key = keys.current("seal")
    assert key.certificate is not None
    sealed = seal(unsigned, key.p256, key.certificate)
    return services.issue(
        held,
        _keep(sealed, "pdf"),
        content_digest=sha256_hex(unsigned),
        template_version=TEMPLATE_VERSION,
        seal_key=key.id,
        actor=SYSTEM,
    )


def _keep(data: bytes, field: str) -> Stored:
    return put(io.BytesIO(data), limit=settings.COUNTERSIGN.max_evidence_bytes, field=field)
