-- What the service levels of PRD 14.1 are told by: searches that failed stand in the search log
-- beside those that were answered, and a job says how much of its work the cache spared it.

ALTER TABLE vector_search_logs ADD COLUMN failure varchar(60);
COMMENT ON COLUMN vector_search_logs.failure IS
    'the error that was no fault of the caller; NULL where the search was answered';

ALTER TABLE embedding_jobs ADD COLUMN cache_hits integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN embedding_jobs.cache_hits IS 'distinct texts that the embedding cache held';
