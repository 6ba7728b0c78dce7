"""Datasets: where their rows are, what they came from, and what versions used them for."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from accounts.models import User
from kernel.identifiers import uuid7
from registry.models.versions import DIGEST, Blob, ModelVersion


class Dataset(models.Model):
    """Data as it was at one instant: by digest, so never changed. Other bytes are another dataset.

    The bytes are in the store (`blob`), or stay where they are (`location`, see `registry.locations`).
    """

    class DigestOf(models.TextChoices):
        BYTES = "bytes", "Bytes of the file"
        ROWS = "rows", "Rows, wherever they are"
        RELATION = "relation", "Name of the relation alone"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    digest = models.CharField(max_length=DIGEST, unique=True)
    digest_of = models.CharField(max_length=8, choices=DigestOf.choices, default=DigestOf.BYTES)
    blob = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    location = models.JSONField(null=True)
    media_type = models.CharField(max_length=100)
    rows = models.BigIntegerField(null=True)
    columns = models.JSONField(default=list, help_text='[{"name", "type"}]')
    source = models.TextField(blank=True)
    licence = models.CharField(max_length=200, blank=True)
    collected_from = models.DateField(null=True)
    collected_until = models.DateField(null=True)
    contains_personal_data = models.BooleanField()
    registered_at = models.DateTimeField()
    registered_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(digest_of="bytes")
                | Q(digest_of__in=["rows", "relation"], blob=None, location__isnull=False),
                name="rows_have_a_place",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> str:
        """Where its rows are, in words; empty for bytes that are nowhere but on record."""
        if self.location is None:
            return "uploaded" if self.blob_id else ""
        if "bucket" in self.location:
            return f"{self.location['key']} in bucket {self.location['bucket']}"
        what = "table" if "table" in self.location else "query"
        return f"{what} {self.location[what]} of source {self.location['source']}"


class DatasetLineage(models.Model):
    """`child` was made from `parent`."""

    parent = models.ForeignKey(Dataset, models.PROTECT, related_name="derived")
    child = models.ForeignKey(Dataset, models.PROTECT, related_name="sources")
    transformation = models.TextField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["parent", "child"], name="lineage_once"),
            models.CheckConstraint(condition=~Q(parent=F("child")), name="not_its_own_source"),
        ]


class DatasetUse(models.Model):
    """A version used a dataset, as what."""

    class Purpose(models.TextChoices):
        TRAINING = "training", "Training"
        VALIDATION = "validation", "Validation"
        TEST = "test", "Test"
        REFERENCE = "reference", "Reference"
        PRODUCTION = "production", "Production"

    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="dataset_uses")
    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="uses")
    purpose = models.CharField(max_length=12, choices=Purpose.choices)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version", "dataset", "purpose"], name="dataset_use_once"
            ),
        ]
