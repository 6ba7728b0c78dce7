"""Keeping what a run found out: files in the store first, then rows in one write."""

import io
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings

from audit.actor import Actor
from audit.recording import record
from audit.writing import in_write
from kernel import canonical
from kernel.errors import Unprocessable
from monitoring.metrics import is_estimate
from monitoring.models import CheckAttachment, CheckRun, Grade, Measurement
from registry.services import blob_of, bump
from registry.store import Stored, put

if TYPE_CHECKING:
    from monitoring.engine.results import CheckOutcome

BETWEEN = "*"


@dataclass(frozen=True)
class KeptFile:
    name: str
    media_type: str
    stored: Stored
    restricted: bool = False


@dataclass(frozen=True)
class Kept:
    """An outcome as JSON, its files in the store."""

    outcome: dict[str, Any]
    cube: Stored
    files: list[KeptFile]
    public_cube: Stored | None = None

    @property
    def result_digest(self) -> str:
        """What two runs of the same check on the same data agree on."""
        return canonical.digest(
            {name: self.outcome[name] for name in ("grade", "cube_digest", "measurements")}
        )


def store_files(outcome: "CheckOutcome") -> Kept:
    """Put the cube and the attachments into the store, outside any transaction.

    Raises:
        TooLarge: one of them exceeds the installation's limit for evidence.
        Unprocessable: the cube is not the bytes that its digest names.
    """
    limit = settings.COUNTERSIGN.max_evidence_bytes
    cube = put(io.BytesIO(outcome.cube), limit=limit, field="cube", expected=outcome.cube_digest)
    files = [
        KeptFile(
            one.name,
            one.media_type,
            put(io.BytesIO(one.content), limit=limit, field=f"attachments.{one.name}"),
            one.restricted,
        )
        for one in outcome.attachments
    ]
    shown = None
    if outcome.public_cube is not None:
        shown = put(io.BytesIO(outcome.public_cube), limit=limit, field="public_cube")
    return Kept(outcome.to_json(), cube, files, shown)


def keep(run: CheckRun, kept: Kept, *, at: datetime, actor: Actor) -> None:
    """Write the result of a locked run. A step inside a write.

    Before the freeze the measurements of a validation run are facts of the next dossier, so the
    version's revision rises; after it they stand beside the dossier, as an addendum.
    """
    in_write()
    outcome = kept.outcome
    if outcome["kind"] != run.kind:
        raise Unprocessable(f"the outcome is of {outcome['kind']}, the run of {run.kind}")
    run.state = CheckRun.State.SUCCEEDED
    run.leased_until, run.finished_at = None, at
    run.progress, run.stage, run.error = 1.0, "done", ""
    run.cube = blob_of(kept.cube, at)
    run.public_cube = blob_of(kept.public_cube, at) if kept.public_cube else None
    run.result_digest = kept.result_digest
    run.is_addendum = run.version.frozen_at is not None
    for name in ("grade", "engine", "libraries", "seed", "rows", "plots", "notes", "timings"):
        setattr(run, name, outcome[name])
    run.sandbox = outcome["sandbox"]
    run.save()
    Measurement.objects.bulk_create(
        _measurement(run, position, one) for position, one in enumerate(outcome["measurements"])
    )
    for file in kept.files:
        CheckAttachment.objects.create(
            run=run,
            name=file.name,
            media_type=file.media_type,
            blob=blob_of(file.stored, at),
            restricted=file.restricted,
        )
    revision = run.version.revision
    if run.purpose == CheckRun.Purpose.VALIDATION and not run.is_addendum:
        revision = bump(run.version, at)
    record(
        "monitoring.check.succeeded",
        actor=actor,
        at=at,
        object_type="check_run",
        object_id=str(run.pk),
        public={
            "model": run.version.model.name,
            "number": run.version.number,
            "kind": run.kind,
            "purpose": run.purpose,
            "attempt": run.attempt,
            "grade": run.grade,
            "cube_digest": kept.cube.digest,
            "result_digest": run.result_digest,
            "measurements": len(outcome["measurements"]),
            "is_addendum": run.is_addendum,
            "revision": revision,
        },
        scope=run.version.model_id,
    )


def _measurement(run: CheckRun, position: int, one: dict[str, Any]) -> Measurement:
    compared = sorted(name for name, group in one["slice"].items() if group == BETWEEN)
    return Measurement(
        run=run,
        position=position,
        metric=one["metric"],
        slice=one["slice"],
        attribute=",".join(compared),
        value=one["value"],
        lower=one["lower"],
        upper=one["upper"],
        level=one["level"],
        n=one["n"],
        undefined=one["undefined_reason"] or "",
        method=one["method"],
        unit=one["unit"],
        grade=Grade.CLAIMED if is_estimate(one["metric"]) else run.grade,
        detail=one["detail"],
    )
