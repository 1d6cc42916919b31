"""What PRD 7.2's service is configured with, asked for and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class EmbeddingConfig:
    """How texts are embedded (PRD 7.2).

    Attributes:
        dimensions: must be the model's own; a mismatch is refused.
        batch_size: texts embedded in one step.
        cache_ttl: how long the cache keeps a vector, in seconds.
    """

    model_name: str = "all-MiniLM-L6-v2"
    dimensions: int = 384
    batch_size: int = 1000
    normalize: bool = True
    cache_enabled: bool = True
    cache_ttl: int = 3600


@dataclass
class EmbeddingRequest:
    """Texts to embed and, for `embed_and_store`, where they belong (PRD 7.2).

    Attributes:
        source_id: names the document the texts are passages of; derived from them if None.
    """

    texts: list[str]
    namespace: str = "default"
    source_type: str = "document"
    source_id: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass
class EmbeddingResult:
    """Embeddings in the order of the texts (PRD 7.2).

    Attributes:
        embeddings: shape (n_texts, dimensions), float32.
    """

    embeddings: NDArray[np.float32]
    model: str
    dimensions: int
    processing_time_ms: int
