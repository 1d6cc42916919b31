"""`make run` with a toy model that is slow on purpose, as a process.

Usage: slow_run.py FOLDER
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.embedding import embedders
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import PACKAGED_MODEL, ModelSpec, resolve_model
from local import run

SECONDS_PER_TEXT = 0.1


class SlowModel:
    """Vectors out of a hash of the text."""

    spec: ModelSpec = resolve_model(PACKAGED_MODEL)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return Tokenizer.from_directory(self.spec.directory).counts(list(texts))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        time.sleep(SECONDS_PER_TEXT * len(texts))
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in texts]
        size = self.spec.dimensions
        return np.array([np.random.default_rng(s).normal(size=size) for s in seeds], np.float32)


if __name__ == "__main__":
    embedders.open_embedder = lambda *_, **__: Embedder(SlowModel())
    sys.exit(run.main(["--documents", sys.argv[1]]))
