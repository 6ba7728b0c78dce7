"""Whole cubes, which hold small counts: erased when the law or a person asks for it."""

from django.db import transaction

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import write
from kernel.errors import Conflict
from monitoring.models import CheckRun, CubeErasure
from monitoring.selectors import erasure_of
from registry import demands
from registry.services import lock_version, tick
from registry.store import store


@write
def erase_cube(run: CheckRun, *, reason: str, actor: Actor) -> CubeErasure:
    """Erase the whole cube of a run; its digest and what everybody may see of it stay.

    The bytes go once the row and its entry are there. Runs that found the same cube lose it too.

    Raises:
        Conflict: the run has no cube, it holds no small counts, or it was erased already.
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
    digest = run.cube_id
    transaction.on_commit(lambda: store().remove(digest))
    return erasure
