-- What is noted with a chunk when it is cut (CELEX number, article, paragraph, annex, recital), and
-- goes with its embeddings, where searches filter by it.

ALTER TABLE document_chunks ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN document_chunks.metadata IS
    'becomes the metadata of its embeddings where the document is a source''s';
