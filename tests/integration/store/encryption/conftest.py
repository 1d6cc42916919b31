"""The namespace, in clear and encrypted, under a master key of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

from .corpus import FILES, Corpus


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings whose master key is the test's own."""
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


@pytest.fixture
def corpus(
    database: Database,
    embedder: Embedder,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    server: str,
) -> Iterator[Corpus]:
    """Two documents in a source; nothing is read yet."""
    folder = tmp_path / "source"
    folder.mkdir()
    for file, text in FILES.items():
        (folder / file).write_text(text)
    name = f"enc{abs(hash(request.node.nodeid)) % 10**12}"
    with database.connect() as connection:
        namespaces.register(connection, name, source_uri=str(folder))
    yield Corpus(database, embedder, name, folder, get_settings(), server)
    with database.connect() as connection:
        namespaces.drop(connection, name)


@pytest.fixture
def encrypted(corpus: Corpus) -> Corpus:
    """The two documents, encrypted from the beginning, brought through the stages."""
    corpus.enable()
    corpus.fill()
    return corpus
