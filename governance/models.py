"""What is decided: policies, dossiers, validations, reviews, approvals, and what the gate answered.

Definitions stand apart from runs; decisions are appended, never changed; states over time are
intervals. `standing.py` reads them all for any instant.
"""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from accounts.models import Reauthentication, Role, User
from kernel.identifiers import uuid7
from monitoring.models import Breach
from registry.models import Environment, ModelVersion, RegisteredModel, Use


class Policy(models.Model):
    """A named set of rules. What it says is in its revisions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.name


class PolicyRevision(models.Model):
    """What a policy says, from its publication on. Immutable; publishing writes this one row."""

    class Transition(models.TextChoices):
        AT_ONCE = "at_once", "Older approvals stop counting at once"
        AT_DATE = "at_date", "Older approvals stop counting at a date"
        NEXT_REVIEW = "next_review", "Older approvals count until their next review"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    policy = models.ForeignKey(Policy, models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, help_text="SHA-256 of the YAML as published")
    source = models.TextField(help_text="YAML")
    transition = models.CharField(max_length=12, choices=Transition.choices)
    transition_at = models.DateTimeField(null=True)
    published_at = models.DateTimeField()
    published_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering: ClassVar = ["policy", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["policy", "number"], name="policy_number_once"),
            models.CheckConstraint(
                condition=Q(transition="at_date", transition_at__isnull=False)
                | (~Q(transition="at_date") & Q(transition_at=None)),
                name="transition_date_if_at_date",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy.name} {self.number}"


class PolicyBinding(models.Model):
    """Which policy governs an environment (and, where said, a tier), from one instant to another."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    policy = models.ForeignKey(Policy, models.PROTECT, related_name="bindings")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="+")
    tier = models.PositiveSmallIntegerField(null=True, help_text="null: every tier")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment", "tier"],
                condition=Q(until=None, tier__isnull=False),
                name="one_current_policy_a_tier",
            ),
            models.UniqueConstraint(
                fields=["environment"],
                condition=Q(until=None, tier=None),
                name="one_current_policy_for_all_tiers",
            ),
        ]


class Dossier(models.Model):
    """The facts that decisions rest on, as canonical JSON, by digest. Kept for ever."""

    digest = models.CharField(primary_key=True, max_length=64)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="dossiers")
    revision = models.PositiveIntegerField()
    document = models.BinaryField(help_text="RFC 8785")
    frozen_at = models.DateTimeField()


class Validation(models.Model):
    """What an independent validator found out about a version, on one dossier."""

    class Rating(models.TextChoices):
        SATISFACTORY = "satisfactory", "Satisfactory"
        SATISFACTORY_WITH_FINDINGS = "satisfactory_with_findings", "Satisfactory with findings"
        UNSATISFACTORY = "unsatisfactory", "Unsatisfactory"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="validations")
    use = models.ForeignKey(Use, models.PROTECT, related_name="+")
    dossier = models.ForeignKey(Dossier, models.PROTECT, related_name="validations")
    scope = models.TextField()
    rating = models.CharField(max_length=32, choices=Rating.choices)
    conclusion = models.TextField()
    limitations = models.TextField(blank=True)
    validator = models.ForeignKey(User, models.PROTECT, related_name="validations")
    validator_name = models.CharField(max_length=200)
    written_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-written_at"]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class Review(models.Model):
    """One request to decide about (version, use, environment), on one signed digest."""

    class State(models.TextChoices):
        OPEN = "open", "Open"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        WITHDRAWN = "withdrawn", "Withdrawn"
        SUPERSEDED = "superseded", "Superseded"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="reviews")
    use = models.ForeignKey(Use, models.PROTECT, related_name="reviews")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="reviews")
    revision = models.PositiveIntegerField(help_text="of the version when it was submitted")
    dossier = models.ForeignKey(Dossier, models.PROTECT, related_name="reviews")
    policy_revision = models.ForeignKey(PolicyRevision, models.PROTECT, related_name="reviews")
    control_results = models.JSONField(help_text="as judged at submission")
    signed_digest = models.CharField(max_length=64)
    signed_document = models.BinaryField(help_text="RFC 8785; what the signatures are over")
    note = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    submitted_by = models.ForeignKey(User, models.PROTECT, related_name="submitted_reviews")
    submitted_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closing_note = models.TextField(blank=True, help_text="why it was withdrawn or superseded")

    class Meta:
        ordering: ClassVar = ["submitted_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version", "use", "environment"],
                condition=Q(state="open"),
                name="one_open_review",
            ),
            models.CheckConstraint(
                condition=Q(state="open", closed_at=None)
                | (~Q(state="open") & Q(closed_at__isnull=False)),
                name="closed_review_has_time",
            ),
        ]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class Signature(models.Model):
    """A person's decision on a signed digest: name, time and meaning, after re-authentication."""

    class Decision(models.TextChoices):
        APPROVE = "approve", "Approve"
        REJECT = "reject", "Reject"

    class Meaning(models.TextChoices):
        REVIEW = "review", "Review"
        APPROVAL = "approval", "Approval"
        RESPONSIBILITY = "responsibility", "Responsibility"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    review = models.ForeignKey(Review, models.PROTECT, related_name="signatures")
    user = models.ForeignKey(User, models.PROTECT, related_name="signatures")
    name = models.CharField(max_length=200, help_text="as then known")
    role = models.CharField(max_length=16, choices=Role.choices, help_text="the role it fills")
    decision = models.CharField(max_length=8, choices=Decision.choices)
    meaning = models.CharField(max_length=16, choices=Meaning.choices)
    reason = models.TextField()
    signed_digest = models.CharField(max_length=64)
    reauthentication = models.OneToOneField(
        Reauthentication, models.PROTECT, related_name="signature"
    )
    signed_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["signed_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["review", "user"], name="one_person_one_signature"),
        ]


