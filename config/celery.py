"""The Celery application. The broker is only transport: the rows say what is to be done."""

import os

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("countersign", task_cls="celery.contrib.django.task:DjangoTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    # A new child imports the libraries of checks anew, for seconds: one is replaced for what it
    # holds, in KiB, and only in the end for what it has done.
    worker_max_tasks_per_child=5000,
    worker_max_memory_per_child=1_500_000,
    broker_connection_retry_on_startup=True,
    task_routes={"monitoring.tasks.execute_check": {"queue": "checks"}},
    task_default_queue="default",
    timezone="UTC",
    beat_schedule={
        "deliver-outbox": {"task": "audit.tasks.dispatch_outbox", "schedule": 2.0},
        "anchor-log": {"task": "audit.tasks.anchor_log", "schedule": 60.0},
        "sweep-check-runs": {"task": "monitoring.tasks.sweep", "schedule": 10.0},
        "run-due-monitors": {"task": "monitoring.tasks.run_due_monitors", "schedule": 10.0},
        "sweep-reports": {"task": "reports.tasks.sweep", "schedule": 15.0},
    },
)
app.autodiscover_tasks(["audit", "monitoring", "governance", "reports"])


@worker_init.connect  # type: ignore[untyped-decorator]
def _worker_starts(**_: object) -> None:
    from audit import startup

    startup.at_start("worker")


@beat_init.connect  # type: ignore[untyped-decorator]
def _beat_starts(**_: object) -> None:
    from audit import startup

    startup.at_start("beat")
