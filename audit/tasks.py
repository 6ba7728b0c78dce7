"""Celery tasks: thin calls."""

from celery import shared_task

from audit import anchors, outbox


@shared_task(name="audit.tasks.dispatch_outbox")  # type: ignore[untyped-decorator]
def dispatch_outbox() -> int:
    """Sweep the outbox once."""
    return outbox.sweep()


@shared_task(name="audit.tasks.anchor_log")  # type: ignore[untyped-decorator]
def anchor_log() -> int:
    """Carry the newest checkpoint outside, where its turn has come."""
    return anchors.anchor_due()
