"""Deployments: what runs where, for what, since when. Facts are recorded, even unwelcome ones."""

from collections.abc import Callable
from uuid import UUID

from accounts.access import require
from audit.actor import Actor
from audit.writing import write
from kernel.errors import Conflict, Unprocessable
from registry import demands
from registry.models import Deployment, Environment, ModelVersion, Use
from registry.services.steps import lock_model, lock_version, lock_versions, note, tick

DecisionCheck = Callable[[UUID, ModelVersion, Use, Environment], None]

_decision_checks: list[DecisionCheck] = []


def register_decision_check(check: DecisionCheck) -> None:
    """Let a layer above say whether a gate decision is one for (version, use, environment).

    The check raises `Unprocessable` naming `gate_decision` if it is not. Called in `ready()`.
    """
    if check not in _decision_checks:
        _decision_checks.append(check)


@write
def record_deployment(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    artifact_digest: str,
    kind: str = Deployment.Kind.CHAMPION,
    gate_decision_id: UUID | None = None,
    is_rollback: bool = False,
    actor: Actor,
) -> Deployment:
    """Record that a version runs from now on. A new champion ends the one before it there.

    Raises:
        Unprocessable: the digest is not the version's; the use is another model's; the decision is
            not about this; a rollback to what never ran there.
        Conflict: the version runs there so already.
    """
    require(actor, "deployment.record", version)
    demands.choice(kind, Deployment.Kind.values, "kind")
    lock_model(version.model_id)
    there = Deployment.objects.filter(use=use, environment=environment)
    live = there.filter(kind=kind, live_until=None)
    if kind != Deployment.Kind.CHAMPION:
        live = live.filter(version=version)
    there_now = list(live.values_list("version_id", flat=True))
    locked = {one.pk: one for one in lock_versions([version.pk, *there_now])}
    version = locked[version.pk]
    # Read under the locks: what ended meanwhile has its end on record already.
    before = list(live.filter(version__in=locked).select_related("version"))
    _check(version, use, environment, artifact_digest, gate_decision_id)
    if any(old.version_id == version.pk for old in before):
        raise Conflict(f"the version is live there as {kind} already", field="version")
    if is_rollback and not there.filter(version=version).exists():
        raise Unprocessable(
            "the version never ran there, so this is no rollback", field="is_rollback"
        )
    at = tick(*locked.values())
    for old in before:
        old.live_until = at
        old.save(update_fields=["live_until"])
        _note_end(old, actor=actor)
    row = Deployment.objects.create(
        version=version,
        use=use,
        environment=environment,
        kind=kind,
        artifact_digest=artifact_digest,
        gate_decision_id=gate_decision_id,
        is_rollback=is_rollback,
        live_from=at,
        reported_by_id=actor.id,
    )
    note(
        "registry.deployment.recorded",
        row,
        actor=actor,
        at=at,
        public={
            "model": version.model.name,
            "number": version.number,
            "use": use.name,
            "environment": environment.name,
            "kind": kind,
            "artifact_digest": artifact_digest,
            "gate_decision": gate_decision_id,
            "is_rollback": is_rollback,
            "ended": [old.pk for old in before],
        },
    )
    return row


@write
def end_deployment(deployment: Deployment, *, actor: Actor) -> Deployment:
    """Record that a version runs there no more."""
    require(actor, "deployment.record", deployment)
    version = lock_version(deployment.version_id)
    row = (
        Deployment.objects.select_for_update(of=("self",))
        .select_related("version__model", "use", "environment")
        .get(pk=deployment.pk)
    )
    if row.live_until is not None:
        raise Conflict("this deployment has ended already", field="deployment")
    row.live_until = tick(version)
    row.save(update_fields=["live_until"])
    _note_end(row, actor=actor)
    return row


def _note_end(row: Deployment, *, actor: Actor) -> None:
    assert row.live_until is not None
    note(
        "registry.deployment.ended",
        row,
        actor=actor,
        at=row.live_until,
        public={
            "model": row.version.model.name,
            "number": row.version.number,
            "use": row.use.name,
            "environment": row.environment.name,
            "kind": row.kind,
        },
    )


def _check(
    version: ModelVersion,
    use: Use,
    environment: Environment,
    artifact_digest: str,
    gate_decision_id: UUID | None,
) -> None:
    if use.model_id != version.model_id:
        raise Unprocessable("this is a use of another model", field="use")
    if artifact_digest != version.artifact_digest:
        raise Unprocessable(
            f"version {version.number} is {version.artifact_digest}; what runs is something else",
            field="artifact_digest",
        )
    if gate_decision_id is not None:
        for check in _decision_checks:
            check(gate_decision_id, version, use, environment)
