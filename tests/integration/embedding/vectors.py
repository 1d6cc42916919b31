"""Vectors by content hash, as caches hold them."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Vectors = dict[str, NDArray[np.float32]]


def some(count: int, seed: int = 0) -> Vectors:
    rng = np.random.default_rng(seed)
    return {
        hashlib.sha256(str(number).encode()).hexdigest(): rng.standard_normal(384).astype("f4")
        for number in range(count)
    }


def equal(left: Vectors, right: Vectors) -> bool:
    return left.keys() == right.keys() and all(
        np.array_equal(left[key], right[key]) for key in left
    )
