"""What the registry's REST takes: every name known, every type its own."""

from datetime import date
from typing import Any

from rest_framework import serializers

from accounts.models import Role
from kernel.rest.serializers import (
    DigestField,
    StrictBooleanField,
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
    StrictUUIDField,
)
from registry import formats, kinds
from registry.models import DatasetUse, Deployment, EnvironmentSetting, Use


class Text(StrictCharField):
    """A text that may be left out."""

    def __init__(self, **more: object) -> None:
        super().__init__(required=False, allow_blank=True, **more)  # type: ignore[arg-type]


class JSONObject(serializers.JSONField):
    """A JSON object as it is; the service says what it must hold."""

    default_error_messages = {"object": "expected an object"}  # noqa: RUF012

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("object")
        return data


class StrictDateField(serializers.DateField):
    """A bare date, as 2026-11-20."""

    def to_internal_value(self, value: Any) -> date:
        if not isinstance(value, str):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


def texts(**more: object) -> serializers.ListField:
    return serializers.ListField(child=StrictCharField(), **more)  # type: ignore[arg-type]


class UseInput(StrictSerializer):
    name = StrictCharField(required=False)
    purpose = StrictCharField()
    excluded_uses = texts(required=False)
    success_criteria = texts(required=False)
    affected_people = StrictCharField()
    decision_rule = JSONObject(required=False)
    exposure = Text()
    operator_role = serializers.ChoiceField(choices=Use.OperatorRole.choices)
    legal_entity = StrictCharField()
    tier = StrictIntegerField(min_value=1, max_value=4, required=False)
    tier_reason = Text()


class UseChanges(StrictSerializer):
    purpose = StrictCharField(required=False)
    excluded_uses = texts(required=False)
    success_criteria = texts(required=False)
    affected_people = StrictCharField(required=False)
    decision_rule = JSONObject(required=False)
    exposure = Text()
    operator_role = serializers.ChoiceField(choices=Use.OperatorRole.choices, required=False)
    legal_entity = StrictCharField(required=False)


class TierInput(StrictSerializer):
    tier = StrictIntegerField(min_value=1, max_value=4)
    reason = StrictCharField()


class StakeholderInput(StrictSerializer):
    name = StrictCharField(max_length=200)
    interest = StrictCharField(max_length=300)
    contact = Text(max_length=200)


class ModelInput(StrictSerializer):
    name = StrictCharField(max_length=80)
    title = StrictCharField(max_length=200)
    kind = serializers.ChoiceField(
        choices=[(kind.name, kind.label) for kind in kinds.KINDS.values()]
    )
    description = Text()
    portfolio = StrictCharField()
    legal_entity = StrictCharField()
    use = UseInput()
    stakeholders = StakeholderInput(many=True, required=False)
    columns = JSONObject(required=False)


class ModelChanges(StrictSerializer):
    title = StrictCharField(max_length=200, required=False)
    description = Text()
    legal_entity = StrictCharField(required=False)


class ReasonInput(StrictSerializer):
    reason = StrictCharField()


class GrantInput(StrictSerializer):
    user = StrictCharField(help_text="the account's username")
    role = serializers.ChoiceField(choices=Role.choices)


class DatasetLinkInput(StrictSerializer):
    """A dataset by its name or by its digest."""

    name = StrictCharField(required=False)
    digest = DigestField(required=False)
    purpose = serializers.ChoiceField(choices=DatasetUse.Purpose.choices)

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        if ("name" in attrs) == ("digest" in attrs):
            raise serializers.ValidationError({"name": "give either the name or the digest"})
        return attrs


class VersionInput(StrictSerializer):
    artifact_digest = DigestField(required=False)
    artifact_name = StrictCharField(max_length=200, required=False)
    artifact_format = serializers.ChoiceField(choices=formats.FORMATS, required=False)
    label = Text(max_length=100)  # type: ignore[assignment]
    description = Text()
    code_commit = StrictCharField(max_length=64)
    code_repository = Text(max_length=300)
    parameters = JSONObject(required=False)
    environment = JSONObject(required=False)
    claims = serializers.ListField(child=JSONObject(), required=False)
    input_spec = JSONObject(required=False, allow_null=True)
    datasets = DatasetLinkInput(many=True, required=False)
    parent = StrictIntegerField(  # type: ignore[assignment]
        min_value=1, required=False, allow_null=True
    )
    author = StrictCharField(required=False, help_text="a person's username")


