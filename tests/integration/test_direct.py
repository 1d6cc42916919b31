"""Documents that applications write themselves, through the SDK (PRD 7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenlang_vectors import direct
from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UnknownNamespace, UsageError
from greenlang_vectors.landing import SuppliedVectors
from greenlang_vectors.service import EmbeddingService
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.stages.embeddings import fill_collection
from greenlang_vectors.store import jobs, namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.index_settings import IndexSettings

pytestmark = pytest.mark.integration


@pytest.fixture
def namespace(connection: psycopg.Connection) -> str:
    return namespaces.register(connection, f"d-{uuid4().hex[:10]}").name


class Space:
    """One namespace, written with toy models."""

    def __init__(
        self, connection: psycopg.Connection, embedders: Embedders, namespace: str
    ) -> None:
        self.connection, self.embedders, self.namespace = connection, embedders, namespace

    def put(self, *items: DirectDocument, **options: object) -> int:
        return direct.put(
            self.connection, self.embedders, self.namespace, items, cache_seconds=60, **options
        )

    def get(self, *keys: str) -> list[DirectDocument]:
        return direct.get(self.connection, self.namespace, keys)

    def delete(self, *keys: str) -> int:
        return direct.delete(self.connection, self.namespace, keys, cache_seconds=60)

    def rows(self, column: str = "content_preview") -> dict[str, list[Any]]:
        """Of each model: what the table of embeddings holds, in order of the documents' keys."""
        found: dict[str, list[Any]] = {}
        for row in self.connection.execute(
            """
            SELECT e.embedding_model AS model, e.content_preview, e.metadata, d.source_key,
                   e.xmin::text AS xmin
            FROM vector_embeddings e
            JOIN documents d ON d.namespace = e.namespace AND d.id = e.source_id
            WHERE e.namespace = %s ORDER BY d.source_key, e.chunk_index
            """,
            [self.namespace],
        ).fetchall():
            place = ["model", "content_preview", "metadata", "source_key", "xmin"].index(column)
            found.setdefault(row[0], []).append(row[place])
        return found


@pytest.fixture
def space(connection: psycopg.Connection, toys: Embedders, namespace: str) -> Space:
    """A namespace with two collections."""
    toys.collections(connection, namespace)
    toys.create(connection, namespace, "toy-24", IndexSettings())
    return Space(connection, toys, namespace)


def test_many_documents_reach_every_collection_and_read_back(space: Space) -> None:
    items = [
        DirectDocument(f"{n:03}", [f"passage {n}", f"second {n}"], {"n": n}, f"Title {n}")
        for n in range(300)
    ]
    assert space.put(*items) == 600
    assert {model: len(rows) for model, rows in space.rows().items()} == {
        "toy-16": 600,
        "toy-24": 600,
    }
    assert space.get("007", "missing", "003", "007") == [items[7], items[3]]
    assert space.rows("metadata")["toy-24"][:3] == [{"n": 0}, {"n": 0}, {"n": 1}]


def test_the_number_of_exchanges_with_the_server_does_not_grow_with_the_documents(
    space: Space,
) -> None:
    counted = [0]

    class Counting(psycopg.Cursor[Any]):
        def execute(self, *args: object, **kwargs: object) -> object:
            counted[0] += 1
            return super().execute(*args, **kwargs)

    space.connection.cursor_factory = Counting
    counts = []
    for size in (10, 200):
        counted[0] = 0
        space.put(*(DirectDocument(f"{size}/{n}", [f"text {n}"]) for n in range(size)))
        counts.append(counted[0])
    assert counts[1] <= counts[0] + 5


def test_putting_again_changes_nothing_and_only_what_differs_is_written(space: Space) -> None:
    items = [DirectDocument("a", ["one", "two"], {"x": 1}), DirectDocument("b", ["three"])]
    assert space.put(*items) == 3
    before = space.rows("xmin")
    assert space.put(*items) == 0
    assert space.rows("xmin") == before
    assert space.put(DirectDocument("a", ["one", "other"], {"x": 1}), items[1]) == 1
    assert space.rows()["toy-24"] == ["one", "other", "three"]
    assert space.put(DirectDocument("a", ["one", "other"], {"x": 2})) == 2
    assert space.rows("metadata")["toy-16"] == [{"x": 2}, {"x": 2}, {}]
    assert space.put(DirectDocument("a", ["one\n\nother"])) == 1
    assert space.get("a") == [DirectDocument("a", ["one\n\nother"])]


def test_of_one_key_put_twice_the_last_counts(space: Space) -> None:
    space.put(DirectDocument("a", ["old", "older"]), DirectDocument("a", ["new"]))
    assert space.rows()["toy-16"] == ["new"]


def test_keys_of_another_source_type_are_other_documents(space: Space) -> None:
    report = DirectDocument("a", ["report"], source_type="report")
    space.put(DirectDocument("a", ["document"]), report)
    assert space.get("a") == [DirectDocument("a", ["document"])]
    assert direct.get(space.connection, space.namespace, ["a"], "report") == [report]
    assert space.delete("a") == 1
    assert space.rows()["toy-16"] == ["report"]


def test_a_refused_text_leaves_everything_as_it_was(space: Space) -> None:
    space.put(DirectDocument("a", ["kept"]))
    with pytest.raises(UsageError, match="Text 1 cannot be embedded with toy-16"):
        space.put(DirectDocument("a", ["new"]), DirectDocument("b", ["long " * 600]))
    assert space.rows()["toy-16"] == ["kept"]
    assert space.get("b") == []
    refused, stored = jobs.newest(space.connection, [space.namespace], most=9)
    assert (stored.status, stored.source_type, stored.collection) == (
        *("succeeded", "sdk"),
        f"{space.namespace}/toy-16",
    )
    assert (stored.source_count, stored.processed_count, stored.failed_count) == (1, 1, 0)
    assert (refused.status, refused.source_count, refused.failed_count) == ("failed", 2, 2)
    assert "cannot be embedded" in str(refused.error_message)


