"""A search names the article of an act, in clear and in an encrypted namespace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenlang_vectors.documents.model import JSON
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.integrations.metadata_filters import read
from greenlang_vectors.search.engine import SearchEngine
from greenlang_vectors.search.model import SearchRequest
from greenlang_vectors.settings import Settings, get_settings
from greenlang_vectors.stages.chunks import cut_chunks
from greenlang_vectors.stages.documents import load_documents
from greenlang_vectors.stages.embeddings import embed_chunks
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration

pytestmark = pytest.mark.integration

NAME = "barrels"
ACT = (
    "Regulation (EU) 2031/77 of 3 May 2031 on barrels\n\n"
    "Article 7\n\nMarks\n\n1. Barrels shall be marked.\n\n2. Marks shall last.\n\n"
    "Article 8\n\nTaxes\n\n1. Barrels shall be taxed.\n\nANNEX II\n\nKinds\n\nBarrels of oak."
)


@pytest.fixture
def folder(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("GREENLANG_DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "act.txt").write_text(ACT)
    with database.connect() as connection:
        namespaces.register(connection, NAME, source_uri=str(folder))
    yield folder
    with database.connect() as connection:
        namespaces.drop(connection, NAME)
    get_settings.cache_clear()


def bring_in(database: Database, toys: Embedders) -> int:
    """Run the stages; how many chunks had no embedding."""
    load_documents(database, NAME, max_bytes=10**6, cache_seconds=60)
    cut_chunks(database, NAME, embedders=toys, chunk_tokens=512, cache_seconds=60)
    (report,) = embed_chunks(database, NAME, embedders=toys, batch_size=4).values()
    return report.pending


def found(database: Database, toys: Embedders, settings: Settings, **wanted: JSON) -> list[str]:
    request = SearchRequest("barrels", NAME, filter=read(wanted))
    results = SearchEngine(database, toys, settings).search(request).results
    named = [re.findall(r"(?m)^(?:Article|ANNEX) \w+$", result.content) for result in results]
    return sorted(name for names in named for name in names)


@pytest.mark.usefixtures("folder")
def test_a_filter_names_provisions(database: Database, toys: Embedders, settings: Settings) -> None:
    assert bring_in(database, toys) == 3
    assert found(database, toys, settings, article="8") == ["Article 8"]
    assert found(database, toys, settings, article=8) == ["Article 8"]
    assert found(database, toys, settings, article={"$ne": 8}) == ["ANNEX II", "Article 7"]
    assert found(database, toys, settings, article="7", paragraph="1") == ["Article 7"]
    assert found(database, toys, settings, paragraphs={"$contains": "2"}) == ["Article 7"]
    assert found(database, toys, settings, annex="II") == ["ANNEX II"]
    assert len(found(database, toys, settings, celex="32031R0077")) == 3
    assert found(database, toys, settings, article="9") == []


def test_metadata_follows_though_a_passage_stays_as_it_was(
    database: Database, toys: Embedders, settings: Settings, folder: Path
) -> None:
    bring_in(database, toys)
    (folder / "act.txt").write_text(ACT.replace("2031/77", "2031/78"))
    bring_in(database, toys)
    assert found(database, toys, settings, celex="32031R0077") == []
    assert len(found(database, toys, settings, celex="32031R0078", article="8")) == 1
    assert bring_in(database, toys) == 0


def test_metadata_that_is_sealed_is_carried_along(
    database: Database, toys: Embedders, folder: Path
) -> None:
    own = get_settings()
    (folder / "clear.txt").write_text("Article 7\n\n1. Clear.")
    bring_in(database, toys)
    with database.connect() as connection:
        administration.enable(connection, NAME, own, metadata_keys=["article"])
        (folder / "new.txt").write_text("Article 8\n\n1. New.")
    assert bring_in(database, toys) == 1
    with database.connect() as connection:
        for table in ("document_chunks", "vector_embeddings"):
            rows = connection.execute(
                f"SELECT metadata ->> 'article', metadata ->> 'paragraph' FROM {table}"
                " WHERE namespace = %s AND metadata ? 'article'",
                [NAME],
            ).fetchall()
            assert len(rows) == 4
            assert all(article.startswith("glv1:") for article, _ in rows)
            assert {paragraph for _, paragraph in rows} == {"1"}
    answer = SearchEngine(database, toys, own).search(SearchRequest("new", NAME))
    assert {r.metadata.get("article") for r in answer.results} == {"7", "8", None}
