"""Every write of this layer, one function for each thing that can happen."""

from monitoring.services.batches import record_batch
from monitoring.services.breaches import judge_failure, judge_run, open_breach, resolve_breach
from monitoring.services.monitors import (
    begin_monitor,
    end_monitor,
    evaluate_monitor,
    finish_monitor,
    run_due_monitors,
    start_monitor,
)
from monitoring.services.requests import request_check
from monitoring.services.runs import (
    LEASE,
    MAX_ATTEMPTS,
    RESEND_AFTER,
    cancel_run,
    claim_run,
    fail_run,
    finish_run,
    heartbeat,
    sweep,
)

__all__ = [
    "LEASE",
    "MAX_ATTEMPTS",
    "RESEND_AFTER",
    "begin_monitor",
    "cancel_run",
    "claim_run",
    "end_monitor",
    "evaluate_monitor",
    "fail_run",
    "finish_monitor",
    "finish_run",
    "heartbeat",
    "judge_failure",
    "judge_run",
    "open_breach",
    "record_batch",
    "request_check",
    "resolve_breach",
    "run_due_monitors",
    "start_monitor",
    "sweep",
]
