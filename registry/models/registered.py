"""Models, who is responsible for them, and what they are used for."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from guardian.models import UserObjectPermissionBase

from accounts.models import Role, User
from kernel.identifiers import uuid7


class LegalEntity(models.Model):
    """A company or authority that answers in law for a use."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)

    class Meta:
        verbose_name_plural = "legal entities"

    def __str__(self) -> str:
        return self.name


class Portfolio(models.Model):
    """A flat group of models that share those who are responsible for them."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.name


class RegisteredModel(models.Model):  # type: ignore[django-manager-missing]
    """A model: the name under which versions are governed. What kinds mean is data, in `kinds.py`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.SlugField(max_length=80, unique=True, help_text="never changes")
    title = models.CharField(max_length=200)
    kind = models.CharField(max_length=24)
    description = models.TextField(blank=True)
    portfolio = models.ForeignKey(Portfolio, models.PROTECT, related_name="models")
    legal_entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="models")
    last_number = models.PositiveIntegerField(default=0, help_text="of the newest version")
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["name"]
        # One permission for each role: guardian's rows say who holds it now, RoleGrant who held it when.
        permissions: ClassVar = [(f"role_{role.value}", role.label) for role in Role]

    def __str__(self) -> str:
        return self.name

    @property
    def access_model(self) -> "RegisteredModel":
        return self


class RegisteredModelUserPermission(UserObjectPermissionBase):  # type: ignore[misc]
    """Guardian's direct foreign key: the roles that a user holds on a model now."""

    content_object = models.ForeignKey(RegisteredModel, models.CASCADE)

    class Meta(UserObjectPermissionBase.Meta):  # type: ignore[misc]
        abstract = False


class RoleGrant(models.Model):
    """A role on one model or one portfolio, from one instant to another. Never updated but to end it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, models.PROTECT, related_name="role_grants")
    role = models.CharField(max_length=16, choices=Role.choices)
    model = models.ForeignKey(RegisteredModel, models.PROTECT, null=True, related_name="grants")
    portfolio = models.ForeignKey(Portfolio, models.PROTECT, null=True, related_name="grants")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    granted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(model=None, portfolio__isnull=False)
                | Q(model__isnull=False, portfolio=None),
                name="grant_on_model_or_portfolio",
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="grant_role_known"),
            models.UniqueConstraint(
                fields=["user", "role", "model"],
                condition=Q(until=None, portfolio=None),
                name="one_current_grant_on_model",
            ),
            models.UniqueConstraint(
                fields=["user", "role", "portfolio"],
                condition=Q(until=None, model=None),
                name="one_current_grant_on_portfolio",
            ),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gte=F("since")), name="grant_ends_after_start"
            ),
        ]

    @property
    def access_model(self) -> RegisteredModel | None:
        return self.model


class Stakeholder(models.Model):
    """Somebody with an interest in a model, named by those who registered it; has no account by this."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="stakeholders")
    name = models.CharField(max_length=200)
    interest = models.CharField(max_length=300)
    contact = models.CharField(max_length=200, blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["id"]

    @property
    def access_model(self) -> RegisteredModel:
        return self.model


class ColumnMapping(models.Model):
    """What the columns of a model's data mean. Declared once for a model; a new one ends the old.

    `columns`: {"label", "positive", "prediction", "positive_prediction", "score", "time",
    "sensitive": [..], "features": [..], "categorical": [..]}; `registry.columns` reads them.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="column_mappings")
    columns = models.JSONField()
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["model"], condition=Q(until=None), name="one_current_mapping"
            ),
        ]


class Use(models.Model):
    """What a model is used for. Law and risk attach here.

    An amendment changes the row and raises the revision of every version of the model, so that no
    approval outlives the words it was given on; old dossiers keep the words.
    """

    class OperatorRole(models.TextChoices):
        PROVIDER = "provider", "Provider"
        DEPLOYER = "deployer", "Deployer"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="uses")
    name = models.SlugField(max_length=60, default="default")
    purpose = models.TextField()
    excluded_uses = models.JSONField(default=list)
    success_criteria = models.JSONField(default=list)
    affected_people = models.TextField()
    decision_rule = models.JSONField(default=dict, help_text="threshold, post-processing")
    exposure = models.TextField(blank=True)
    operator_role = models.CharField(max_length=8, choices=OperatorRole.choices)
    legal_entity = models.ForeignKey(LegalEntity, models.PROTECT, related_name="uses")
    is_default = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["model", "name"], name="use_name_once"),
            models.UniqueConstraint(
                fields=["model"], condition=Q(is_default=True), name="one_default_use"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name}/{self.name}"

    @property
    def access_model(self) -> RegisteredModel:
        return self.model


class UseTier(models.Model):
    """The risk tier of a use, from one instant to another: 1 is the highest risk.

    Whoever registers a use states its first tier; every later one is a risk officer's. `set_by` tells.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    use = models.ForeignKey(Use, models.PROTECT, related_name="tiers")
    tier = models.PositiveSmallIntegerField()
    reason = models.TextField()
    set_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["use"], condition=Q(until=None), name="one_current_tier"
            ),
            models.CheckConstraint(condition=Q(tier__gte=1, tier__lte=4), name="tier_1_to_4"),
        ]
