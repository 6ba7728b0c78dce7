"""What runs here: at each start, the digests of code, settings and installed packages go into the log.

Whoever changes the program, its configuration or a library leaves a start with another digest. What
the settings and packages are is kept with the entry whenever they differ from the start before.
"""

import dataclasses
import hashlib
import logging
import platform
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections

from audit.actor import Actor
from audit.models import Entry
from audit.recording import record
from audit.writing import write
from kernel import canonical, keys
from kernel.moments import now

logger = logging.getLogger(__name__)

STARTED = "audit.process.started"
_BESIDE = ("kernel", "templates", "static", "client")
_PASSWORD = re.compile(r"(://[^/@:\s]*):[^/@\s]*(?=@)")
_PARAMETER = re.compile(r"(\b(?:ssl)?password=)[^&\s]*", re.IGNORECASE)
_WATCHED = ("code", "settings", "packages", "python")


def at_start(component: str) -> None:
    """Record that a process starts. A start that cannot be recorded is said aloud and goes on: the
    gate has to answer also while the database is away or waits for its migration."""
    try:
        record_start(component, actor=Actor.system(component))
    except Exception:  # whatever it is must not keep the process from serving
        logger.exception("the start of %s could not be recorded", component)
    finally:
        # The process may fork from here, and children must not share a connection.
        connections.close_all()


@write
def record_start(component: str, *, actor: Actor) -> Entry:
    """Record the start of a process: `web`, `worker`, `audit_sequencer`, `beat` or `up`.

    `changed` names what differs from the start before it of the same component.
    """
    said: dict[str, Any] = {"settings": settings_said(), "packages": packages()}
    facts: dict[str, Any] = {
        "component": component,
        "code": code_digest(),
        "settings": canonical.digest(said["settings"]),
        "packages": canonical.digest(said["packages"]),
        "python": platform.python_version(),
    }
    rows = Entry.objects.filter(type=STARTED, object_type="process", object_id=component)
    before = rows.order_by("-id").first()
    known = before.public if before else {}
    changed = [name for name in _WATCHED if facts[name] != known.get(name)]
    return record(
        STARTED,
        actor=actor,
        at=now(),
        object_type="process",
        object_id=component,
        public={**facts, "changed": changed},
        private={name: said[name] for name in changed if name in said} or None,
    )


def code_digest() -> str:
    """SHA-256 over the sorted lines `<sha256>  <path>` of every file that the product consists of."""
    base = Path(settings.BASE_DIR)
    folders = {Path(one.path) for one in apps.get_app_configs()} | {base / one for one in _BESIDE}
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(base).as_posix()}\n"
        for folder in folders
        if folder.is_relative_to(base) and not folder.is_relative_to(base / ".venv")
        for path in folder.rglob("*")
        if path.is_file() and not _is_made(path)
    ]
    own = base / "manage.py"
    lines.append(f"{hashlib.sha256(own.read_bytes()).hexdigest()}  manage.py\n")
    return hashlib.sha256("".join(sorted(set(lines))).encode()).hexdigest()


def _is_made(path: Path) -> bool:
    return "__pycache__" in path.parts or any(part.endswith(".egg-info") for part in path.parts)


def packages() -> dict[str, str]:
    """Return {name: version and the digest of its RECORD, which lists the digest of each file}."""
    found: dict[str, str] = {}
    for folder in map(Path, sys.path):
        # By the folders' names: parsing each package's metadata would take a third of a second.
        for one in folder.glob("*.dist-info") if folder.is_dir() else ():
            name, _, version = one.name.removesuffix(".dist-info").partition("-")
            files = one / "RECORD"
            digest = hashlib.sha256(files.read_bytes() if files.is_file() else b"").hexdigest()
            found.setdefault(name.lower(), f"{version} {digest[:16]}")
    return found


def settings_said() -> dict[str, Any]:
    """Return what the installation decides, without a secret, and the ids of its current keys."""
    known = settings.COUNTERSIGN
    said: dict[str, Any] = {
        field.name: _plain(getattr(known, field.name))
        for field in dataclasses.fields(known)
        if field.repr
    }
    said["keys"] = {
        purpose: history[-1].id
        for purpose in ("log", "attestation", "seal", "pepper")
        if (history := keys.history(purpose))
    }
    return said


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        # Where a URL leads is no secret; the password in it is.
        return _PARAMETER.sub(r"\1", _PASSWORD.sub(r"\1", value))
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Iterable) and not isinstance(value, Path):
        return [_plain(one) for one in value]
    return str(value)
