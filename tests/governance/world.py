"""An approved version in a governed environment, for tests of the gate and of what follows from it.

Registry rows are made through its services. What people decide (policy, review, approval) is put down
as rows, because these tests are about what such rows mean, not about who may make them.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accounts.models import Role, User
from audit.actor import Actor
from audit.models import Entry
from audit.writing import write
from governance import dossiers
from governance.models import (
    Approval,
    Dossier,
    Policy,
    PolicyBinding,
    PolicyRevision,
    Review,
    Validation,
)
from kernel.canonical import sha256_hex
from kernel.moments import now
from monitoring.models import Breach, Monitor
from registry import services
from registry.models import Environment, ModelVersion, Use
from tests import factories

SOURCE = """
name: {name}
title: What may go to production
validity_days: 365
approvals:
  roles: [validator, risk_officer]
  quorum: 2
controls:
  - id: artifact-pinned
    mode: block
    kind: artifact_pinned
    reason: What is approved is what is deployed.
    remedy: Register the artifact.
  - id: code-recorded
    mode: block
    kind: code_commit_recorded
    reason: It must be retraceable.
    remedy: State the commit.
  - id: evidence-kept
    mode: {evidence}
    kind: evidence_present
    evidence: test_report
    reason: Somebody tested it.
    remedy: Add the report.
  - id: no-open-findings
    mode: block
    kind: no_open_findings
    severity: high
    reason: What is wrong is mended first.
    remedy: Close the finding.
  - id: validated
    mode: block
    kind: validation_written
    reason: Somebody independent looked.
    remedy: Ask a validator.
gate:
  decision_valid_minutes: 60
  rollback_window_days: 30
waivers:
  max_days: 30
  never: [artifact-pinned]
"""


def make_policy(
    environment: Environment, *, name: str | None = None, source: str = "", **fields: Any
) -> PolicyRevision:
    """A published policy that governs an environment for every tier."""
    name = name or factories.unique("policy")
    source = source or SOURCE.format(name=name, evidence=fields.pop("evidence", "warn"))
    policy = Policy.objects.create(name=name, title=name, created_at=now())
    PolicyBinding.objects.create(policy=policy, environment=environment, since=now())
    return publish(policy, source=source, **fields)


def publish(policy: Policy, *, source: str = "", **fields: Any) -> PolicyRevision:
    """The next revision of a policy."""
    source = source or SOURCE.format(name=policy.name, evidence="warn")
    known: dict[str, Any] = {
        "number": policy.revisions.count() + 1,
        "digest": sha256_hex(source.encode()),
        "source": source,
        "transition": "at_once",
        "published_at": now(),
    }
    return PolicyRevision.objects.create(policy=policy, **{**known, **fields})


@dataclass
class World:
    """One version and where it is meant to go. `pipeline` may ask the gate, by its token."""

    version: ModelVersion
    use: Use
    environment: Environment
    policy: PolicyRevision
    developer: User
    risk_officer: User
    owner: User
    operator: User
    pipeline: User
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> dict[str, Any]:
        return {"version": self.version, "use": self.use, "environment": self.environment}

    @property
    def names(self) -> dict[str, Any]:
        return {
            "model": self.version.model.name,
            "version": self.version.number,
            "environment": self.environment.name,
        }

    def question(self, **more: Any) -> dict[str, Any]:
        return {
            "digest": self.version.artifact_digest,
            "environment": self.environment.name,
            **more,
        }

    def refresh(self) -> ModelVersion:
        self.version.refresh_from_db()
        return self.version


def make_world(*, mode: str = "enforce", **policy: Any) -> World:
    developer = factories.make_user(None, Role.DEVELOPER)
    pipeline = factories.make_service_account(None, Role.OPERATOR)
    environment = factories.make_environment(mode=mode)
    version = factories.make_version(by=developer)
    return World(
        version=version,
        use=factories.default_use(version.model),
        environment=environment,
        policy=make_policy(environment, **policy),
        developer=developer,
        risk_officer=factories.make_user(None, Role.RISK_OFFICER),
        owner=factories.make_user(None, Role.OWNER),
        operator=factories.make_user(None, Role.OPERATOR),
        pipeline=pipeline,
        headers=factories.bearer(pipeline),
    )


def submit(world: World, **fields: Any) -> Review:
    """An open review of the version as it is now."""

    @write
    def freeze(*, actor: Actor) -> tuple[Dossier, datetime]:
        locked = services.lock_version(world.version.pk)
        at = services.tick(locked)
        services.freeze(locked, at)
        return dossiers.freeze(locked, world.use, at), at

    dossier, at = freeze(actor=Actor.system("tests"))
    version = world.refresh()
    known: dict[str, Any] = {
        "revision": version.revision,
        "dossier": dossier,
        "policy_revision": world.policy,
        "control_results": [],
        "signed_digest": "0" * 64,
        "signed_document": b"{}",
        "submitted_by": world.developer,
        "submitted_at": at,
    }
    return Review.objects.create(**world.place, **{**known, **fields})


def validate(world: World, dossier: Dossier, rating: str = "satisfactory") -> Validation:
    return Validation.objects.create(
        version=world.version,
        use=world.use,
        dossier=dossier,
        scope="all",
        rating=rating,
        conclusion="fit",
        validator=world.risk_officer,
        validator_name="V",
        written_at=now(),
    )


def approve(world: World, review: Review | None = None, **fields: Any) -> Approval:
    """The review ends in a yes: validated, closed, approved for a year."""
    review = review or submit(world)
    validate(world, review.dossier)
    at = now()
    Review.objects.filter(pk=review.pk).update(state="approved", closed_at=at)
    known: dict[str, Any] = {
        "revision": review.revision,
        "policy_revision": review.policy_revision,
        "signed_digest": review.signed_digest,
        "granted_at": at,
        "valid_until": at + timedelta(days=365),
    }
    return Approval.objects.create(review=review, **world.place, **{**known, **fields})


def make_monitor(world: World, **fields: Any) -> Monitor:
    known: dict[str, Any] = {
        "name": factories.unique("monitor"),
        "kind": "drift",
        "mapping": {},
        "limits": [{"metric": "psi", "op": "<=", "value": 0.2, "control": "drift"}],
        "definition_digest": "0" * 64,
        "effect": "no_new_deployment",
        "since": now(),
    }
    names = {one.name for one in Monitor._meta.get_fields()}
    known = {name: value for name, value in {**known, **fields}.items() if name in names}
    return Monitor.objects.create(**world.place, **known)


def make_breach(world: World, **fields: Any) -> Breach:
    """A breach as monitoring records it, its entry among them, in one write."""
    from monitoring.services import open_breach

    monitor = fields.pop("monitor", None) or make_monitor(world, **fields)

    @write
    def found(*, actor: Actor) -> Breach | None:
        locked = services.lock_version(world.version.pk)
        monitor.version = locked
        return open_breach(
            monitor,
            metric="psi",
            limit_key="psi <=",
            reason="exceeded",
            detail={
                "reason": "0.41 against <= 0.2",
                "judged": 0.41,
                "limit": {"metric": "psi", "op": "<=", "value": 0.2, "control": "drift"},
            },
            run=None,
            at=services.tick(locked),
            actor=actor,
        )

    breach = found(actor=Actor.system("tests"))
    assert breach is not None
    return breach


def entries(*types: str) -> list[Entry]:
    """The entries of these types, oldest first."""
    return list(Entry.objects.filter(type__in=types).order_by("pk"))
