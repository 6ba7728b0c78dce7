"""What is governed: models, what they are used for, their versions, evidence, data and environments."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.functional import cached_property
from guardian.models import UserObjectPermissionBase

from accounts.models import Role, User
from kernel.identifiers import uuid7

DIGEST = 64


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
