"""A model's name becomes an embedder: the model on this machine behind the database's cache."""

from __future__ import annotations

from functools import lru_cache

from greenlang_vectors.embedding.cache import PostgresCache
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import ModelSpec, resolve_model
from greenlang_vectors.embedding.sentence_transformer import SentenceTransformerModel
from greenlang_vectors.store.database import Database


def open_embedder(
    database: Database, model_name: str, *, cache_seconds: int | None, normalize: bool = True
) -> Embedder:
    """The embedder of a model; its weights are loaded when the first text needs them.

    Args:
        cache_seconds: how long the cache keeps a vector; None for no cache.

    Raises:
        ModelUnavailable: the model is not on this machine.
    """
    spec = resolve_model(model_name)
    cache = None
    if cache_seconds is not None:
        cache = PostgresCache(database.connection, spec.fingerprint(normalize), cache_seconds)
    return Embedder(_model(spec), cache, normalize)


@lru_cache(maxsize=2)
def _model(spec: ModelSpec) -> SentenceTransformerModel:
    """One copy of the weights in a process, however many embedders use it."""
    return SentenceTransformerModel(spec)
