"""What is handed over: reports, each with its frozen bundle and its sealed file."""

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.models import User
from kernel.identifiers import uuid7
from registry.models import Blob, Environment, ModelVersion, RegisteredModel, Use


class Report(models.Model):
    """A report of a version, for a use, in an environment. The queue only carries its id.

    A worker claims it by raising `attempt` under a lease; what an older attempt brings counts no
    more. Once frozen, the bundle never changes, and the file follows from it.
    """

    class Kind(models.TextChoices):
        VERSION_RECORD = "version-record", "Record of a version"

    class State(models.TextChoices):
        REQUESTED = "requested", "Requested"
        FROZEN = "frozen", "Facts frozen"
        ISSUED = "issued", "Issued"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=24, choices=Kind.choices, default=Kind.VERSION_RECORD)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="reports")
    use = models.ForeignKey(Use, models.PROTECT, related_name="reports")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="reports")
    requested_at = models.DateTimeField()
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    attempt = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    cut_off = models.DateTimeField(null=True, help_text="everything recorded up to then is in it")
    supersedes = models.ForeignKey("self", models.PROTECT, null=True, related_name="superseded_by")
    bundle = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    frozen_at = models.DateTimeField(null=True)
    frozen_entry = models.UUIDField(null=True, help_text="the audit entry of the bundle's digest")

    template_version = models.CharField(max_length=20, blank=True)
    content_digest = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the unsigned file, which can be made again"
    )
    pdf = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    seal_key = models.CharField(max_length=60, blank=True)
    issued_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=~Q(state__in=["frozen", "issued"])
                | Q(
                    bundle__isnull=False,
                    frozen_at__isnull=False,
                    frozen_entry__isnull=False,
                    cut_off__isnull=False,
                ),
                name="frozen_report_has_bundle",
            ),
            models.CheckConstraint(
                condition=~Q(state="issued")
                | (Q(pdf__isnull=False, issued_at__isnull=False) & ~Q(content_digest="")),
                name="issued_report_has_file",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["state", "leased_until"])]

    def __str__(self) -> str:
        return f"report {self.id}"

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


__all__ = ["Report"]
