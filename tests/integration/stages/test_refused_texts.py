"""Texts the model cannot embed: one alone is a dead letter, all of them are a failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from greenlang_vectors.embedding.embedder import Embedder
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.embedding.models import PACKAGED_MODEL, ModelSpec, resolve_model
from greenlang_vectors.errors import EmbeddingFailed
from greenlang_vectors.stages.embeddings import embed_chunks
from greenlang_vectors.store import dead_letters, namespaces
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]


class Squeamish:
    """A model that has no vector for some words."""

    spec: ModelSpec = resolve_model(PACKAGED_MODEL)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) + 2 for text in texts]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.ones((len(texts), self.spec.dimensions), np.float32)
        vectors[["bad" in text for text in texts]] = np.nan
        return vectors


def embed(database: Database, name: str) -> tuple[int, int]:
    embedders = Embedders.only(Embedder(Squeamish()))
    (report,) = embed_chunks(database, name, embedders=embedders, batch_size=2).values()
    return report.written, report.failed


def test_one_bad_text_is_a_dead_letter_run_after_run_and_the_rest_land(
    database: Database, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "mostly-good")
        identity = add_document(connection, "mostly-good", "a", ["good", "bad", "fine", "well"])
    assert embed(database, "mostly-good") == (3, 1)
    assert embed(database, "mostly-good") == (0, 1)
    with database.connect() as connection:
        [letter] = dead_letters.list_all(connection, "mostly-good")
    assert (letter.item, letter.reason) == (f"{identity}/1 (all-MiniLM-L6-v2)", "unusable_vector")
    assert letter.attempts == 2


def test_a_model_that_embeds_nothing_is_a_failure_and_the_job_says_so(
    database: Database, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "all-bad")
        add_document(connection, "all-bad", "a", ["bad one", "bad two"])
    with pytest.raises(EmbeddingFailed, match="None of the 2 chunks"):
        embed(database, "all-bad")
    with database.connect() as connection:
        row = connection.execute(
            "SELECT status, processed_count, failed_count FROM embedding_jobs"
            " WHERE namespace = 'all-bad'"
        ).fetchone()
    assert row == ("failed", 0, 2)
