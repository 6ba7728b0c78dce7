"""Production's database roles on a real PostgreSQL: each does its work, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from tests.servers import Postgres

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
ROLES = ("application", "sequencer", "eraser", "reader")


class Installation:
    """A migrated database with its roles and a login for each."""

    def __init__(self, server: Postgres, data: Path) -> None:
        self.server, self.data = server, data
        self.owner = server.create("roles")
        self.run("", "manage.py", "migrate", "-v0")
        script = (ROOT / "deploy" / "postgresql" / "roles.sql").read_text()
        with psycopg.connect(self.owner, autocommit=True) as connection:
            for _ in range(2):
                connection.execute(script)
            for role in ROLES:
                connection.execute(f"DROP ROLE IF EXISTS login_{role}")
                connection.execute(f"CREATE ROLE login_{role} LOGIN IN ROLE countersign_{role}")

    def url(self, role: str) -> str:
        return self.owner.replace("postgres@", f"login_{role}@") if role else self.owner

    def run(self, role: str, *arguments: str, code: int = 0) -> str:
        own = {k: v for k, v in os.environ.items() if not k.startswith("COUNTERSIGN_")}
        own |= {
            "COUNTERSIGN_DATABASE_URL": self.url(role),
            "COUNTERSIGN_DATA_DIR": str(self.data),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=own, capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installation(
    postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Installation:
    return Installation(postgres_server, tmp_path_factory.mktemp("roles"))


def test_each_role_does_its_work(installation: Installation, tmp_path: Path) -> None:
    work = ("-m", "tests.audit.roles_at_work")
    installation.run("application", *work, "application")
    installation.run("application", *work, "refused")
    assert "entries sequenced" in installation.run(
        "sequencer", "manage.py", "audit_sequencer", "--once"
    )
    ground = ("--by", "root", "--basis", "retention", "--reason", "a test")
    assert "erased" in installation.run("eraser", "manage.py", "erase", "--person", "ben", *ground)
    installation.run("sequencer", "manage.py", "audit_sequencer", "--once")
    installation.run("sequencer", "manage.py", "audit_epoch", "--start", "--reason", "a test")
    installation.run("sequencer", "manage.py", "audit_sequencer", "--once")
    report = installation.run("reader", "manage.py", "audit_verify")
    assert "the log is whole" in report
    assert "1 erased" in report
    installation.run("reader", "manage.py", "audit_export", str(tmp_path / "out"), "--private")


ENTRY = "INSERT INTO audit_entry (uuid, leaf, at, type, actor_kind, actor, object_type, object_id) VALUES (gen_random_uuid(), '', now(), 't', 'system', gen_random_uuid(), 'o', 'i')"
FORBIDDEN = {
    "application": [
        "UPDATE audit_entry SET type = 'x'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "UPDATE audit_privatepayload SET data = ''",
        "DELETE FROM audit_privatepayload",
        "DELETE FROM audit_pending",
        "INSERT INTO audit_leaf (entry_id, epoch_id, index, hash) VALUES (1, 1, 999, '')",
        "DELETE FROM audit_leaf",
        "UPDATE audit_tile SET hashes = ''",
        "INSERT INTO audit_checkpoint (epoch_id, size, root, note, created) VALUES (1, 9, '', '', now())",
        "UPDATE audit_checkpoint SET note = ''",
        "DELETE FROM audit_anchor",
        "UPDATE audit_anchor SET receipt = ''",
        "INSERT INTO audit_epoch (number, origin, created, predecessor) VALUES (7, 'x', now(), '')",
        "INSERT INTO audit_logkey (epoch_id, vkey, created) VALUES (1, 'x', now())",
        "DELETE FROM accounts_pseudonym",
        "UPDATE accounts_pseudonym SET pseudonym = gen_random_uuid()",
        "DELETE FROM django_migrations",
        "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
        "DROP TRIGGER countersign_keep_audit_entry_delete ON audit_entry",
        "SET session_replication_role = replica",
        "CREATE TABLE mine (x int)",
        "SET ROLE countersign_sequencer",
    ],
    "sequencer": [
        "UPDATE audit_entry SET type = 'x'",
        "DELETE FROM audit_entry",
        "SELECT * FROM audit_privatepayload",
        "DELETE FROM audit_privatepayload",
        "UPDATE audit_leaf SET index = 5",
        "DELETE FROM audit_leaf",
        "DELETE FROM audit_tile",
        "UPDATE audit_checkpoint SET note = ''",
        "DELETE FROM audit_checkpoint",
        "SELECT * FROM accounts_user",
        "SELECT * FROM accounts_pseudonym",
        "UPDATE registry_modelversion SET revision = 9",
        "SELECT * FROM governance_signature",
    ],
    "eraser": [
        "UPDATE audit_entry SET type = 'x'",
        "DELETE FROM audit_entry",
        "UPDATE audit_privatepayload SET data = ''",
        "DELETE FROM audit_leaf",
        "DELETE FROM audit_pending",
        "INSERT INTO audit_checkpoint (epoch_id, size, root, note, created) VALUES (1, 9, '', '', now())",
        "DELETE FROM accounts_user",
        "UPDATE governance_signature SET name = ''",
        "DELETE FROM governance_signature",
        "DELETE FROM audit_anchor",
    ],
    "reader": [
        ENTRY,
        "UPDATE audit_entry SET type = 'x'",
        "DELETE FROM audit_entry",
        "DELETE FROM audit_privatepayload",
        "DELETE FROM audit_pending",
        "UPDATE audit_tile SET hashes = ''",
        "SELECT password FROM accounts_user",
        "SELECT * FROM django_session",
        "SELECT * FROM accounts_apitoken",
        "INSERT INTO audit_pending (entry_id) VALUES (1)",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("role", "statement"),
    [(role, statement) for role, statements in FORBIDDEN.items() for statement in statements],
)
def test_no_role_does_anything_else(installation: Installation, role: str, statement: str) -> None:
    with (
        psycopg.connect(installation.url(role)) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_a_statement_of_the_matrix_is_well_formed(installation: Installation) -> None:
    """Else a misspelt one would pass for a forbidden one: the owner's failures are others."""
    with psycopg.connect(installation.owner, autocommit=True) as connection:
        for statements in FORBIDDEN.values():
            for statement in statements:
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(statement)
                except (errors.IntegrityError, errors.RaiseException):
                    # The append-only triggers, or a constraint.
                    continue


