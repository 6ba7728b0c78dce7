"""Liveness (the process answers) and readiness (it can do its work)."""

from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse


def livez(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "alive"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 if each part that the web process needs is there; else 503, naming what is not.

    The broker is not one of them: without it, work waits in the database and nothing is lost.
    """
    checks = {"database": _database, "migrations": _migrations, "log": _log}
    findings: dict[str, Any] = {}
    for name, check in checks.items():
        try:
            findings[name] = check() or "ok"
        except Exception as error:
            findings[name] = f"failed: {type(error).__name__}"
    ready = all(finding == "ok" for finding in findings.values())
    response = JsonResponse(
        {"status": "ready" if ready else "not ready", "checks": findings},
        status=200 if ready else 503,
    )
    # Whoever asks hears it; a line in the log for each probe of a starting service helps nobody.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(pending)} to apply" if pending else ""


def _log() -> str:
    from audit import status

    return status.current().alarm
