"""A model run as an exported graph, by ONNX Runtime or OpenVINO."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from greenlang_vectors.chunking.tokens import Tokenizer
from greenlang_vectors.embedding import onnx_runtime, openvino_runtime
from greenlang_vectors.embedding.exported import ExportedModel, Run, exported, probes
from greenlang_vectors.embedding.failures import failure_of
from greenlang_vectors.embedding.models import ModelSpec
from greenlang_vectors.errors import ModelUnavailable
from greenlang_vectors.settings import Precision

LOADERS: dict[str, Callable[[Path, ModelSpec], tuple[Run, list[str]]]] = {
    "onnx": onnx_runtime.load,
    "openvino": openvino_runtime.load,
}
"""Each gives what runs a graph, and the names of its inputs."""

AGREEMENT: dict[Precision, float] = {"float32": 0.9999, "bfloat16": 0.999, "int8": 0.97}
"""The least cosine between a vector and the one that the model itself makes of the same text."""


class GraphModel:
    """An `EmbeddingModel` that runs a model's graph; nothing is loaded before the first `encode`.

    One mini-batch runs at a time: it already uses every core.

    Args:
        backend: a key of `LOADERS`.
        folder: where graphs are kept.
    """

    def __init__(self, spec: ModelSpec, backend: str, folder: Path) -> None:
        self.spec = spec
        self._backend = backend
        self._folder = folder
        self._lock = threading.Lock()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included."""
        return self._tokenizer.counts(texts)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `EmbeddingModel.encode`; all texts go through the model at once."""
        with self._lock:
            return self._vectors(self._checked, texts)

    @cached_property
    def _checked(self) -> tuple[Run, list[str]]:
        """What runs the graph, once it has shown that it makes the model's own vectors.

        Raises:
            ModelUnavailable: it cannot be loaded, or makes others.
        """
        graph: ExportedModel = exported(self.spec, self._folder)
        loaded = LOADERS[self._backend](graph.graph, self.spec)
        vectors = self._vectors(loaded, probes(self.spec))
        norms = np.linalg.norm(vectors, axis=1)
        agreement = float(np.min(np.einsum("nd,nd->n", vectors, graph.probes) / norms))
        if not agreement >= AGREEMENT[self.spec.precision]:
            raise ModelUnavailable(
                f"Run by {self._backend} in {self.spec.precision}, the model {self.spec.name} makes"
                f" other vectors than its own (cosine {agreement:.4f}).",
                "Set GREENLANG_EMBEDDING_BACKEND=torch, or another GREENLANG_EMBEDDING_PRECISION.",
            )
        return loaded

    def _vectors(self, loaded: tuple[Run, list[str]], texts: Sequence[str]) -> NDArray[np.float32]:
        run, names = loaded
        tokens, attended = self._tokenizer.padded(texts)
        if tokens.shape[1] > self.spec.max_tokens:
            raise ValueError(f"{tokens.shape[1]} tokens; the model reads {self.spec.max_tokens}")
        inputs = {"input_ids": tokens, "attention_mask": attended}
        try:
            return run({name: inputs.get(name, np.zeros_like(tokens)) for name in names})
        except Exception as error:  # each runtime has its own
            raise failure_of(error, self.spec, self._backend) from error

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return self.spec.tokenizer()
