"""What runs a model on this machine: torch, ONNX Runtime or OpenVINO, in which precision."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from greenlang_vectors.embedding.graph_model import GraphModel
from greenlang_vectors.embedding.models import EmbeddingModel, ModelSpec
from greenlang_vectors.embedding.sentence_transformer import SentenceTransformerModel
from greenlang_vectors.errors import UsageError
from greenlang_vectors.settings import Backend, Precision

PRECISIONS: dict[Backend, tuple[Precision, ...]] = {
    "torch": ("float32", "bfloat16"),
    "onnx": ("float32",),
    "openvino": ("float32", "bfloat16", "int8"),
}
"""What each calculates in. ONNX Runtime's int8 (dynamic quantization) is not offered: it loses more
than 0.5% of nDCG@10 on Cranfield (docs/embedding.md)."""

PACKAGES: dict[Backend, str] = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}


def installed(backend: Backend) -> bool:
    """Whether its package is there; nothing is imported."""
    return find_spec(PACKAGES[backend]) is not None


def local_models(spec: ModelSpec, folder: Path) -> dict[tuple[Backend, Precision], EmbeddingModel]:
    """A model by every backend in every precision, installed or not; torch in float32 first."""
    return {
        (backend, precision): local_model(replace(spec, precision=precision), backend, folder)
        for backend, precisions in PRECISIONS.items()
        for precision in precisions
    }


def local_model(spec: ModelSpec, backend: Backend, folder: Path) -> EmbeddingModel:
    """A model of this machine; nothing is loaded before its first text.

    Args:
        spec: says the precision, too.
        folder: where exported models are kept.

    Raises:
        UsageError: the backend does not calculate in that precision.
    """
    if spec.precision not in PRECISIONS[backend]:
        raise UsageError(
            f"{backend} does not run a model in {spec.precision}.",
            f"Set GREENLANG_EMBEDDING_PRECISION to {' or '.join(PRECISIONS[backend])}, or another "
            "GREENLANG_EMBEDDING_BACKEND.",
        )
    if backend == "torch":
        return SentenceTransformerModel(spec)
    return GraphModel(spec, backend, folder)
