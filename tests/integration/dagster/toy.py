"""The real code location with a toy model: real stages, checks and database, and no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import dagster as dg
import numpy as np
from dagster_shared.record import copy
from numpy.typing import NDArray

from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.definitions import build_defs
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.embedding.models import PACKAGED_MODEL, ModelSpec, resolve_model
from greenlang_vectors.store.database import Database
from resources.embedding import EmbeddingResource


class ToyModel:
    """Vectors out of a hash of the model's name and the text."""

    spec: ModelSpec = resolve_model(PACKAGED_MODEL)

    def __init__(self, name: str = PACKAGED_MODEL) -> None:
        self.spec = replace(self.spec, name=name)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return Tokenizer.from_directory(self.spec.directory).counts(list(texts))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        salted = [f"{self.spec.name}: {text}" for text in texts]
        seeds = [int.from_bytes(hashlib.sha256(t.encode()).digest()[:8]) for t in salted]
        size = self.spec.dimensions
        return np.array([np.random.default_rng(s).normal(size=size) for s in seeds], np.float32)


class ToyEmbedding(EmbeddingResource):
    """The toy model, without a cache."""

    def embedders(self, database: Database) -> Embedders:  # noqa: ARG002
        return Embedders(ToyModel.spec.name, lambda model: Embedder(ToyModel(model)))


defs = copy(
    build_defs(resource_overrides={"embedding": ToyEmbedding()}),
    executor=dg.multi_or_in_process_executor,
)
"""A backfill says by its configuration whether each step of its runs has a process of its own."""
