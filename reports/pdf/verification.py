"""What can be said of a report from its file alone: the seal, the attachment, what is printed."""

import io
import re
from collections.abc import Sequence
from typing import TypedDict

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pikepdf import Pdf
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from kernel.canonical import sha256_hex
from kernel.errors import Invalid
from reports.pdf.reading import pieces
from reports.pdf.rendering import BUNDLE_NAME, PROOF_NAME, BadBundle, read_bundle, render

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FOOT = re.compile(r"bundle SHA-256 ([0-9a-f]{16})")


class Seal(TypedDict):
    """`intact`: the signed bytes are unchanged. `whole_file`: they are all of the file. `trusted`:
    the signer is one of the certificates that the caller trusts; null if none were given."""

    intact: bool
    whole_file: bool
    trusted: bool | None
    signer: str
    fingerprint: str
    claimed_time: str


class VerdictOfFile(TypedDict):
    """`valid` is true if the seal, the attachment and the printed digest are all in order.
    `reproduced`: drawing the attached bundle again gave the same bytes; null if not tried."""

    valid: bool
    problems: list[str]
    seal: Seal | None
    report_id: str
    bundle_sha256: str
    printed_sha256: str
    reproduced: bool | None
    proof: str | None


def verify_pdf(
    data: bytes, *, trusted: Sequence[x509.Certificate] = (), reproduce: bool = False
) -> VerdictOfFile:
    """Check a report file. Never raises for what is wrong with a report; `problems` says it.

    Args:
        trusted: seal certificates that the caller trusts. The verdict names the signer either way.
        reproduce: also draw the attached bundle again and compare the bytes.

    Raises:
        Invalid: the bytes are no PDF at all.
    """
    if not data.startswith(b"%PDF-"):
        raise Invalid("the file is no PDF", field="file")
    problems: list[str] = []
    bundle, proof, printed, feet = _read(data, problems)
    digest = sha256_hex(bundle) if bundle is not None else ""
    report_id = _report_id(bundle, problems)
    if digest and printed != digest:
        problems.append(
            f"the printed digest is {printed or 'missing'}, the attachment's is {digest}"
        )
    if digest and any(foot != digest[:16] for foot in feet):
        problems.append("the foot of a page shows another digest than the attachment has")
    seal = _seal(data, trusted, problems)
    proof_text = proof.decode("utf-8", "replace") if proof is not None else None
    reproduced = _reproduced(data, bundle, proof_text, problems) if reproduce else None
    return {
        "valid": not problems,
        "problems": problems,
        "seal": seal,
        "report_id": report_id,
        "bundle_sha256": digest,
        "printed_sha256": printed,
        "reproduced": reproduced,
        "proof": proof_text,
    }


def _read(data: bytes, problems: list[str]) -> tuple[bytes | None, bytes | None, str, list[str]]:
    try:
        with Pdf.open(io.BytesIO(data)) as pdf:
            bundle, proof = _attached(pdf, BUNDLE_NAME), _attached(pdf, PROOF_NAME)
            return bundle, proof, *_printed(pdf)
    except Exception as error:  # on damaged bytes the parsers raise anything
        problems.append(f"the file is damaged and cannot be read: {error}")
        return None, None, "", []


def _attached(pdf: Pdf, name: str) -> bytes | None:
    return pdf.attachments[name].get_file().read_bytes() if name in pdf.attachments else None


def _report_id(bundle: bytes | None, problems: list[str]) -> str:
    if bundle is None:
        problems.append(f"the file holds no attachment {BUNDLE_NAME}")
        return ""
    try:
        return read_bundle(bundle)["report"]["id"]
    except BadBundle as error:
        problems.append(error.detail)
        return ""


def _printed(pdf: Pdf) -> tuple[str, list[str]]:
    """The digest printed beside "Bundle SHA-256" on the last page, and how each page's foot begins it."""
    feet, printed = [], ""
    for page in pdf.pages:
        shown = [piece.strip() for piece in pieces(page)]
        found = _FOOT.search("".join(shown)) or _FOOT.search(" ".join(shown))
        feet.append(found.group(1) if found else "")
        for place, piece in enumerate(shown):
            if piece == "Bundle SHA-256":
                following = _DIGEST.search("".join(shown[place + 1 : place + 4]))
                printed = following.group(0) if following else printed
    return printed, feet


def _seal(data: bytes, trusted: Sequence[x509.Certificate], problems: list[str]) -> Seal | None:
    try:
        signatures = PdfFileReader(io.BytesIO(data)).embedded_signatures
        if len(signatures) != 1:
            problems.append(f"the file holds {len(signatures)} signatures, a report has one seal")
            return None
        seal = _checked(signatures[0])
    except Exception as error:  # on damaged bytes the parsers raise anything
        problems.append(f"the seal cannot be checked, so the file was changed: {error}")
        return None
    if not seal["intact"]:
        problems.append("the seal is broken: the file was changed after it was sealed")
    elif not seal["whole_file"]:
        problems.append("the seal does not cover the whole file: something was added after it")
    if trusted:
        seal["trusted"] = seal["fingerprint"] in {_fingerprint(one) for one in trusted}
        if not seal["trusted"]:
            problems.append("the seal is by a certificate that is not among the trusted ones")
    return seal


def _checked(signature: EmbeddedPdfSignature) -> Seal:
    certificate: asn1_x509.Certificate = signature.signer_cert
    context = ValidationContext(
        trust_roots=[certificate], allow_fetching=False, revocation_mode="soft-fail"
    )
    status = validate_pdf_signature(signature, signer_validation_context=context)
    when = signature.self_reported_timestamp
    return {
        "intact": bool(status.intact and status.valid),
        "whole_file": status.coverage == SignatureCoverageLevel.ENTIRE_FILE,
        "trusted": None,
        "signer": certificate.subject.human_friendly,
        "fingerprint": certificate.sha256.hex(),
        "claimed_time": when.isoformat() if when else "",
    }


def _fingerprint(certificate: x509.Certificate) -> str:
    return sha256_hex(certificate.public_bytes(serialization.Encoding.DER))


def _reproduced(data: bytes, bundle: bytes | None, proof: str | None, problems: list[str]) -> bool:
    if bundle is None:
        return False
    try:
        same = data.startswith(render(bundle, proof=proof))
    except BadBundle:
        same = False
    if not same:
        problems.append("drawing the attached bundle again gives other bytes")
    return same
