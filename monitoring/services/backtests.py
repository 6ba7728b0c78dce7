"""Backtests: a monitor's windows of the past, judged as it would judge them, with no effect at all."""

from datetime import datetime
from typing import Any

from accounts.access import require
from audit.actor import Actor
from audit.recording import record
from audit.writing import in_write, write
from kernel.errors import Invalid
from kernel.moments import rfc3339
from monitoring import backtesting, windows
from monitoring.models import Backtest, CheckRun, Grade, ObservationBatch, Window
from monitoring.services.definitions import Definition, check_place, cut, define, refuse
from monitoring.services.requests import Question, queue_run
from monitoring.services.windows import MOST_WINDOWS, batch_kind
from registry.models import Dataset, Environment, ModelVersion, Use
from registry.services import lock_version, tick

_State = Backtest.State
Stretch = tuple[datetime, datetime, list[ObservationBatch]]


@write
def request_backtest(
    version: ModelVersion,
    *,
    use: Use,
    environment: Environment,
    name: str,
    kind: str,
    limits: list[dict[str, Any]],
    since: datetime,
    until: datetime,
    dataset: Dataset | None = None,
    config: dict[str, Any] | None = None,
    reference: Dataset | None = None,
    window: str = windows.BATCH,
    min_rows: int = 100,
    consecutive: int = 1,
    actor: Actor,
) -> Backtest:
    """Ask how often a monitor of this definition would have acted between `since` and `until`.

    The past data are the batches received for the model at this place, of whichever version; or a
    `dataset`, cut into windows by the column that the mapping declares as the time.

    Raises:
        Invalid: naming the field; also where there is nothing to look back on.
        Conflict, Unprocessable: see `request_check`.
    """
    require(actor, "check.request", version)
    errors = check_place(version, use, name, min_rows, consecutive)
    if until <= since:
        errors["until"] = "expected an instant after `since`"
    refuse(errors)
    version = lock_version(version.pk)
    at = tick(version)
    definition = define(
        version,
        kind,
        limits=limits,
        config=config,
        reference=reference,
        window=window,
        min_rows=min_rows,
        consecutive=consecutive,
        data={"dataset": dataset},
    )
    stretches = (
        _of_batches(version, use, environment, definition, since, until)
        if dataset is None
        else _of_dataset(dataset, definition, since, until, at)
    )
    backtest = Backtest.objects.create(
        version=version,
        use=use,
        environment=environment,
        name=name,
        reference=reference,
        dataset=dataset,
        definition_digest=definition.digest(),
        question_digest=definition.question_digest,
        since=since,
        until=until,
        requested_at=at,
        requested_by_id=None if actor.kind == "system" else actor.id,
        **definition.fields,
    )
    for stretch in stretches:
        _queue(backtest, stretch, at=at, actor=actor)
    _record("requested", backtest, at, actor, kind=kind, windows=len(stretches))
    return backtest


def _of_batches(
    version: ModelVersion,
    use: Use,
    environment: Environment,
    definition: Definition,
    since: datetime,
    until: datetime,
) -> list[Stretch]:
    fields = definition.fields
    past = ObservationBatch.objects.filter(
        version__model=version.model_id,
        use=use,
        environment=environment,
        kind=batch_kind(fields["kind"]),
        window_start__gte=since,
        window_end__lte=until,
    )
    found = list(past.order_by("window_start", "window_end", "batch_id")[: 20 * MOST_WINDOWS])
    if not found:
        raise Invalid("no batch was received for this place and time", field="since")
    foreign = sum(one.version_id != version.pk for one in found)
    needs_model = fields["kind"] in ("performance", "fairness")
    if foreign and needs_model and fields["config"].get("grade") == Grade.RECOMPUTED:
        raise Invalid(
            f"{foreign} of the batches hold the answers of other versions; ask for grade "
            "re-performed, so that this version is scored on them",
            field="config.grade",
        )
    if fields["window"] == windows.BATCH:
        stretches = [(one.window_start, one.window_end, [one]) for one in found]
    else:
        by: dict[tuple[datetime, datetime], list[ObservationBatch]] = {}
        for one in found:
            by.setdefault(windows.around(fields["window"], one.window_start), []).append(one)
        stretches = [(start, end, batches) for (start, end), batches in by.items()]
    return _few_enough(stretches)


