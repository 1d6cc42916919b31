"""What dual writing notes, in the writer's own transaction, and what it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from psycopg import sql

from greenlang_vectors import direct
from greenlang_vectors.documents.direct import DirectDocument
from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import UsageError
from greenlang_vectors.lifecycle.archive import archive
from greenlang_vectors.lifecycle.location import open_location
from greenlang_vectors.lifecycle.restore import restore
from greenlang_vectors.migration.plan import Plan, VectorMapping
from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import (
    collections,
    documents,
    embeddings,
    namespaces,
    roles,
    weaviate_migrations,
    weaviate_outbox,
    writing,
)
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.encryption import administration
from greenlang_vectors.store.identity import document_id
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.weaviate_outbox import Lag, Noted
from greenlang_vectors.store.writing import EmbeddingRow

pytestmark = pytest.mark.integration

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
EmbedAll = Callable[[psycopg.Connection, Leaf], int]
MODEL = "test-model"
LEAF_DIMENSIONS = 8
PASSWORD = "correct horse battery"  # noqa: S105 - of a login that lives as long as a test


class Written:
    """A namespace that is written to both, and what is noted of it."""

    def __init__(self, connection: psycopg.Connection, leaf: Leaf) -> None:
        self.connection, self.leaf, self.namespace = connection, leaf, leaf.namespace

    def noted(self) -> list[UUID]:
        """The documents noted since the last call, each once."""
        found = weaviate_outbox.read(self.connection, self.namespace, 1000)
        weaviate_outbox.forget(self.connection, self.namespace, found)
        return [each.document_id for each in found]

    def deleted(self) -> set[UUID]:
        rows = self.connection.execute(
            "SELECT document_id FROM weaviate_deletions WHERE namespace = %s", [self.namespace]
        )
        return {identity for (identity,) in rows}


def begin(connection: psycopg.Connection, leaf: Leaf) -> Written:
    plan = Plan(collection="Anything", vectors=(VectorMapping(model=leaf.model),))
    weaviate_migrations.save_plan(connection, leaf.namespace, plan.model_dump(mode="json"))
    with weaviate_migrations.changing(connection, leaf.namespace):
        weaviate_outbox.install(connection, leaf.namespace, [leaf])
        weaviate_migrations.move(
            connection, leaf.namespace, "start", phase="parallel", share=0, evidence={}
        )
    return Written(connection, leaf)


@pytest.fixture
def written(database: Database, leaf: Leaf) -> Iterator[Written]:
    with database.connect() as connection:
        yield begin(connection, leaf)


def test_each_document_whose_embeddings_come_change_or_go_is_noted(
    written: Written, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    connection, namespace = written.connection, written.namespace
    one = add_document(connection, namespace, "one", ["a", "b", "c"])
    two = add_document(connection, namespace, "two", ["d"])
    assert written.noted() == []
    embed_all(connection, written.leaf)
    assert sorted(written.noted()) == sorted([one, two])
    assert add_document(connection, namespace, "one", ["a", "b"]) == one
    assert written.noted() == [one]
    connection.execute(
        "UPDATE vector_embeddings SET metadata = '{\"a\": 1}' WHERE namespace = %s"
        " AND source_id = %s",
        [namespace, two],
    )
    assert written.noted() == [two]
    documents.remove(connection, namespace, two, cache_seconds=60)
    [gone] = weaviate_outbox.read(connection, namespace, 10)
    assert (gone.document_id, gone.source_type, gone.source_key) == (two, "document", "two")
    assert written.deleted() == {two}


def test_a_new_title_alone_is_noted(
    written: Written, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    connection, namespace = written.connection, written.namespace
    document = add_document(connection, namespace, "one", ["a"])
    embed_all(connection, written.leaf)
    written.noted()
    for title, noted in (("another", [document]), ("another", [])):
        connection.execute(
            "UPDATE documents SET title = %s WHERE namespace = %s", [title, namespace]
        )
        assert written.noted() == noted


def test_a_document_without_embeddings_is_noted_as_it_goes(
    written: Written, add_document: AddDocument
) -> None:
    document = add_document(written.connection, written.namespace, "one", ["a"])
    documents.remove(written.connection, written.namespace, document, cache_seconds=60)
    assert (written.noted(), written.deleted()) == ([document], {document})


def test_emptied_documents_are_deletions_and_an_emptied_leaf_is_none(
    written: Written, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    connection = written.connection
    document = add_document(connection, written.namespace, "one", ["a"])
    embed_all(connection, written.leaf)
    written.noted()
    connection.execute(sql.SQL("TRUNCATE {}").format(written.leaf.table))
    assert (written.noted(), written.deleted()) == ([], set())
    connection.execute(
        sql.SQL("TRUNCATE {} CASCADE").format(namespaces.partition("documents", written.namespace))
    )
    assert (written.noted(), written.deleted()) == ([document], {document})


def test_an_archived_passage_is_no_deletion(
    written: Written,
    database: Database,
    add_document: AddDocument,
    embed_all: EmbedAll,
    tmp_path: Path,
) -> None:
    connection = written.connection
    document = add_document(connection, written.namespace, "one", ["a"])
    embed_all(connection, written.leaf)
    written.noted()
    location = open_location(str(tmp_path))
    [report] = archive(database, location, written.namespace, older_than=timedelta(0))
    assert report.archived == 1
    assert written.deleted() == set()
    assert written.noted() == [document]
    restore(database, location, report.archive)
    assert written.noted() == [document]


def test_what_is_rolled_back_or_comes_from_weaviate_is_not_noted(
    written: Written, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    connection = written.connection
    with connection.transaction(force_rollback=True):
        add_document(connection, written.namespace, "one", ["a"])
        embed_all(connection, written.leaf)
        assert len(weaviate_outbox.read(connection, written.namespace, 10)) == 1
    assert written.noted() == []
    with weaviate_outbox.from_weaviate(connection):
        document = add_document(connection, written.namespace, "one", ["a"])
        embed_all(connection, written.leaf)
        connection.execute("UPDATE documents SET title = 'x' WHERE id = %s", [document])
        documents.remove(connection, written.namespace, document, cache_seconds=60)
    assert (written.noted(), written.deleted()) == ([], set())
    document = add_document(connection, written.namespace, "one", ["a"])
    embed_all(connection, written.leaf)
    assert written.noted() == [document]


def test_other_namespaces_and_other_collections_are_left_alone(
    written: Written, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    connection = written.connection
    other = namespaces.register(connection, f"n-{uuid4().hex[:8]}").name
    add_document(connection, other, "one", ["a"])
    add_document(connection, written.namespace, "one", ["a"])
    embed_all(connection, Leaf(other, MODEL, LEAF_DIMENSIONS))
    embed_all(connection, Leaf(written.namespace, "unmapped", LEAF_DIMENSIONS))
    add_document(connection, other, "one", ["b"])
    rows = connection.execute("SELECT count(*) FROM weaviate_outbox WHERE namespace = %s", [other])
    assert rows.fetchone() == (0,)
    assert written.noted() == []


def test_whoever_writes_is_noted_by_triggers_he_has_no_rights_over(
    written: Written, database: Database
) -> None:
    login = f"w_{uuid4().hex[:8]}"
    roles.create_login(written.connection, login, "writer", [written.namespace], PASSWORD)
    parts = urlsplit(database.url)
    host = parts.netloc.rpartition("@")[2]
    url = urlunsplit(parts._replace(netloc=f"{login}:{quote(PASSWORD)}@{host}"))
    document = document_id(written.namespace, "document", "mine")
    with psycopg.connect(url, autocommit=True) as tenant:
        tenant.execute(
            """
            INSERT INTO documents (namespace, id, origin, source_type, source_key, title,
                media_type, size_bytes, file_hash, text, text_hash, characters, page_starts,
                headings, metadata, extraction_version)
            VALUES (%s, %s, 'sdk', 'document', 'mine', 't', 'text/plain', 1, 'h', 't', 'h', 1,
                '{}', '[]', '{}', '1')
            """,
            [written.namespace, document],
        )
        writing.write(
            tenant,
            written.leaf,
            [EmbeddingRow("document", document, 0, "0" * 64, "p")],
            np.ones((1, LEAF_DIMENSIONS), "f4"),
            fingerprint="f",
        )
        for statement in (
            "INSERT INTO weaviate_outbox (namespace, document_id) VALUES (%s, gen_random_uuid())",
            "DELETE FROM weaviate_outbox WHERE namespace = %s",
            "DELETE FROM weaviate_deletions WHERE namespace = %s",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                tenant.execute(statement, [written.namespace])
    roles.drop_login(written.connection, login)
    assert written.noted() == [document]


def test_deleting_what_only_weaviate_has_is_noted(written: Written) -> None:
    connection, namespace = written.connection, written.namespace
    assert direct.delete(connection, namespace, ["there"], cache_seconds=60) == 0
    [noted] = weaviate_outbox.read(connection, namespace, 10)
    assert (noted.source_type, noted.source_key) == ("document", "there")
    assert written.deleted() == {document_id(namespace, "document", "there")}


def test_nothing_is_noted_once_dual_writing_has_ended(
    written: Written, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    connection, namespace = written.connection, written.namespace
    add_document(connection, namespace, "one", ["a"])
    with weaviate_migrations.changing(connection, namespace):
        weaviate_outbox.remove(connection, namespace)
        weaviate_migrations.move(
            connection, namespace, "rollback", phase="planned", share=0, evidence={}
        )
    embed_all(connection, written.leaf)
    direct.delete(connection, namespace, ["there"], cache_seconds=60)
    connection.execute("UPDATE documents SET title = 'x' WHERE namespace = %s", [namespace])
    embeddings.retire(
        connection, namespace, {document_id(namespace, "document", "one"): {}}, cache_seconds=60
    )
    assert written.noted() == []


def test_a_mapped_collection_is_not_dropped_and_nothing_is_encrypted_meanwhile(
    written: Written,
) -> None:
    name = f"{written.namespace}/{MODEL}"
    written.connection.execute("UPDATE embedding_collections SET serving = false")
    with pytest.raises(UsageError, match="move from Weaviate"):
        collections.drop(written.connection, name)
    with pytest.raises(UsageError, match="move from Weaviate"):
        administration.enable(written.connection, written.namespace, get_settings())


def test_lag_tells_what_waits_and_what_is_refused(written: Written) -> None:
    connection, namespace = written.connection, written.namespace
    assert weaviate_outbox.lag(connection, namespace) == Lag(0, 0, 0.0)
    direct.delete(connection, namespace, ["a", "b", "c"], cache_seconds=60)
    connection.execute("UPDATE weaviate_outbox SET noted_at = now() - interval '1 hour'")
    first, second, third = weaviate_outbox.read(connection, namespace, 10)
    weaviate_outbox.set_aside(connection, namespace, [first])
    weaviate_outbox.defer(connection, namespace, [second])
    lag = weaviate_outbox.lag(connection, namespace)
    assert (lag.documents, lag.refused) == (3, 1)
    assert 3600 <= lag.oldest_seconds < 3700
    assert weaviate_outbox.read(connection, namespace, 10) == [third]
    weaviate_outbox.forget(connection, namespace, [second, third])
    assert weaviate_outbox.lag(connection, namespace) == Lag(1, 1, 0.0)
    assert weaviate_outbox.retry(connection, namespace) == 1
    assert weaviate_outbox.read(connection, namespace, 10) == [first]


def test_a_document_put_off_waits_twice_as_long_each_time(written: Written) -> None:
    connection, namespace = written.connection, written.namespace
    direct.delete(connection, namespace, ["a"], cache_seconds=60)
    [noted] = weaviate_outbox.read(connection, namespace, 10)
    waits = []
    for _ in range(12):
        weaviate_outbox.defer(connection, namespace, [noted])
        row = connection.execute(
            "SELECT extract(epoch FROM not_before - now())::float8 FROM weaviate_outbox"
            " WHERE namespace = %s",
            [namespace],
        ).fetchone()
        assert row
        waits.append(row[0])
    expected = [min(2.0**attempt, weaviate_outbox.LONGEST_WAIT) for attempt in range(12)]
    assert waits == pytest.approx(expected, abs=0.5)


def test_a_newer_note_of_a_document_put_off_is_read_and_ends_both(written: Written) -> None:
    connection, namespace = written.connection, written.namespace
    direct.delete(connection, namespace, ["a"], cache_seconds=60)
    weaviate_outbox.set_aside(
        connection, namespace, weaviate_outbox.read(connection, namespace, 10)
    )
    direct.delete(connection, namespace, ["a"], cache_seconds=60)
    [newer] = weaviate_outbox.read(connection, namespace, 10)
    assert isinstance(newer, Noted)
    weaviate_outbox.forget(connection, namespace, [newer])
    assert weaviate_outbox.lag(connection, namespace) == Lag(0, 0, 0.0)


def test_a_writer_that_began_before_is_waited_for(
    database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    with database.connect() as writer, database.connect() as connection:
        with writer.transaction():
            document = add_document(writer, leaf.namespace, "one", ["a"])
            embed_all(writer, leaf)
            connection.execute("SET lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                begin(connection, leaf)
        begin(connection, leaf)
        assert weaviate_outbox.note_present(connection, leaf.namespace) == 1
        assert [
            each.document_id for each in weaviate_outbox.read(connection, leaf.namespace, 10)
        ] == [document]


def test_a_put_is_noted_where_it_changes_anything(database: Database, toys: Embedders) -> None:
    with database.connect() as connection:
        namespace = namespaces.register(connection, f"n-{uuid4().hex[:8]}").name
        leaf = Leaf(namespace, "toy-16", 16)
        document = document_id(namespace, "document", "k")
        put = partial(direct.put, connection, toys, namespace, cache_seconds=60)
        put([DirectDocument("k", ["a", "b"])])
        written = begin(connection, leaf)
        for texts, noted in (
            (["a", "b"], []),
            (["a", "b", "c"], [document]),
            (["a"], [document]),
            (["z"], [document]),
        ):
            put([DirectDocument("k", texts)])
            assert written.noted() == noted
        for metadata, title in (({"a": 1}, None), ({"a": 2}, None), ({"a": 2}, "t")):
            put([DirectDocument("k", ["z"], metadata, title)])
            assert written.noted() == [document]
