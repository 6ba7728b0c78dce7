"""Versions of a model, their revisions, and evidence kept by its digest."""

from typing import ClassVar

from django.db import models
from django.utils.functional import cached_property

from accounts.models import User
from kernel.identifiers import uuid7
from registry.models.registered import RegisteredModel

DIGEST = 64


class Blob(models.Model):
    """Bytes in the evidence store, by SHA-256. The file lies outside the database."""

    digest = models.CharField(primary_key=True, max_length=DIGEST)
    size = models.BigIntegerField()
    stored_at = models.DateTimeField()


class ModelVersion(models.Model):
    """One artifact of a model. Immutable but for `revision`, which every changed dossier fact raises."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    label = models.CharField(max_length=100, blank=True)
    revision = models.PositiveIntegerField(default=1)
    artifact_digest = models.CharField(max_length=DIGEST)
    artifact_name = models.CharField(max_length=200)
    artifact_format = models.CharField(max_length=24)
    artifact = models.ForeignKey(
        Blob,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="null: registered by digest alone",
    )
    input_spec = models.JSONField(
        null=True, help_text="features, encodings and threshold that scoring needs; null if unknown"
    )
    code_commit = models.CharField(max_length=64)
    code_repository = models.CharField(max_length=300, blank=True)
    parameters = models.JSONField(default=dict)
    environment = models.JSONField(default=dict, help_text="the libraries it was trained with")
    claims = models.JSONField(default=list, help_text="metrics as the developer states them")
    description = models.TextField(blank=True)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="successors")
    author = models.ForeignKey(User, models.PROTECT, related_name="authored_versions")
    registered_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField()
    last_edited_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    frozen_at = models.DateTimeField(null=True, help_text="submitted: new evidence is an addendum")
    moment = models.DateTimeField(help_text="the newest recorded time; strictly increasing")
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["model", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "number"], name="version_number_once"),
            models.UniqueConstraint(
                fields=["model", "artifact_digest"], name="digest_once_a_model"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["artifact_digest"])]

    def __str__(self) -> str:
        return f"{self.model.name} {self.number}"

    @cached_property
    def access_model(self) -> RegisteredModel:
        return self.model


class RevisionChange(models.Model):
    """When a version's revision became what. Appended by whatever raises it, in the same write.

    The row of the version says only what it is now; the standing at an earlier instant needs this.
    """

    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="revision_changes")
    revision = models.PositiveIntegerField()
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["version", "revision"], name="revision_change_once"),
        ]


class Evidence(models.Model):
    """A file or a canonical JSON document that speaks for a version. Added, never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="evidence")
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=200)
    media_type = models.CharField(max_length=100)
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="evidence")
    added_at = models.DateTimeField()
    added_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    is_addendum = models.BooleanField(default=False, help_text="added after submission")
    revision = models.PositiveIntegerField(help_text="of the version, once this was added")

    class Meta:
        ordering: ClassVar = ["id"]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model
