-- A backfill may read the export that a Weaviate server makes of itself (from 1.37 on) in place of
-- pages: its ranges are then the export's files.

ALTER TABLE weaviate_migrations ADD COLUMN export text;
COMMENT ON COLUMN weaviate_migrations.export IS
    'the server''s export that the backfill reads; NULL where it reads pages';

ALTER TABLE weaviate_ranges ADD COLUMN file text;
COMMENT ON COLUMN weaviate_ranges.file IS
    'of that export; its rows are read in their order, the first `objects` of them have landed';

-- Each side cuts words in its own way: searches by words are judged by a gate of their own.

ALTER TABLE weaviate_shadow_reads ADD COLUMN mode varchar(10) NOT NULL DEFAULT 'vector'
    CHECK (mode IN ('vector', 'text', 'hybrid'));
