-- More ways in: buckets, whose objects need not be read to know that they are the same; files of
-- passages and topics, whose documents no listing holds; and what failed there, as it came.

ALTER TABLE documents ADD COLUMN source_fingerprint text;
COMMENT ON COLUMN documents.source_fingerprint IS
    'of the item that was read, where its source says that it tells the content';

ALTER TABLE documents DROP CONSTRAINT documents_origin_check,
    ADD CONSTRAINT documents_origin_check
        CHECK (origin IN ('source', 'sdk', 'weaviate', 'import', 'kafka'));

ALTER TABLE dead_letters ADD COLUMN original bytea;
COMMENT ON COLUMN dead_letters.original IS
    'what failed, where it may be gone from where it came from; NULL elsewhere';
