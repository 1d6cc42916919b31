-- Jobs of every way in (PRD 6.2): imports, topics and writes of applications beside the pipeline's
-- (store/embedding_jobs.py). Those that ended long ago are deleted, and what they did is counted on.

ALTER TABLE embedding_jobs ALTER COLUMN collection_id DROP NOT NULL;
COMMENT ON COLUMN embedding_jobs.collection_id IS
    'whose rows are counted; NULL where it was not there before the first row';
COMMENT ON COLUMN embedding_jobs.source_type IS
    'how the work came: document (the pipeline), import, kafka, sdk, weaviate, follow, repair, archive';
ALTER TABLE embedding_jobs ADD COLUMN source text;
COMMENT ON COLUMN embedding_jobs.source IS 'the file, topic or archive that it came from';
CREATE INDEX jobs_by_start ON embedding_jobs (started_at, id);

ALTER TABLE namespaces ADD COLUMN pruned_job_chunks bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN namespaces.pruned_job_chunks IS 'that jobs stored which are deleted by now';
ALTER TABLE namespaces ADD COLUMN pruned_job_cache_hits bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN namespaces.pruned_job_cache_hits IS 'of jobs that are deleted by now';
