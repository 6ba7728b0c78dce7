"""The log's tables and the outbox's.

No table here has a foreign key to a business row, and those among each other carry no constraint in
the database: a log that can refuse an entry because of another row is not a log. What must hold
between them, `audit.verification` checks.

An *epoch* is one tree with its own origin. All but the newest are frozen: their rows never change
again. A new one is started only after a restore, and its first entry cites the old checkpoint.
"""

import json
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from django.db import models

from kernel.identifiers import uuid7


class Entry(models.Model):
    """One thing that happened. `leaf` holds the exact bytes that the tree hashes.

    The other columns repeat what the leaf says, for searching; verification compares them.
    """

    id = models.BigAutoField(primary_key=True)
    uuid = models.UUIDField(unique=True, default=uuid7, editable=False)
    leaf = models.BinaryField()
    at = models.DateTimeField()
    type = models.CharField(max_length=100)
    actor_kind = models.CharField(max_length=10)
    actor = models.UUIDField()
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=200)
    scope = models.UUIDField(null=True)

    class Meta:
        verbose_name_plural = "entries"
        indexes: ClassVar = [
            models.Index(fields=["at"], name="audit_entry_at"),
            models.Index(fields=["type", "id"], name="audit_entry_type"),
            models.Index(fields=["actor", "id"], name="audit_entry_actor"),
            models.Index(fields=["object_type", "object_id", "id"], name="audit_entry_object"),
            models.Index(
                fields=["scope", "id"],
                name="audit_entry_scope",
                condition=models.Q(scope__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.uuid}"

    @cached_property
    def content(self) -> dict[str, Any]:
        """The leaf as JSON."""
        content: dict[str, Any] = json.loads(bytes(self.leaf))
        return content

    @property
    def public(self) -> dict[str, Any]:
        public: dict[str, Any] = self.content["public"]
        return public


def _entry_key(related_name: str) -> "models.OneToOneField[Entry, Entry]":
    return models.OneToOneField(
        Entry,
        on_delete=models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name=related_name,
    )


class PrivatePayload(models.Model):
    """What an entry must not keep for ever. The leaf commits to it by HMAC-SHA256(salt, data).

    Erasing deletes the row: without the salt the commitment tells nothing.
    """

    entry = _entry_key("private_payload")
    salt = models.BinaryField()
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"private payload of {self.entry_id}"


class Pending(models.Model):
    """The sequencer's queue."""

    entry = _entry_key("pending")

    class Meta:
        verbose_name_plural = "pending"

    def __str__(self) -> str:
        return f"pending {self.entry_id}"


class Epoch(models.Model):
    """One tree. `origin` names it in its checkpoints; `predecessor` is the checkpoint it cites."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    origin = models.CharField(max_length=200, unique=True)
    created = models.DateTimeField()
    predecessor = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.origin


def _epoch_key() -> "models.ForeignKey[Epoch, Epoch]":
    return models.ForeignKey(
        Epoch, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )


class LogKey(models.Model):
    """A public key that has signed checkpoints of an epoch, as a vkey."""

    epoch = _epoch_key()
    vkey = models.CharField(max_length=300, unique=True)
    created = models.DateTimeField()

    def __str__(self) -> str:
        return self.vkey


class Leaf(models.Model):
    """Where an entry is in the tree."""

    entry = _entry_key("position")
    epoch = _epoch_key()
    index = models.PositiveBigIntegerField()
    hash = models.BinaryField()

    class Meta:
        verbose_name_plural = "leaves"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["epoch", "index"], name="audit_leaf_place")
        ]

    def __str__(self) -> str:
        return f"{self.epoch_id}/{self.index}"


class Tile(models.Model):
    """Up to 256 hashes of the tree, in the layout of C2SP tlog-tiles. It only grows."""

    epoch = _epoch_key()
    level = models.PositiveSmallIntegerField()
    n = models.PositiveBigIntegerField()
    hashes = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["epoch", "level", "n"], name="audit_tile_place")
        ]

    def __str__(self) -> str:
        return f"{self.epoch_id}/{self.level}/{self.n}"


class Checkpoint(models.Model):
    """A signed tree head: `note` is the C2SP checkpoint, exactly as published."""

    epoch = _epoch_key()
    size = models.PositiveBigIntegerField()
    root = models.BinaryField()
    note = models.TextField()
    created = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["epoch", "size"], name="audit_checkpoint_size")
        ]

    def __str__(self) -> str:
        return f"{self.epoch_id}@{self.size}"


class Anchor(models.Model):
    """Proof that a checkpoint was held outside: a time stamp, a cosignature, a copy."""

    class Kind(models.TextChoices):
        FILE = "file"
        BUCKET = "bucket"
        RFC3161 = "rfc3161"
        WITNESS = "witness"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    epoch = _epoch_key()
    size = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    target = models.CharField(max_length=300)
    receipt = models.BinaryField()
    created = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["epoch", "size", "kind", "target"], name="audit_anchor_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.epoch_id}@{self.size}"


class OutboxMessage(models.Model):
    """An entry whose deliveries are not made yet. Dispatching makes them and deletes it."""

    entry = _entry_key("outbox_message")

    def __str__(self) -> str:
        return f"outbox message of {self.entry_id}"


class Delivery(models.Model):
    """One entry on its way to one subscriber. Claimed by a conditional update with a lease."""

    class State(models.TextChoices):
        WAITING = "waiting"
        CLAIMED = "claimed"
        DELIVERED = "delivered"
        GIVEN_UP = "given_up"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    entry = models.ForeignKey(
        Entry, on_delete=models.DO_NOTHING, db_constraint=False, related_name="deliveries"
    )
    subscriber = models.CharField(max_length=100)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    due = models.DateTimeField()
    lease = models.UUIDField(null=True)
    delivered = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["entry", "subscriber"], name="audit_delivery_once")
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due"],
                name="audit_delivery_due",
                condition=models.Q(state__in=["waiting", "claimed"]),
            ),
            models.Index(fields=["subscriber", "-id"], name="audit_delivery_subscriber"),
        ]

    def __str__(self) -> str:
        return f"{self.subscriber}: {self.state}"


class WebhookEndpoint(models.Model):
    """A receiver of entries. Its secret is derived from the pepper, so no table holds it.

    `patterns` holds entry types, prefixes that end in `.*`, or `*` for all.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    url = models.URLField(max_length=1000)
    patterns = models.JSONField()
    generation = models.PositiveIntegerField(default=1)
    pepper = models.CharField(max_length=60)
    created = models.DateTimeField()
    disabled = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.id)

    @property
    def subscriber(self) -> str:
        return subscriber_of(self.id)


def subscriber_of(endpoint: UUID) -> str:
    """The name under which deliveries to a webhook endpoint are kept."""
    return f"webhook:{endpoint}"
