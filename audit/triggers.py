"""What the log keeps in the database beside its tables: append-only triggers, and on PostgreSQL two functions.

The triggers are a guard rail against mistakes, not evidence (who owns a table can drop them).

Evidence is the tree. The triggers are put back after every migrate, and a system check misses them.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

PREFIX = "countersign_keep_"
# Table: which operations are refused. A tile may grow; a payload may be erased; queues may empty.
RULES: dict[str, tuple[str, ...]] = {
    "audit_entry": ("UPDATE", "DELETE", "TRUNCATE"),
    "audit_epoch": ("UPDATE", "DELETE", "TRUNCATE"),
    "audit_logkey": ("UPDATE", "DELETE", "TRUNCATE"),
    "audit_leaf": ("UPDATE", "DELETE", "TRUNCATE"),
    "audit_tile": ("GROW", "DELETE", "TRUNCATE"),
    "audit_checkpoint": ("UPDATE", "DELETE", "TRUNCATE"),
    "audit_anchor": ("UPDATE", "DELETE", "TRUNCATE"),
    "audit_privatepayload": ("UPDATE", "TRUNCATE"),
    "audit_pending": ("UPDATE", "TRUNCATE"),
}
_SHRINKS = (
    "NEW.epoch_id <> OLD.epoch_id OR NEW.level <> OLD.level OR NEW.n <> OLD.n"
    " OR substr(NEW.hashes, 1, length(OLD.hashes)) <> OLD.hashes"
)
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {PREFIX}refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$
"""

# An entry with its payload and its places in the queues. The server keeps the plans of its statements
# for a session, which it would otherwise make for each write; a pooler does not get in the way.
_RECORD = """
CREATE OR REPLACE FUNCTION countersign_record(
    p_uuid uuid, p_leaf bytea, p_at timestamptz, p_type varchar, p_actor_kind varchar, p_actor uuid,
    p_object_type varchar, p_object_id varchar, p_scope uuid, p_salt bytea, p_data bytea
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_entry bigint;
BEGIN
    INSERT INTO audit_entry
        (uuid, leaf, at, type, actor_kind, actor, object_type, object_id, scope)
    VALUES
        (p_uuid, p_leaf, p_at, p_type, p_actor_kind, p_actor, p_object_type, p_object_id, p_scope)
    RETURNING id INTO v_entry;
    IF p_salt IS NOT NULL THEN
        INSERT INTO audit_privatepayload (entry_id, salt, data) VALUES (v_entry, p_salt, p_data);
    END IF;
    INSERT INTO audit_pending (entry_id) VALUES (v_entry);
    INSERT INTO audit_outboxmessage (entry_id) VALUES (v_entry);
    RETURN v_entry;
END $$
"""
# What an inclusion proof needs: where the entry is, the newest checkpoint, and in each row one tile of
# the path to the root or of the right edge. Level L of a tree of n has n >> 8 L hashes.
_PLACE = """
CREATE OR REPLACE FUNCTION countersign_place(p_uuid uuid) RETURNS TABLE (
    r_epoch int, r_origin text, r_place bigint, r_leaf bytea, r_size bigint, r_note text,
    r_level int, r_n bigint, r_hashes bytea
) LANGUAGE plpgsql STABLE ROWS 8 AS $$
BEGIN
    SELECT e.leaf, l.epoch_id, l."index", o.origin INTO r_leaf, r_epoch, r_place, r_origin
    FROM audit_entry e
    JOIN audit_leaf l ON l.entry_id = e.id
    JOIN audit_epoch o ON o.number = l.epoch_id
    WHERE e.uuid = p_uuid;
    IF NOT FOUND THEN RETURN; END IF;
    SELECT c.size, c.note INTO r_size, r_note
    FROM audit_checkpoint c WHERE c.epoch_id = r_epoch ORDER BY c.size DESC LIMIT 1;
    r_level := 0;
    WHILE r_size >> (8 * r_level) > 0 LOOP
        FOR r_n, r_hashes IN
            SELECT t.n, t.hashes FROM audit_tile t
            WHERE t.epoch_id = r_epoch AND t.level = r_level
            AND t.n IN (r_place >> (8 * r_level + 8), r_size >> (8 * r_level + 8))
        LOOP
            RETURN NEXT;
            -- Once is enough.
            r_leaf := NULL;
            r_note := NULL;
        END LOOP;
        r_level := r_level + 1;
    END LOOP;
END $$
"""


def _name(table: str, operation: str) -> str:
    return f"{PREFIX}{table}_{operation.lower()}"


def _expected(vendor: str) -> dict[str, tuple[str, str]]:
    """Return {trigger name: (table, operation)} for a database."""
    return {
        _name(table, operation): (table, operation)
        for table, operations in RULES.items()
        for operation in operations
        if vendor == "postgresql" or operation != "TRUNCATE"
    }


def ensure(connection: BaseDatabaseWrapper) -> None:
    """Create or replace every trigger and function. The tables must be there."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_FUNCTION)
            cursor.execute(_RECORD)
            cursor.execute(_PLACE)
        for name, (table, operation) in _expected(connection.vendor).items():
            for statement in _statements(connection.vendor, name, table, operation):
                cursor.execute(statement)


def _statements(vendor: str, name: str, table: str, operation: str) -> list[str]:
    event = "UPDATE" if operation == "GROW" else operation
    if vendor == "sqlite":
        when = f"WHEN {_SHRINKS}" if operation == "GROW" else ""
        return [
            f"DROP TRIGGER IF EXISTS {name}",
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {when} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {event} refused'); END",
        ]
    level = "STATEMENT" if operation == "TRUNCATE" else "ROW"
    when = f"WHEN ({_SHRINKS})" if operation == "GROW" else ""
    return [
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH {level} {when} "
        f"EXECUTE FUNCTION {PREFIX}refuse()",
        # Otherwise `SET session_replication_role = replica` would silence it.
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    ]


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of triggers that are absent or switched off; [] before the first migrate."""
    with connection.cursor() as cursor:
        if "audit_entry" not in connection.introspection.table_names(cursor):
            return []
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT tgname FROM pg_trigger WHERE tgname LIKE %s AND tgenabled = 'A'",
                [PREFIX.replace("_", r"\_") + "%"],
            )
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        present = {row[0] for row in cursor.fetchall()}
    return sorted(set(_expected(connection.vendor)) - present)
