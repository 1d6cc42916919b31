"""Embeddings over time: what is old moves to an archive in the backup location (PRD 15.3)."""
