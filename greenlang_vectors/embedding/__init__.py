"""Text to vectors: models, batching, retries and the cache (PRD 7.2)."""
