-- The four roles that production's processes use, beside the owner who migrates.
--
--   psql -v ON_ERROR_STOP=1 -f deploy/postgresql/roles.sql "$OWNERS_DATABASE_URL"
--
-- Run it as the owner of the tables (or a superuser) after each `manage.py migrate`: it can be run again.
-- The roles cannot log in. Each process gets a login of its own:
--
--   CREATE ROLE countersign_web LOGIN PASSWORD '...' IN ROLE countersign_application;
--
-- countersign_application  web, workers, beat
-- countersign_sequencer    manage.py audit_sequencer and audit_epoch
-- countersign_eraser       manage.py erase
-- countersign_reader       manage.py audit_verify and audit_export, auditors
--
-- Nobody but the owner can drop a trigger or alter a table, and nobody but a superuser can silence the
-- triggers for a session. What owner and superuser do all the same, the log detects.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['application', 'sequencer', 'eraser', 'reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'countersign_' || name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', 'countersign_' || name);
        END IF;
    END LOOP;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public
    TO countersign_application, countersign_sequencer, countersign_eraser, countersign_reader;

REVOKE ALL ON ALL TABLES IN SCHEMA public
    FROM PUBLIC, countersign_application, countersign_sequencer, countersign_eraser, countersign_reader;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public
    FROM PUBLIC, countersign_application, countersign_sequencer, countersign_eraser, countersign_reader;

-- Application: everything of the business, and adding to the log. It cannot change or delete an entry,
-- a payload or a place in the queue, and it cannot touch the tree.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO countersign_application;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO countersign_application;
REVOKE ALL ON
    audit_entry, audit_privatepayload, audit_pending, audit_epoch, audit_logkey, audit_leaf, audit_tile,
    audit_checkpoint, audit_anchor, audit_outboxmessage, audit_delivery, audit_webhookendpoint,
    accounts_pseudonym, django_migrations
    FROM countersign_application;
GRANT SELECT ON
    audit_entry, audit_privatepayload, audit_pending, audit_epoch, audit_logkey, audit_leaf, audit_tile,
    audit_checkpoint, audit_anchor, audit_outboxmessage, audit_delivery, audit_webhookendpoint,
    accounts_pseudonym, django_migrations
    TO countersign_application;
GRANT INSERT ON audit_entry, audit_privatepayload, audit_pending, audit_outboxmessage, audit_anchor,
    accounts_pseudonym
    TO countersign_application;
GRANT INSERT, UPDATE ON audit_delivery, audit_webhookendpoint TO countersign_application;
GRANT DELETE ON audit_outboxmessage TO countersign_application;

-- Sequencer: from the queue into the tree. It writes entries of its own (a start, a new epoch), reads no
-- private payload and nothing of the business, and cannot change an entry.
GRANT SELECT ON
    audit_entry, audit_pending, audit_epoch, audit_logkey, audit_leaf, audit_tile, audit_checkpoint,
    django_migrations
    TO countersign_sequencer;
GRANT INSERT ON
    audit_entry, audit_privatepayload, audit_pending, audit_outboxmessage, audit_epoch, audit_logkey,
    audit_leaf, audit_tile, audit_checkpoint
    TO countersign_sequencer;
GRANT UPDATE ON audit_tile TO countersign_sequencer;
GRANT DELETE ON audit_pending TO countersign_sequencer;

-- Eraser: payloads, pseudonyms, and the names on accounts; each erasure is an entry.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO countersign_eraser;
GRANT INSERT ON audit_entry, audit_privatepayload, audit_pending, audit_outboxmessage, accounts_pseudonym
    TO countersign_eraser;
GRANT DELETE ON audit_privatepayload, accounts_pseudonym, axes_accessattempt, axes_accessfailurelog,
    axes_accesslog
    TO countersign_eraser;
GRANT UPDATE ON accounts_user, accounts_apitoken, accounts_organisationrole TO countersign_eraser;

-- Reader: the log and whose pseudonyms are known, to verify and export it.
GRANT SELECT ON
    audit_entry, audit_privatepayload, audit_pending, audit_epoch, audit_logkey, audit_leaf, audit_tile,
    audit_checkpoint, audit_anchor, accounts_pseudonym, django_migrations
    TO countersign_reader;

-- The queues turn over with every write: without this their dead rows slow the sequencer down.
ALTER TABLE audit_pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE audit_outboxmessage SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