class VersionChanges(StrictSerializer):
    label = Text(max_length=100)  # type: ignore[assignment]
    description = Text()
    code_commit = StrictCharField(max_length=64, required=False)
    code_repository = Text(max_length=300)
    parameters = JSONObject(required=False)
    environment = JSONObject(required=False)
    claims = serializers.ListField(child=JSONObject(), required=False)
    input_spec = JSONObject(required=False, allow_null=True)
    datasets = DatasetLinkInput(many=True, required=False)


class EvidenceInput(StrictSerializer):
    """`document` is a JSON document; a file comes as the part `file` of a multipart body instead."""

    kind = StrictCharField(max_length=40)
    name = StrictCharField(max_length=200, required=False)
    media_type = StrictCharField(max_length=100, required=False)
    digest = DigestField(required=False)
    document = serializers.JSONField(required=False)


class ArtifactUpload(StrictSerializer):
    artifact = serializers.FileField()


class VersionUpload(ArtifactUpload):
    """As JSON; `artifact_digest`, if it is there, must be the file's."""

    record = VersionInput()


class EvidenceUpload(StrictSerializer):
    kind = StrictCharField(max_length=40)
    name = StrictCharField(max_length=200, required=False)
    media_type = StrictCharField(max_length=100, required=False)
    digest = DigestField(required=False)
    file = serializers.FileField()


class FileUpload(StrictSerializer):
    file = serializers.FileField()


class SourceInput(StrictSerializer):
    dataset = StrictCharField(help_text="the name of the dataset that this one was made from")
    transformation = StrictCharField()


class LocationInput(StrictSerializer):
    """Where data is: a bucket and a key, a source and a table, or a source and a query's name.

    `pinned` false: a source's rows that change, known by their relation's name alone.
    """

    bucket = StrictCharField(max_length=63, required=False)
    key = StrictCharField(max_length=1024, required=False)
    source = StrictCharField(max_length=63, required=False)  # type: ignore[assignment]
    table = StrictCharField(max_length=200, required=False)
    query = StrictCharField(max_length=63, required=False)
    pinned = StrictBooleanField(required=False)


class DatasetInput(StrictSerializer):
    name = StrictCharField(max_length=100)
    title = StrictCharField(max_length=200)
    digest = DigestField(required=False)
    media_type = StrictCharField(max_length=100, required=False)
    rows = StrictIntegerField(min_value=0, required=False)
    columns = serializers.ListField(child=JSONObject(), required=False)
    source = Text()  # type: ignore[assignment]
    licence = Text(max_length=200)
    collected_from = StrictDateField(required=False)
    collected_until = StrictDateField(required=False)
    contains_personal_data = StrictBooleanField()
    sources = SourceInput(many=True, required=False)
    location = LocationInput(required=False)


class DatasetUpload(FileUpload):
    """`digest`, if the record has it, must be the file's."""

    record = DatasetInput()


class EnvironmentInput(StrictSerializer):
    name = StrictCharField(max_length=40)
    title = StrictCharField(max_length=100)
    mode = serializers.ChoiceField(choices=EnvironmentSetting.Mode.choices)
    position = StrictIntegerField(min_value=0, max_value=1000)


class ModeInput(StrictSerializer):
    mode = serializers.ChoiceField(choices=EnvironmentSetting.Mode.choices)
    reason = StrictCharField()
    position = StrictIntegerField(min_value=0, max_value=1000, required=False)


class SecondInput(StrictSerializer):
    proposal = StrictUUIDField()


class DeploymentInput(StrictSerializer):
    """The version by its number, or by its digest alone where no other model has it."""

    model = StrictCharField(required=False)
    version = StrictIntegerField(min_value=1, required=False)
    artifact_digest = DigestField()
    use = StrictCharField(required=False, default="default")
    environment = StrictCharField()
    kind = serializers.ChoiceField(
        choices=Deployment.Kind.choices, default=Deployment.Kind.CHAMPION
    )
    gate_decision = StrictUUIDField(required=False, allow_null=True, default=None)
    is_rollback = StrictBooleanField(default=False)


class NamedInput(StrictSerializer):
    slug = StrictCharField(max_length=60)
    name = StrictCharField(max_length=200)