@pytest.mark.parametrize(
    "item",
    [
        DirectDocument("a", []),
        DirectDocument("a", [" "]),
        DirectDocument("", ["text"]),
        DirectDocument("a\x00", ["text"]),
        DirectDocument("a", ["text \ud800"]),
        DirectDocument("a", ["text"], {"when": {1}}),  # type: ignore[dict-item]
        DirectDocument("a", ["text"], {"nan": float("nan")}),
        DirectDocument("a", ["text"], {"nul": "\x00"}),
        DirectDocument("a", ["text"], source_type="t" * 51),
    ],
)
def test_what_cannot_be_stored_is_refused(space: Space, item: DirectDocument) -> None:
    with pytest.raises(UsageError):
        space.put(DirectDocument("fine", ["fine"]), item)
    assert space.rows() == {}


def test_what_the_source_delivers_is_neither_replaced_nor_deleted(
    space: Space, add_document: Callable[..., object]
) -> None:
    add_document(space.connection, space.namespace, "law.html", ["Article 1"])
    for change in (
        lambda: space.put(DirectDocument("law.html", ["Mine."])),
        lambda: space.delete("law.html"),
    ):
        with pytest.raises(UsageError, match="delivered by its source"):
            change()
    assert space.get("law.html") == []


def test_delete(space: Space) -> None:
    space.put(*(DirectDocument(key, [f"text {key}"]) for key in "abcd"))
    assert space.delete("a", "c", "missing") == 2
    assert space.rows("source_key") == {"toy-16": ["b", "d"], "toy-24": ["b", "d"]}
    assert space.delete("a", "c") == 0
    assert direct.delete(space.connection, space.namespace, None, cache_seconds=60) == 2
    assert space.rows() == {}


def test_supplied_vectors_have_a_collection_of_their_own(space: Space) -> None:
    vectors = np.eye(3, dtype=np.float32)
    items = [DirectDocument("a", ["one", "two"]), DirectDocument("b", ["three"])]
    assert space.put(*items, supplied=SuppliedVectors("mine", vectors)) == 3
    assert {model: len(rows) for model, rows in space.rows().items()} == {
        "mine": 3,
        "toy-16": 3,
        "toy-24": 3,
    }
    with pytest.raises(UsageError, match="one for each passage"):
        space.put(*items, supplied=SuppliedVectors("mine", vectors[:2]))
    twice = [DirectDocument("c", ["x", "y"]), DirectDocument("c", ["z"])]
    space.put(*twice, supplied=SuppliedVectors("mine", vectors))
    stored = space.connection.execute(
        """
        SELECT embedding::text FROM vector_embeddings WHERE namespace = %s
        AND embedding_model = 'mine' AND content_preview = 'z'
        """,
        [space.namespace],
    ).fetchall()
    assert stored == [("[0,0,1]",)]


def test_a_collection_filled_later_holds_the_metadata_too(database: Database, space: Space) -> None:
    space.put(DirectDocument("a", ["one"], {"year": 2024}), DirectDocument("b", ["two"]))
    made = space.embedders.create(space.connection, space.namespace, "toy-32", IndexSettings())
    fill_collection(database, made.name, embedders=space.embedders, batch_size=10)
    assert space.rows("metadata")["toy-32"] == [{"year": 2024}, {}]


def test_what_an_encrypted_namespace_holds_reads_back_and_goes_to_later_collections(
    database: Database, space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    administration.enable(
        space.connection, space.namespace, get_settings(), metadata_keys=["client"]
    )
    item = DirectDocument(
        "a", ["secret one", "secret two"], {"client": "secret", "year": 2024}, "T"
    )
    assert space.put(item) == 2
    assert space.put(item) == 0
    made = space.embedders.create(space.connection, space.namespace, "toy-32", IndexSettings())
    fill_collection(database, made.name, embedders=space.embedders, batch_size=10)
    assert space.put(item) == 0
    for column in ("content_preview", "metadata"):
        assert "secret" not in str(space.rows(column))
    assert space.rows("metadata")["toy-32"][0]["year"] == 2024
    assert space.get("a") == [item]
    assert space.delete("a") == 1
    get_settings.cache_clear()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
            lambda text: text.replace("\x00", "").strip()
        ),
        min_size=1,
        max_size=4,
    ),
    metadata=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=10),
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9),
        max_size=3,
    ),
)
def test_whatever_is_put_reads_back(
    space: Space, texts: list[str], metadata: dict[str, Any]
) -> None:
    space.put(DirectDocument("any", texts, metadata))
    cleaned = [text.replace("\x00", "") for text in texts]
    assert space.get("any") == [DirectDocument("any", cleaned, metadata)]
    assert space.put(DirectDocument("any", texts, metadata)) == 0


def test_the_service_offers_it_blocking_and_not(database: Database, namespace: str) -> None:
    service = EmbeddingService(database, Settings())
    item = DirectDocument("a", ["Forest land."], {"year": 2024})

    async def use() -> None:
        async with service:
            assert await service.put(namespace, [item]) == 1
            assert await service.get(namespace, ["a"]) == [item]
            assert await service.delete_document(namespace, "a") is True
            assert await service.delete_document(namespace, "a") is False
            assert await service.get(namespace, ["a"]) == []
            with pytest.raises(UnknownNamespace):
                await service.delete_document("nowhere", "a")

    asyncio.run(use())