class Approval(models.Model):
    """A review ended in a yes: for this revision, under this policy revision, until a date."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    review = models.OneToOneField(Review, models.PROTECT, related_name="approval")
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="approvals")
    use = models.ForeignKey(Use, models.PROTECT, related_name="approvals")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="approvals")
    revision = models.PositiveIntegerField()
    policy_revision = models.ForeignKey(PolicyRevision, models.PROTECT, related_name="approvals")
    signed_digest = models.CharField(max_length=64)
    granted_at = models.DateTimeField()
    valid_until = models.DateTimeField()
    is_conditional = models.BooleanField(default=False)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    revocation_reason = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-granted_at"]
        indexes: ClassVar = [models.Index(fields=["version", "use", "environment"])]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class Waiver(models.Model):
    """Controls that need not pass for a while: why, what compensates, until when, and who agreed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="waivers")
    use = models.ForeignKey(Use, models.PROTECT, related_name="+")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="+")
    controls = models.JSONField()
    reason = models.TextField()
    compensating_control = models.TextField()
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    granted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    granted_at = models.DateTimeField(null=True, help_text="null: nobody agreed yet")
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, help_text="ended early, or refused")
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering: ClassVar = ["-requested_at"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(granted_by=None) | ~Q(granted_by=F("requested_by")),
                name="waiver_second_person",
            ),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("requested_at")), name="waiver_ends_after_request"
            ),
        ]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class Suspension(models.Model):
    """A version must not be used for a use in an environment, from one instant to another."""

    class Effect(models.TextChoices):
        NO_NEW_DEPLOYMENT = "no_new_deployment", "No new deployment"
        FALL_BACK = "fall_back", "Fall back to the version before"
        STOP = "stop", "Stop now"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="suspensions")
    use = models.ForeignKey(Use, models.PROTECT, related_name="+")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="+")
    effect = models.CharField(max_length=20, choices=Effect.choices)
    reason = models.TextField()
    breach = models.ForeignKey(Breach, models.PROTECT, null=True, related_name="suspensions")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    suspended_by = models.ForeignKey(
        User, models.PROTECT, null=True, related_name="+", help_text="null: the service itself"
    )
    lifted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    lift_reason = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-since"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["breach"], condition=Q(breach__isnull=False), name="one_suspension_a_breach"
            ),
        ]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class Finding(models.Model):
    """Something that is wrong or must be done, with an owner and a date."""

    class Severity(models.TextChoices):
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"
        CRITICAL = "critical", "Critical"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="findings")
    title = models.CharField(max_length=200)
    detail = models.TextField()
    severity = models.CharField(max_length=8, choices=Severity.choices)
    breach = models.ForeignKey(Breach, models.PROTECT, null=True, related_name="findings")
    validation = models.ForeignKey(Validation, models.PROTECT, null=True, related_name="findings")
    approvals = models.ManyToManyField(
        Approval,
        related_name="conditions",
        help_text="those that stand only if it is closed in time",
    )
    owner = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    due_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    closure = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-opened_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["breach"], condition=Q(breach__isnull=False), name="one_finding_a_breach"
            ),
        ]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class Incident(models.Model):
    """Suspected until a person signs its class and the instant of awareness; then clocks run."""

    class State(models.TextChoices):
        SUSPECTED = "suspected", "Suspected"
        CONFIRMED = "confirmed", "Confirmed"
        DISMISSED = "dismissed", "Dismissed"
        CLOSED = "closed", "Closed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="incidents")
    use = models.ForeignKey(Use, models.PROTECT, related_name="+")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="+")
    breach = models.ForeignKey(Breach, models.PROTECT, null=True, related_name="incidents")
    summary = models.TextField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.SUSPECTED)
    incident_class = models.CharField(max_length=40, blank=True)
    opened_at = models.DateTimeField()
    aware_at = models.DateTimeField(null=True)
    classified_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    conclusion = models.TextField(blank=True, help_text="why it was dismissed, or how it ended")

    class Meta:
        ordering: ClassVar = ["-opened_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["breach"], condition=Q(breach__isnull=False), name="one_incident_a_breach"
            ),
            models.CheckConstraint(
                condition=~Q(state="confirmed")
                | (Q(aware_at__isnull=False, classified_by__isnull=False) & ~Q(incident_class="")),
                name="confirmed_incident_is_classified",
            ),
        ]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class RetrainingRequest(models.Model):
    """A version should be trained anew; answered by the version that was."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="retraining_requests")
    breach = models.ForeignKey(
        Breach, models.PROTECT, null=True, related_name="retraining_requests"
    )
    incident = models.ForeignKey(Incident, models.PROTECT, null=True, related_name="+")
    reason = models.TextField()
    requested_at = models.DateTimeField()
    answered_by = models.ForeignKey(
        ModelVersion, models.PROTECT, null=True, related_name="answered_requests"
    )
    answered_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-requested_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["breach"], condition=Q(breach__isnull=False), name="one_request_a_breach"
            ),
        ]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class GateDecision(models.Model):
    """What the gate answered to whom, on which facts, with the attestation that it gave."""

    class Answer(models.TextChoices):
        ALLOW = "allow", "Allow"
        DENY = "deny", "Deny"
        PENDING = "pending", "Pending"

    class Purpose(models.TextChoices):
        DEPLOY = "deploy", "Deploy"
        ROLLBACK = "rollback", "Roll back"
        RESTART = "restart", "Restart or scale"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    asked_digest = models.CharField(max_length=64, blank=True)
    asked_model = models.CharField(max_length=80, blank=True)
    asked_number = models.PositiveIntegerField(null=True)
    asked_environment = models.CharField(max_length=40)
    asked_use = models.CharField(max_length=60, blank=True)
    purpose = models.CharField(max_length=8, choices=Purpose.choices)
    run_id = models.CharField(max_length=200, blank=True, help_text="the pipeline's own")
    version = models.ForeignKey(
        ModelVersion, models.PROTECT, null=True, related_name="gate_decisions"
    )
    use = models.ForeignKey(Use, models.PROTECT, null=True, related_name="+")
    environment = models.ForeignKey(Environment, models.PROTECT, null=True, related_name="+")
    answer = models.CharField(max_length=8, choices=Answer.choices)
    judged = models.CharField(
        max_length=8, choices=Answer.choices, help_text="what it would be if the mode were enforce"
    )
    path = models.CharField(
        max_length=8, choices=Purpose.choices, help_text="a fast path that was not open is deploy"
    )
    mode = models.CharField(max_length=8)
    verdict = models.CharField(
        max_length=8, help_text="PASSED or FAILED, whatever the mode lets by"
    )
    standing = models.CharField(max_length=16)
    summary = models.TextField(help_text="one sentence")
    reasons = models.JSONField(help_text="control, status, sentence, figures, evidence, remedy")
    waivers = models.JSONField(default=list, help_text="ids of those that it needed")
    policy_revision = models.ForeignKey(
        PolicyRevision, models.PROTECT, null=True, related_name="gate_decisions"
    )
    decided_at = models.DateTimeField()
    not_after = models.DateTimeField(null=True)
    attestation = models.JSONField(
        help_text="DSSE envelope; {} where there is no digest to sign over"
    )
    asked_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering: ClassVar = ["-decided_at"]
        indexes: ClassVar = [models.Index(fields=["version", "environment", "decided_at"])]

    @property
    def access_model(self) -> RegisteredModel | None:
        return self.version.model if self.version else None
