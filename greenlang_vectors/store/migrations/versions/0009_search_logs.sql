-- The search log (PRD 6.2; what was corrected and why: store/search_logs.py), and recall as a
-- contract: what a namespace is promised, and how wide its collections search to keep it.

CREATE TABLE vector_search_logs (
    namespace varchar(40) NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    collection varchar(200),
    mode varchar(10) NOT NULL,
    query_text text,
    query_embedding vector,
    filter jsonb,
    top_k integer NOT NULL,
    threshold double precision,
    result_count integer NOT NULL,
    plan text NOT NULL,
    latency_ms double precision NOT NULL,
    user_id text,
    PRIMARY KEY (namespace, created_at, id)
) PARTITION BY LIST (namespace);
COMMENT ON COLUMN vector_search_logs.query_text IS
    'NULL where a vector was given, and in an encrypted namespace';
COMMENT ON COLUMN vector_search_logs.filter IS 'canonical: equal filters are equal JSON';

ALTER TABLE namespaces
    ADD COLUMN recall_target double precision NOT NULL DEFAULT 0.95
        CHECK (recall_target > 0 AND recall_target <= 1);
COMMENT ON COLUMN namespaces.recall_target IS 'the share of the exact ten nearest it is promised';

ALTER TABLE embedding_collections
    ADD COLUMN search_width integer CHECK (search_width > 0),
    ADD COLUMN tuned_at timestamptz;
COMMENT ON COLUMN embedding_collections.search_width IS
    'the ef_search or probes that tuning found; NULL for the default';

ALTER TABLE search_quality
    ADD COLUMN recall_target double precision,
    ADD COLUMN recall_before double precision,
    ADD COLUMN filtered jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN curve jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN search_quality.ef_search IS 'or probes, of IVFFlat';
COMMENT ON COLUMN search_quality.recall_before IS
    'lowest recall at the width used until then, where it had fallen below the target';
COMMENT ON COLUMN search_quality.filtered IS
    'recall inside the filters that searches use: [{"filter", "queries", "recall_at_10"}, …]';
COMMENT ON COLUMN search_quality.curve IS
    'what tuning measured: [{"width", "recall_at_10", "lowest_recall", "latency_p50_ms"}, …]';

CREATE OR REPLACE FUNCTION writer_rights(target regclass) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN relname IN ('document_chunks', 'vector_embeddings', 'dead_letters')
            THEN 'INSERT, UPDATE, DELETE'
        WHEN relname IN ('documents', 'embedding_jobs') THEN 'INSERT, UPDATE'
        WHEN relname = 'vector_search_logs' THEN 'INSERT'
    END
    FROM pg_class WHERE oid = coalesce(pg_partition_root(target), target)
$$;

DO $$
DECLARE
    known record;
BEGIN
    FOR known IN SELECT name FROM namespaces LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF vector_search_logs FOR VALUES IN (%L)',
                       'vector_search_logs_' || known.name, known.name);
    END LOOP;
    FOR known IN SELECT namespace AS name FROM encrypted_namespaces LOOP
        EXECUTE format(
            'CREATE TRIGGER clear_text_refused AFTER INSERT OR UPDATE OF query_text, '
            'query_embedding ON %I FOR EACH ROW WHEN (NEW.query_text IS NOT NULL '
            'OR NEW.query_embedding IS NOT NULL) EXECUTE FUNCTION refuse_clear_text()',
            'vector_search_logs_' || known.name);
    END LOOP;
END
$$;
SELECT secure_schema();