def _of_dataset(
    dataset: Dataset, definition: Definition, since: datetime, until: datetime, at: datetime
) -> list[Stretch]:
    # Rows that no digest pins still come: a window that is not over is no past.
    last = min(until, at) if dataset.digest_of == Dataset.DigestOf.RELATION else until
    stretches = []
    for start, end in windows.between(definition.fields["window"], since, last):
        stretches.append((start, end, list[ObservationBatch]()))
        if len(stretches) > MOST_WINDOWS:
            break
    if not stretches:
        raise Invalid("no whole window lies between `since` and `until`", field="until")
    return _few_enough(stretches)


def _few_enough(stretches: list[Stretch]) -> list[Stretch]:
    if len(stretches) > MOST_WINDOWS:
        raise Invalid(f"there are more than {MOST_WINDOWS} windows; name fewer", field="since")
    return stretches


def _queue(backtest: Backtest, stretch: Stretch, *, at: datetime, actor: Actor) -> None:
    start, end, batches = stretch
    window = Window.objects.create(
        backtest=backtest,
        start=start,
        end=end,
        batch=batches[0] if backtest.window == windows.BATCH else None,
        state=Window.State.QUEUED,
    )
    question = Question(backtest.kind, backtest.config, backtest.mapping, backtest.reference)
    if backtest.dataset is not None:
        question = cut(backtest, backtest.dataset, start, end)
    window.run = queue_run(
        backtest.version,
        question,
        purpose=CheckRun.Purpose.BACKTEST,
        window=window,
        batch=window.batch,
        batches=batches,
        dataset=backtest.dataset,
        at=at,
        actor=actor,
    )
    window.save(update_fields=["run"])


def finish_if_over(window: Window, *, at: datetime, actor: Actor) -> None:
    """End the backtest of a window if it was the last one. A step inside a write."""
    in_write()
    backtest = window.backtest
    if backtest is None or backtest.state != _State.RUNNING:
        return
    rows = list(backtest.windows.order_by("start", "end", "pk"))
    if any(one.state == Window.State.QUEUED for one in rows):
        return
    backtest.result = backtesting.summarise([_judged(one) for one in rows], backtest.consecutive)
    failed = backtest.result["failed"] == len(rows)
    backtest.state = _State.FAILED if failed else _State.SUCCEEDED
    backtest.finished_at = at
    backtest.save(update_fields=["state", "result", "finished_at"])
    counts = {name: backtest.result[name] for name in ("windows", "breached", "acted")}
    _record("finished", backtest, at, actor, state=backtest.state, **counts)


def _judged(window: Window) -> backtesting.Judged:
    return backtesting.Judged(
        rfc3339(window.start),
        rfc3339(window.end),
        window.state,
        {one["key"]: one for one in window.outcomes},
    )


def suitable(
    version: ModelVersion, question_digest: str, source: Dataset | None = None
) -> Backtest | None:
    """The newest backtest that tells how often a monitor of this question would have acted.

    Of a monitor of a source that is a backtest on this source.
    """
    found = Backtest.objects.filter(
        version=version, question_digest=question_digest, state=_State.SUCCEEDED
    )
    if source is not None:
        found = found.filter(dataset=source)
    return next((one for one in found.order_by("-finished_at") if tells(one)), None)


def tells(backtest: Backtest) -> bool:
    """Did it judge at least as many windows as must break in a row before the monitor acts?"""
    return bool(backtest.result.get("judged", 0) >= backtest.consecutive)


def _record(what: str, backtest: Backtest, at: datetime, actor: Actor, **more: Any) -> None:
    period: dict[str, Any] = {}
    if what == "requested":
        period = {
            "definition_digest": backtest.definition_digest,
            "since": rfc3339(backtest.since),
            "until": rfc3339(backtest.until),
        }
    record(
        f"monitoring.backtest.{what}",
        actor=actor,
        at=at,
        object_type="backtest",
        object_id=str(backtest.pk),
        public={
            "model": backtest.version.model.name,
            "number": backtest.version.number,
            "use": backtest.use.name,
            "environment": backtest.environment.name,
            "question_digest": backtest.question_digest,
            **period,
            **more,
        },
        scope=backtest.version.model_id,
    )
