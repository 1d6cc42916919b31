"""What a collection is measured with: vectors and filters like those it is really asked with."""

from __future__ import annotations

import numpy as np
import psycopg
from numpy.typing import NDArray

from greenlang_vectors.errors import UsageError
from greenlang_vectors.quality.recall import Questions
from greenlang_vectors.search import filters
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import search_logs
from greenlang_vectors.store.leaves import Leaf

SEED = 5

MAX_FILTERS = 5
"""Of the filters that searches use, the most frequent that recall is promised inside."""


def workload(
    connection: psycopg.Connection,
    leaf: Leaf,
    judged: NDArray[np.float32],
    settings: Settings,
) -> list[Questions]:
    """Questions without a filter, then some for each of the filters used most.

    Each set holds stored vectors, drawn again alike from the same rows, and the vectors that
    callers asked with last, each once: without a filter up to `quality_sample` of both, inside a
    filter half as many. A filter that is no longer understood is left out.

    Args:
        judged: further vectors to ask with, shape (n, leaf.dimensions).
        settings: `quality_sample`, and `search_log_days`.
    """
    days, size = settings.search_log_days, settings.quality_sample
    stored = sample_vectors(connection, leaf, size, SEED)
    asked = search_logs.query_vectors(connection, leaf, None, size, days)
    sets = [Questions(np.concatenate([stored, judged, asked]))]
    half = (size + 1) // 2
    used = search_logs.frequent_filters(
        connection, f"{leaf.namespace}/{leaf.model}", MAX_FILTERS, days
    )
    for value in used:
        try:
            understood = filters.parse(value)
        except UsageError:
            continue
        asked = search_logs.query_vectors(connection, leaf, value, half, days)
        sets.append(Questions(np.concatenate([stored[:half], asked]), understood))
    return sets


def sample_vectors(
    connection: psycopg.Connection, leaf: Leaf, count: int, seed: int
) -> NDArray[np.float32]:
    """Vectors drawn at random from the leaf, shape (min(count, rows), leaf.dimensions).

    Rows are taken in the order of a hash of their id: the same for the same rows and seed,
    wherever they lie on disk. Only ids are read in full, from the primary key.
    """
    rows = connection.execute(
        """
        SELECT embedding FROM vector_embeddings
        WHERE namespace = %(namespace)s AND embedding_model = %(model)s AND id = ANY(ARRAY(
            SELECT id FROM vector_embeddings
            WHERE namespace = %(namespace)s AND embedding_model = %(model)s
            ORDER BY uuid_hash_extended(id, %(seed)s), id LIMIT %(count)s))
        ORDER BY uuid_hash_extended(id, %(seed)s), id
        """,
        {"namespace": leaf.namespace, "model": leaf.model, "seed": seed, "count": count},
    )
    vectors = [row[0].to_numpy() for row in rows]
    return np.array(vectors, dtype=np.float32).reshape(-1, leaf.dimensions)
