-- Encryption of columns (PRD 10.2): which namespaces are encrypted, and their data keys, each
-- wrapped by a master key the database never sees. Sealed columns keep their types.

CREATE TABLE encrypted_namespaces (
    namespace varchar(40) PRIMARY KEY REFERENCES namespaces ON DELETE CASCADE,
    metadata_keys text[] NOT NULL DEFAULT '{}',
    sealed boolean NOT NULL DEFAULT false,
    enabled_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN encrypted_namespaces.metadata_keys IS 'metadata whose values are sealed';
COMMENT ON COLUMN encrypted_namespaces.sealed IS
    'no clear text is left; until then readers accept both';

CREATE TABLE data_keys (
    namespace varchar(40) NOT NULL REFERENCES encrypted_namespaces ON DELETE CASCADE,
    id varchar(16) NOT NULL,
    state varchar(10) NOT NULL CHECK (state IN ('current', 'outgoing', 'retired')),
    master_key text NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (namespace, id)
);
COMMENT ON COLUMN data_keys.state IS
    'current: seals; outgoing: a rotation from it is not finished; retired: opens older archives';
COMMENT ON COLUMN data_keys.master_key IS 'what unwraps it: a fingerprint or a KMS key, no secret';
CREATE UNIQUE INDEX one_current_data_key ON data_keys (namespace) WHERE state = 'current';

CREATE FUNCTION refuse_clear_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'check_violation',
        MESSAGE = 'The namespace ' || NEW.namespace || ' is encrypted: clear text in '
                  || TG_TABLE_NAME || ' is refused',
        HINT = 'Run the operation again: it began before the namespace was encrypted.';
END
$$;

ALTER TABLE documents ADD COLUMN characters integer;
UPDATE documents SET characters = char_length(text);
ALTER TABLE documents ALTER COLUMN characters SET NOT NULL;
COMMENT ON COLUMN documents.characters IS 'length of the text, which a sealed text does not tell';
