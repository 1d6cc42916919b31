-- Who may call the HTTP API, and what was uploaded through it.
--
-- api_keys belongs to no namespace: only roles of all namespaces may see it, and of them only a
-- writer may note that a key was used. Whoever reads it learns no secret: those have 256 random
-- bits, and their SHA-256 is what is kept. Uploads are written by vector_admin alone, as which a
-- service that takes documents in runs.

CREATE TABLE api_keys (
    id char(16) PRIMARY KEY,
    name varchar(100) NOT NULL,
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    namespaces text[] NOT NULL,
    scopes text[] NOT NULL
        CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['read', 'write', 'admin']),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);
COMMENT ON COLUMN api_keys.namespaces IS '* for all; none left once they are dropped';
COMMENT ON COLUMN api_keys.last_used_at IS 'to the minute';
GRANT SELECT ON api_keys TO vector_reader;
GRANT UPDATE (last_used_at) ON api_keys TO vector_writer;

-- A namespace registered later under the same name is another one.
CREATE FUNCTION forget_keys_of_namespace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE api_keys SET namespaces = array_remove(namespaces, OLD.name::text)
    WHERE OLD.name = ANY (namespaces);
    RETURN NULL;
END $$;
CREATE TRIGGER forget_keys AFTER DELETE ON namespaces
    FOR EACH ROW EXECUTE FUNCTION forget_keys_of_namespace();

CREATE TABLE uploads (
    namespace varchar(40) NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    document_id uuid NOT NULL,
    source_key text NOT NULL,
    file_hash char(64) NOT NULL,
    size_bytes bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, id)
) PARTITION BY LIST (namespace);
CREATE INDEX uploads_of_document ON uploads (document_id);
COMMENT ON COLUMN uploads.document_id IS 'what the document has or will have as its id';

DO $$
DECLARE
    known record;
BEGIN
    FOR known IN SELECT name FROM namespaces LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF uploads FOR VALUES IN (%L)',
                       'uploads_' || known.name, known.name);
    END LOOP;
END $$;

SELECT secure_schema();
