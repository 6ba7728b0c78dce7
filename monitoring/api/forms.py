"""What requests hold and what answers show."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from kernel.rest.serializers import (
    DigestField,
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
    StrictUUIDField,
)
from monitoring import selectors
from monitoring.models import (
    Backtest,
    Breach,
    CheckRun,
    CubeErasure,
    Measurement,
    Monitor,
    NotCollectedDeclaration,
    ObservationBatch,
    Window,
)


class CheckRequest(StrictSerializer):
    """`config` is as the kind of check says; see the documentation of checks."""

    kind = StrictCharField()
    dataset = StrictCharField(help_text="name or digest")
    reference = StrictCharField(required=False, allow_null=True, help_text="name or digest")
    reference_run = StrictCharField(
        required=False,
        allow_null=True,
        help_text="id of an earlier run whose stored profiles are the reference",
    )
    config = serializers.DictField(required=False)


class DeclarationRequest(StrictSerializer):
    attribute = StrictCharField(max_length=100)
    reason = StrictCharField(max_length=5_000)
    until = StrictCharField(help_text="RFC 3339; a year away at most")
    reauthentication = StrictUUIDField(
        help_text="of subject_type not_collected, over the SHA-256 of the statement's canonical JSON"
    )


class DeclarationShown(serializers.ModelSerializer[NotCollectedDeclaration]):
    signed_by = serializers.CharField(source="signed_by.name")

    class Meta:
        model = NotCollectedDeclaration
        fields: ClassVar = [
            "id",
            "attribute",
            "reason",
            "statement_digest",
            "since",
            "until",
            "signed_by",
            "method",
            "withdrawn_at",
        ]


class RollupRequest(StrictSerializer):
    since = StrictCharField(help_text="RFC 3339")
    until = StrictCharField(help_text="RFC 3339")


class ErasureRequest(StrictSerializer):
    reason = StrictCharField(max_length=5_000)


class ErasureShown(serializers.ModelSerializer[CubeErasure]):
    cube_digest = serializers.CharField(source="cube_id")

    class Meta:
        model = CubeErasure
        fields: ClassVar = ["id", "run", "cube_digest", "reason", "erased_at"]


class _Watched(StrictSerializer):
    """What a monitor and a backtest have in common."""

    model = StrictCharField()
    version = StrictIntegerField(min_value=1)
    use = StrictCharField(required=False, help_text="the default use, if left out")
    environment = StrictCharField()
    name = StrictCharField(max_length=80)
    kind = StrictCharField()
    limits = serializers.ListField(child=serializers.DictField())
    config = serializers.DictField(required=False)
    reference = StrictCharField(required=False, allow_null=True, help_text="name or digest")
    window = StrictCharField(required=False, help_text="batch, 1h to 12h, day, week or month")
    min_rows = StrictIntegerField(required=False)
    consecutive = StrictIntegerField(required=False)


class MonitorRequest(_Watched):
    """An effect beyond `no_new_deployment` takes a backtest of the same definition.

    With a `source` windows are cut from its rows by the mapping's time; else they hold the batches sent.
    """

    source = StrictCharField(  # type: ignore[assignment]
        required=False,
        allow_null=True,
        help_text="name or digest of a dataset: a table or query whose rows no digest pins",
    )
    recheck = StrictIntegerField(
        required=False,
        allow_null=True,
        help_text="how many windows later one of the source is still counted again; 1, if left out",
    )
    silent_after_seconds = StrictIntegerField(
        required=False,
        allow_null=True,
        help_text="without data; null: never; left out: 7 days for batches, else three windows",
    )
    silent_after_windows = StrictIntegerField(required=False, allow_null=True)
    wait_seconds = StrictIntegerField(required=False, help_text="for late data")
    effect = StrictCharField(required=False)
    backtest = serializers.UUIDField(
        required=False, allow_null=True, help_text="of this definition; the newest, if left out"
    )


class BacktestRequest(_Watched):
    """`since` and `until` bound the past; `dataset` is cut by time, else the batches received serve."""

    since = StrictCharField(help_text="RFC 3339")
    until = StrictCharField(help_text="RFC 3339")
    dataset = StrictCharField(required=False, allow_null=True, help_text="name or digest")


class BackfillRequest(StrictSerializer):
    since = StrictCharField(help_text="RFC 3339")
    until = StrictCharField(help_text="RFC 3339")


class ArmRequest(StrictSerializer):
    backtest = serializers.UUIDField(required=False, allow_null=True)


class ObservationRequest(StrictSerializer):
    """Multipart: each value is text but the file."""

    model = StrictCharField()
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)
    use = StrictCharField(required=False, help_text="the default use, if left out")
    environment = StrictCharField()
    batch_id = StrictCharField(max_length=100)
    kind = serializers.ChoiceField(
        ObservationBatch.Kind.choices, required=False, help_text="data of the model, if left out"
    )
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
    restricted = serializers.BooleanField()


class RunListed(serializers.ModelSerializer[CheckRun]):
    """A run without what it measured."""

    model = serializers.CharField(source="version.model.name")
    version = serializers.IntegerField(source="version.number")
    dataset = _Dataset()
    reference = _Dataset()
    cube_digest = serializers.CharField(source="cube_id")
    public_cube_digest = serializers.CharField(source="public_cube_id")

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
            "window",
            "batches",
            "retry_of",
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
            "public_cube_digest",
            "rollup_of",
            "made_of",
            "result_digest",
        ]


class _Library(serializers.Serializer[Any]):
    """A library whose version is another than in the run before; null: not used."""

    name = serializers.CharField()
    before = serializers.CharField(allow_null=True)
    now = serializers.CharField(allow_null=True)


class RunShown(RunListed):
    """`same_result_as`: the earliest run with the same result. `previous`: the run before of the same
    check, and `library_changes` what had another version then."""

    measurements = MeasurementShown(many=True)
    attachments = AttachmentShown(many=True)
    same_result_as = serializers.SerializerMethodField()
    previous = serializers.SerializerMethodField()
    library_changes = serializers.SerializerMethodField()

    def get_same_result_as(self, run: CheckRun) -> UUID | None:
        found = selectors.same_result(run)
        return found.pk if found else None

    def get_previous(self, run: CheckRun) -> UUID | None:
        found = selectors.previous_run(run)
        return found.pk if found else None

    @extend_schema_field(_Library(many=True))
    def get_library_changes(self, run: CheckRun) -> list[dict[str, str | None]]:
        return selectors.library_changes(run, selectors.previous_run(run))

    class Meta(RunListed.Meta):
        fields: ClassVar = [
            *RunListed.Meta.fields,
            "same_result_as",
            "previous",
            "library_changes",
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


_WATCHED = [
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
    "question_digest",
    "reference",
    "window",
    "min_rows",
    "consecutive",
]


class MonitorShown(_Placed, serializers.ModelSerializer[Monitor]):
    reference = _Dataset()
    source = _Dataset()  # type: ignore[assignment]
    effect_note = serializers.SerializerMethodField()

    def get_effect_note(self, monitor: Monitor) -> str:
        return selectors.effect_note(monitor)

    class Meta:
        model = Monitor
        fields: ClassVar = [
            *_WATCHED,
            "source",
            "recheck",
            "silent_after_seconds",
            "silent_after_windows",
            "wait_seconds",
            "effect",
            "wanted_effect",
            "effect_note",
            "backtest",
            "since",
            "until",
        ]


class WindowShown(serializers.ModelSerializer[Window]):
    """`outcomes`: one judgement for each limit. `acts`: the limits that called for a breach here.

    Of a source: `asked_at` is when its rows were last asked for, `recheck_until` when they are for the
    last time, `recheck_run` counts them again now, and `retry_at` is when a source that could not be
    read, so often in a row (`unread_times`), is asked again.
    """

    class Meta:
        model = Window
        fields: ClassVar = [
            "id",
            "start",
            "end",
            "state",
            "batch",
            "run",
            "rows",
            "is_backfill",
            "outcomes",
            "acts",
            "judged_at",
            "judged_times",
            "asked_at",
            "recheck_until",
            "recheck_run",
            "retry_at",
            "unread_times",
        ]


class BacktestListed(_Placed, serializers.ModelSerializer[Backtest]):
    reference = _Dataset()
    dataset = _Dataset()

    class Meta:
        model = Backtest
        fields: ClassVar = [
            *_WATCHED,
            "dataset",
            "since",
            "until",
            "state",
            "result",
            "requested_at",
            "finished_at",
        ]


class BacktestShown(BacktestListed):
    windows = serializers.SerializerMethodField()

    @extend_schema_field(WindowShown(many=True))
    def get_windows(self, backtest: Backtest) -> Any:
        return WindowShown(backtest.windows.order_by("start", "end", "pk"), many=True).data

    class Meta(BacktestListed.Meta):
        fields: ClassVar = [*BacktestListed.Meta.fields, "windows"]


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
            "kind",
            "digest",
            "sent_digest",
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
