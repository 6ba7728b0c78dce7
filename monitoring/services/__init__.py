"""Every write of this layer, one function for each thing that can happen."""

from monitoring.services.backtests import request_backtest
from monitoring.services.batches import record_batch
from monitoring.services.breaches import open_breach, resolve_breach
from monitoring.services.cancelling import cancel_backtest
from monitoring.services.cubes import (
    Restricted,
    erase_cube,
    forget_old_scores,
    read_restricted,
    shelf,
)
from monitoring.services.declarations import declare_not_collected, withdraw_declaration
from monitoring.services.judging import judge_failure, judge_run
from monitoring.services.monitors import (
    arm_monitor,
    begin_monitor,
    end_monitor,
    evaluate_monitor,
    finish_monitor,
    run_due_monitors,
    start_monitor,
)
from monitoring.services.requests import request_check
from monitoring.services.rollups import roll_up
from monitoring.services.runs import (
    LEASE,
    MAX_ATTEMPTS,
    RESEND_AFTER,
    cancel_run,
    claim_run,
    fail_run,
    finish_run,
    heartbeat,
    retry_run,
    sweep,
)
from monitoring.services.windows import backfill_monitor, evaluate_window

__all__ = [
    "LEASE",
    "MAX_ATTEMPTS",
    "RESEND_AFTER",
    "Restricted",
    "arm_monitor",
    "backfill_monitor",
    "begin_monitor",
    "cancel_backtest",
    "cancel_run",
    "claim_run",
    "declare_not_collected",
    "end_monitor",
    "erase_cube",
    "evaluate_monitor",
    "evaluate_window",
    "fail_run",
    "finish_monitor",
    "finish_run",
    "forget_old_scores",
    "heartbeat",
    "judge_failure",
    "judge_run",
    "open_breach",
    "read_restricted",
    "record_batch",
    "request_backtest",
    "request_check",
    "resolve_breach",
    "retry_run",
    "roll_up",
    "run_due_monitors",
    "shelf",
    "start_monitor",
    "sweep",
    "withdraw_declaration",
]
