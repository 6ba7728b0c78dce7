"""Celery tasks: thin calls."""

from celery import shared_task

from audit import outbox


@shared_task(name="audit.tasks.dispatch_outbox")  # type: ignore[untyped-decorator]
def dispatch_outbox() -> int:
    """Sweep the outbox once."""
    return outbox.sweep()
