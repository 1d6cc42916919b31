"""The SDK of PRD 7.2, used as an application uses it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.errors import UnknownNamespace, UsageError
from greenlang_vectors.progress import silent
from greenlang_vectors.service import EmbeddingConfig, EmbeddingRequest, EmbeddingService
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.pipeline import fill
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

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
    fill(database, "eudr", embedder=embedder, settings=Settings(), progress=lambda _: silent)
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
