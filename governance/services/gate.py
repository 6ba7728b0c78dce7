"""Asking the gate: read one snapshot, decide, sign, and put it on record before anybody hears of it.

The facts are read and the answer is signed outside the write, without a lock. The write is short: it
waits for whoever is writing about the version, and if the version has changed the whole is done again.
What cannot be put on record is not answered: every failure leaves as an exception, and none of them
is an allow.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from accounts.access import can, require, visible
from audit import checkpoints
from audit.actor import Actor
from audit.recording import record
from audit.writing import write
from governance import attestations, facts
from governance.attestations import PolicyReference, Subject, Summary
from governance.controls.results import ControlResult, Mode
from governance.facts import Collected
from governance.gate import Answer, Decision, Question, Verdict, decide
from governance.models import GateDecision
from governance.selectors import instant_for
from kernel import canonical, keys
from kernel.errors import Unavailable
from kernel.identifiers import uuid7
from kernel.moments import now, rfc3339
from registry.models import ModelVersion, RegisteredModel
from registry.services import is_unchanged

VERSION = "0.1.0"
_TRIES = 3


@dataclass(frozen=True)
class _Draft:
    """A decision that is not on record yet."""

    id: UUID
    question: Question
    collected: Collected
    decision: Decision
    envelope: dict[str, Any]


class _Changed(Exception):
    """The version was written to between the snapshot and the write."""


def ask(question: Question, *, actor: Actor) -> GateDecision:
    """Answer a question and return the decision, which is on record with its attestation.

    A version that the actor may not read is answered as if it were not there.

    Raises:
        Refused: the actor may read the version and not ask the gate about it.
        Unavailable: the version kept changing while it was asked about.
    """
    for _ in range(_TRIES):
        with facts.snapshot():
            collected, at = _look(question, actor)
            checkpoint = checkpoints.latest()
            supersedes = _before(collected, question)
        decision = decide(collected.facts, at)
        identity, envelope = _signed(question, collected, decision, checkpoint, supersedes, actor)
        draft = _Draft(identity, question, collected, decision, envelope)
        try:
            return _put_on_record(draft, actor=actor)
        except _Changed:
            continue
    raise Unavailable("the version is being changed; ask again", code="changing")


def still_allows(question: Question, *, actor: Actor) -> bool:
    """Would the gate allow it now? Nothing is put on record: an answer that was given is looked at."""
    with facts.snapshot():
        collected, at = _look(question, actor)
        permitted = any(can(actor, "gate.ask", one) for one in collected.asked_about)
    return permitted and decide(collected.facts, at).answer is Answer.ALLOW


def _look(question: Question, actor: Actor) -> tuple[Collected, datetime]:
    """What the decision rests on, and at which instant."""
    fitting = facts.candidates(question)
    versions = _known_to(actor, fitting)
    hidden = bool(versions) and not question.model and len(versions) < len(fitting)
    at = max([now(), *(instant_for(version) for version in versions)])
    return facts.collect(question, versions, at, hidden=hidden), at


def _known_to(actor: Actor, versions: list[ModelVersion]) -> list[ModelVersion]:
    """Those that the actor may ask about or could read about; the others are not there for it."""
    allowed = [one for one in versions if can(actor, "gate.ask", one)]
    if len(allowed) == len(versions):
        return versions
    # Whether it may read is a question of its roles; a token for the gate alone has no such scope.
    reader = replace(actor, scopes=None)
    readable = set(
        visible(
            RegisteredModel.objects.filter(pk__in={one.model_id for one in versions}), reader
        ).values_list("pk", flat=True)
    )
    return [one for one in versions if one in allowed or one.model_id in readable]


def _before(collected: Collected, question: Question) -> UUID | None:
    """The decision that this one supersedes: the newest of the same run about the same."""
    if not question.run_id or collected.version is None:
        return None
    return (
        GateDecision.objects.filter(
            version=collected.version,
            use=collected.use,
            environment=collected.environment,
            run_id=question.run_id,
        )
        .order_by("-decided_at")
        .values_list("pk", flat=True)
        .first()
    )


@write
def _put_on_record(draft: _Draft, *, actor: Actor) -> GateDecision:
    version, asked_about = draft.collected.version, draft.collected.asked_about
    if asked_about and not any(can(actor, "gate.ask", one) for one in asked_about):
        require(actor, "gate.ask", asked_about[0])
    if version is not None and not is_unchanged(version):
        raise _Changed
    row = _row(draft, actor)
    row.save(force_insert=True)
    _record(row, draft, actor)
    return row


def _row(draft: _Draft, actor: Actor) -> GateDecision:
    question, collected, decision = draft.question, draft.collected, draft.decision
    return GateDecision(
        pk=draft.id,
        asked_digest=question.digest,
        asked_model=question.model,
        asked_number=question.number,
        asked_environment=question.environment,
        asked_use=question.use,
        purpose=question.purpose.value,
        run_id=question.run_id,
        version=collected.version,
        use=collected.use,
        environment=collected.environment,
        answer=decision.answer.value,
        judged=decision.judged.value,
        path=decision.path.value,
        mode=decision.mode.value,
        verdict=decision.verdict.value,
        standing=decision.standing.value,
        summary=decision.summary,
        reasons=[reason.to_json() for reason in decision.reasons],
        waivers=list(decision.waivers),
        policy_revision=collected.policy_revision,
        decided_at=decision.decided_at,
        not_after=decision.not_after,
        attestation=draft.envelope,
        asked_by_id=actor.id,
    )


def _record(row: GateDecision, draft: _Draft, actor: Actor) -> None:
    version, revision = draft.collected.version, draft.collected.policy_revision
    asked = {
        "environment": row.asked_environment,
        "use": row.asked_use,
        "model": row.asked_model,
        "digest": row.asked_digest,
        "number": row.asked_number,
        "run_id": row.run_id,
    }
    record(
        "governance.gate_decision.made",
        actor=actor,
        at=row.decided_at,
        object_type="gate_decision",
        object_id=str(row.pk),
        public={
            "answer": row.answer,
            "judged": row.judged,
            "verdict": row.verdict,
            "mode": row.mode,
            "purpose": row.purpose,
            "path": row.path,
            "standing": row.standing,
            "model": version.model.name if version else None,
            "number": version.number if version else None,
            "use": row.use.name if row.use else None,
            "environment": row.environment.name if row.environment else None,
            "artifact_digest": version.artifact_digest if version else row.asked_digest or None,
            "policy": revision.policy.name if revision else None,
            "policy_revision": revision.number if revision else None,
            "policy_digest": revision.digest if revision else None,
            "denied_by": [one.control for one in draft.decision.reasons if one.blocks],
            "waivers": list(row.waivers),
            "not_after": row.not_after,
            "attestation_digest": canonical.digest(row.attestation) if row.attestation else None,
        },
        # What the pipeline called things is its own text, and may name somebody.
        private={name: value for name, value in asked.items() if value not in (None, "")},
        scope=version.model_id if version else None,
    )


def _signed(
    question: Question,
    collected: Collected,
    decision: Decision,
    checkpoint: str | None,
    supersedes: UUID | None,
    actor: Actor,
) -> tuple[UUID, dict[str, Any]]:
    """The decision's id and its attestation; {} where no digest is known to attest."""
    identity = uuid7()
    version = collected.version
    digest = version.artifact_digest if version else question.digest
    if not digest:
        return identity, {}
    extension = _extension(identity, question, collected, decision, actor)
    extension["supersedes"] = str(supersedes) if supersedes else None
    extension["logCheckpoint"] = checkpoint
    payload = attestations.statement(_summary(digest, collected, decision, extension))
    return identity, attestations.sign(payload, keys.current("attestation").p256)


