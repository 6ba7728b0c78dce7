"""`countersign verify`: attestations, log exports, log proofs and reports, without the server."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from countersign_client import dsse, p256, verifier
from countersign_client.errors import ClientError, Exit, UsageError
from countersign_client.screen import say, warn

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/verification_summary/v1"
EXTENSION = "https://countersign.dev/gate-decision/v1"


def verify_attestation(
    envelope: Any,
    key_pem: str,
    *,
    digest: str | None,
    environment: str | None,
    use: str | None = None,
    at: datetime | None = None,
) -> list[str]:
    """Return what speaks against an attestation; an empty list means that it counts.

    Checked are the signature (DSSE, ECDSA P-256) by the pinned key, that it says PASSED and allow,
    the artifact's SHA-256, the environment, the use where one is given, and that it has not expired.
    What it does not say does not count.
    """
    try:
        payload = dsse.verify(envelope, _keys(key_pem))
        statement = json.loads(payload)
    except (dsse.EnvelopeError, ValueError) as error:
        return [str(error)]
    if not isinstance(statement, Mapping):
        return ["the statement is no JSON object"]
    predicate = _mapping(statement.get("predicate"))
    decision = _mapping(predicate.get(EXTENSION))
    findings = []
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        findings.append("it is no verification summary")
    if predicate.get("verificationResult") != "PASSED":
        findings.append(f"it says {predicate.get('verificationResult')}, not PASSED")
    if decision.get("decision") != "allow":
        findings.append(f"the decision is {decision.get('decision')}, not allow")
    if digest is None:
        findings.append("say which artifact it must be for")
    elif digest.removeprefix("sha256:") not in _subjects(statement):
        findings.append(f"it is not about the artifact {digest}")
    if environment is None:
        findings.append("say which environment it must be for")
    elif decision.get("environment") != environment:
        findings.append(f"it is for {decision.get('environment')}, not {environment}")
    if use is not None and decision.get("use") != use:
        findings.append(f"it is for the use {decision.get('use')}, not {use}")
    findings += _expiry(decision.get("notAfter"), at or datetime.now(UTC))
    return findings


def _keys(pem: str) -> list[str]:
    mark = "-----END PUBLIC KEY-----"
    return [part + mark for part in pem.split(mark)[:-1]] or [pem]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _subjects(statement: Mapping[str, Any]) -> set[object]:
    subjects = statement.get("subject")
    rows = subjects if isinstance(subjects, list) else []
    return {_mapping(_mapping(row).get("digest")).get("sha256") for row in rows}


def _expiry(text: object, at: datetime) -> list[str]:
    try:
        end = datetime.fromisoformat(str(text))
    except ValueError:
        return ["it does not say when it expires"]
    if end.tzinfo is None:
        return ["its expiry has no offset"]
    return [f"it expired at {text}"] if end < at else []


def verify_file(
    path: Path,
    *,
    key: Path | None,
    vkeys: Sequence[str],
    older: Sequence[str],
    digest: str | None,
    environment: str | None,
    use: str | None,
    at: datetime | None,
    seal: Path | None,
) -> Exit:
    """Find out what `path` is and verify it as that."""
    if path.is_dir():
        return _export(path, vkeys, older)
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"%PDF-"):
        return _report(path, seal)
    if _is_envelope(path, head):
        return _attestation(path, key, digest=digest, environment=environment, use=use, at=at)
    return _export(path, vkeys, older)


def _is_envelope(path: Path, head: bytes) -> bool:
    if not head.lstrip().startswith(b"{") or path.stat().st_size > 10_000_000:
        return False
    try:
        value = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(value, dict) and "payloadType" in value


def _attestation(path: Path, key: Path | None, **expected: Any) -> Exit:
    if key is None:
        raise UsageError("give the gate's public key, which you got earlier and trust, with --key")
    try:
        findings = verify_attestation(json.loads(path.read_bytes()), key.read_text(), **expected)
    except (OSError, p256.KeyFormatError) as error:
        raise UsageError(f"{key}: {error}") from None
    for finding in findings:
        warn(f"INVALID {finding}")
    if not findings:
        say("VALID attestation: signature, PASSED, artifact, environment, not expired")
    return Exit.NO if findings else Exit.YES


def _export(path: Path, vkeys: Sequence[str], older: Sequence[str]) -> Exit:
    arguments = [str(path)]
    for key in vkeys:
        arguments += ["--vkey", key]
    for checkpoint in older:
        arguments += ["--checkpoint", checkpoint]
    return Exit(verifier.main(arguments))


def _report(path: Path, seal: Path | None) -> Exit:
    try:
        from countersign_client import pdf
    except ImportError:
        raise ClientError(
            "a PDF's seal and certificate need more than the standard library: "
            "pip install 'countersign-client[pdf]'",
            Exit.CANNOT_DECIDE,
        ) from None
    verdict = pdf.verify(path, seal)
    for line in verdict.lines:
        say(line)
    for problem in verdict.problems:
        warn(f"INVALID {problem}")
    say({Exit.YES: "VALID", Exit.NO: "INVALID"}.get(verdict.exit_code, "NOT DECIDED") + " report")
    return verdict.exit_code
