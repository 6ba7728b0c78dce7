"""The PDF of a report: a pure function of the bundle's bytes, the proof, the template and its fonts."""

import json
from collections.abc import Iterator
from typing import Any, Final

from reportlab.platypus import Flowable

from kernel.canonical import dumps, sha256_hex
from kernel.errors import Unprocessable
from kernel.moments import parse_rfc3339
from reports.bundle_schema import SCHEMA, ReportBundle
from reports.pdf import archival, document, fonts
from reports.pdf import sections_checks as checks
from reports.pdf import sections_front as front
from reports.pdf import sections_record as record
from reports.pdf import sections_system as system
from reports.pdf.words import instant

TEMPLATE_VERSION: Final = "1"
"""Raised with every change of layout, words or fonts that changes a byte of the output."""

BUNDLE_NAME: Final = "bundle.json"
PROOF_NAME: Final = "bundle.tlog-proof"


class BadBundle(Unprocessable):
    """The bytes are no report bundle in canonical form."""


def read_bundle(data: bytes) -> ReportBundle:
    """Read a bundle.

    Raises:
        BadBundle: not JSON, not canonical, of another schema, or citing evidence it does not list.
    """
    try:
        bundle = json.loads(data)
        canonical = dumps(bundle)
    except ValueError as error:
        raise BadBundle(f"the bundle is no JSON: {error}", field="bundle") from None
    if canonical != data:
        raise BadBundle("the bundle is not in canonical form (RFC 8785)", field="bundle")
    if not isinstance(bundle, dict) or bundle.get("schema") != SCHEMA:
        raise BadBundle(f"the bundle's schema is not {SCHEMA}", field="bundle")
    indexed = {row["ref"] for row in bundle["evidence"]}
    dangling = sorted({ref for ref in _cited(bundle) if ref and ref not in indexed})
    if dangling:
        raise BadBundle(f"no row of the evidence index is {', '.join(dangling)}", field="bundle")
    return bundle  # type: ignore[return-value]


def _cited(value: Any) -> Iterator[str]:
    """Every evidence id that anything in the bundle names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("ref", "waiver"):
                yield inner
            elif key == "refs":
                yield from inner
            else:
                yield from _cited(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _cited(inner)


def render(bundle: bytes, *, proof: str | None, template_version: str = TEMPLATE_VERSION) -> bytes:
    """Draw the report: tagged, archival (PDF/A-3b), unsigned. Same arguments, same bytes.

    Args:
        bundle: a `ReportBundle` in canonical form; attached as `bundle.json`.
        proof: the inclusion proof of its digest (C2SP tlog-proof text); attached if given.
        template_version: must be the one that this code draws.

    Raises:
        BadBundle: the bytes are no bundle in canonical form.
        Unprocessable: the template version is not known here.
        fonts.Unprintable: a name holds characters that no face can draw.
        archival.NotArchival: the result does not pass as PDF/A-3b.
    """
    if template_version != TEMPLATE_VERSION:
        raise Unprocessable(
            f"this installation draws template {TEMPLATE_VERSION}, not {template_version}",
            field="template_version",
        )
    read = read_bundle(bundle)
    digest = sha256_hex(bundle)
    preflight(read)
    laid_out, canvas = document.build(
        list(_story(read, digest, proof)), _furniture(read, digest), read["report"]["title"]
    )
    return archival.archive(laid_out, canvas, _metadata(read, digest), _attachments(bundle, proof))


def preflight(bundle: ReportBundle) -> None:
    """Refuse names that could not be printed whole; other texts show a code point instead.

    Raises:
        fonts.Unprintable: naming the first such name and its characters.
    """
    fonts.load()
    names = [
        bundle["report"]["title"],
        bundle["installation"]["organisation"],
        bundle["model"]["name"],
        bundle["model"]["title"],
        bundle["use"]["name"],
        bundle["version"]["label"],
        bundle["version"]["author"],
        bundle["standing"]["environment"],
        *(person["name"] for person in bundle["model"]["people"]),
        *(signature["name"] for signature in bundle["signatures"]),
        *(validation["by"] for validation in bundle["validations"]),
    ]
    for name in names:
        fonts.require(name)


def _story(bundle: ReportBundle, digest: str, proof: str | None) -> Iterator[Flowable]:
    yield from front.one_glance(bundle, digest)
    yield from front.contents()
    yield from front.scope(bundle)
    yield from front.controls(bundle)
    yield from system.system(bundle)
    yield from system.datasets(bundle)
    yield from system.development(bundle)
    yield from checks.checks(bundle)
    yield from checks.monitoring(bundle)
    yield from record.approvals(bundle)
    yield from record.history(bundle)
    yield from record.limitations(bundle)
    yield from record.evidence(bundle)
    yield from record.verification(bundle, digest, proof, TEMPLATE_VERSION)


def _furniture(bundle: ReportBundle, digest: str) -> document.Furniture:
    report, model = bundle["report"], bundle["model"]
    return document.Furniture(
        head_left=f"{model['title']}, version {bundle['version']['number']}",
        head_right=f"Evidence up to {instant(report['cut_off'])}",
        foot_left=f"Report {report['id']} · bundle SHA-256 {digest[:16]}",
    )


def _metadata(bundle: ReportBundle, digest: str) -> archival.Metadata:
    report = bundle["report"]
    return archival.Metadata(
        title=f"{report['title']}: {bundle['model']['title']}, version {bundle['version']['number']}",
        author=bundle["installation"]["organisation"],
        subject=f"Report {report['id']}",
        keywords=f"bundle-sha256:{digest} template:{TEMPLATE_VERSION}",
        instant=parse_rfc3339(report["cut_off"], "cut_off").replace(microsecond=0),
    )


def _attachments(bundle: bytes, proof: str | None) -> list[archival.Attachment]:
    found = [
        archival.Attachment(
            BUNDLE_NAME, "The report bundle: every fact of this report", "application/json", bundle
        )
    ]
    if proof:
        found.append(
            archival.Attachment(
                PROOF_NAME,
                "Proof that the bundle's digest is in the log",
                "text/plain",
                proof.encode(),
                "Supplement",
            )
        )
    return found
