"""Celery tasks: thin calls."""

from uuid import UUID

from celery import shared_task

from reports import services


@shared_task(name="reports.tasks.issue_report", soft_time_limit=540, time_limit=570)  # type: ignore[untyped-decorator]
def issue_report(report_id: str) -> None:
    """Make one report, if nobody else does."""
    from reports import issuing

    issuing.make(UUID(report_id))


@shared_task(name="reports.tasks.sweep")  # type: ignore[untyped-decorator]
def sweep() -> int:
    """Find reports that were forgotten or still wait for their proof."""
    return services.sweep()
