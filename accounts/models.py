"""People, service accounts, what they may do across the organisation, and how they prove who they are."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Q

from kernel.identifiers import uuid7


class Role(models.TextChoices):
    """What somebody does for a model. Granted for one model, one portfolio or the organisation."""

    DEVELOPER = "developer", "Developer"
    OWNER = "owner", "Model owner"
    VALIDATOR = "validator", "Validator"
    RISK_OFFICER = "risk_officer", "Risk officer"
    OPERATOR = "operator", "Operator"
    AUDITOR = "auditor", "Auditor"
    ADMINISTRATOR = "administrator", "Administrator"


class User(AbstractUser):  # type: ignore[django-manager-missing]
    """A person, or a service account (a pipeline, a job) for which persons are responsible."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        SERVICE = "service", "Service account"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.PERSON)
    name = models.CharField(max_length=200, help_text="as it is printed on signatures")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=["person", "service"]), name="user_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(kind="person") | Q(is_superuser=False, is_staff=False),
                name="service_account_without_back_office",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.username


class Pseudonym(models.Model):
    """The name of an actor in the audit log. Erasing this row leaves the log and forgets the person."""

    subject = models.UUIDField(unique=True)
    pseudonym = models.UUIDField(unique=True, default=uuid7)


class Responsibility(models.Model):
    """A person answers for a service account, from one instant to another."""

    service = models.ForeignKey(User, models.PROTECT, related_name="responsibles")
    person = models.ForeignKey(User, models.PROTECT, related_name="responsibilities")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["service", "person"],
                condition=Q(until=None),
                name="one_current_responsibility",
            ),
        ]


class OrganisationRole(models.Model):
    """A role for every model of the organisation, from one instant to another."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="organisation_roles")
    role = models.CharField(max_length=16, choices=Role.choices)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "role"], condition=Q(until=None), name="one_current_role"
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="role_known"),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gte=F("since")), name="role_ends_after_start"
            ),
        ]


class ApiToken(models.Model):
    """A bearer token `cs_<key>_<secret>`: shown once, kept as an HMAC under a pepper that rotates."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="api_tokens")
    name = models.CharField(max_length=100)
    key = models.CharField(max_length=16, unique=True, help_text="the visible half")
    secret_hmac = models.CharField(max_length=64)
    pepper_id = models.CharField(max_length=40)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]


class Reauthentication(models.Model):
    """One proof of identity, for one signature: bound to user, subject and digest; used once; 120 s."""

    class Method(models.TextChoices):
        PASSWORD = "password", "Password"
        TOTP = "totp", "One-time code"
        SSO = "sso", "Single sign-on"
        WEBAUTHN = "webauthn", "Passkey"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="reauthentications")
    subject_type = models.CharField(max_length=40)
    subject_id = models.UUIDField()
    signed_digest = models.CharField(max_length=64)
    method = models.CharField(max_length=8, choices=Method.choices)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)


class IdempotencyRecord(models.Model):
    """The answer that a pipeline got for an `Idempotency-Key`; the same question gets it again."""

    user = models.ForeignKey(User, models.PROTECT)
    key = models.CharField(max_length=200)
    path = models.CharField(max_length=300)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(
        null=True, help_text="null while the first is under way"
    )
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "key"], name="idempotency_key_once"),
        ]
