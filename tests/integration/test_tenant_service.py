"""The SDK with a login of one namespace: it stores and searches there, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import pytest

from greenlang_vectors.errors import UnknownNamespace
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.service import EmbeddingConfig, EmbeddingRequest, EmbeddingService
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import leaves, namespaces, roles
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery"  # noqa: S105
TEXTS = ["Forest land may not be converted.", "A quarterly report names every shipment."]


@pytest.fixture(scope="module")
def spaces(database: Database) -> tuple[str, str]:
    names = f"ours-{uuid4().hex[:6]}", f"theirs-{uuid4().hex[:6]}"
    with database.connect() as connection:
        for name in names:
            namespaces.register(connection, name)
            leaves.ensure_leaf(connection, Leaf(name, "all-MiniLM-L6-v2", 384))
    return names


@pytest.fixture(scope="module", params=["one namespace", "every namespace"])
def tenant(
    database: Database, spaces: tuple[str, str], request: pytest.FixtureRequest
) -> Iterator[EmbeddingService]:
    login = f"t_{uuid4().hex[:10]}"
    where = [spaces[0]] if request.param == "one namespace" else []
    with database.connect() as connection:
        roles.create_login(connection, login, "writer", where, PASSWORD)
    netloc = f"{login}:{quote(PASSWORD)}@"
    mine = Database(urlunsplit(urlsplit(database.url)._replace(netloc=netloc)))
    service = EmbeddingService(mine, Settings(), EmbeddingConfig(cache_enabled=not where))
    yield service
    service.sync.close()
    mine.close()
    with database.connect() as connection:
        roles.drop_login(connection, login)


def test_a_tenant_stores_replaces_and_searches(
    tenant: EmbeddingService, spaces: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        request = EmbeddingRequest(TEXTS, spaces[0], "report", uuid4().hex, {"author": "A"})
        assert asyncio.run(tenant.embed_and_store(request)) == 2
        assert asyncio.run(tenant.embed_and_store(request)) == 0
        request.texts = [TEXTS[0], "Other words."]
        assert asyncio.run(tenant.embed_and_store(request)) == 1
        found = asyncio.run(tenant.search("Other words.", spaces[0], threshold=0.9))
        asked = SearchRequest("Other words.", spaces[0], 1, parents=True)
        [shown] = asyncio.run(tenant.find(asked)).results
    assert request.source_id in {hit["document"] for hit in found}
    assert shown.parent is not None
    assert shown.parent.content == "\n\n".join(request.texts)
    assert caplog.text == ""


def test_a_tenant_does_not_know_the_others(database: Database, spaces: tuple[str, str]) -> None:
    login = f"t_{uuid4().hex[:10]}"
    with database.connect() as connection:
        roles.create_login(connection, login, "writer", [spaces[0]], PASSWORD)
    netloc = f"{login}:{quote(PASSWORD)}@"
    mine = Database(urlunsplit(urlsplit(database.url)._replace(netloc=netloc)))
    service = EmbeddingService(mine, Settings(), EmbeddingConfig(cache_enabled=False))
    with pytest.raises(UnknownNamespace) as caught:
        asyncio.run(service.embed_and_store(EmbeddingRequest(TEXTS, spaces[1])))
    assert spaces[1] not in caught.value.remedy
    mine.close()
    with database.connect() as connection:
        roles.drop_login(connection, login)
