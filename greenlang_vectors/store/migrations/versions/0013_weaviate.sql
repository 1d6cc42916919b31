-- A namespace's move from Weaviate (PRD 13; migration/): its plan and phase, which object became
-- which passage, what has to be carried across, and the evidence of every step.

ALTER TABLE documents DROP CONSTRAINT documents_origin_check,
    ADD CONSTRAINT documents_origin_check CHECK (origin IN ('source', 'sdk', 'weaviate'));
COMMENT ON COLUMN documents.origin IS
    'who writes it: the pipeline, an application, or the move from Weaviate, whose documents have'
    ' no text but their passages';

CREATE TABLE weaviate_migrations (
    namespace varchar(40) PRIMARY KEY REFERENCES namespaces ON DELETE CASCADE,
    plan jsonb NOT NULL,
    phase varchar(20) NOT NULL DEFAULT 'planned'
        CHECK (phase IN ('planned', 'parallel', 'backfilled', 'shifting', 'decommissioned')),
    share smallint NOT NULL DEFAULT 0 CHECK (share BETWEEN 0 AND 100),
    share_since timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN weaviate_migrations.share IS 'percent of callers whose searches pgvector answers';

CREATE TABLE weaviate_steps (
    namespace varchar(40) NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_by name NOT NULL DEFAULT session_user,
    step varchar(30) NOT NULL,
    phase varchar(20) NOT NULL,
    share smallint NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (namespace, id)
);
COMMENT ON TABLE weaviate_steps IS 'what was done, by whom, where it led, and what it rested on';

-- Backfill: ranges of uuids, and which object became which passage.

CREATE TABLE weaviate_ranges (
    namespace varchar(40) NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    tenant text NOT NULL DEFAULT '',
    first uuid NOT NULL,
    last uuid NOT NULL,
    position uuid,
    objects bigint NOT NULL DEFAULT 0,
    done boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, tenant, first)
);
COMMENT ON COLUMN weaviate_ranges.position IS 'the last object whose batch is committed';

CREATE TABLE weaviate_objects (
    namespace varchar(40) NOT NULL,
    object_id uuid NOT NULL,
    tenant text NOT NULL DEFAULT '',
    document_id uuid NOT NULL,
    chunk_index integer NOT NULL,
    updated_ms bigint,
    PRIMARY KEY (object_id, tenant, namespace),
    UNIQUE (document_id, chunk_index, namespace)
) PARTITION BY LIST (namespace);
COMMENT ON TABLE weaviate_objects IS 'which object of Weaviate and which passage are the same';
COMMENT ON COLUMN weaviate_objects.updated_ms IS
    'Weaviate''s time of its last change that was carried over, in milliseconds; NULL where the'
    ' passage was written here first';

CREATE TABLE weaviate_parts (
    namespace varchar(40) NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    name text NOT NULL,
    objects integer NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 char(64) NOT NULL,
    PRIMARY KEY (namespace, name)
);
COMMENT ON TABLE weaviate_parts IS
    'the objects that were carried over, as they were then: Parquet in the backup location, each'
    ' noted in the transaction that carried them over';

-- Dual write: documents whose objects in Weaviate have to be made like them; what was deleted.
--
-- Triggers note them in the writer's own transaction. A statement fires only the statement-level
-- triggers of the table it names: the leaves under migration and their namespace's partition carry
-- them while it lasts, the root for good. Those see the transition tables that the audit log reads
-- anyway. What comes from Weaviate itself (`greenlang.from_weaviate`) is not noted.
--
-- A leaf that is emptied or loses rows to an archive deletes nothing in Weaviate: its documents are
-- there. One that goes, whatever its leaf still holds, is noted by the triggers of its documents.

ALTER TABLE weaviate_migrations ADD COLUMN dual_write boolean NOT NULL GENERATED ALWAYS AS (
    phase IN ('parallel', 'backfilled', 'shifting')
    AND coalesce(plan ->> 'primary', 'pgvector') = 'pgvector') STORED;
COMMENT ON COLUMN weaviate_migrations.dual_write IS 'what is written here is carried to Weaviate';

CREATE TABLE weaviate_outbox (
    namespace varchar(40) NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    document_id uuid NOT NULL,
    source_type varchar(50),
    source_key text,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0,
    not_before timestamptz,
    PRIMARY KEY (namespace, id)
) PARTITION BY LIST (namespace);
CREATE INDEX weaviate_outbox_deferred ON weaviate_outbox (document_id)
    WHERE not_before IS NOT NULL;
COMMENT ON COLUMN weaviate_outbox.source_key IS
    'of a document that is not here any more, or never was; NULL where its own row tells it';
COMMENT ON COLUMN weaviate_outbox.not_before IS
    'infinity where Weaviate has refused the document for good';

CREATE TABLE weaviate_deletions (
    namespace varchar(40) NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    document_id uuid NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, document_id)
);
COMMENT ON TABLE weaviate_deletions IS
    'documents deleted here since dual writing began: the backfill brings none of them back';

CREATE FUNCTION note_for_weaviate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    everywhere boolean := TG_TABLE_NAME = 'vector_embeddings';
BEGIN
    IF current_setting('greenlang.from_weaviate', true) = 'on'
       OR everywhere AND NOT EXISTS (SELECT FROM public.weaviate_migrations WHERE dual_write)
    THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.weaviate_outbox (namespace, document_id)
    SELECT DISTINCT namespace, source_id FROM touched
    WHERE NOT everywhere
       OR namespace IN (SELECT namespace FROM public.weaviate_migrations WHERE dual_write);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_for_weaviate IS
    'notes each document that a statement touched embeddings of';

