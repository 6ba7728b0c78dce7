"""What a person signed about data that are not there."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from accounts.models import User
from kernel.identifiers import uuid7
from registry.models import RegisteredModel


class NotCollectedDeclaration(models.Model):
    """Nobody is asked for a sensitive attribute: why, until when, and who signed that.

    `statement_digest` is of what was signed: model, attribute, reason and end. It lapses by itself.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="not_collected")
    attribute = models.CharField(max_length=100)
    reason = models.TextField()
    statement_digest = models.CharField(max_length=64)
    since = models.DateTimeField()
    until = models.DateTimeField()
    signed_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    method = models.CharField(max_length=8, help_text="how the person was identified again")
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering: ClassVar = ["-since"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(until__gt=F("since")), name="declaration_ends_after_start"
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at=None, withdrawn_by=None)
                | Q(withdrawn_at__isnull=False, withdrawn_by__isnull=False),
                name="withdrawn_declaration_has_person",
            ),
        ]

    @property
    def access_model(self) -> RegisteredModel:
        return self.model
