"""What an auditor does with the log: exports it, verifies it, and sees an altered row named."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings
from django.db import connection, transaction

from demo.screen import StoryFailed
from kernel import keys

ROOT = Path(__file__).resolve().parent.parent


def seal_certificate() -> str:
    """The certificate that seals reports, as PEM: what an auditor gets once, and keeps."""
    certificate = keys.current("seal").certificate
    assert certificate is not None
    return certificate.public_bytes(Encoding.PEM).decode()


def export_log(folder: Path) -> tuple[Path, Path]:
    """Export the whole log as JSON lines; return the export and a file with the log's key."""
    from audit.signing import vkeys

    target = folder / "log-export"
    _manage("audit_export", str(target), data_dir=settings.COUNTERSIGN.data_dir)
    vkey = folder / "log.vkey"
    vkey.write_text("\n".join(vkeys()) + "\n")
    return target, vkey


def verify_altered(folder: Path) -> tuple[str, str]:
    """Alter one entry past the application; return what the verification says, and the entry's uuid.

    The triggers that forbid it are put out of action first, as somebody with the database's password
    can. On SQLite it is done to a copy, on PostgreSQL in place, and taken back afterwards.
    """
    if connection.vendor == "sqlite":
        data_dir = _copy(folder)
        altered = _alter_sqlite(data_dir / "countersign.sqlite3")
        done = _manage("audit_verify", data_dir=data_dir, check=False)
    else:
        key, altered, leaf = _pick()
        _overwrite(key, leaf.replace(b'"deny"', b'"allow"'))
        try:
            done = _manage("audit_verify", data_dir=settings.COUNTERSIGN.data_dir, check=False)
        finally:
            _overwrite(key, leaf)
    if done.returncode == 0:
        raise StoryFailed("an altered log was verified as whole")
    lines = [line for line in (done.stdout + done.stderr).splitlines() if altered in line]
    return (lines[0].strip() if lines else done.stdout.strip()), altered


def _copy(folder: Path) -> Path:
    copy = folder / "altered-copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in ("keys", "sequencer"):
        if (settings.COUNTERSIGN.data_dir / name).exists():
            shutil.copytree(settings.COUNTERSIGN.data_dir / name, copy / name)
    with (
        closing(sqlite3.connect(settings.COUNTERSIGN.data_dir / "countersign.sqlite3")) as source,
        closing(sqlite3.connect(copy / "countersign.sqlite3")) as target,
    ):
        source.backup(target)
    return copy


def _pick() -> tuple[int, str, bytes]:
    """The oldest entry that says the gate denied: its key, uuid and bytes."""
    from audit.models import Entry

    for entry in Entry.objects.filter(type__startswith="governance.gate").order_by("pk"):
        leaf = bytes(entry.leaf)
        if b'"deny"' in leaf:
            return entry.pk, str(entry.uuid), leaf
    raise StoryFailed("the log holds no gate decision that denied")


def _alter_sqlite(database: Path) -> str:
    """Turn that `deny` into an `allow`. Returns the entry's uuid."""
    key, altered, leaf = _pick()
    with closing(sqlite3.connect(database)) as copy:
        triggers = copy.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entry'"
        )
        for (name,) in triggers.fetchall():
            copy.execute(f'DROP TRIGGER "{name}"')
        copy.execute(
            "UPDATE audit_entry SET leaf = ? WHERE id = ?",
            (leaf.replace(b'"deny"', b'"allow"'), key),
        )
        copy.commit()
    return altered


def _overwrite(key: int, leaf: bytes) -> None:
    from audit import triggers

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
        cursor.execute("UPDATE audit_entry SET leaf = %s WHERE id = %s", [leaf, key])
        triggers.ensure(connection)


def _manage(
    *arguments: str, data_dir: Path, check: bool = True
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COUNTERSIGN_DATA_DIR": str(data_dir)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if check and done.returncode:
        raise StoryFailed(f"manage.py {arguments[0]} ended with {done.returncode}:\n{done.stderr}")
    return done
