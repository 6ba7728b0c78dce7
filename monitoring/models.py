"""What is measured: runs of checks, their measurements, monitors and the breaches that they find."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from accounts.models import User
from kernel.identifiers import uuid7
from registry.models import (
    Blob,
    Dataset,
    Environment,
    ModelVersion,
    RegisteredModel,
    Use,
)


class CheckKind(models.TextChoices):
    PERFORMANCE = "performance", "Performance"
    FAIRNESS = "fairness", "Fairness"
    DRIFT = "drift", "Drift"
    EXPLAINABILITY = "explainability", "Explainability"
    DATA_QUALITY = "data_quality", "Data quality"
    OVERSIGHT = "oversight", "Human oversight"
    ROBUSTNESS = "robustness", "Robustness"


class Grade(models.TextChoices):
    """How far a number can be trusted, least first."""

    CLAIMED = "claimed", "Claimed"
    RECOMPUTED = "recomputed", "Recomputed"
    RE_PERFORMED = "re-performed", "Re-performed"


class CheckRun(models.Model):
    """One run of one check. The row is the truth; the queue only carries its id.

    A worker claims a run by a conditional UPDATE that raises `attempt` and sets a lease; a result
    counts only from the current attempt.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    class Purpose(models.TextChoices):
        VALIDATION = "validation", "Validation"
        MONITORING = "monitoring", "Monitoring"
        BACKTEST = "backtest", "Backtest"
        ROLLUP = "rollup", "Roll-up"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="check_runs")
    kind = models.CharField(max_length=16, choices=CheckKind.choices)
    purpose = models.CharField(max_length=10, choices=Purpose.choices)
    monitor = models.ForeignKey("Monitor", models.PROTECT, null=True, related_name="runs")
    batch = models.ForeignKey("ObservationBatch", models.PROTECT, null=True, related_name="runs")
    window = models.ForeignKey("Window", models.PROTECT, null=True, related_name="runs")
    batches = models.JSONField(
        default=list, help_text="ids of the batches that a window of several was made of, in order"
    )
    retry_of = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="retries", help_text="the run it repeats"
    )
    dataset = models.ForeignKey(Dataset, models.PROTECT, null=True, related_name="check_runs")
    reference = models.ForeignKey(Dataset, models.PROTECT, null=True, related_name="+")
    rollup_of = models.ForeignKey(
        "Monitor",
        models.PROTECT,
        null=True,
        related_name="rollups",
        help_text="of its stored cubes",
    )
    made_of = models.JSONField(
        default=dict,
        help_text='of a roll-up: {"since", "until", "left_out", "cubes": [{"run", "cube"}]}',
    )
    config = models.JSONField(default=dict)
    mapping = models.JSONField(help_text="the column mapping as it was when the run was asked for")
    config_digest = models.CharField(max_length=64)
    is_addendum = models.BooleanField(default=False, help_text="asked for after submission")

    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(help_text="when the queue was last told of it")
    progress = models.FloatField(default=0.0, help_text="0 to 1")
    stage = models.CharField(max_length=200, blank=True)
    error = models.TextField(blank=True)
    requested_at = models.DateTimeField()
    requested_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    grade = models.CharField(max_length=12, choices=Grade.choices, blank=True)
    engine = models.CharField(max_length=100, blank=True)
    libraries = models.JSONField(default=dict)
    seed = models.BigIntegerField(default=0)
    cube = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    public_cube = models.ForeignKey(
        Blob,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="the cube without small counts; null: the cube holds none",
    )
    result_digest = models.CharField(
        max_length=64,
        blank=True,
        help_text="of grade, cube digest and measurements as canonical JSON",
    )
    rows = models.BigIntegerField(null=True)
    sandbox = models.JSONField(default=dict, help_text="the limits under which a model was run")
    plots = models.JSONField(default=list)
    notes = models.JSONField(default=list)
    timings = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "succeeded", "failed", "cancelled"]),
                name="check_run_state_known",
            ),
            models.CheckConstraint(
                condition=Q(
                    purpose="validation", monitor=None, batch=None, window=None, rollup_of=None
                )
                | Q(
                    purpose="rollup",
                    monitor=None,
                    batch=None,
                    window=None,
                    rollup_of__isnull=False,
                )
                | Q(purpose="monitoring", monitor__isnull=False, window__isnull=False)
                | Q(purpose="backtest", monitor=None, window__isnull=False),
                name="monitoring_run_has_window",
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(leased_until__isnull=False),
                name="running_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(state="succeeded") | Q(cube__isnull=False), name="success_has_cube"
            ),
            models.UniqueConstraint(
                fields=["monitor", "batch"],
                condition=Q(batch__isnull=False) & ~Q(state__in=["failed", "cancelled"]),
                name="one_run_a_monitor_and_batch",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "leased_until"]),
            models.Index(fields=["version", "purpose", "state"]),
        ]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class CubeErasure(models.Model):
    """The whole cube of a run was erased: its bytes are gone, its digest and what all may see stay."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    cube = models.ForeignKey(Blob, models.PROTECT, related_name="cube_erasures")
    run = models.ForeignKey(CheckRun, models.PROTECT, related_name="erasures")
    reason = models.TextField()
    erased_at = models.DateTimeField()
    erased_by = models.ForeignKey(User, models.PROTECT, related_name="+")

    @property
    def access_model(self) -> RegisteredModel:
        return self.run.access_model


class Measurement(models.Model):
    """One measured value. No verdict: governance judges. `value` is null where `undefined` says why."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(CheckRun, models.PROTECT, related_name="measurements")
    metric = models.CharField(max_length=120)
    slice = models.JSONField(
        default=dict, help_text='{} overall, {"sex": "Female"} a group, {"sex": "*"} between groups'
    )
    attribute = models.CharField(
        max_length=300, blank=True, help_text="what groups were compared by: sex, or sex,race"
    )
    value = models.FloatField(null=True)
    lower = models.FloatField(null=True)
    upper = models.FloatField(null=True)
    level = models.FloatField(null=True, help_text="of the interval, as 0.95")
    n = models.BigIntegerField(null=True)
    undefined = models.CharField(max_length=200, blank=True)
    method = models.CharField(max_length=300, blank=True)
    unit = models.CharField(max_length=20, blank=True)
    grade = models.CharField(max_length=12, choices=Grade.choices)
    detail = models.JSONField(default=dict, help_text="excluded groups, p-values, extreme groups")
    position = models.PositiveIntegerField(help_text="its place in the run's result")

    class Meta:
        ordering: ClassVar = ["run", "position"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(value__isnull=False, undefined="") | (Q(value=None) & ~Q(undefined="")),
                name="value_or_reason",
            ),
            models.UniqueConstraint(fields=["run", "position"], name="measurement_position_once"),
        ]


class CheckAttachment(models.Model):
    """A file that a run made beside its cube: Evidently's report, reasons for single decisions."""

    run = models.ForeignKey(CheckRun, models.PROTECT, related_name="attachments")
    name = models.CharField(max_length=100)
    media_type = models.CharField(max_length=100)
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    restricted = models.BooleanField(
        default=False, help_text="for those who may read the whole cube, and erased with it"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "name"], name="attachment_name_once"),
        ]


class ObservationBatch(models.Model):
    """A batch of production data, by the sender's own id; the same id with other bytes is refused.

    Of human decisions what is kept is not what was sent: ids were replaced by pseudonyms first.
    """

    class Kind(models.TextChoices):
        DATA = "data", "Data of the model"
        OVERSIGHT = "oversight", "Human decisions"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="batches")
    use = models.ForeignKey(Use, models.PROTECT, related_name="+")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="+")
    batch_id = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.DATA)
    sent_digest = models.CharField(
        max_length=64, blank=True, help_text="of the bytes as sent, where others are kept"
    )
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    media_type = models.CharField(max_length=100)
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    received_at = models.DateTimeField()
    received_from = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        ordering: ClassVar = ["window_start"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version", "use", "environment", "batch_id"], name="batch_id_once"
            ),
            models.CheckConstraint(
                condition=Q(window_end__gt=F("window_start")), name="window_ends_after_start"
            ),
        ]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class Watch(models.Model):
    """What a monitor watches, and how: shared by monitors and by backtests of them.

    `limits`: see `monitoring.limits`; `window`: see `monitoring.windows`. `question_digest` covers
    what decides how often it acts, and so neither its place nor what it does then.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="%(class)ss")
    use = models.ForeignKey(Use, models.PROTECT, related_name="+")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="+")
    name = models.SlugField(max_length=80)
    kind = models.CharField(max_length=16, choices=CheckKind.choices)
    config = models.JSONField(default=dict)
    mapping = models.JSONField(help_text="the column mapping as it was when the monitor started")
    limits = models.JSONField(default=list)
    definition_digest = models.CharField(max_length=64)
    question_digest = models.CharField(max_length=64, blank=True)
    reference = models.ForeignKey(Dataset, models.PROTECT, null=True, related_name="+")
    window = models.CharField(max_length=10, default="batch", help_text="batch, 6h, day, week...")
    min_rows = models.PositiveIntegerField(default=100)
    consecutive = models.PositiveSmallIntegerField(default=1, help_text="breaches before it acts")

    class Meta:
        abstract = True

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


class Backtest(Watch):
    """How often a monitor would have acted on past data. It acts on nothing itself."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    dataset = models.ForeignKey(Dataset, models.PROTECT, null=True, related_name="+")
    since = models.DateTimeField(help_text="past data from here")
    until = models.DateTimeField(help_text="and before here")
    result = models.JSONField(default=dict, help_text="see monitoring.backtesting")
    requested_at = models.DateTimeField()
    requested_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(until__gt=F("since")), name="backtest_ends_after_start"
            ),
            models.CheckConstraint(
                condition=Q(state="running", finished_at=None)
                | (~Q(state="running") & Q(finished_at__isnull=False)),
                name="backtest_finished_has_time",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["version", "question_digest", "state"])]


