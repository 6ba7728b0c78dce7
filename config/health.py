"""Liveness (the process answers) and readiness (it can do its work)."""

from collections.abc import Callable

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse


def livez(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "alive"})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 if each part that the web process needs is there; else 503, naming what is not.

    Broker and sequencer are not among them: without either, work waits in the database and nothing
    is lost. An alarm of the log is said, for whoever watches; it closes no gate.
    """
    findings = {"database": _finding(_database), "migrations": _finding(_migrations)}
    ready = all(finding == "ok" for finding in findings.values())
    findings["log"] = _finding(_log)
    response = JsonResponse(
        {"status": "ready" if ready else "not ready", "checks": findings},
        status=200 if ready else 503,
    )
    # Whoever asks hears it; a line in the log for each probe of a starting service helps nobody.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _finding(check: Callable[[], str]) -> str:
    try:
        return check() or "ok"
    except Exception as error:  # whatever it is, the answer is: not ready
        return f"failed: {type(error).__name__}"


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
