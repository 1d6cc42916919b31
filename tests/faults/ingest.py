"""A process to be killed: fills a namespace with a toy model that is slow on purpose.

Usage: ingest.py DATABASE_URL NAMESPACE FOLDER
Prints "ready" when the work begins and the number of texts the model was given when it is done.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.embedding.models import ModelSpec, resolve_model
from greenlang_vectors.progress import silent
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

SECONDS_PER_TEXT = 0.004


class ToyModel:
    """Vectors out of a hash of the text."""

    spec: ModelSpec = resolve_model("all-MiniLM-L6-v2")

    def __init__(self) -> None:
        self.texts = 0
        self._tokenizer = Tokenizer.from_directory(self.spec.directory)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return self._tokenizer.counts(list(texts))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += len(texts)
        time.sleep(SECONDS_PER_TEXT * len(texts))
        seeds = [int.from_bytes(hashlib.sha256(t.encode()).digest()[:8]) for t in texts]
        size = self.spec.dimensions
        return np.array([np.random.default_rng(s).normal(size=size) for s in seeds], np.float32)


def main(url: str, namespace: str, folder: str) -> None:
    database, model = Database(url), ToyModel()
    with database.connect() as connection:
        namespaces.register(connection, namespace, source_uri=folder, chunking="semantic")
    print("ready", flush=True)
    fill(
        database,
        namespace,
        embedders=Embedders.only(Embedder(model)),
        settings=Settings(embedding_batch_size=8, chunk_tokens=40),
        progress=lambda _: silent,
    )
    print(model.texts)


if __name__ == "__main__":
    main(*sys.argv[1:])
