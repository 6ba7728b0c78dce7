"""Running a check: from the row to the engine and back. For the worker; no page imports it.

Needs no broker: `execute` is all that a task does, and tests and commands call it as they are.
"""

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connections

from audit.actor import Actor
from kernel.errors import CountersignError, Unavailable, Unprocessable
from kernel.moments import rfc3339
from monitoring import configs, services
from monitoring.located import data_of
from monitoring.models import CheckRun, Monitor, ObservationBatch
from monitoring.services.comparing import scoring_of
from registry.store import path_of

if TYPE_CHECKING:
    from monitoring.engine.job import CheckJob, Kind
    from monitoring.engine.reference_profile import ReferenceProfile
    from monitoring.engine.results import CheckOutcome, Grade
    from monitoring.engine.sources import Data, DataFile

logger = logging.getLogger(__name__)

BEAT = 5.0
"""Seconds between two beats of a running attempt; a sixth of its lease."""
SYSTEM = Actor.system("checks")


class AttemptLost(BaseException):
    """The attempt does not count any more. No Exception, so that nothing on the way swallows it."""


def execute(run_id: UUID, *, beat: float | None = BEAT) -> CheckRun | None:
    """Claim a run, do it and keep what it found out; None if there was nothing to claim.

    `beat=None` renews the lease with the engine's progress alone, without a thread.
    """
    run = services.claim_run(run_id, actor=SYSTEM)
    if run is None:
        return None
    with Heart(run.pk, run.attempt, beat) as heart, _scratch(run) as workdir:
        try:
            _attempt(run, workdir, heart)
        except AttemptLost:
            logger.info("check run %s: attempt %s no longer counts", run.pk, run.attempt)
    return CheckRun.objects.get(pk=run.pk)


def evaluate(monitor: Monitor, batch: ObservationBatch, *, actor: Actor = SYSTEM) -> CheckRun:
    """Evaluate a monitor on a batch here and now, without broker or worker."""
    run = services.evaluate_monitor(monitor, batch, actor=actor)
    return execute(run.pk, beat=None) or CheckRun.objects.get(pk=run.pk)


def _attempt(run: CheckRun, workdir: Path, heart: "Heart") -> None:
    from monitoring.engine.run import run_check

    try:
        if run.rollup_of_id is not None:
            outcome = _rolled_up(run, heart)
        else:
            job = job_of(run, workdir)
            outcome = run_check(job.kind, job=job, workdir=workdir, progress=heart.progress)
        services.finish_run(run.pk, run.attempt, outcome, actor=SYSTEM)
    except CountersignError as error:
        _fail(run, error.said, code=error.code, retryable=isinstance(error, Unavailable))
    except SoftTimeLimitExceeded:
        _fail(run, "the check took longer than a check may", code="too_long", retryable=False)
    except Exception as error:
        # The message of an unexpected error may quote data: the log has it, the row only its kind.
        logger.exception("check run %s, attempt %s", run.pk, run.attempt)
        _fail(
            run,
            f"the check stopped unexpectedly ({type(error).__name__})",
            code="unexpected",
            retryable=True,
        )


def _fail(run: CheckRun, error: str, *, code: str, retryable: bool) -> None:
    services.fail_run(
        run.pk, run.attempt, error, retryable=retryable, code=code[:100], actor=SYSTEM
    )


def job_of(run: CheckRun, workdir: Path) -> "CheckJob":
    """Everything that the engine needs to know of a run, its files by path.

    The batches of a window are put together in `workdir`.

    Raises:
        NotFound: bytes are not in the store.
        Invalid: the row's documents are not what the engine reads.
    """
    from monitoring.engine.inputs import InputSpec
    from monitoring.engine.job import Artifact, CheckJob
    from monitoring.engine.loaders import FORMATS
    from monitoring.engine.mapping import ColumnMapping

    version = run.version
    grade = cast("Grade", run.config.get("grade", "re-performed"))
    artifact = None
    if version.artifact_id is not None and version.artifact_format in FORMATS:
        artifact = Artifact(
            path_of(version.artifact_id), version.artifact_digest, version.artifact_format
        )
    data: Data
    if run.batches:
        data = _batches(run, workdir)
    else:
        if run.dataset is None:
            raise Unprocessable("the run names no data", field="dataset")
        data = data_of(run.dataset, run.config, "filters", workdir)
    return CheckJob(
        kind=cast("Kind", run.kind),
        dataset=data,
        mapping=ColumnMapping.from_json(run.mapping),
        config=configs.of_check(run.config),
        artifact=artifact,
        input_spec=InputSpec.from_json(version.input_spec) if version.input_spec else None,
        reference=data_of(run.reference, run.config, "reference_filters", workdir, "reference")
        if run.reference
        else None,
        reference_profile=_reference_profile(run),
        grade=grade,
        floor=settings.COUNTERSIGN.cell_floor,
        shelf=services.shelf(),
        as_of=rfc3339(run.requested_at),
        **scoring_of(run),
    )


