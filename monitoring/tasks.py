"""Celery tasks: thin calls."""

from uuid import UUID

from celery import shared_task

from audit.actor import Actor
from monitoring import services

# Under the broker's visibility timeout of an hour, after which it would send the task again.
_SOFT, _HARD = 3000, 3300


@shared_task(name="monitoring.tasks.execute_check", soft_time_limit=_SOFT, time_limit=_HARD)  # type: ignore[untyped-decorator]
def execute_check(run_id: str) -> None:
    """Do one check, if nobody else does."""
    from monitoring import executor

    executor.execute(UUID(run_id))


@shared_task(name="monitoring.tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Find lost attempts and forgotten runs; forget scores that were kept long enough."""
    services.forget_old_scores()
    return services.sweep(actor=Actor.system("checks"))


@shared_task(name="monitoring.tasks.run_due_monitors")  # type: ignore[untyped-decorator]
def run_due_monitors() -> int:
    """Queue what monitors have not looked at, and find the silent ones."""
    return services.run_due_monitors(actor=Actor.system("monitors"))
