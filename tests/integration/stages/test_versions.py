"""Of the versions of one act the newest is searched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.filters import parse_text
from greenlang_vectors.search.model import Mode, SearchRequest
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.chunks import cut_chunks
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.stages.embeddings import embed_chunks
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration

NAME = "versions"
GERMAN = "Fässer sind vor der ersten Füllung zu kennzeichnen. Barrels. " * 9
HEAVY = "Barrels are heavy and should be marked by those who fill them. " * 9
FILES = {
    "a_32031R0077_EN.txt": f"Whereas:\n\n(1) Barrels leak.\n\n(2) {HEAVY}\n\n"
    "Article 1\n\nBarrels of 2031 shall be marked.",
    "b_02031R0077-20320101_EN.txt": "Article 1\n\nBarrels of 2032 shall be marked.",
    "c_02031R0077-20330101_DE.txt": f"Artikel 1\n\n{GERMAN}",
    "d_32031R0078_EN.txt": "Article 1\n\nBarrels of another act shall be marked.",
    "notes.txt": "Barrels in no act are marked at will.",
}
NEWER = "e_02031R0077-20330101_EN.txt"


@pytest.fixture
def folder(database: Database, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "source"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    with database.connect() as connection:
        namespaces.register(connection, NAME, source_uri=str(folder))
    yield folder
    with database.connect() as connection:
        namespaces.drop(connection, NAME)


def run(database: Database, toys: Embedders, *, embed: bool = True) -> None:
    load_documents(database, NAME, max_bytes=10**6, cache_seconds=60)
    cut_chunks(database, NAME, embedders=toys, chunk_tokens=512, cache_seconds=60)
    if embed:
        embed_chunks(database, NAME, embedders=toys, batch_size=4)


def found(engine: SearchEngine, mode: Mode = "vector", **more: object) -> list[str]:
    """The documents of the passages found, by their letters; "A" for the recitals of the first."""
    request = SearchRequest("barrels", NAME, mode=mode, fresh=True, **more)  # type: ignore[arg-type]
    results = engine.search(request).results
    return sorted(
        r.document[0].upper() if "recital" in r.metadata else r.document[0] for r in results
    )


def test_the_newest_version_is_searched_unless_all_are_asked_for(
    database: Database, toys: Embedders, settings: Settings, folder: Path
) -> None:
    engine = SearchEngine(database, toys, settings)
    run(database, toys)
    for mode in ("vector", "text", "hybrid"):
        assert found(engine, mode) == ["A", "b", "c", "d", "n"], mode
        assert found(engine, mode, all_versions=True) == ["A", "a", "b", "c", "d", "n"], mode
    act = parse_text('metadata.article="1"')
    assert found(engine, filter=act) == ["b", "c", "d"]
    assert found(engine, filter=act, all_versions=True) == ["a", "b", "c", "d"]

    # Another engine's search that is under way sees what has come since; nothing is hidden by a
    # version that cannot be found yet.
    (folder / NEWER).write_text("Article 1\n\nBarrels of 2033 shall be marked.")
    run(database, toys, embed=False)
    assert found(engine) == ["A", "b", "c", "d", "n"]
    run(database, toys)
    assert found(engine) == ["A", "c", "d", "e", "n"]

    (folder / NEWER).unlink()
    run(database, toys, embed=False)
    assert found(engine) == ["A", "b", "c", "d", "n"]
    (folder / "b_02031R0077-20320101_EN.txt").unlink()
    run(database, toys)
    assert found(engine) == ["A", "a", "c", "d", "n"]
