"""What governance has to say about deployments: was the gate asked, and did it let them by?"""

from uuid import UUID, uuid5

from accounts.access import require
from audit.actor import Actor
from audit.models import Entry
from audit.writing import write
from governance.models import Finding, GateDecision
from governance.services.findings import start_finding
from governance.services.loop import SYSTEM
from kernel.errors import Unprocessable
from registry.models import Deployment, Environment, ModelVersion, Use
from registry.services import lock_version, tick


def check_decision(
    decision_id: UUID, version: ModelVersion, use: Use, environment: Environment
) -> None:
    """The registry asks whether a gate decision is one that let this by.

    Raises:
        Unprocessable: it is unknown, about something else, or no allow.
    """
    decision = GateDecision.objects.filter(pk=decision_id).first()
    if decision is None:
        raise Unprocessable("there is no such gate decision", field="gate_decision")
    about = (decision.version_id, decision.use_id, decision.environment_id)
    if about != (version.pk, use.pk, environment.pk):
        raise Unprocessable(
            "the gate decision is about another version, use or environment",
            field="gate_decision",
        )
    if decision.answer != GateDecision.Answer.ALLOW:
        raise Unprocessable(f"the gate's answer was {decision.answer}", field="gate_decision")


def look_at_deployment(entry: Entry) -> None:
    """Subscriber to `registry.deployment.recorded`: who deploys past the gate leaves a finding."""
    deployment = Deployment.objects.filter(pk=entry.object_id).first()
    if deployment is not None and not _asked_in_time(deployment):
        note_bypass(deployment, actor=SYSTEM)


def _asked_in_time(deployment: Deployment) -> bool:
    if deployment.gate_decision_id is None:
        return False
    decision = GateDecision.objects.filter(pk=deployment.gate_decision_id).first()
    if decision is None or decision.answer != GateDecision.Answer.ALLOW:
        return False
    return decision.not_after is None or deployment.live_from <= decision.not_after


@write
def note_bypass(deployment: Deployment, *, actor: Actor) -> Finding | None:
    """Open a finding about a deployment that no allow of the gate covers; None if there is one."""
    require(actor, "finding.manage", deployment)
    # The finding's id derives from the deployment's, so that saying it twice says it once.
    identity = uuid5(deployment.pk, "deployed past the gate")
    version = lock_version(deployment.version_id)
    if Finding.objects.filter(pk=identity).exists():
        return None
    return start_finding(
        version,
        identity=identity,
        title=f"Deployed to {deployment.environment.name} past the gate",
        detail=(
            "It went live without a decision of the gate that allowed it and was still valid. "
            "Find out how, and close the way."
        ),
        severity=Finding.Severity.HIGH,
        at=tick(version),
        actor=actor,
    )
