"""Telling the queue of a report. The row is the truth: if nobody can be told, the sweep tells later."""

import logging
from uuid import UUID

from celery import current_app
from django.db import transaction

logger = logging.getLogger(__name__)

ISSUE = "reports.tasks.issue_report"


def on_commit(report_id: UUID) -> None:
    """Tell the queue once the open transaction has committed."""
    transaction.on_commit(lambda: send(report_id), robust=True)


def send(report_id: UUID) -> bool:
    """Tell the queue now. False if no broker answers, which is no error of the caller's."""
    try:
        current_app.send_task(ISSUE, args=[str(report_id)], retry=False, ignore_result=True)
    except Exception as error:  # each transport raises errors of its own
        logger.warning("the queue could not be told of report %s: %s", report_id, error)
        return False
    return True
