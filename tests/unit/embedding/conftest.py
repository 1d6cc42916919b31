"""A small model with real vectors, whose faults a test chooses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import stamina
from numpy.typing import NDArray

from greenlang_vectors.embedding.models import ModelSpec

DIMENSIONS = 8
SPEC = ModelSpec("words", Path("words"), DIMENSIONS, max_tokens=16, revision="0123456789abcdef")


def vector_of(text: str) -> NDArray[np.float32]:
    """What the model gives for a text: never zero, not of length one."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return (np.random.default_rng(seed).random(DIMENSIONS) + 1).astype(np.float32)


class WordModel:
    """One token a word, and two more; `fault` may raise or return other vectors."""

    def __init__(self) -> None:
        self.spec = SPEC
        self.calls: list[list[str]] = []
        self.fault: Callable[[Sequence[str]], NDArray[np.float32] | None] = lambda _: None

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) + 2 for text in texts]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.calls.append(list(texts))
        other = self.fault(texts)
        return np.stack([vector_of(text) for text in texts]) if other is None else other


class DictCache:
    """A cache in memory."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.kept: dict[str, NDArray[np.float32]] = {}

    def get(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return {key: self.kept[key] for key in keys if key in self.kept}

    def put(self, embeddings: Mapping[str, NDArray[np.float32]]) -> None:
        self.kept |= embeddings


@pytest.fixture
def model() -> WordModel:
    return WordModel()


@pytest.fixture
def cache() -> DictCache:
    return DictCache(SPEC.fingerprint(normalize=True))


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=5, cap=True):
        yield
