"""Restricted evidence, which holds small counts or tells of single rows: read on record, and erased when
the law or a person asks for it.

It is the whole cube of a run and its restricted attachments. The scores that the run's model gave row by
row, kept for other checks, go with them.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import write
from kernel.errors import Conflict, NotFound
from kernel.moments import now
from monitoring.models import CheckAttachment, CheckRun, CubeErasure
from monitoring.selectors import WHOLE, erasure_of
from registry import demands
from registry.services import lock_version, tick
from registry.store import store


@dataclass(frozen=True)
class Restricted:
    """One file of restricted evidence."""

    name: str
    digest: str
    media_type: str


@write
def read_restricted(run: CheckRun, name: str = WHOLE, *, actor: Actor) -> Restricted:
    """Let the actor have the whole cube of a run or a restricted attachment, and write down who had it.

    Raises:
        Refused: the actor may not; this is on record too.
        NotFound: the run has no such file, or it was erased.
    """
    require(actor, "cube.read", run)
    file = _restricted(run, name)
    if erasure_of(run) is not None or not store().has(file.digest):
        raise NotFound(f"{name} was erased; its digest and the public part of the cube stay")
    record(
        "monitoring.cube.read",
        actor=actor,
        at=now(),
        object_type="check_run",
        object_id=str(run.pk),
        public={
            "model": run.version.model.name,
            "number": run.version.number,
            "kind": run.kind,
            "cube_digest": run.cube_id,
            "file": name,
            "digest": file.digest,
        },
        scope=run.version.model_id,
    )
    return file


def _restricted(run: CheckRun, name: str) -> Restricted:
    if run.cube_id is None:
        raise NotFound("the run has no cube")
    if name == WHOLE:
        return Restricted(name, run.cube_id, "application/json")
    row = run.attachments.filter(name=name, restricted=True).first()
    if row is None:
        raise NotFound(f"the run has no restricted attachment {name}")
    return Restricted(name, row.blob_id, row.media_type)


@write
def erase_cube(run: CheckRun, *, reason: str, actor: Actor) -> CubeErasure:
    """Erase the restricted evidence of a run; its digests and what everybody may see of it stay.

    The bytes go once the row and its entry are there: the whole cube, the restricted attachments, and
    the scores that were kept row by row. Runs that found the same cube lose them too.

    Raises:
        Conflict: the run has no cube, nothing of it is restricted, or it was erased already.
    """
    require(actor, "payload.erase", run)
    text = demands.text(reason, "reason", longest=5_000)
    version = lock_version(run.version_id)
    at = tick(version)
    run = CheckRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    run.version = version
    if run.cube_id is None or run.public_cube_id is None:
        raise Conflict("the run holds nothing that is restricted", code="nothing_restricted")
    if erasure_of(run) is not None:
        raise Conflict("the cube was erased already", code="erased")
    erasure = CubeErasure.objects.create(
        cube_id=run.cube_id, run=run, reason=text, erased_at=at, erased_by_id=actor.id
    )
    record(
        "monitoring.cube.erased",
        actor=actor,
        at=at,
        object_type="check_run",
        object_id=str(run.pk),
        public={
            "model": version.model.name,
            "number": version.number,
            "kind": run.kind,
            "cube_digest": run.cube_id,
            "public_digest": run.public_cube_id,
        },
        private={"reason": text},
        scope=version.model_id,
    )
    digests, names = _bytes_of(run.cube_id, at)
    transaction.on_commit(lambda: _remove(digests, names))
    return erasure


def _bytes_of(cube: str, at: datetime) -> tuple[set[str], set[str]]:
    """The digests to remove, and the names of kept scores, of all runs that had found this cube."""
    runs = CheckRun.objects.filter(cube=cube, finished_at__lte=at)
    files = CheckAttachment.objects.filter(run__in=runs, restricted=True)
    names = {name for sandbox in runs.values_list("sandbox", flat=True) for name in _kept(sandbox)}
    return {cube, *files.values_list("blob", flat=True)}, names


def _kept(sandbox: dict[str, list[str]]) -> list[str]:
    return sandbox.get("kept", [])


def _remove(digests: set[str], names: set[str]) -> None:
    from monitoring.engine.kept import Shelf

    for digest in sorted(digests):
        store().remove(digest)
    Shelf(shelf()).forget(names)


def shelf() -> Path:
    """The folder of scores that are kept row by row for the next check of the same rows."""
    return settings.COUNTERSIGN.data_dir / "scored"


def forget_old_scores() -> None:
    """Remove kept scores that are too old, whether or not another check comes by."""
    from monitoring.engine.kept import Shelf

    Shelf(shelf()).tidy()
