"""Embedders by name: several models side by side, on this machine and remote."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from greenlang_vectors.embedding import opening
from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.models import PACKAGED_MODEL, ModelSpec
from greenlang_vectors.embedding.openai_api import Endpoint, OpenAIModel
from greenlang_vectors.embedding.opening import open_embedder
from greenlang_vectors.errors import ModelUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.store.database import Database

from ...unit.embedding.openai_server import KEY, MODEL, OpenAIServer, serving, vector_of

pytestmark = pytest.mark.integration

TEXTS = ["Due diligence", "Deforestation", "Carbon border adjustment"]


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    with serving(OpenAIServer()) as state:
        yield state


@pytest.fixture
def settings(openai_server: OpenAIServer) -> Settings:
    return Settings(openai_api_key=KEY, openai_base_url=openai_server.url)


def opened(database: Database, name: str, settings: Settings) -> Embedder:
    return open_embedder(database, name, cache_seconds=3600, settings=settings)


def test_models_side_by_side_keep_vectors_of_their_own(
    database: Database, settings: Settings, openai_server: OpenAIServer, tiny_mpnet: Path
) -> None:
    names = [PACKAGED_MODEL, MODEL, str(tiny_mpnet)]
    embedders = [opened(database, name, settings) for name in names]
    with ThreadPoolExecutor(6) as pool:
        batches = list(pool.map(lambda embedder: embedder.embed(TEXTS), embedders * 2))
    assert [batch.vectors.shape[1] for batch in batches] == [384, 1536, 768] * 2
    for first, second in zip(batches[:3], batches[3:], strict=True):
        assert np.allclose(first.vectors, second.vectors, atol=1e-5)
    expected = np.stack([vector_of(text) for text in TEXTS])
    assert np.allclose(batches[1].vectors, expected, atol=1e-6)
    openai_server.requests.clear()
    for name, batch in zip(names, batches, strict=False):
        again = opened(database, name, settings).embed(TEXTS)
        assert (again.counts.cache_hits, again.counts.model_texts) == (3, 0)
        assert np.array_equal(again.vectors, batch.vectors)
    assert openai_server.requests == []


def test_threads_that_open_a_model_share_it(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowToOpen(OpenAIModel):
        def __init__(self, spec: ModelSpec, endpoint: Endpoint) -> None:
            time.sleep(0.05)
            super().__init__(spec, endpoint)

    monkeypatch.setattr(opening, "OpenAIModel", SlowToOpen)
    other = settings.model_copy(update={"openai_timeout_seconds": 7.0})
    with ThreadPoolExecutor(8) as pool:
        embedders = list(pool.map(lambda _: opened(database, MODEL, other), range(16)))
    assert len({id(embedder.model) for embedder in embedders}) == 1


def test_a_remote_model_without_a_key_is_not_opened(database: Database) -> None:
    with pytest.raises(ModelUnavailable, match="GREENLANG_OPENAI_API_KEY"):
        opened(database, MODEL, Settings(openai_api_key=None))
