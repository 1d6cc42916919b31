"""Vectors that behave as sentence embeddings do in an index, made from a seed in a second.

Independent random numbers have 384 dimensions of their own, in which every vector is as far from
every other and a graph finds little; sentence embeddings have few dimensions and many topics. So:
topics of unequal size in a latent space of few dimensions, mapped to 384 and disturbed a little.
`CALIBRATION` says what was matched.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 384
TOPICS = 400
LATENT = 64
"""Dimensions of the space the topics lie in; each counts for less than the one before."""
SPREAD = 0.8
"""Of a topic's vectors in that space, over that of the topics' centres."""
NOISE = 0.037
"""In each of the 384 dimensions, over the vector's length."""
UNEVEN = 0.6
"""How much spread and noise differ from topic to topic and vector to vector (log-normal sigma)."""

_BLOCK = 20_000


class VectorSource:
    """Unit vectors of one distribution: the same seed gives the same vectors in the same order."""

    def __init__(self, seed: int = 0, *, dimensions: int = DIMENSIONS) -> None:
        shape = np.random.default_rng(20_240_601)  # one space for all seeds
        self._topics = shape.normal(size=(TOPICS, LATENT)).astype(np.float32)
        self._shares = shape.dirichlet(np.ones(TOPICS))
        self._spreads = (SPREAD * shape.lognormal(sigma=UNEVEN, size=TOPICS)).astype(np.float32)
        decay = (1 / np.sqrt(1 + np.arange(LATENT))).astype(np.float32)
        self._map = shape.normal(size=(LATENT, dimensions)).astype(np.float32) * decay[:, None]
        self._dimensions = dimensions
        self._random = np.random.default_rng(seed)

    def take(self, count: int) -> NDArray[np.float32]:
        """The next vectors, shape (count, dimensions), each of length 1."""
        out = np.empty((count, self._dimensions), np.float32)
        for start in range(0, count, _BLOCK):
            out[start : start + _BLOCK] = self._block(min(_BLOCK, count - start))
        return out

    def _block(self, count: int) -> NDArray[np.float32]:
        topics = self._random.choice(TOPICS, size=count, p=self._shares)
        latent = self._random.standard_normal((count, LATENT), dtype=np.float32)
        vectors: NDArray[np.float32] = (
            self._topics[topics] + self._spreads[topics, None] * latent
        ) @ self._map
        noise = self._random.standard_normal((count, self._dimensions), dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        uneven = self._random.lognormal(np.log(NOISE), UNEVEN, size=(count, 1))
        vectors += (lengths * uneven).astype(np.float32) * noise
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors
