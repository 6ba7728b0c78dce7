"""What tests of monitoring share: people, a version with data, and outcomes as the engine gives them."""

import csv
import io
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.models import Role
from audit.actor import Actor
from audit.models import Entry
from kernel.canonical import sha256_hex
from monitoring import services
from monitoring.engine.results import Attachment, CheckOutcome, MeasurementValue, Note, Plot
from monitoring.models import CheckRun, Monitor, ObservationBatch
from registry import services as registry_services
from registry.models import Dataset, Environment, ModelVersion
from tests import factories

SYSTEM = Actor.system("tests")
COLUMNS = {
    "label": "outcome",
    "positive": 1,
    "prediction": "decision",
    "score": "score",
    "sensitive": ["sex"],
    "features": ["x"],
}
LIMIT = {"metric": "accuracy", "op": ">=", "value": 0.8, "control": "accuracy-kept"}
DAY = timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def rows(count: int = 400, *, right: float = 0.9, seed: int = 1) -> bytes:
    """A CSV file whose decisions are right in this share of the rows."""
    chance = random.Random(seed)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["outcome", "decision", "score", "sex", "x"])
    for index in range(count):
        outcome = index % 2
        decision = outcome if index < count * right else 1 - outcome
        writer.writerow(
            [outcome, decision, 0.8 if decision else 0.2, "FM"[index % 4 // 2], chance.random()]
        )
    return text.getvalue().encode()


def dataset(data: bytes | None = None, **fields: Any) -> Dataset:
    stored = factories.store_bytes(rows() if data is None else data)
    there = Dataset.objects.filter(digest=stored.digest).first()
    return there or factories.make_dataset(stored=stored, media_type="text/csv", **fields)


def version(*, columns: dict[str, Any] | None = None, **fields: Any) -> ModelVersion:
    """A version whose model has a column mapping."""
    made = factories.make_version(**fields)
    registry_services.declare_columns(
        made.model,
        COLUMNS if columns is None else columns,
        actor=factories.actor_of(factories.make_user(None, Role.OWNER)),
    )
    made.refresh_from_db()
    return made


def developer() -> Actor:
    return factories.actor_of(factories.make_user(None, Role.DEVELOPER))


def request(
    of: ModelVersion | None = None, *, data: Dataset | None = None, **fields: Any
) -> CheckRun:
    return services.request_check(
        of or version(),
        fields.pop("kind", "performance"),
        dataset=data or dataset(),
        actor=fields.pop("actor", None) or developer(),
        **fields,
    )


def measured(
    metric: str = "accuracy", value: float | None = 0.9, **fields: Any
) -> MeasurementValue:
    known: dict[str, Any] = {"slice": {}, "n": 400, "unit": "rate"}
    known.update(fields)
    if value is None:
        known.setdefault("undefined_reason", "insufficient")
    return MeasurementValue(metric, value=value, **known)


def outcome(
    *measurements: MeasurementValue, kind: str = "performance", **fields: Any
) -> CheckOutcome:
    cube = fields.pop("cube", b'{"cells":[]}')
    known: dict[str, Any] = {
        "kind": kind,
        "grade": "recomputed",
        "cube": cube,
        "cube_digest": sha256_hex(cube),
        "measurements": list(measurements) or [measured()],
        "plots": [Plot("accuracy", "bar", "Accuracy", "group", "rate", [])],
        "notes": [Note("checked", "as told")],
        "attachments": [Attachment("report.html", "text/html", b"<p>report</p>")],
        "engine": "duckdb",
        "libraries": {"duckdb": "2.0.0"},
        "seed": 7,
        "rows": 400,
        "timings": {"counting": 0.1},
        "sandbox": {},
    }
    known.update(fields)
    return CheckOutcome(**known)


def finish(run: CheckRun, result: CheckOutcome | None = None) -> CheckRun:
    """Claim a run and hand in a result for it."""
    claimed = services.claim_run(run.pk, actor=SYSTEM)
    assert claimed is not None
    assert services.finish_run(
        run.pk, claimed.attempt, result or outcome(kind=run.kind), actor=SYSTEM
    )
    run.refresh_from_db()
    return run


def monitor(
    of: ModelVersion | None = None, *, environment: Environment | None = None, **fields: Any
) -> Monitor:
    of = of or version()
    known: dict[str, Any] = {
        "use": factories.default_use(of.model),
        "environment": environment or factories.make_environment(),
        "name": "accuracy",
        "kind": "performance",
        "limits": [LIMIT],
        "min_rows": 10,
        "actor": factories.actor_of(factories.make_user(None, Role.RISK_OFFICER)),
    }
    known.update(fields)
    return services.start_monitor(of, **known)


def batch(
    watch: Monitor, day: int = 0, *, data: bytes | None = None, **fields: Any
) -> ObservationBatch:
    """A day of production data for what a monitor watches."""
    known: dict[str, Any] = {
        "use": watch.use,
        "environment": watch.environment,
        "batch_id": f"day-{day}",
        "file": io.BytesIO(rows(seed=day) if data is None else data),
        "media_type": "text/csv",
        "window_start": START + day * DAY,
        "window_end": START + (day + 1) * DAY,
        "actor": factories.actor_of(factories.make_user(None, Role.OPERATOR)),
    }
    known.update(fields)
    received, _ = services.record_batch(watch.version, **known)
    return received


def entries(type: str, object_id: object = None) -> list[Entry]:
    found = Entry.objects.filter(type=type).order_by("id")
    if object_id is not None:
        found = found.filter(object_id=str(object_id))
    return list(found)
