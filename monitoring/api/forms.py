"""What requests hold and what answers show."""

from typing import Any, ClassVar

from rest_framework import serializers

from kernel.rest.serializers import (
    DigestField,
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
)
from monitoring.models import Breach, CheckRun, Measurement, Monitor, ObservationBatch


class CheckRequest(StrictSerializer):
    """`config` is as the kind of check says; see the documentation of checks."""

    kind = StrictCharField()
    dataset = StrictCharField(help_text="name or digest")
    reference = StrictCharField(required=False, allow_null=True, help_text="name or digest")
    config = serializers.DictField(required=False)


class MonitorRequest(StrictSerializer):
    model = StrictCharField()
    version = StrictIntegerField(min_value=1)
    use = StrictCharField(required=False, help_text="the default use, if left out")
    environment = StrictCharField()
    name = StrictCharField(max_length=80)
    kind = StrictCharField()
    limits = serializers.ListField(child=serializers.DictField())
    config = serializers.DictField(required=False)
    reference = StrictCharField(required=False, allow_null=True, help_text="name or digest")
    min_rows = StrictIntegerField(required=False)
    consecutive = StrictIntegerField(required=False)
    silent_after_seconds = StrictIntegerField(required=False, allow_null=True)
    effect = StrictCharField(required=False)


class ObservationRequest(StrictSerializer):
    """Multipart: each value is text but the file."""

    model = StrictCharField()
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    use = StrictCharField(required=False, help_text="the default use, if left out")
    environment = StrictCharField()
    batch_id = StrictCharField(max_length=100)
    window_start = StrictCharField(help_text="RFC 3339")
    window_end = StrictCharField(help_text="RFC 3339")
    media_type = StrictCharField(required=False, help_text="the file's, if left out")
    digest = DigestField(required=False, help_text="SHA-256 that the file must have")
    file = serializers.FileField()


class ResolveRequest(StrictSerializer):
    resolution = StrictCharField(max_length=10_000)


class MeasurementShown(serializers.ModelSerializer[Measurement]):
    class Meta:
        model = Measurement
        fields: ClassVar = [
            "metric",
            "attribute",
            "slice",
            "value",
            "lower",
            "upper",
            "level",
            "n",
            "undefined",
            "method",
            "unit",
            "grade",
            "detail",
        ]


class _Dataset(serializers.Serializer[Any]):
    name = serializers.CharField()
    digest = serializers.CharField()


class AttachmentShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    media_type = serializers.CharField()
    digest = serializers.CharField(source="blob_id")
    size = serializers.IntegerField(source="blob.size")


class RunListed(serializers.ModelSerializer[CheckRun]):
    """A run without what it measured."""

    model = serializers.CharField(source="version.model.name")
    version = serializers.IntegerField(source="version.number")
    dataset = _Dataset()
    reference = _Dataset()
    cube_digest = serializers.CharField(source="cube_id")

    class Meta:
        model = CheckRun
        fields: ClassVar = [
            "id",
            "model",
            "version",
            "kind",
            "purpose",
            "monitor",
            "batch",
            "dataset",
            "reference",
            "config",
            "config_digest",
            "is_addendum",
            "state",
            "attempt",
            "progress",
            "stage",
            "error",
            "requested_at",
            "started_at",
            "finished_at",
            "grade",
            "engine",
            "libraries",
            "seed",
            "rows",
            "cube_digest",
            "result_digest",
        ]


class RunShown(RunListed):
    measurements = MeasurementShown(many=True)
    attachments = AttachmentShown(many=True)

    class Meta(RunListed.Meta):
        fields: ClassVar = [
            *RunListed.Meta.fields,
            "measurements",
            "attachments",
            "plots",
            "notes",
            "timings",
            "sandbox",
        ]


class _Placed(serializers.Serializer[Any]):
    model = serializers.CharField(source="version.model.name")
    version = serializers.IntegerField(source="version.number")
    use = serializers.CharField(source="use.name")
    environment = serializers.CharField(source="environment.name")


class MonitorShown(_Placed, serializers.ModelSerializer[Monitor]):
    reference = _Dataset()

    class Meta:
        model = Monitor
        fields: ClassVar = [
            "id",
            "model",
            "version",
            "use",
            "environment",
            "name",
            "kind",
            "config",
            "mapping",
            "limits",
            "definition_digest",
            "reference",
            "min_rows",
            "consecutive",
            "silent_after_seconds",
            "effect",
            "since",
            "until",
        ]


class BatchShown(_Placed, serializers.ModelSerializer[ObservationBatch]):
    digest = serializers.CharField(source="blob_id")
    runs = serializers.PrimaryKeyRelatedField[CheckRun](many=True, read_only=True)

    class Meta:
        model = ObservationBatch
        fields: ClassVar = [
            "id",
            "model",
            "version",
            "use",
            "environment",
            "batch_id",
            "digest",
            "media_type",
            "window_start",
            "window_end",
            "received_at",
            "runs",
        ]


class BreachShown(_Placed, serializers.ModelSerializer[Breach]):
    class Meta:
        model = Breach
        fields: ClassVar = [
            "id",
            "monitor",
            "run",
            "model",
            "version",
            "use",
            "environment",
            "metric",
            "limit_key",
            "detail",
            "opened_at",
            "resolved_at",
            "resolution",
        ]
