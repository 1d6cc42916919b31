"""The SDK of PRD 7.2, used as an application uses it."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from greenlang_vectors.embedding import embedders
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UnknownNamespace, UsageError
from greenlang_vectors.progress import silent
from greenlang_vectors.search.filters import Comparison
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.service import (
    BlockingEmbeddingService,
    EmbeddingConfig,
    EmbeddingRequest,
    EmbeddingService,
)
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import collections, namespaces
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.index_settings import IndexSettings

pytestmark = pytest.mark.integration

TEXTS = ["Forest land may not be converted.", "A quarterly report names every shipment."]


@pytest.fixture(scope="module")
def service(database: Database) -> EmbeddingService:
    with database.connect() as connection:
        namespaces.register(connection, "eudr")
        namespaces.register(connection, "default")
    return EmbeddingService(database, Settings(), EmbeddingConfig(batch_size=2))


def test_embed(service: EmbeddingService) -> None:
    result = asyncio.run(service.embed(EmbeddingRequest([*TEXTS, TEXTS[0]])))
    assert result.embeddings.shape == (3, 384)
    assert (result.model, result.dimensions) == ("all-MiniLM-L6-v2", 384)
    assert np.allclose(np.linalg.norm(result.embeddings, axis=1), 1, atol=1e-5)
    assert np.array_equal(result.embeddings[0], result.embeddings[2])


def test_embed_nothing(service: EmbeddingService) -> None:
    assert asyncio.run(service.embed(EmbeddingRequest([]))).embeddings.shape == (0, 384)


def test_what_is_stored_is_found_and_storing_again_changes_nothing(
    service: EmbeddingService,
) -> None:
    request = EmbeddingRequest(TEXTS, "eudr", "report", "r-1", {"author": "A"})
    assert asyncio.run(service.embed_and_store(request)) == 2
    assert asyncio.run(service.embed_and_store(request)) == 0
    [found] = asyncio.run(service.search(TEXTS[1], "eudr", threshold=0.9))
    assert found["document"] == "r-1"
    assert found["content"] == TEXTS[1]
    assert found["score"] == pytest.approx(1, abs=1e-4)


def test_storing_other_texts_under_the_same_id_replaces_them(service: EmbeddingService) -> None:
    asyncio.run(service.embed_and_store(EmbeddingRequest(["First words."], source_id="doc")))
    asyncio.run(service.embed_and_store(EmbeddingRequest(["Other words."], source_id="doc")))
    contents = [r["content"] for r in asyncio.run(service.search("words", threshold=-1))]
    assert contents == ["Other words."]


def test_the_pipeline_leaves_what_the_sdk_stored(
    service: EmbeddingService, database: Database, embedder: Embedder
) -> None:
    asyncio.run(service.embed_and_store(EmbeddingRequest(TEXTS, "eudr", source_id="kept")))
    fill(
        database,
        "eudr",
        embedders=Embedders.only(embedder),
        settings=Settings(),
        progress=lambda _: silent,
    )
    found = asyncio.run(service.search(TEXTS[0], "eudr", threshold=0.9))
    assert "kept" in {result["document"] for result in found}


@pytest.mark.parametrize("texts", [[], ["fine", " "], ["fine", "\x00"], ["too long " * 400]])
def test_texts_that_cannot_be_stored_are_refused_and_nothing_is_stored(
    service: EmbeddingService, database: Database, texts: list[str]
) -> None:
    with pytest.raises(UsageError):
        asyncio.run(service.embed_and_store(EmbeddingRequest(texts, "eudr", source_id="bad")))
    with database.connect() as connection:
        row = connection.execute("SELECT FROM documents WHERE source_key = 'bad'").fetchone()
    assert row is None


def test_an_unknown_namespace_and_wrong_dimensions_are_refused(
    service: EmbeddingService, database: Database
) -> None:
    with pytest.raises(UnknownNamespace):
        asyncio.run(service.embed_and_store(EmbeddingRequest(TEXTS, "nowhere")))
    with pytest.raises(UsageError, match="384"):
        EmbeddingService(database, Settings(), EmbeddingConfig(dimensions=768))


@pytest.fixture
def two_models(
    database: Database, toys: Embedders, monkeypatch: pytest.MonkeyPatch
) -> EmbeddingService:
    """A service over a namespace with two collections of toy models; toy-24 has no bad words."""

    def open_(_: Database, model: str, **_options: object) -> Embedder:
        embedder = toys.open(model)
        if model == "toy-24":
            monkeypatch.setattr(embedder.model, "encode", refusing(embedder.model.encode))
        return embedder

    monkeypatch.setattr(embedders, "open_embedder", open_)
    with database.connect() as connection:
        namespaces.register(connection, "two")
        toys.collections(connection, "two")
        if len(collections.list_all(connection, "two")) == 1:
            toys.create(connection, "two", "toy-24", IndexSettings())
    return EmbeddingService(
        database, Settings(), EmbeddingConfig(model_name="toy-8", dimensions=8, batch_size=2)
    )


def refusing(
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    def encoded(texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = encode(texts)
        vectors[["bad" in text for text in texts]] = np.nan
        return vectors

    return encoded


def embedded(database: Database, key: str) -> dict[str, int]:
    with database.connect() as connection:
        return dict(
            connection.execute(
                """
                SELECT embedding_model, count(*)::integer FROM vector_embeddings e
                JOIN documents d ON d.namespace = e.namespace AND d.id = e.source_id
                WHERE e.namespace = 'two' AND d.source_key = %s GROUP BY embedding_model
                """,
                [key],
            ).fetchall()
        )


def test_what_is_stored_reaches_every_collection_of_the_namespace(
    two_models: EmbeddingService, database: Database
) -> None:
    request = EmbeddingRequest(TEXTS, "two", source_id="both")
    assert asyncio.run(two_models.embed_and_store(request)) == 2
    assert embedded(database, "both") == {"toy-16": 2, "toy-24": 2}
    assert asyncio.run(two_models.embed_and_store(request)) == 0
    shorter = EmbeddingRequest(TEXTS[:1], "two", source_id="both")
    asyncio.run(two_models.embed_and_store(shorter))
    assert embedded(database, "both") == {"toy-16": 1, "toy-24": 1}
    [found] = asyncio.run(two_models.search(TEXTS[0], "two", threshold=0.9))
    assert found["document"] == "both"


def test_what_one_collection_cannot_take_is_stored_in_none(
    two_models: EmbeddingService, database: Database
) -> None:
    asyncio.run(two_models.embed_and_store(EmbeddingRequest(["fine"], "two", source_id="kept")))
    for key in ("kept", "new"):
        request = EmbeddingRequest(["good", "bad"], "two", source_id=key)
        with pytest.raises(UsageError, match="Text 1 cannot be embedded with toy-24"):
            asyncio.run(two_models.embed_and_store(request))
    assert embedded(database, "kept") == {"toy-16": 1, "toy-24": 1}
    assert embedded(database, "new") == {}
    with database.connect() as connection:
        kept = connection.execute(
            "SELECT source_key, text FROM documents "
            "WHERE namespace = 'two' AND source_key IN ('kept', 'new')"
        ).fetchall()
    assert kept == [("kept", "fine")]


def test_a_collection_that_comes_while_texts_are_embedded_gets_them_too(
    two_models: EmbeddingService, database: Database, toys: Embedders
) -> None:
    embed = two_models.sync._embedders.of

    def create_late(collection: Collection) -> Embedder:
        with database.connect() as connection:
            if len(collections.list_all(connection, "two")) == 2:
                toys.create(connection, "two", "toy-32", IndexSettings())
        return embed(collection)

    two_models.sync._embedders = Late(two_models.sync._embedders, create_late)
    asyncio.run(two_models.embed_and_store(EmbeddingRequest(TEXTS, "two", source_id="late")))
    assert embedded(database, "late") == {"toy-16": 2, "toy-24": 2, "toy-32": 2}
    with database.connect() as connection:
        collections.drop(connection, "two/toy-32")


class Late:
    """Embedders of which asking for one makes something happen first."""

    def __init__(self, embedders: Embedders, of: Callable[[Collection], Embedder]) -> None:
        self.collections, self.of = embedders.collections, of


def test_richer_searches_by_the_same_definition_blocking_and_not(
    service: EmbeddingService,
) -> None:
    stored = EmbeddingRequest(TEXTS, "eudr", "report", "found", {"year": 2024})
    service.sync.embed_and_store(stored)
    request = SearchRequest(
        "converted forest land",
        "eudr",
        mode="hybrid",
        filter=Comparison("metadata.year", "eq", 2024),
        fresh=True,
    )
    blocking = service.sync.find(request, user="anna")
    answer = asyncio.run(service.find(request, user="anna"))
    assert answer.results == blocking.results
    assert answer.results[0].content == TEXTS[0]
    assert answer.results[0].metadata == {"year": 2024}
    assert {result.document for result in answer.results} == {"found"}
    assert service.sync.search(TEXTS[0], "eudr") == asyncio.run(service.search(TEXTS[0], "eudr"))


def test_every_method_exists_blocking_and_not_with_the_same_parameters() -> None:
    def methods(kind: type) -> dict[str, object]:
        return {
            name: list(inspect.signature(method).parameters.values())
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(EmbeddingService) == methods(BlockingEmbeddingService)


def test_what_was_asked_is_in_the_log_when_the_block_ends(database: Database) -> None:
    async def ask() -> None:
        async with EmbeddingService(database, Settings()) as service:
            await service.search("who is noted here?", "eudr", threshold=-1)

    asyncio.run(ask())
    with BlockingEmbeddingService(database, Settings()) as service:
        service.search("and here?", "eudr", threshold=-1)
    with database.connect() as connection:
        noted = connection.execute(
            "SELECT query_text FROM vector_search_logs WHERE query_text LIKE '%% here?'"
        ).fetchall()
    assert sorted(noted) == [("and here?",), ("who is noted here?",)]


def test_opened_by_its_settings_it_closes_what_it_opened(database: Database) -> None:
    settings = Settings(database_url=database.url, search_log_share=0)  # type: ignore[arg-type]
    with BlockingEmbeddingService.open(settings) as service:
        assert service.embed(EmbeddingRequest(TEXTS)).embeddings.shape == (2, 384)

    async def ask() -> int:
        async with EmbeddingService.open(settings) as service:
            return (await service.find(SearchRequest("forest", "eudr"))).asked

    assert asyncio.run(ask()) == 10


def test_it_needs_no_dagster(database: Database, repository: Path) -> None:
    """In a process in which nothing of Dagster can be imported."""
    program = """
import sys
sys.modules["dagster"] = None
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.service import BlockingEmbeddingService
with BlockingEmbeddingService.open() as service:
    print(service.find(SearchRequest("forest", "eudr")).asked)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=repository,
        env={"GREENLANG_DATABASE_URL": database.url, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (finished.returncode, finished.stdout.strip()) == (0, "10"), finished.stderr


def test_it_is_typed(repository: Path) -> None:
    assert (repository / "greenlang_vectors" / "py.typed").is_file()
