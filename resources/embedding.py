"""The embedding models: found when a run begins, loaded when the first text needs them."""

from __future__ import annotations

import dagster as dg

from greenlang_vectors.embedding.embedders import Embedders, embedders_of
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store.database import Database


class EmbeddingResource(dg.ConfigurableResource[None]):
    """The models of the collections behind the embedding cache; the first collection
    of a namespace is of GREENLANG_EMBEDDING_MODEL."""

    def embedders(self, database: Database) -> Embedders:
        """Opens embedders; all of a process share one copy of a model."""
        settings = get_settings()
        return embedders_of(database, settings, cache_seconds=settings.embedding_cache_seconds)
