"""What a model on this machine raises, as what an `EmbeddingModel` may raise."""

from __future__ import annotations

from greenlang_vectors.embedding.models import ModelSpec
from greenlang_vectors.errors import EmbeddingFailed, said

OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate memory",
    "bad_alloc",
)


def failure_of(error: Exception, spec: ModelSpec, backend: str) -> Exception:
    """A batch too large for memory, a text the model refuses, or something another try won't mend.

    Torch, ONNX Runtime and OpenVINO tell them apart by their words alone.
    """
    words = str(error).lower()
    if isinstance(error, MemoryError) or any(known in words for known in OUT_OF_MEMORY):
        return MemoryError(said(error))
    if isinstance(error, IndexError) or "indices element out of data bounds" in words:
        return ValueError(f"a token is not in the model's vocabulary: {said(error)}")
    return EmbeddingFailed(
        f"The model {spec.name} failed: {said(error)}.",
        f"Run again; if it persists, check the machine's installation of {backend}.",
    )
