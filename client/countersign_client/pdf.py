"""Verifying a report: its seal, who sealed it, and the facts attached to it.

The only part of the client that needs more than the standard library (`countersign-client[pdf]`).
The output says what was checked and what was not.
"""

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pikepdf
from asn1crypto import pem
from asn1crypto import x509 as asn1_x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from countersign_client.errors import Exit, UsageError

BUNDLE_NAME = "bundle.json"


@dataclass
class Verdict:
    """What was found. `decided` is false where nobody said whose seal it must be."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    decided: bool = True

    @property
    def exit_code(self) -> Exit:
        if self.problems:
            return Exit.NO
        return Exit.YES if self.decided else Exit.CANNOT_DECIDE


def verify(path: Path, seal: Path | None) -> Verdict:
    """Check the report at `path`. `seal` is the PEM of the certificate that must have sealed it."""
    verdict = Verdict()
    data = path.read_bytes()
    fingerprint = _check_seal(data, verdict)
    if seal is None:
        verdict.decided = False
        verdict.lines.append(
            f"NOT CHECKED whose seal it is: name the certificate with --seal; its SHA-256 is {fingerprint}"
        )
    elif fingerprint != _fingerprint_of(seal):
        verdict.problems.append(f"the seal is by another certificate (SHA-256 {fingerprint})")
    else:
        verdict.lines.append(f"certificate: the one you trust, SHA-256 {fingerprint}")
    _check_attachment(data, verdict)
    return verdict


def _check_seal(data: bytes, verdict: Verdict) -> str:
    try:
        (signature,) = PdfFileReader(io.BytesIO(data)).embedded_signatures
        certificate = signature.signer_cert
        # The certificate is pinned by the caller, not looked up in a directory of authorities.
        context = ValidationContext(
            trust_roots=[certificate], allow_fetching=False, revocation_mode="soft-fail"
        )
        status = validate_pdf_signature(signature, signer_validation_context=context)
    except Exception as error:  # on damaged bytes the parsers raise anything
        verdict.problems.append(f"the seal cannot be read: {error}")
        return ""
    if not (status.intact and status.valid):
        verdict.problems.append("the seal is broken: the file was changed after it was sealed")
    elif status.coverage != SignatureCoverageLevel.ENTIRE_FILE:
        verdict.problems.append("the seal does not cover the whole file")
    else:
        verdict.lines.append(
            f"seal: intact over the whole file, by {certificate.subject.human_friendly}"
        )
    return str(certificate.sha256.hex())


def _check_attachment(data: bytes, verdict: Verdict) -> None:
    try:
        with pikepdf.open(io.BytesIO(data)) as pdf:
            bundle = pdf.attachments[BUNDLE_NAME].get_file().read_bytes()
        document: Any = json.loads(bundle)
        report = document["report"]["id"]
    except Exception as error:  # on damaged bytes the parsers raise anything
        verdict.problems.append(f"the attached bundle cannot be read: {error!r}")
        return
    digest = hashlib.sha256(bundle).hexdigest()
    verdict.lines.append(f"attachment: report {report}, bundle SHA-256 {digest}")
    verdict.lines.append("compare that SHA-256 with the one printed on the last page")


def _fingerprint_of(path: Path) -> str:
    try:
        _, _, der = pem.unarmor(path.read_bytes())
        return str(asn1_x509.Certificate.load(der).sha256.hex())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from None
