-- Archives of embeddings (PRD 15.3): each archive that was begun, and every row that left for one.

CREATE TABLE archives (
    namespace varchar(40) NOT NULL,
    id varchar(80) NOT NULL,
    embedding_model varchar(100) NOT NULL,
    manifest_sha256 char(64),
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (namespace, id)
) PARTITION BY LIST (namespace);
COMMENT ON COLUMN archives.manifest_sha256 IS 'NULL until all of it lies in the backup location';
COMMENT ON COLUMN archives.finished_at IS 'NULL until all that may leave the database has left';

CREATE TABLE archived_embeddings (
    id uuid NOT NULL,
    namespace varchar(40) NOT NULL,
    embedding_model varchar(100) NOT NULL,
    document_id uuid NOT NULL,
    chunk_index integer NOT NULL,
    content_hash char(64) NOT NULL,
    embedding_fingerprint varchar(64) NOT NULL,
    archive_id varchar(80) NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, namespace, embedding_model)
) PARTITION BY LIST (namespace);
CREATE INDEX archived_embeddings_chunk ON archived_embeddings (document_id, chunk_index);
COMMENT ON TABLE archived_embeddings IS
    'chunks whose embedding lies in an archive: they are not embedded again and not missing';

DO $$
DECLARE
    known record;
BEGIN
    FOR known IN SELECT name FROM namespaces LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF archives FOR VALUES IN (%L)',
                       'archives_' || known.name, known.name);
        EXECUTE format('CREATE TABLE %I PARTITION OF archived_embeddings FOR VALUES IN (%L)',
                       'archived_embeddings_' || known.name, known.name);
    END LOOP;
END
$$;
