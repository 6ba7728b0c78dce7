from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit import entries, siem, webhooks  # noqa: F401

        webhooks.connect()
        siem.connect()
        post_migrate.connect(_ensure_triggers, sender=self)
        checks.register(_check_triggers, checks.Tags.database)
        checks.register(_check_subscriptions)
        checks.register(_check_anchors)
        checks.register(_check_siem)


def _ensure_triggers(using: str = DEFAULT_DB_ALIAS, **kwargs: Any) -> None:
    from audit import triggers

    connection = connections[using]
    if "audit_entry" in connection.introspection.table_names():
        triggers.ensure(connection)


def _check_triggers(databases: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """A warning and no error: an error would stop the very migrate that puts them back."""
    from audit import triggers

    return [
        checks.Warning(
            f"append-only triggers are missing: {', '.join(names)}",
            hint="run `manage.py migrate`, which puts them back, and find out who dropped them",
            id="audit.W001",
        )
        for alias in databases or []
        if (names := triggers.missing(connections[alias]))
    ]


def _check_subscriptions(**kwargs: Any) -> list[checks.CheckMessage]:
    from audit import outbox

    return [
        checks.Error(f"a handler is subscribed to {name}, which no app defines", id="audit.E001")
        for name in outbox.unknown_types()
    ]


def _check_anchors(**kwargs: Any) -> list[checks.CheckMessage]:
    from django.conf import settings

    known = settings.COUNTERSIGN
    named = (
        known.anchor_folder, known.anchor_bucket, known.anchor_tsa, known.anchor_witnesses
    )  # fmt: skip
    if not known.production or any(named):
        return []
    return [
        checks.Warning(
            "no checkpoint of the log is anchored outside",
            hint="who holds database and key could rewrite what no receiver has seen; name an anchor in "
            "COUNTERSIGN_ANCHOR_FOLDER, _BUCKET, _TSA or _WITNESSES",
            id="audit.W002",
        )
    ]


def _check_siem(**kwargs: Any) -> list[checks.CheckMessage]:
    from django.conf import settings

    from audit import siem
    from kernel.conf import ConfigurationError

    try:
        if settings.COUNTERSIGN.siem:
            siem.check(settings.COUNTERSIGN.siem)
    except ConfigurationError as error:
        return [checks.Error(str(error), id="audit.E002")]
    return []
