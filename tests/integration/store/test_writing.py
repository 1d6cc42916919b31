"""The writer: what is new lands, what has changed is replaced, what is bad fails alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from greenlang_vectors.errors import UsageError
from greenlang_vectors.store import leaves, namespaces, segments
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow, WriteReport, write

pytestmark = pytest.mark.integration

HASH = "0" * 64


def rows_of(count: int, document: UUID | None = None, **changes: object) -> list[EmbeddingRow]:
    document = document or uuid4()
    row = EmbeddingRow("document", document, 0, HASH, "passage", {"lang": "en"})
    return [row._replace(chunk_index=i, **changes) for i in range(count)]


def vectors_of(count: int, dimensions: int = 8, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def put(
    connection: psycopg.Connection,
    leaf: Leaf,
    rows: Sequence[EmbeddingRow],
    vectors: NDArray[np.float32] | Sequence[NDArray[np.float32]],
    fingerprint: str = "f",
) -> WriteReport:
    return write(connection, leaf, rows, vectors, fingerprint=fingerprint)


def counts(report: WriteReport) -> tuple[int, int, int, int]:
    return report.inserted, report.updated, report.unchanged, len(report.failures)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
jsons = st.dictionaries(
    texts,
    st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), texts, st.lists(texts)),
    max_size=3,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.builds(
            EmbeddingRow,
            st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=50),
            st.uuids(),
            st.integers(0, 2**31 - 1),
            st.text("0123456789abcdef", min_size=64, max_size=64),
            st.one_of(st.none(), texts),
            st.one_of(st.none(), jsons),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda row: (row.source_id, row.chunk_index),
    ),
    st.integers(0, 2**32 - 1),
)
def test_what_is_written_is_what_is_read(
    database: Database, leaf: Leaf, rows: list[EmbeddingRow], seed: int
) -> None:
    vectors = vectors_of(len(rows), seed=seed)
    with database.connect() as connection:
        put(connection, leaf, rows, vectors)
        for row, vector in zip(rows, vectors, strict=True):
            found = connection.execute(
                """
                SELECT source_type, content_hash, content_preview, metadata, embedding,
                       namespace, embedding_model, embedding_fingerprint
                FROM vector_embeddings WHERE source_id = %s AND chunk_index = %s
                """,
                [row.source_id, row.chunk_index],
            ).fetchone()
            assert found is not None
            assert found[:4] == (row.source_type, row.content_hash, row.preview, row.metadata or {})
            assert np.array_equal(found[4].to_numpy(), vector)
            assert found[5:] == (leaf.namespace, leaf.model, "f")
        connection.execute("DELETE FROM vector_embeddings WHERE namespace = %s", [leaf.namespace])


def test_writing_again_changes_nothing_and_changed_rows_are_replaced(
    database: Database, leaf: Leaf
) -> None:
    rows, vectors = rows_of(2500), vectors_of(2500)
    with database.connect() as connection:
        assert counts(put(connection, leaf, rows, vectors)) == (2500, 0, 0, 0)
        assert counts(put(connection, leaf, rows, vectors)) == (0, 0, 2500, 0)
        changed = [row._replace(content_hash="1" * 64) for row in rows[:700]] + rows[700:]
        assert counts(put(connection, leaf, changed, -vectors)) == (0, 700, 1800, 0)
        stored = connection.execute(
            "SELECT chunk_index, embedding FROM vector_embeddings "
            "WHERE namespace = %s ORDER BY chunk_index",
            [leaf.namespace],
        ).fetchall()
    wanted = np.concatenate([-vectors[:700], vectors[700:]])
    assert np.array_equal(np.array([v.to_numpy() for _, v in stored]), wanted)


def test_metadata_is_kept_unless_other_is_given(database: Database, leaf: Leaf) -> None:
    document, vectors = uuid4(), vectors_of(1)
    with database.connect() as connection:

        def metadata() -> object:
            row = connection.execute(
                "SELECT metadata FROM vector_embeddings WHERE source_id = %s", [document]
            ).fetchone()
            return row and row[0]

        put(connection, leaf, rows_of(1, document), vectors)
        assert counts(put(connection, leaf, rows_of(1, document, metadata=None), vectors))[2] == 1
        put(connection, leaf, rows_of(1, document, metadata=None), vectors, fingerprint="other")
        assert metadata() == {"lang": "en"}
        put(connection, leaf, rows_of(1, document, metadata={"lang": "de"}), vectors)
        assert metadata() == {"lang": "de"}


def spoil(
    rows: list[EmbeddingRow], vectors: list[NDArray[np.float32]], place: int, how: str
) -> None:
    match how:
        case "not_finite":
            vectors[place] = np.full(8, np.nan, np.float32)
        case "infinite":
            vectors[place] = np.array([np.inf, *[0.0] * 7], np.float32)
        case "zero_vector":
            vectors[place] = np.zeros(8, np.float32)
        case "wrong_dimensions":
            vectors[place] = np.ones(9, np.float32)
        case "duplicate_key":
            rows[place] = rows[place]._replace(chunk_index=rows[0].chunk_index)
        case "nul_in_text":
            rows[place] = rows[place]._replace(preview="a\x00b")
        case "nul_in_metadata":
            rows[place] = rows[place]._replace(metadata={"a": "\x00"})
        case "long_source_type":
            rows[place] = rows[place]._replace(source_type="x" * 51)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("not_finite", "not_finite"),
        ("infinite", "not_finite"),
        ("zero_vector", "zero_vector"),
        ("wrong_dimensions", "wrong_dimensions"),
        ("duplicate_key", "duplicate_key"),
        ("nul_in_text", "refused"),
        ("nul_in_metadata", "refused"),
        ("long_source_type", "refused"),
    ],
)
def test_a_bad_row_fails_alone_and_the_rest_land(
    database: Database, leaf: Leaf, how: str, reason: str
) -> None:
    rows, vectors = rows_of(300), list(vectors_of(300))
    spoil(rows, vectors, 123, how)
    with database.connect() as connection:
        report = put(connection, leaf, rows, vectors)
        stored = {
            index
            for (index,) in connection.execute(
                "SELECT chunk_index FROM vector_embeddings WHERE namespace = %s", [leaf.namespace]
            )
        }
    assert {place: error.reason for place, error in report.failures.items()} == {123: reason}
    assert counts(report) == (299, 0, 0, 1)
    assert stored == set(range(300)) - {123}


def test_a_bad_row_among_changed_rows_fails_alone(database: Database, leaf: Leaf) -> None:
    rows, vectors = rows_of(40), vectors_of(40)
    with database.connect() as connection:
        put(connection, leaf, rows, vectors)
        changed = [row._replace(content_hash="1" * 64) for row in rows]
        changed[7] = changed[7]._replace(preview="\x00")
        report = put(connection, leaf, changed, vectors)
    assert counts(report) == (0, 39, 0, 1)
    assert set(report.failures) == {7}


def test_zero_vectors_are_welcome_where_no_direction_is_asked(database: Database) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "euclid")
        leaf = Leaf("euclid", "m", 8)
        leaves.ensure_leaf(connection, leaf, IndexSettings(metric="l2"))
        assert put(connection, leaf, rows_of(1), np.zeros((1, 8), np.float32)).inserted == 1


def test_what_halfvec_cannot_hold_is_refused_where_it_is_indexed(database: Database) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "half")
        leaf = Leaf("half", "m", 8)
        leaves.ensure_leaf(connection, leaf, IndexSettings(metric="l2", storage="halfvec"))
        vectors = np.ones((2, 8), np.float32)
        vectors[1] *= 70_000
        report = put(connection, leaf, rows_of(2), vectors)
    assert {place: error.reason for place, error in report.failures.items()} == {1: "out_of_range"}


def test_several_writers_of_the_same_rows_leave_them_once(database: Database, leaf: Leaf) -> None:
    rows, vectors = rows_of(3000), vectors_of(3000)

    def one(_: int) -> WriteReport:
        with database.connect() as connection:
            return put(connection, leaf, rows, vectors)

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(one, range(4)))
    assert all(not report.failures for report in reports)
    assert sum(report.inserted for report in reports) == 3000
    with database.connect() as connection:
        assert leaves.count(connection, leaf) == 3000


def test_vectors_stay_in_the_row(database: Database) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "wide")
        leaf = Leaf("wide", "m", 1536)
        leaves.ensure_leaf(connection, leaf)
        put(connection, leaf, rows_of(50, preview="x" * 500), vectors_of(50, 1536))
        (toasted,) = connection.execute(
            "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = %s::regclass",
            [leaf.table.as_string(connection)],
        ).fetchone() or (None,)
    assert toasted == 0


def test_rows_and_vectors_must_be_as_many_and_the_leaf_must_be_there(
    database: Database, leaf: Leaf
) -> None:
    with database.connect() as connection:
        with pytest.raises(UsageError, match="2 rows came with 1 vectors"):
            put(connection, leaf, rows_of(2), vectors_of(1))
        with pytest.raises(UsageError, match="collections create"):
            put(connection, Leaf(leaf.namespace, "unheard-of", 8), rows_of(1), vectors_of(1))
        assert put(connection, leaf, [], np.empty((0, 8), np.float32)) == WriteReport()


def test_new_and_changed_rows_land_in_the_open_segment(database: Database, leaf: Leaf) -> None:
    rows, vectors = rows_of(4), vectors_of(4)
    with database.connect() as connection:
        put(connection, leaf, rows[:3], vectors[:3])
        segments.seal(connection, leaf)
        changed = [rows[0]._replace(content_hash="1" * 64), *rows[1:]]
        put(connection, leaf, changed, vectors)
        found = connection.execute(
            "SELECT chunk_index, segment FROM vector_embeddings WHERE namespace = %s ORDER BY 1",
            [leaf.namespace],
        ).fetchall()
    assert found == [(0, 1), (1, 0), (2, 0), (3, 1)]
