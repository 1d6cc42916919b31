"""What is stored beside a vector in the benchmarks, by number: keys, preview, hash, metadata."""

from __future__ import annotations

import hashlib
import random
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.store import namespaces
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf, ensure_leaf
from greenlang_vectors.store.writing import EmbeddingRow, write

CHUNKS_OF_A_DOCUMENT = 20
PREVIEW_CHARACTERS = 500
FINGERPRINT = hashlib.sha256(b"benchmark").hexdigest()
MODEL = "all-MiniLM-L6-v2"

_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""An odd number: its multiples modulo 2**128 are spread as random UUIDs are, and each is one."""
_UNSPREAD = pow(_SPREAD, -1, 2**128)
_WORDS = """
    undertaking shall disclose emissions greenhouse gas article report value chain double
    materiality transition plan climate scope target directive regulation annex member state
    of the and in for to by on with under where that which its any not as referred paragraph
"""
_TEXT = " ".join(random.Random(0).choices(_WORDS.split(), k=20_000))  # noqa: S311 - words, not secrets


def row(number: int, revision: int = 0) -> EmbeddingRow:
    """The row of this number; of another revision it has the same key and another text."""
    document, chunk = divmod(number, CHUNKS_OF_A_DOCUMENT)
    start = (number * 7919 + revision * 104_729) % (len(_TEXT) - PREVIEW_CHARACTERS)
    return EmbeddingRow(
        source_type="document",
        source_id=UUID(int=(document + 1) * _SPREAD % 2**128),
        chunk_index=chunk,
        content_hash=hashlib.sha256(f"{number}/{revision}".encode()).hexdigest(),
        preview=_TEXT[start : start + PREVIEW_CHARACTERS],
        metadata={
            "regulation": "CSRD",
            "article": number % 90,
            "page": chunk,
            "language": "en",
            "source": "directive-2022-2464.html",
        },
    )


def rows(first: int, stop: int, revision: int = 0) -> list[EmbeddingRow]:
    """The rows of these numbers."""
    return [row(number, revision) for number in range(first, stop)]


def number_of(source_id: UUID, chunk_index: int) -> int:
    """The number of the row with this key."""
    return (source_id.int * _UNSPREAD % 2**128 - 1) * CHUNKS_OF_A_DOCUMENT + chunk_index


def new_leaf(
    connection: psycopg.Connection,
    dimensions: int,
    *,
    namespace: str = "bench",
    model: str = MODEL,
    index: IndexSettings | None = None,
) -> Leaf:
    """An empty leaf in a namespace of this name."""
    namespaces.register(connection, namespace)
    leaf = Leaf(namespace, model, dimensions)
    ensure_leaf(connection, leaf, index or IndexSettings())
    return leaf


def fill(
    connection: psycopg.Connection, leaf: Leaf, vectors: NDArray[np.float32], batch: int = 10_000
) -> None:
    """Write rows 0, 1, ... with these vectors, and let the planner know."""
    for first in range(0, len(vectors), batch):
        part = vectors[first : first + batch]
        write(connection, leaf, rows(first, first + len(part)), part, fingerprint=FINGERPRINT)
    connection.execute("VACUUM ANALYZE vector_embeddings")
