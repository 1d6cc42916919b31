-- Consolidated versions of one act: the newest is searched unless all are asked for
-- (store/versions.py).

ALTER TABLE documents ADD COLUMN superseded_by uuid;
COMMENT ON COLUMN documents.superseded_by IS 'the newest version of the act; NULL for that one';
CREATE INDEX superseded_documents ON documents (namespace) WHERE superseded_by IS NOT NULL;

ALTER TABLE embedding_collections ADD COLUMN superseded boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN embedding_collections.superseded IS
    'some documents of the namespace are older versions of others';