def test_what_no_rule_names_is_not_granted_by_chance(installation: Installation) -> None:
    """Each role's rights on the log's tables, as the database has them."""
    with psycopg.connect(installation.owner) as connection:
        rows = connection.execute(
            "SELECT grantee, table_name, string_agg(privilege_type, ',' ORDER BY privilege_type)"
            " FROM information_schema.role_table_grants WHERE grantee LIKE 'countersign%'"
            " AND table_name LIKE 'audit%' AND privilege_type <> 'SELECT' GROUP BY 1, 2"
        ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for grantee, table, rights in rows:
        found.setdefault(grantee.removeprefix("countersign_"), {})[table.removeprefix("audit_")] = (
            rights
        )
    assert found == {
        "application": {
            "entry": "INSERT",
            "privatepayload": "INSERT",
            "pending": "INSERT",
            "anchor": "INSERT",
            "outboxmessage": "DELETE,INSERT",
            "delivery": "INSERT,UPDATE",
            "webhookendpoint": "INSERT,UPDATE",
        },
        "sequencer": {
            "entry": "INSERT",
            "privatepayload": "INSERT",
            "pending": "DELETE,INSERT",
            "outboxmessage": "INSERT",
            "epoch": "INSERT",
            "logkey": "INSERT",
            "leaf": "INSERT",
            "tile": "INSERT,UPDATE",
            "checkpoint": "INSERT",
        },
        "eraser": {
            "entry": "INSERT",
            "privatepayload": "DELETE,INSERT",
            "pending": "INSERT",
            "outboxmessage": "INSERT",
        },
    }
