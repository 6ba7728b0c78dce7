"""Environments, how strictly the gate answers for them, and what is deployed there."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from accounts.models import User
from kernel.identifiers import uuid7
from registry.models.registered import RegisteredModel, Use
from registry.models.versions import DIGEST, ModelVersion


class Environment(models.Model):
    """A place that deployments go to. Its mode and order are intervals, beside it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=40, unique=True)
    title = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class EnvironmentSetting(models.Model):
    """How strictly the gate of an environment acts, and its place in the order of promotion."""

    class Mode(models.TextChoices):
        OBSERVE = "observe", "Observe"
        WARN = "warn", "Warn"
        ENFORCE = "enforce", "Enforce"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="settings")
    mode = models.CharField(max_length=8, choices=Mode.choices)
    position = models.PositiveSmallIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    seconded_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment"], condition=Q(until=None), name="one_current_setting"
            ),
            models.CheckConstraint(
                condition=Q(mode__in=["observe", "warn", "enforce"]), name="mode_known"
            ),
            models.CheckConstraint(
                condition=Q(seconded_by=None) | ~Q(seconded_by=F("decided_by")),
                name="setting_second_person",
            ),
        ]


class ModeProposal(models.Model):
    """Somebody wants a laxer mode. It takes effect when a second person agrees, not before."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="mode_proposals")
    mode = models.CharField(max_length=8, choices=EnvironmentSetting.Mode.choices)
    reason = models.TextField()
    proposed_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    setting = models.OneToOneField(
        EnvironmentSetting,
        models.PROTECT,
        null=True,
        related_name="proposal",
        help_text="null once closed: overtaken by another change",
    )

    class Meta:
        ordering: ClassVar = ["-proposed_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["environment"], condition=Q(closed_at=None), name="one_open_mode_proposal"
            ),
        ]


class Deployment(models.Model):
    """A version runs in an environment for a use, from one instant to another."""

    class Kind(models.TextChoices):
        CHAMPION = "champion", "Champion"
        CHALLENGER = "challenger", "Challenger"
        SHADOW = "shadow", "Shadow"
        CANARY = "canary", "Canary"
        FALLBACK = "fallback", "Fallback"
        BATCH = "batch", "Batch"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="deployments")
    use = models.ForeignKey(Use, models.PROTECT, related_name="deployments")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="deployments")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.CHAMPION)
    artifact_digest = models.CharField(max_length=DIGEST)
    gate_decision_id = models.UUIDField(null=True, help_text="null: deployed without asking")
    is_rollback = models.BooleanField(default=False)
    live_from = models.DateTimeField()
    live_until = models.DateTimeField(null=True)
    reported_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering: ClassVar = ["-live_from"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["use", "environment"],
                condition=Q(kind="champion", live_until=None),
                name="one_live_champion",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["environment", "use", "live_from"])]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model
