"""What this layer writes into the audit log."""

from uuid import UUID

from audit.catalogue import define

define(
    "monitoring.check.requested",
    model=str,
    number=int,
    kind=str,
    purpose=str,
    dataset_digest=str,
    reference_digest=str | None,
    config_digest=str,
    monitor=UUID | None,
    batch=UUID | None,
    window=UUID | None,
    retry_of=UUID | None,
)
define("monitoring.check.started", model=str, number=int, kind=str, attempt=int)
define("monitoring.check.requeued", model=str, number=int, kind=str, attempt=int, reason=str)
define(
    "monitoring.check.succeeded",
    model=str,
    number=int,
    kind=str,
    purpose=str,
    attempt=int,
    grade=str,
    cube_digest=str,
    result_digest=str,
    measurements=int,
    is_addendum=bool,
    revision=int,
)
define(
    "monitoring.cube.erased", model=str, number=int, kind=str, cube_digest=str, public_digest=str
)
define(
    "monitoring.cube.read",
    model=str,
    number=int,
    kind=str,
    cube_digest=str,
    file=str,
    digest=str,
)
define("monitoring.declaration.declared", model=str, statement_digest=str, until=str)
define("monitoring.declaration.withdrawn", model=str, statement_digest=str, until=str)
define(
    "monitoring.rollup.requested",
    model=str,
    number=int,
    kind=str,
    monitor=UUID,
    since=str,
    until=str,
    parts=int,
    parts_digest=str,
)
define("monitoring.check.failed", model=str, number=int, kind=str, attempt=int, reason=str)
define("monitoring.check.cancelled", model=str, number=int, kind=str, attempt=int)

define(
    "monitoring.batch.received",
    model=str,
    number=int,
    use=str,
    environment=str,
    kind=str,
    digest=str,
    window_start=str,
    window_end=str,
)

define(
    "monitoring.monitor.started",
    model=str,
    number=int,
    use=str,
    environment=str,
    name=str,
    kind=str,
    definition_digest=str,
    effect=str,
    wanted_effect=str,
    backtest=UUID | None,
    source=str | None,
)
define(
    "monitoring.window.judged",
    model=str,
    number=int,
    use=str,
    environment=str,
    monitor=UUID,
    window_start=str,
    window_end=str,
    state=str,
    run=UUID | None,
    broken=int,
    acts=int,
    times=int,
    is_backfill=bool,
    because_of=UUID | None,
)
define(
    "monitoring.monitor.backfilled",
    model=str,
    number=int,
    use=str,
    environment=str,
    name=str,
    since=str,
    until=str,
    windows=int,
)
define(
    "monitoring.backtest.requested",
    model=str,
    number=int,
    use=str,
    environment=str,
    kind=str,
    definition_digest=str,
    question_digest=str,
    since=str,
    until=str,
    windows=int,
)
define(
    "monitoring.backtest.finished",
    model=str,
    number=int,
    use=str,
    environment=str,
    question_digest=str,
    state=str,
    windows=int,
    breached=int,
    acted=int,
)
define(
    "monitoring.backtest.cancelled",
    model=str,
    number=int,
    use=str,
    environment=str,
    question_digest=str,
    windows=int,
    judged=int,
)
define("monitoring.monitor.ended", model=str, number=int, use=str, environment=str, name=str)

define(
    "monitoring.breach.opened",
    model=str,
    number=int,
    use=str,
    environment=str,
    monitor=UUID,
    run=UUID | None,
    metric=str,
    limit_key=str,
    reason=str,
    value=float | None,
    limit=float | None,
    effect=str,
)
define(
    "monitoring.breach.resolved",
    model=str,
    number=int,
    use=str,
    environment=str,
    monitor=UUID,
    metric=str,
    limit_key=str,
)
