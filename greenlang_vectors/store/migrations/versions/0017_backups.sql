-- Exports of namespaces (PRD 12.1) and their restore drills, beside what the backup location says
-- of both: it says so even where this database is lost, and this database tells a manifest that was
-- exchanged whole. They outlive a namespace: no foreign key.

CREATE TABLE backup_exports (
    namespace varchar(40) NOT NULL,
    id varchar(80) NOT NULL,
    made_at timestamptz NOT NULL,
    manifest_sha256 char(64) NOT NULL,
    rows bigint NOT NULL,
    size_bytes bigint NOT NULL,
    seconds double precision NOT NULL,
    PRIMARY KEY (namespace, id)
);
COMMENT ON COLUMN backup_exports.made_at IS 'when its snapshot was taken, by the database''s clock';

CREATE TABLE backup_drills (
    namespace varchar(40) NOT NULL,
    export_id varchar(80) NOT NULL,
    drilled_at timestamptz NOT NULL,
    passed boolean NOT NULL,
    problem text,
    restore_seconds double precision,
    figures jsonb NOT NULL,
    PRIMARY KEY (namespace, export_id, drilled_at)
);
COMMENT ON COLUMN backup_drills.restore_seconds IS
    'from the first byte fetched to the last checksum compared: the measured RTO';

-- A restore fills tables of the names they will have in a schema of its own; what serves meanwhile
-- is left alone until they are exchanged. Only who may create a schema can make it.
DO $$
DECLARE
    before text := current_setting('role');
BEGIN
    PERFORM set_config('role', 'none', true);
    CREATE SCHEMA IF NOT EXISTS restoring AUTHORIZATION vector_admin;
    PERFORM set_config('role', before, true);
END $$;
COMMENT ON SCHEMA restoring IS 'tables of restores under way, or that were ended';

SELECT secure_schema();
