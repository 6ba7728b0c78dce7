"""A governed place for tests: people, a policy in force, a version that can be submitted."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from accounts import services as accounts
from accounts.models import Role, User
from audit.actor import Actor
from audit.models import Entry
from governance.models import Review, Signature, Validation
from governance.services import approvals, policies, reviews, validations
from registry.models import Environment, ModelVersion, Use
from registry.services import set_tier
from tests import factories as f

SMALL = """
name: small
title: Small
approvals: {roles: [validator, risk_officer], quorum: 2}
validity_days: 90
controls:
  - id: code
    mode: block
    kind: code_commit_recorded
    reason: So that it can be retraced.
    remedy: Register the commit.
  - id: findings
    mode: block
    kind: no_open_findings
    severity: high
    reason: Mend first.
    remedy: Close it.
  - id: validated
    mode: block
    kind: validation_written
    reason: Somebody independent.
    remedy: Ask a validator.
  - id: lineage
    mode: warn
    kind: dataset_lineage_complete
    reason: Figures need data.
    remedy: Link the data.
"""


@dataclass
class World:
    developer: User = field(default_factory=lambda: f.make_user(None, Role.DEVELOPER))
    submitter: User = field(default_factory=lambda: f.make_user(None, Role.OWNER))
    validator: User = field(default_factory=lambda: f.make_user(None, Role.VALIDATOR))
    officer: User = field(default_factory=lambda: f.make_user(None, Role.RISK_OFFICER))
    version: ModelVersion = field(init=False)
    use: Use = field(init=False)
    environment: Environment = field(init=False)

    def __post_init__(self) -> None:
        self.version = f.make_version(by=self.developer)
        self.use = f.default_use(self.version.model)
        self.environment = f.make_environment()
        self.govern(SMALL)

    def govern(self, source: str, **more: Any) -> None:
        """Publish a policy and bind it to every tier, if it is new there."""
        revision = policies.publish_policy(source, actor=self.by(self.officer), **more)
        if not revision.policy.bindings.filter(environment=self.environment, until=None).exists():
            policies.bind_policy(
                revision.policy, environment=self.environment, actor=self.by(self.officer)
            )

    def by(self, user: User) -> Actor:
        return f.actor_of(user)

    def submit(self, by: User | None = None, **more: Any) -> Review:
        self.version.refresh_from_db()
        wanted = {"use": self.use, "environment": self.environment} | more
        return reviews.submit(self.version, actor=self.by(by or self.submitter), **wanted)

    def validate(self, review: Review, by: User | None = None, **more: Any) -> Validation:
        wanted = {
            "scope": "All of it",
            "rating": "satisfactory",
            "conclusion": "It does what it says",
        } | more
        return validations.write_validation(review, actor=self.by(by or self.validator), **wanted)

    def prove(self, user: User, review: Review, digest: str | None = None) -> UUID:
        """Re-authenticate for a signature."""
        grant = accounts.reauthenticate(
            user,
            password=f.PASSWORD,
            subject_type="review",
            subject_id=review.pk,
            signed_digest=digest or review.signed_digest,
            actor=self.by(user),
        )
        return grant.pk

    def sign(self, review: Review, user: User, **more: Any) -> Signature:
        grant = more.pop("grant", None) or self.prove(user, review)
        wanted = {"decision": "approve", "meaning": "approval", "reason": "I agree"} | more
        return approvals.sign(review, grant=grant, actor=self.by(user), **wanted)

    def approve(self) -> Review:
        """Submit, validate and sign with the whole quorum."""
        review = self.submit()
        self.validate(review)
        self.sign(review, self.validator)
        self.sign(review, self.officer)
        review.refresh_from_db()
        return review

    def retier(self, tier: int) -> None:
        set_tier(self.use, tier, reason="looked at again", actor=self.by(self.officer))


def entries(type_: str) -> list[Entry]:
    return list(Entry.objects.filter(type=type_).order_by("id"))


def last(type_: str) -> dict[str, Any]:
    """The public facts of the newest entry of a type."""
    found: dict[str, Any] = entries(type_)[-1].public
    return found


def refusals() -> list[str]:
    return [entry.public["code"] for entry in entries("audit.write.refused")]
