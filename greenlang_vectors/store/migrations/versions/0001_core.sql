-- The tables of PRD 6, as PostgreSQL can build them: every unique key holds the partition columns,
-- one column carries models of any dimension, and a namespace's rows live in partitions of its own.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE namespaces (
    name varchar(40) PRIMARY KEY,
    source_uri text,
    chunking varchar(20) NOT NULL,
    chunking_by_media_type jsonb NOT NULL DEFAULT '{}',
    source_fingerprint char(64),
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN namespaces.source_fingerprint IS
    'listing of the source that the documents stage last worked through';

CREATE TABLE documents (
    namespace varchar(40) NOT NULL,
    id uuid NOT NULL,
    origin varchar(20) NOT NULL CHECK (origin IN ('source', 'sdk')),
    source_type varchar(50) NOT NULL,
    source_key text NOT NULL,
    title text NOT NULL,
    media_type varchar(100) NOT NULL,
    size_bytes bigint NOT NULL,
    file_hash char(64) NOT NULL,
    text text NOT NULL,
    text_hash char(64) NOT NULL,
    page_starts integer[] NOT NULL,
    headings jsonb NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    extraction_version varchar(40) NOT NULL,
    chunking_fingerprint varchar(64),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, id)
) PARTITION BY LIST (namespace);
COMMENT ON COLUMN documents.id IS 'derived from namespace, source type and source key';
COMMENT ON COLUMN documents.chunking_fingerprint IS
    'how the stored chunks were cut; NULL until they are';

CREATE TABLE document_chunks (
    namespace varchar(40) NOT NULL,
    document_id uuid NOT NULL,
    chunk_index integer NOT NULL,
    level smallint NOT NULL,
    parent_index integer,
    content text NOT NULL,
    content_hash char(64) NOT NULL,
    token_count integer NOT NULL,
    start_char integer NOT NULL,
    end_char integer NOT NULL,
    page_start integer,
    page_end integer,
    heading_path text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, document_id, chunk_index)
) PARTITION BY LIST (namespace);
COMMENT ON COLUMN document_chunks.level IS '0: embedded and searched; 1: parent';

CREATE TABLE vector_embeddings (
    id uuid NOT NULL,
    source_type varchar(50) NOT NULL,
    source_id uuid NOT NULL,
    chunk_index integer NOT NULL DEFAULT 0,
    content_hash char(64) NOT NULL,
    content_preview text,
    embedding vector NOT NULL,
    embedding_model varchar(100) NOT NULL,
    embedding_fingerprint varchar(64) NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    namespace varchar(40) NOT NULL DEFAULT 'default',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, embedding_model, id),
    CONSTRAINT unique_source_chunk
        UNIQUE (namespace, embedding_model, source_type, source_id, chunk_index)
) PARTITION BY LIST (namespace);
COMMENT ON COLUMN vector_embeddings.embedding_fingerprint IS
    'model, weights and settings the vector was made with';

CREATE TABLE embedding_collections (
    id uuid PRIMARY KEY,
    name varchar(200) NOT NULL UNIQUE,
    description text,
    namespace varchar(40) NOT NULL REFERENCES namespaces ON DELETE CASCADE,
    embedding_model varchar(100) NOT NULL,
    dimensions integer NOT NULL,
    distance_metric varchar(20) NOT NULL DEFAULT 'cosine',
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE embedding_jobs (
    namespace varchar(40) NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    collection_id uuid NOT NULL,
    status varchar(20) NOT NULL DEFAULT 'running'
        CHECK (status IN ('running', 'succeeded', 'failed', 'interrupted')),
    source_type varchar(50) NOT NULL,
    source_count integer NOT NULL DEFAULT 0,
    processed_count integer NOT NULL DEFAULT 0,
    failed_count integer NOT NULL DEFAULT 0,
    error_message text,
    started_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, id)
) PARTITION BY LIST (namespace);

CREATE TABLE dead_letters (
    namespace varchar(40) NOT NULL,
    id uuid NOT NULL,
    stage varchar(30) NOT NULL,
    item text NOT NULL,
    reason varchar(50) NOT NULL,
    message text NOT NULL,
    remedy text NOT NULL,
    attempts integer NOT NULL DEFAULT 1,
    first_failed_at timestamptz NOT NULL DEFAULT now(),
    last_failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, id)
) PARTITION BY LIST (namespace);

CREATE TABLE search_quality (
    namespace varchar(40) NOT NULL,
    measured_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    embedding_model varchar(100) NOT NULL,
    ef_search integer NOT NULL,
    queries integer NOT NULL,
    recall_at_10 double precision NOT NULL,
    latency_p50_ms double precision NOT NULL,
    latency_p99_ms double precision NOT NULL,
    PRIMARY KEY (namespace, measured_at)
) PARTITION BY LIST (namespace);

CREATE TABLE check_results (
    namespace varchar(40) NOT NULL,
    name varchar(100) NOT NULL,
    passed boolean NOT NULL,
    blocking boolean NOT NULL,
    message text NOT NULL,
    checked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, name)
) PARTITION BY LIST (namespace);
COMMENT ON TABLE check_results IS 'the newest outcome of each check';

CREATE TABLE embedding_cache (
    fingerprint varchar(64) NOT NULL,
    content_hash char(64) NOT NULL,
    embedding vector NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (fingerprint, content_hash)
);
CREATE INDEX embedding_cache_expiry ON embedding_cache (expires_at);