class Monitor(Watch):
    """A check that runs on production data by itself, with limits that governance wrote into it.

    An amendment is a new row; this one ends. `effect` is what a breach does; it is milder than
    `wanted_effect` as long as no backtest has shown how often the monitor would have acted. Its
    windows are made of batches, or cut from the rows of a `source` by the mapping's time.
    """

    source = models.ForeignKey(
        Dataset,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="a table or query that windows are cut from; null: batches",
    )
    recheck = models.PositiveSmallIntegerField(
        default=0, help_text="how many windows later one of a source is still counted again"
    )
    silent_after_seconds = models.PositiveIntegerField(
        null=True, help_text="no batch for longer than this is a breach; null: never"
    )
    silent_after_windows = models.PositiveSmallIntegerField(
        null=True, default=3, help_text="windows in a row with too few rows; null: never"
    )
    wait_seconds = models.PositiveIntegerField(
        default=0, help_text="for late data, after a window is over"
    )
    effect = models.CharField(max_length=24, default="no_new_deployment")
    wanted_effect = models.CharField(max_length=24, default="no_new_deployment")
    backtest = models.ForeignKey(Backtest, models.PROTECT, null=True, related_name="monitors")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    started_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["version", "use", "environment", "name"],
                condition=Q(until=None),
                name="one_current_monitor",
            ),
            models.CheckConstraint(
                condition=Q(source=None, recheck=0)
                | (Q(source__isnull=False) & ~Q(window="batch")),
                name="source_is_cut_by_time",
            ),
        ]


