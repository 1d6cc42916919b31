-- Segments: where a row stands among the ANN indexes of its leaf (store/segments.py).
-- Collections: one of each namespace serves; each carries its own index settings.

ALTER TABLE vector_embeddings ADD COLUMN segment integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN vector_embeddings.segment IS
    'rises as indexes are built: rows above every indexed segment are found by an exact scan';

ALTER TABLE embedding_collections
    ADD COLUMN serving boolean NOT NULL DEFAULT false,
    ADD COLUMN index_settings jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN open_segment integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT one_collection_per_leaf UNIQUE (namespace, embedding_model);
COMMENT ON COLUMN embedding_collections.open_segment IS 'the segment new rows land in';
CREATE UNIQUE INDEX one_serving_collection ON embedding_collections (namespace) WHERE serving;

UPDATE embedding_collections c SET serving = true
WHERE c.id = (
    SELECT id FROM embedding_collections o WHERE o.namespace = c.namespace
    ORDER BY created_at DESC, id LIMIT 1);
