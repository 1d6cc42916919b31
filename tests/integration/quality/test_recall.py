"""Recall is that of the index itself, against a truth that never uses it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from greenlang_vectors.quality.recall import Questions, Truth, measure
from greenlang_vectors.quality.workload import sample_vectors
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import leaves, maintenance, namespaces, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.records import SearchQuality

pytestmark = pytest.mark.integration

DIMENSIONS = 16
SPARSE = IndexSettings(m=4, ef_construction=8, ef_search=10)


def fill(connection: psycopg.Connection, leaf: Leaf, vectors: NDArray[np.float64]) -> None:
    """Store unit vectors of documents that are not there: search looks at vectors alone."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY vector_embeddings (id, source_type, source_id, content_hash, embedding,"
            " embedding_model, embedding_fingerprint, namespace) FROM STDIN"
        ) as copy,
    ):
        for vector in vectors:
            listed = "[" + ",".join(map(str, vector)) + "]"
            row = (uuid4(), "document", uuid4(), "0" * 64, listed, leaf.model, "f", leaf.namespace)
            copy.write_row(row)
    leaves.analyze(connection, leaf)


def measured(
    connection: psycopg.Connection,
    leaf: Leaf,
    queries: NDArray[np.float32],
    ef_search: int,
    index: IndexSettings = SPARSE,
) -> SearchQuality:
    truth = Truth(connection, leaf, Questions(queries), index, "index")
    return measure(leaf, [truth], index, ef_search)


@pytest.fixture(scope="module")
def large(database: Database) -> Leaf:
    """3,000 random vectors under an index too sparse to find everything."""
    leaf = Leaf("large", "test-model", DIMENSIONS)
    with database.connect() as connection:
        namespaces.register(connection, leaf.namespace)
        leaves.ensure_leaf(connection, leaf, SPARSE)
        fill(connection, leaf, np.random.default_rng(1).normal(size=(3000, DIMENSIONS)))
    maintenance.maintain(database, leaf, Settings())
    return leaf


@pytest.fixture
def scans(large: Leaf) -> Callable[[psycopg.Connection], tuple[int, int]]:
    """Tells how often the HNSW index and the whole leaf have been scanned so far."""

    def count(connection: psycopg.Connection) -> tuple[int, int]:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute(
            """
            SELECT pg_stat_get_numscans(to_regclass(%s)), pg_stat_get_numscans(to_regclass(%s))
            """,
            [f'"{segments.on_leaf(connection, large)[0].name}"', f'"{large.name}"'],
        ).fetchone()
        assert row is not None
        return row[0], row[1]

    return count


def test_each_plan_searches_as_it_says(
    database: Database,
    large: Leaf,
    scans: Callable[[psycopg.Connection], tuple[int, int]],
) -> None:
    query = np.ones(DIMENSIONS, np.float32)
    with database.connect() as connection:
        for _ in range(12):  # enough for the server to keep a generic plan
            nearest(connection, large, query, 10, index=SPARSE, ef_search=10)
        index, table = scans(connection)
        nearest(connection, large, query, 10, index=SPARSE, ef_search=10, plan="exact")
        assert scans(connection) == (index, table + 1)
        nearest(connection, large, query, 10, index=SPARSE, ef_search=10, plan="index")
        assert scans(connection) == (index + 1, table + 1)


def test_a_small_leaf_is_measured_through_its_index_too(database: Database, leaf: Leaf) -> None:
    with database.connect() as connection:
        fill(connection, leaf, np.random.default_rng(2).normal(size=(4, leaf.dimensions)))
        maintenance.maintain(database, leaf, Settings())
        [index] = segments.on_leaf(connection, leaf)
        queries = sample_vectors(connection, leaf, 4, seed=0)
        assert measured(connection, leaf, queries, 40).recall_at_10 == 1
        connection.execute("SELECT pg_stat_force_next_flush()")
        used = connection.execute(
            "SELECT pg_stat_get_numscans(to_regclass(%s))", [f'"{index.name}"']
        ).fetchone()
    assert used == (8,)


def test_recall_is_the_share_of_the_true_nearest_that_is_found(
    database: Database, large: Leaf
) -> None:
    queries = np.random.default_rng(3).normal(size=(40, DIMENSIONS)).astype(np.float32)
    with database.connect() as connection:
        stored = {
            (row[0], row[1]): row[2].to_numpy()
            for row in connection.execute(
                "SELECT source_id, chunk_index, embedding FROM vector_embeddings"
                " WHERE namespace = %s",
                [large.namespace],
            )
        }
        similarities = queries @ np.array(list(stored.values())).T
        keys = list(stored)
        shares = []
        for query, row in zip(queries, similarities, strict=True):
            truth = {keys[i] for i in np.argsort(-row)[:10]}
            found = nearest(connection, large, query, 10, index=SPARSE, ef_search=10, plan="index")
            keys_found = {(each.document_id, each.chunk_index) for each in found.candidates}
            shares.append(len(truth & keys_found) / 10)
        narrow = measured(connection, large, queries, 10)
        wide = measured(connection, large, queries, 400)
    assert narrow.recall_at_10 == pytest.approx(np.mean(shares))
    assert narrow.recall_at_10 < wide.recall_at_10 <= 1
    assert (narrow.queries, narrow.ef_search, narrow.embedding_model) == (40, 10, "test-model")
    assert 0 < narrow.latency_p50_ms <= narrow.latency_p99_ms


def test_of_equally_distant_passages_any_will_do(database: Database, leaf: Leaf) -> None:
    with database.connect() as connection:
        fill(connection, leaf, np.ones((100, leaf.dimensions)))
        maintenance.maintain(database, leaf, Settings())
        queries = np.eye(leaf.dimensions, dtype=np.float32)
        assert measured(connection, leaf, queries, 10).recall_at_10 == 1


def test_nothing_to_measure_is_an_error(database: Database, leaf: Leaf) -> None:
    with database.connect() as connection:
        nothing = sample_vectors(connection, leaf, 5, seed=0)
        assert nothing.shape == (0, leaf.dimensions)
        for queries in (nothing, np.eye(leaf.dimensions, dtype=np.float32)):
            with pytest.raises(ValueError, match="nothing can be found"):
                measured(connection, leaf, queries, 40)


def test_a_sample_is_drawn_again_alike(database: Database, large: Leaf) -> None:
    with database.connect() as connection:
        first = sample_vectors(connection, large, 50, seed=1)
        connection.execute(f'CLUSTER "{large.name}" USING "{large.name}_pkey"')
        assert np.array_equal(sample_vectors(connection, large, 50, seed=1), first)
        assert not np.array_equal(sample_vectors(connection, large, 50, seed=2), first)
        everything = sample_vectors(connection, large, 5000, seed=1)
    assert first.shape == (50, DIMENSIONS)
    assert len(np.unique(first, axis=0)) == 50
    assert everything.shape == (3000, DIMENSIONS)
