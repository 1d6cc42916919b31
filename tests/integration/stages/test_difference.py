"""Work is the difference between the source and the store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import SourceUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.chunks import ChunksReport, cut_chunks
from greenlang_vectors.stages.documents import DocumentsReport, load_documents
from greenlang_vectors.stages.embeddings import EmbeddingsReport, embed_chunks
from greenlang_vectors.store import dead_letters, namespaces
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration

ARTICLES = [
    f"# Article {n}\n\nDuty number {n} binds every operator of class {n}." for n in range(3)
]


def only(reports: dict[str, EmbeddingsReport]) -> EmbeddingsReport:
    (report,) = reports.values()
    return report


@dataclass
class Corpus:
    """A namespace whose folder the test changes."""

    database: Database
    embedders: Embedders
    name: str
    folder: Path

    def write(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def run(self) -> tuple[DocumentsReport, ChunksReport, EmbeddingsReport]:
        settings = Settings(max_document_bytes=100_000)
        return (
            load_documents(
                self.database,
                self.name,
                max_bytes=settings.max_document_bytes,
                cache_seconds=settings.embedding_cache_seconds,
            ),
            cut_chunks(
                self.database,
                self.name,
                embedders=self.embedders,
                chunk_tokens=settings.chunk_tokens,
                cache_seconds=settings.embedding_cache_seconds,
            ),
            only(embed_chunks(self.database, self.name, embedders=self.embedders, batch_size=4)),
        )

    def dead(self) -> dict[str, str]:
        with self.database.connect() as connection:
            return {d.item: d.reason for d in dead_letters.list_all(connection, self.name)}


@pytest.fixture
def corpus(
    database: Database, embedder: Embedder, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Corpus]:
    name = f"t{abs(hash(request.node.nodeid)) % 10**12}"
    folder = tmp_path / "source"
    folder.mkdir()
    with database.connect() as connection:
        namespaces.register(connection, name, source_uri=str(folder))
    corpus = Corpus(database, Embedders.only(embedder), name, folder)
    for number, text in enumerate(ARTICLES):
        corpus.write(f"{number}.md", f"{text} This is {name}.")
    corpus.run()
    yield corpus
    with database.connect() as connection:
        namespaces.drop(connection, name)


def test_a_second_run_does_nothing(corpus: Corpus) -> None:
    documents, chunks, embeddings = corpus.run()
    assert (documents.unchanged, documents.added, documents.changed) == (3, 0, 0)
    assert chunks.cut == 0
    assert (embeddings.pending, embeddings.stored) == (0, 3)


def test_one_changed_document_is_all_that_is_embedded(corpus: Corpus) -> None:
    corpus.write("1.md", "# Article 1\n\nThe duty was repealed altogether.")
    documents, chunks, embeddings = corpus.run()
    assert (documents.changed, documents.unchanged) == (1, 2)
    assert chunks.cut == 1
    assert (embeddings.model_texts, embeddings.stored) == (1, 3)


def test_a_touched_file_with_the_same_bytes_is_unchanged(corpus: Corpus) -> None:
    (corpus.folder / "0.md").touch()
    documents, _, _ = corpus.run()
    assert documents.unchanged == 3


def test_a_deleted_file_takes_its_rows_along(corpus: Corpus) -> None:
    (corpus.folder / "2.md").unlink()
    documents, chunks, embeddings = corpus.run()
    assert (documents.removed, documents.stored) == (1, 2)
    assert (chunks.stored, embeddings.stored) == (2, 2)


def test_a_renamed_file_is_not_embedded_again(corpus: Corpus) -> None:
    (corpus.folder / "2.md").rename(corpus.folder / "renamed.md")
    documents, _, embeddings = corpus.run()
    assert (documents.added, documents.removed) == (1, 1)
    assert (embeddings.cache_hits, embeddings.model_texts) == (1, 0)


def test_a_source_that_is_gone_deletes_nothing(corpus: Corpus) -> None:
    shutil.move(corpus.folder, corpus.folder.with_name("moved"))
    with pytest.raises(SourceUnavailable):
        corpus.run()
    shutil.move(corpus.folder.with_name("moved"), corpus.folder)
    documents, _, embeddings = corpus.run()
    assert (documents.unchanged, embeddings.stored) == (3, 3)


def test_a_damaged_new_version_is_a_dead_letter_and_the_old_one_stays(corpus: Corpus) -> None:
    corpus.write("1.md", b"PK\x03\x04 this is no Markdown \xff\xfe")
    documents, _, embeddings = corpus.run()
    assert (documents.failed, documents.stored, embeddings.stored) == (1, 3, 3)
    assert list(corpus.dead()) == ["1.md"]
    corpus.write("1.md", "# Article 1\n\nIt is mended.")
    documents, _, _ = corpus.run()
    assert (documents.failed, documents.changed) == (0, 1)
    assert corpus.dead() == {}


def test_bad_files_are_dead_letters_and_all_others_go_on(corpus: Corpus) -> None:
    corpus.write("damaged.pdf", b"%PDF-1.7\nthis ends too soon")
    corpus.write("empty.md", "")
    corpus.write("oversized.txt", "x" * 100_001)
    corpus.write("picture.jpg", b"\xff\xd8\xff\xe0 JFIF")
    corpus.write("mislabelled.html", b"%PDF-1.7\n...")
    corpus.write("good.txt", "A good file among bad ones.")
    documents, _, embeddings = corpus.run()
    assert (documents.added, documents.failed, embeddings.stored) == (1, 5, 4)
    assert corpus.dead() == {
        "damaged.pdf": "damaged",
        "empty.md": "empty",
        "oversized.txt": "oversized",
        "picture.jpg": "unsupported",
        "mislabelled.html": "mislabelled",
    }


def test_odd_text_comes_through(corpus: Corpus) -> None:
    corpus.write("nul.txt", "A NUL \x00 in the middle, and \x07 a bell.")
    corpus.write("rtl.txt", "لا يجوز طرح المنتجات في السوق. כל מפעיל חייב בבדיקת נאותות.")
    corpus.write("surrogate.html", "<html><body><p>half &#xD800; a pair</p></body></html>")
    corpus.write("emoji.md", "# 🌍\n\n👩‍🌾 plants 🌱 on plot №7.")
    documents, _, embeddings = corpus.run()
    assert (documents.added, documents.failed) == (4, 0)
    assert embeddings.stored == 7


def test_another_chunking_strategy_cuts_again(corpus: Corpus) -> None:
    with corpus.database.connect() as connection:
        namespaces.register(connection, corpus.name, chunking="hierarchical")
    _, chunks, embeddings = corpus.run()
    assert chunks.cut == 3
    assert (chunks.stored, chunks.searched) == (6, 3)
    assert (embeddings.model_texts, embeddings.stored) == (0, 3)


def test_a_neighbour_is_never_touched(corpus: Corpus, tmp_path: Path) -> None:
    neighbour = tmp_path / "neighbour"
    neighbour.mkdir()
    (neighbour / "0.md").write_text("# Its own\n\nIt has the same file name.")
    with corpus.database.connect() as connection:
        namespaces.register(connection, "neighbour", source_uri=str(neighbour))
    other = Corpus(corpus.database, corpus.embedders, "neighbour", neighbour)
    other.run()
    corpus.write("0.md", "# Changed\n\nOnly here.")
    (corpus.folder / "1.md").unlink()
    corpus.run()
    documents, _, embeddings = other.run()
    assert (documents.unchanged, documents.removed) == (1, 0)
    assert (embeddings.pending, embeddings.stored) == (0, 1)