def _extension(
    identity: UUID, question: Question, collected: Collected, decision: Decision, actor: Actor
) -> dict[str, Any]:
    version = collected.version
    return {
        "id": str(identity),
        "decision": decision.answer.value,
        "judged": decision.judged.value,
        "mode": decision.mode.value,
        "purpose": question.purpose.value,
        "path": decision.path.value,
        "environment": question.environment,
        "use": collected.use.name if collected.use else question.use,
        "model": version.model.name if version else None,
        "version": version.number if version else None,
        "standing": decision.standing.value,
        "notAfter": rfc3339(decision.not_after) if decision.not_after else None,
        "nonce": secrets.token_hex(16),
        "runId": question.run_id or None,
        "askedBy": str(actor.pseudonym),
        "reasons": [_reason(one) for one in decision.reasons],
        "waivers": list(decision.waivers),
    }


def _reason(result: ControlResult) -> dict[str, Any]:
    """Which control has which status; why, only where it does not simply hold."""
    short = {
        "control": result.control,
        "status": result.status.value,
        "mode": "block" if result.mode is Mode.BLOCK else "warn",
    }
    return short if result.status.value == "pass" else {**short, "reason": result.reason}


def _summary(
    digest: str, collected: Collected, decision: Decision, extension: dict[str, Any]
) -> Summary:
    root = f"{settings.COUNTERSIGN.public_url}/api/v1"
    version, revision = collected.version, collected.policy_revision
    if version is None:
        subject = Subject(digest, "unknown", f"urn:sha256:{digest}")
    else:
        path = f"models/{version.model.name}/versions/{version.number}"
        subject = Subject(digest, f"{version.model.name}/{version.number}", f"{root}/{path}/")
    policy = PolicyReference(f"{root}/policies/")
    if revision is not None:
        policy = PolicyReference(
            f"{root}/policies/{revision.policy.name}/revisions/{revision.number}/", revision.digest
        )
    passed = decision.verdict is Verdict.PASSED
    place = extension["environment"].upper().replace("-", "_")
    inputs: tuple[tuple[str, str], ...] = ()
    if collected.dossier:
        inputs = ((f"{subject.uri}dossiers/{collected.dossier}/", collected.dossier),)
    return Summary(
        subject=subject,
        verifier=f"{settings.COUNTERSIGN.public_url}/gate/v1",
        verifier_version=VERSION,
        verified_at=decision.decided_at,
        policy=policy,
        passed=passed,
        # FAILED is SLSA's own word for a policy that was not met.
        levels=(f"COUNTERSIGN_ALLOWED_IN_{place}",) if passed else ("FAILED",),
        extension=extension,
        inputs=inputs,
    )
