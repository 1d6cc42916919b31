"""A model's name becomes an embedder: the model, here or remote, behind a cache."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from greenlang_vectors.embedding.backends import local_model
from greenlang_vectors.embedding.cache import open_cache
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import EmbeddingModel, ModelSpec, resolve_model
from greenlang_vectors.embedding.openai_api import Endpoint, OpenAIModel
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
        settings: say what runs a model here and where a remote one is asked; those of the process
            if None.

    Raises:
        ModelUnavailable: the model is not on this machine, or a remote one lacks its key.
        UsageError: the cache is to be in Redis, and GREENLANG_REDIS_URL names none, or the backend
            does not calculate in the precision asked for.
    """
    settings = settings or get_settings()
    spec = as_run(model_name, settings)
    model: EmbeddingModel
    with _opening:
        if spec.directory:
            model = _local(spec, settings.embedding_backend, exports_of(settings))
        else:
            model = _remote(spec, Endpoint.of(settings, spec.name))
    cache = None
    if cache_seconds is not None:
        fingerprint = spec.fingerprint(normalize)
        cache = open_cache(database, fingerprint, spec.dimensions, cache_seconds, settings)
    return Embedder(model, cache, normalize)


def as_run(model_name: str, settings: Settings) -> ModelSpec:
    """The model a name means, in the precision that models of this machine are run in.

    Raises:
        ModelUnavailable: as `resolve_model` does.
    """
    spec = resolve_model(model_name)
    return replace(spec, precision=settings.embedding_precision) if spec.directory else spec


def exports_of(settings: Settings) -> Path:
    """Where exported models are kept."""
    return settings.data_dir / "models"


_local = lru_cache(maxsize=MODELS_KEPT)(local_model)
_remote = lru_cache(maxsize=MODELS_KEPT)(OpenAIModel)