class Window(models.Model):
    """A stretch of time of a monitor or a backtest, and what its data came to.

    With `batch` it is that batch's own; else it holds every batch that begins in it, or the rows of
    the monitor's source whose time lies in it. `outcomes` has one judgement for each limit; `acts`
    the keys of the limits that called for a breach here.

    Of a source: `asked_at` is when its rows were last asked for, and they are asked for again as
    later windows end, until `recheck_until`. `recheck_run` counts them again while the window keeps
    what it came to. `unread_times` is how often in a row the source could not be read.
    """

    class State(models.TextChoices):
        COLLECTING = "collecting", "Collecting"
        QUEUED = "queued", "Queued"
        JUDGED = "judged", "Judged"
        INSUFFICIENT = "insufficient", "Insufficient volume"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    monitor = models.ForeignKey(Monitor, models.PROTECT, null=True, related_name="windows")
    backtest = models.ForeignKey(Backtest, models.PROTECT, null=True, related_name="windows")
    batch = models.ForeignKey(ObservationBatch, models.PROTECT, null=True, related_name="windows")
    start = models.DateTimeField()
    end = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State.choices, default=State.COLLECTING)
    is_backfill = models.BooleanField(default=False, help_text="judged without acting")
    is_stale = models.BooleanField(default=False, help_text="data came since it was last asked")
    run = models.ForeignKey(CheckRun, models.PROTECT, null=True, related_name="+")
    rows = models.BigIntegerField(null=True)
    outcomes = models.JSONField(default=list)
    acts = models.JSONField(default=list)
    judged_at = models.DateTimeField(null=True)
    judged_times = models.PositiveIntegerField(default=0)
    asked_at = models.DateTimeField(null=True)
    recheck_until = models.DateTimeField(null=True)
    recheck_run = models.ForeignKey(CheckRun, models.PROTECT, null=True, related_name="+")
    unread_times = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, help_text="when an unread source is asked again")

    class Meta:
        ordering: ClassVar = ["-end", "-start", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(monitor__isnull=False, backtest=None)
                | Q(monitor=None, backtest__isnull=False),
                name="window_of_monitor_or_backtest",
            ),
            models.UniqueConstraint(
                fields=["monitor", "start"],
                condition=Q(batch=None, monitor__isnull=False),
                name="one_window_a_stretch",
            ),
            models.UniqueConstraint(
                fields=["monitor", "batch"],
                condition=Q(batch__isnull=False, monitor__isnull=False),
                name="one_window_a_batch",
            ),
            models.CheckConstraint(condition=Q(end__gt=F("start")), name="window_has_length"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["monitor", "state", "end"]),
            models.Index(fields=["backtest", "start"]),
        ]


class Breach(models.Model):
    """A limit was passed, or a monitor fell silent. Unresolved, it closes the gate by itself."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    monitor = models.ForeignKey(Monitor, models.PROTECT, related_name="breaches")
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="breaches")
    use = models.ForeignKey(Use, models.PROTECT, related_name="+")
    environment = models.ForeignKey(Environment, models.PROTECT, related_name="+")
    run = models.ForeignKey(CheckRun, models.PROTECT, null=True, related_name="breaches")
    metric = models.CharField(max_length=120, help_text="or silence")
    limit_key = models.CharField(
        max_length=300, help_text="the limit's metric, slice and direction"
    )
    detail = models.JSONField(help_text="value, interval, limit, slice, control")
    opened_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    resolution = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-opened_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["monitor", "limit_key"],
                condition=Q(resolved_at=None),
                name="one_open_breach_a_limit",
            ),
            models.CheckConstraint(
                condition=Q(resolved_at=None, resolved_by=None)
                | Q(resolved_at__isnull=False, resolved_by__isnull=False),
                name="resolved_breach_has_person",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["version", "use", "environment", "resolved_at"])]

    @property
    def access_model(self) -> RegisteredModel:
        return self.version.model


# Django finds a model wherever it is defined, once it is imported here.
from monitoring.declarations import NotCollectedDeclaration  # noqa: E402

__all__ = [
    "Backtest",
    "Breach",
    "CheckAttachment",
    "CheckKind",
    "CheckRun",
    "CubeErasure",
    "Grade",
    "Measurement",
    "Monitor",
    "NotCollectedDeclaration",
    "ObservationBatch",
    "Window",
]
