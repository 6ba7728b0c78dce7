"""`countersign submit`, `gate` and `deployed`."""

import json
import time
from pathlib import Path
from typing import Any

from countersign_client.errors import Answer, ClientError, Exit, UsageError
from countersign_client.manifest import sha256_of
from countersign_client.screen import say, warn
from countersign_client.session import Session
from countersign_client.verifying import verify_attestation

EXITS = {"allow": Exit.YES, "deny": Exit.NO, "pending": Exit.PENDING}


def submit(
    session: Session, model: str, number: int, *, environment: str, use: str, note: str
) -> None:
    """Submit a version for review."""
    body = {"environment": environment, "use": use, "note": note}
    review = session.post(f"models/{model}/versions/{number}/reviews/", body)
    say(f"review {review['id']}: open, signed digest {review['signed_digest']}")
    for result in review.get("control_results", []):
        if result["status"] != "pass":
            warn(f"  {result['status']}: {result['sentence']} {result['reason']}")


def gate(
    session: Session,
    question: dict[str, Any],
    *,
    artifact: Path | None,
    key: Path | None,
    out: Path | None,
    wait: float,
) -> Exit:
    """Ask the gate whether an artifact may go to an environment. Only `allow` is a yes.

    With `key` (a PEM of the gate's public key, pinned by the pipeline) an allow counts only if its
    attestation verifies for the artifact and the environment.
    """
    if artifact is not None:
        if not artifact.is_file():
            raise UsageError(f"there is no file {artifact}")
        question = question | {"digest": sha256_of(artifact)}
    deadline = time.monotonic() + wait
    while True:
        decision = _ask(session, question)
        if decision.get("decision") != "pending" or time.monotonic() >= deadline:
            break
        time.sleep(min(5.0, max(0.0, deadline - time.monotonic())))
    _show(decision)
    envelope = decision.get("attestation")
    if out is not None and isinstance(envelope, dict):
        out.write_text(json.dumps(envelope, indent=2) + "\n")
        say(f"attestation saved to {out}")
    verdict = EXITS.get(str(decision.get("decision")), Exit.CANNOT_DECIDE)
    if verdict is Exit.YES and key is not None:
        _demand(envelope, question, key)
    return verdict


def _ask(session: Session, question: dict[str, Any]) -> dict[str, Any]:
    """`enforce` answers 200 for allow alone; 403 and 409 carry a decision as well."""
    answer = session.post("gate/enforce/", question, accept=(403, 409, 503))
    if isinstance(answer, dict) and answer.get("decision") in EXITS:
        return answer
    problem = answer if isinstance(answer, dict) else {}
    status = problem.get("status")
    if isinstance(status, int) and 400 <= status < 500:
        # Not a decision about the artifact: the question itself was refused (token, role, input).
        raise Answer(status, problem)
    raise ClientError(f"the gate cannot decide: {problem.get('detail', 'no reason given')}")


def _show(decision: dict[str, Any]) -> None:
    say(f"{str(decision['decision']).upper()} {decision.get('summary', '')}".rstrip())
    for reason in decision.get("reasons", []):
        if reason.get("status") not in {"pass", "PASS"}:
            say(f"  {reason.get('control')}: {reason.get('reason') or reason.get('sentence')}")
            if reason.get("remedy"):
                say(f"    to do: {reason['remedy']}")


def _demand(envelope: Any, question: dict[str, Any], key: Path) -> None:
    if not isinstance(envelope, dict):
        raise ClientError("the gate said allow without an attestation; it does not count", Exit.NO)
    findings = verify_attestation(
        envelope,
        key.read_text(),
        digest=question.get("digest"),
        environment=question["environment"],
    )
    if findings:
        raise ClientError("the attestation does not count: " + "; ".join(findings), Exit.NO)
    say("attestation verified: signature, artifact, environment, time")


def deployed(session: Session, model: str, number: int, record: dict[str, Any]) -> None:
    """Tell that a version runs in an environment now."""
    version = session.get(f"models/{model}/versions/{number}/")
    record = record | {"model": model, "artifact_digest": version["artifact_digest"]}
    deployment = session.post("deployments/", record)
    say(f"deployment {deployment['id']}: {deployment['kind']} in {deployment['environment']}")