def _rolled_up(run: CheckRun, heart: "Heart") -> "CheckOutcome":
    from monitoring.engine.rollup import Part, RollupJob, roll_up
    from monitoring.engine.run import versions_of

    cubes = run.made_of["cubes"]
    grades = dict(
        CheckRun.objects.filter(pk__in=[one["run"] for one in cubes]).values_list(
            "cube_id", "grade"
        )
    )
    parts = [
        Part(path_of(one["cube"]), one["cube"], cast("Grade", grades[one["cube"]])) for one in cubes
    ]
    job = RollupJob(
        cast("Kind", run.kind),
        tuple(parts),
        configs.of_check(run.config),
        settings.COUNTERSIGN.cell_floor,
        run.made_of["left_out"],
    )
    return roll_up(job, progress=heart.progress, libraries=versions_of(job.kind))


def _reference_profile(run: CheckRun) -> "ReferenceProfile | None":
    """The stored profiles that stand in for a reference, if the configuration names any."""
    from monitoring.engine.reference_profile import ReferenceProfile

    told = run.config.get("reference_run")
    if told is None:
        return None
    return ReferenceProfile(path_of(told["cube"]), told["cube"], told["side"], told["grade"])


def _batches(run: CheckRun, workdir: Path) -> "DataFile":
    """The rows of a window: its one batch as it is, several put together in their order."""
    from monitoring.engine.joining import join

    rows = {str(one.pk): one for one in ObservationBatch.objects.filter(pk__in=run.batches)}
    files = [
        _file(rows[key].blob_id, rows[key].media_type, run.config, "filters") for key in run.batches
    ]
    if len(files) == 1:
        return files[0]
    plain = [replace(one, filters=()) for one in files]
    return replace(join(plain, workdir / "window.parquet", workdir), filters=files[0].filters)


def _file(digest: str, media_type: str, config: dict[str, object], filters: str) -> "DataFile":
    from monitoring.engine.sources import DataFile, Filter

    kept = cast("list[object]", config.get(filters, []))
    return DataFile(
        path=path_of(digest),
        digest=digest,
        format=configs.data_format(media_type) or "parquet",
        filters=tuple(
            Filter.from_json(one, f"config.{filters}[{index}]") for index, one in enumerate(kept)
        ),
    )


@contextlib.contextmanager
def _scratch(run: CheckRun) -> Iterator[Path]:
    """A folder of this attempt's own. What killed attempts left of the same run goes with it."""
    root = settings.COUNTERSIGN.data_dir / "scratch"
    for left in root.glob(f"{run.pk}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = root / f"{run.pk}-{run.attempt}"
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Heart:
    """Keeps an attempt's lease while it works, and tells the work when it has been lost."""

    def __init__(self, run_id: UUID, attempt: int, beat: float | None) -> None:
        self._run_id, self._attempt, self._beat = run_id, attempt, beat
        self.lost, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._told = 0.0

    def __enter__(self) -> "Heart":
        if self._beat is not None:
            self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def progress(self, share: float, text: str) -> None:
        """The engine's progress, written down at most once a second.

        Raises:
            AttemptLost: which ends the engine's work.
        """
        if self.lost.is_set():
            raise AttemptLost
        moment = time.monotonic()
        if moment - self._told < 1.0:
            return
        self._told = moment
        if not services.heartbeat(self._run_id, self._attempt, progress=share, stage=text):
            self.lost.set()
            raise AttemptLost

    def _run(self) -> None:
        assert self._beat is not None
        try:
            while not self._stop.wait(self._beat):
                self._once()
                if self.lost.is_set():
                    return
        finally:
            connections.close_all()

    def _once(self) -> None:
        try:
            if not services.heartbeat(self._run_id, self._attempt):
                self.lost.set()
        except Exception:  # a beat that the database missed is made up for by the next
            logger.warning("check run %s: a beat was missed", self._run_id, exc_info=True)
