"""The embedding model: found when a run begins, loaded when the first text needs it."""

from __future__ import annotations

import dagster as dg

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store.database import Database


class EmbeddingResource(dg.ConfigurableResource[None]):
    """The model named by GREENLANG_EMBEDDING_MODEL behind the database's embedding cache."""

    def embedder(self, database: Database) -> Embedder:
        """An embedder; all of a process share one copy of the model.

        Raises:
            ModelUnavailable: the model is not on this machine.
        """
        settings = get_settings()
        return open_embedder(
            database, settings.embedding_model, cache_seconds=settings.embedding_cache_seconds
        )