CREATE FUNCTION note_deletion_for_weaviate(
    namespace text, document_id uuid, source_type text, source_key text)
RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO public.weaviate_deletions (namespace, document_id) VALUES ($1, $2)
    ON CONFLICT (namespace, document_id) DO UPDATE SET deleted_at = excluded.deleted_at;
    INSERT INTO public.weaviate_outbox (namespace, document_id, source_type, source_key)
    VALUES ($1, $2, $3, $4);
$$;

CREATE FUNCTION note_document_for_weaviate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('greenlang.from_weaviate', true) = 'on' THEN
        RETURN NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO public.weaviate_outbox (namespace, document_id) VALUES (NEW.namespace, NEW.id);
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM public.note_deletion_for_weaviate(
            OLD.namespace, OLD.id, OLD.source_type, OLD.source_key);
    ELSE
        EXECUTE format('SELECT public.note_deletion_for_weaviate(
                            namespace, id, source_type, source_key) FROM %s', TG_RELID::regclass);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_document_for_weaviate IS
    'notes a document that goes, or gets another title';

CREATE FUNCTION dual_write_embeddings(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    event text;
    side text;
BEGIN
    FOR event, side IN VALUES ('insert', 'NEW'), ('update', 'NEW'), ('delete', 'OLD') LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER dual_write_%s AFTER %1$s ON %s REFERENCING %s TABLE AS
             touched FOR EACH STATEMENT EXECUTE FUNCTION note_for_weaviate()',
            event, relation, side);
    END LOOP;
END $$;
COMMENT ON FUNCTION dual_write_embeddings IS
    'on a leaf, a namespace''s partition or the root; it waits until whoever writes has ended';

CREATE FUNCTION dual_write_documents(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    event text;
BEGIN
    FOREACH event IN ARRAY ARRAY[
        'delete AFTER DELETE ON %s FOR EACH ROW',
        'update AFTER UPDATE OF title ON %s FOR EACH ROW WHEN (OLD.title <> NEW.title)',
        'truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT']
    LOOP
        EXECUTE 'CREATE OR REPLACE TRIGGER dual_write_' || format(event, relation)
                || ' EXECUTE FUNCTION note_document_for_weaviate()';
    END LOOP;
END $$;
COMMENT ON FUNCTION dual_write_documents IS
    'on the partition of one namespace; for each row, because statements name the root';

CREATE FUNCTION end_dual_write(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    FOR found IN SELECT tgname, tgrelid::regclass AS relation
                 FROM pg_partition_tree($1) JOIN pg_trigger ON tgrelid = relid
                 WHERE starts_with(tgname, 'dual_write_') LOOP
        EXECUTE format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', found.relation, found.tgname);
    END LOOP;
END $$;
COMMENT ON FUNCTION end_dual_write IS
    'on a partition and all below it; to drop the triggers, searches would have to wait';

SELECT dual_write_embeddings('vector_embeddings');

-- Verification.

CREATE TABLE weaviate_verifications (
    namespace varchar(40) NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    clean boolean NOT NULL,
    figures jsonb NOT NULL,
    PRIMARY KEY (namespace, id)
);

CREATE TABLE weaviate_differences (
    namespace varchar(40) NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    object_id uuid NOT NULL,
    tenant text NOT NULL DEFAULT '',
    kind varchar(60) NOT NULL,
    detail text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, tenant, object_id)
);
COMMENT ON TABLE weaviate_differences IS 'what the newest verification found, until it is repaired';

-- Traffic: what shadow reads showed, for some days.

CREATE TABLE weaviate_shadow_reads (
    namespace varchar(40) NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    share smallint NOT NULL,
    by_pgvector boolean NOT NULL,
    overlap double precision,
    rank_distance double precision,
    weaviate_ms double precision,
    pgvector_ms double precision,
    failed varchar(10),
    error text
);
CREATE INDEX weaviate_shadow_reads_time ON weaviate_shadow_reads (namespace, read_at);
COMMENT ON COLUMN weaviate_shadow_reads.by_pgvector IS
    'which side answered the caller; the other was asked beside it';
COMMENT ON COLUMN weaviate_shadow_reads.overlap IS
    'share of the one''s answers that are the other''s, too; NULL where either failed';
COMMENT ON COLUMN weaviate_shadow_reads.rank_distance IS
    'how differently both are ordered: 0 for alike, 1 for nothing in common';

CREATE OR REPLACE FUNCTION writer_rights(target regclass) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN relname IN ('document_chunks', 'vector_embeddings', 'dead_letters')
            THEN 'INSERT, UPDATE, DELETE'
        WHEN relname IN ('documents', 'embedding_jobs') THEN 'INSERT, UPDATE'
        WHEN relname IN ('vector_search_logs', 'weaviate_shadow_reads') THEN 'INSERT'
    END
    FROM pg_class WHERE oid = coalesce(pg_partition_root(target), target)
$$;

DO $$
DECLARE
    known record;
    parent text;
BEGIN
    FOR known IN SELECT name FROM namespaces LOOP
        FOREACH parent IN ARRAY ARRAY['weaviate_objects', 'weaviate_outbox'] LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%L)',
                           parent || '_' || known.name, parent, known.name);
        END LOOP;
    END LOOP;
END $$;

SELECT secure_schema();
