"""A model's name becomes an embedder: the model, here or remote, behind a cache."""

from __future__ import annotations

import threading
from functools import lru_cache

from greenlang_vectors.embedding.cache import open_cache
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import EmbeddingModel, ModelSpec, resolve_model
from greenlang_vectors.embedding.openai_api import Endpoint, OpenAIModel
from greenlang_vectors.embedding.sentence_transformer import SentenceTransformerModel
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store.database import Database

MODELS_KEPT = 8
"""Models a process keeps loaded; of more, the one longest unused is let go."""

_opening = threading.Lock()


def open_embedder(
    database: Database,
    model_name: str,
    *,
    cache_seconds: int | None,
    normalize: bool = True,
    settings: Settings | None = None,
) -> Embedder:
    """The embedder of a model; its weights are loaded when the first text needs them.

    All embedders of a process share one copy of a model; several models stand side by side, each
    with vectors of its own in the cache. Safe to call from several threads.

    Args:
        cache_seconds: how long the cache keeps a vector; None for no cache.
        settings: say where a remote model is asked; those of the process if None.

    Raises:
        ModelUnavailable: the model is not on this machine, or a remote one lacks its key.
        UsageError: the cache is to be in Redis, and GREENLANG_REDIS_URL names none.
    """
    spec = resolve_model(model_name)
    settings = settings or get_settings()
    endpoint = None if spec.directory else Endpoint.of(settings, spec.name)
    with _opening:
        model = _model(spec, endpoint)
    cache = None
    if cache_seconds is not None:
        fingerprint = spec.fingerprint(normalize)
        cache = open_cache(database, fingerprint, spec.dimensions, cache_seconds, settings)
    return Embedder(model, cache, normalize)


@lru_cache(maxsize=MODELS_KEPT)
def _model(spec: ModelSpec, endpoint: Endpoint | None) -> EmbeddingModel:
    return OpenAIModel(spec, endpoint) if endpoint else SentenceTransformerModel(spec)
