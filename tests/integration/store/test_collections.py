"""Collections: one of each namespace serves, and none that is unfinished can come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from greenlang_vectors.errors import GreenLangError, ItemError, UnknownNamespace, UsageError
from greenlang_vectors.settings import Settings
from greenlang_vectors.stages.vector_index import build_index
from greenlang_vectors.store import (
    collection_locks,
    collections,
    completeness,
    dead_letters,
    leaves,
    records,
)
from greenlang_vectors.store.collections import Collection
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.embedding_jobs import embedding_job
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.records import SearchQuality

pytestmark = pytest.mark.integration

FINGERPRINT = "test"
"""What `embed_all` gives its embeddings."""

EmbedAll = Callable[[psycopg.Connection, Leaf], int]
AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
Create = Callable[..., Collection]


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as opened:
        yield opened


@pytest.fixture
def first(
    connection: psycopg.Connection, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> Collection:
    """The serving collection of a namespace of two documents."""
    add_document(connection, leaf.namespace, "a", ["one", "two", "three"])
    add_document(connection, leaf.namespace, "b", ["four", "five five five"])
    embed_all(connection, leaf)
    return collections.get(connection, f"{leaf.namespace}/test-model")


@pytest.fixture
def create(connection: psycopg.Connection, first: Collection) -> Create:
    """Creates another collection of the namespace."""

    def make(
        model: str = "other", index: IndexSettings = leaves.DEFAULT_INDEX, **options: object
    ) -> Collection:
        given = {"dimensions": 4, "max_tokens": 512, **options}
        return collections.create(
            connection,
            Leaf(first.namespace, model, int(str(given["dimensions"]))),
            index,
            model_source=model,
            max_tokens=int(str(given["max_tokens"])),
        )

    return make


@pytest.fixture
def filled(
    connection: psycopg.Connection,
    create: Create,
    embed_all: EmbedAll,
    database: Database,
    settings: Settings,
) -> Collection:
    """Another collection, complete and indexed."""
    made = create()
    embed_all(connection, made.leaf)
    build_index(database, made.leaf, settings=settings)
    return made


def serving(connection: psycopg.Connection, namespace: str) -> str | None:
    found = collections.serving(connection, namespace)
    return None if found is None else found.name


def test_the_first_serves_and_another_stands_beside_it(
    connection: psycopg.Connection, first: Collection, create: Create
) -> None:
    made = create("other", IndexSettings(metric="l2", kind="ivfflat", lists=3))
    assert (first.serving, made.serving) == (True, False)
    assert (made.name, made.dimensions) == (f"{first.namespace}/other", 4)
    assert made.index == IndexSettings(metric="l2", kind="ivfflat", lists=3)
    known = collections.list_all(connection, first.namespace)
    assert [each.name for each in known] == [first.name, made.name]
    assert serving(connection, first.namespace) == first.name


def test_the_database_lets_no_two_serve(
    connection: psycopg.Connection, first: Collection, create: Create
) -> None:
    made = create()
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(
            "UPDATE embedding_collections SET serving = true WHERE id = %s", [made.id]
        )
    assert serving(connection, first.namespace) == first.name


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "test-model"}, "exists already"),
        ({"index": IndexSettings(metric="hamming")}, "Unknown metric 'hamming'"),  # type: ignore[arg-type]
        ({"dimensions": 2001}, "at most 2000 dimensions, not 2001. Choose halfvec"),
        ({"index": IndexSettings(m=50, ef_construction=60)}, "at least twice m"),
        ({"max_tokens": 4}, "reads 4 tokens; the longest chunk of .* has 5"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(
    connection: psycopg.Connection,
    first: Collection,
    create: Create,
    options: dict[str, object],
    says: str,
) -> None:
    with pytest.raises(UsageError, match=says):
        create(**options)
    assert collections.list_all(connection, first.namespace) == [first]


def test_more_dimensions_than_a_vector_index_takes_fit_as_halfvec(create: Create) -> None:
    assert create(dimensions=2001, index=IndexSettings(storage="halfvec")).dimensions == 2001


def test_an_unknown_namespace_or_collection_is_refused_by_name(
    connection: psycopg.Connection, first: Collection
) -> None:
    with pytest.raises(UnknownNamespace):
        collections.create(
            connection, Leaf("nowhere", "m", 4), IndexSettings(), model_source="m", max_tokens=9
        )
    for ask in (
        lambda: collections.get(connection, "no/such"),
        lambda: collections.switch(connection, "no/such", FINGERPRINT),
        lambda: collections.drop(connection, "no/such"),
    ):
        with pytest.raises(UsageError, match=f"Unknown collection 'no/such'.*{first.name}"):
            ask()


def test_a_switch_changes_who_serves_and_another_changes_it_back(
    connection: psycopg.Connection,
    first: Collection,
    filled: Collection,
    database: Database,
    settings: Settings,
) -> None:
    build_index(database, first.leaf, settings=settings)
    before = collections.switch(connection, filled.name, FINGERPRINT)
    assert before == first
    assert serving(connection, first.namespace) == filled.name
    assert collections.switch(connection, filled.name, FINGERPRINT) is None
    collections.switch(connection, first.name, FINGERPRINT)
    assert serving(connection, first.namespace) == first.name


def test_a_switch_is_one_transaction(
    connection: psycopg.Connection, first: Collection, filled: Collection, database: Database
) -> None:
    with database.connect() as switching, switching.transaction() as transaction:
        collections.switch(switching, filled.name, FINGERPRINT)
        assert serving(connection, first.namespace) == first.name
        raise psycopg.Rollback(transaction)
    assert serving(connection, first.namespace) == first.name


@pytest.mark.parametrize("damage", ["chunk", "text", "fingerprint", "index", "empty"])
def test_an_unfinished_collection_cannot_come_to_serve(
    connection: psycopg.Connection,
    first: Collection,
    filled: Collection,
    add_document: AddDocument,
    damage: str,
) -> None:
    fingerprint = FINGERPRINT
    if damage == "chunk":
        add_document(connection, first.namespace, "c", ["six"])
    elif damage == "text":
        connection.execute(
            "UPDATE vector_embeddings SET content_hash = repeat('0', 64)"
            " WHERE embedding_model = 'other' AND namespace = %s AND chunk_index = 0",
            [first.namespace],
        )
    elif damage == "fingerprint":
        fingerprint = "another"
    elif damage == "index":
        for index in connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index"
            " JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam"
            " WHERE indrelid = to_regclass(%s) AND amname = 'hnsw'",
            [filled.leaf.table.as_string(connection)],
        ).fetchall():
            connection.execute(f"DROP INDEX {index[0]}")
    else:
        connection.execute(
            "DELETE FROM vector_embeddings WHERE embedding_model = 'other' AND namespace = %s",
            [first.namespace],
        )
    with pytest.raises(UsageError, match=f"unfinished.*collections fill {filled.name}"):
        collections.switch(connection, filled.name, fingerprint)
    assert serving(connection, first.namespace) == first.name


def test_a_chunk_that_its_model_refused_is_not_held_against_it(
    connection: psycopg.Connection, filled: Collection, add_document: AddDocument
) -> None:
    document = add_document(connection, filled.namespace, "c", ["bad"])
    other = dead_letters_of("another model", document)
    dead_letters.record(connection, filled.namespace, "embeddings", other, ItemError("x", "X."))
    with pytest.raises(UsageError, match="1 of 6 chunks"):
        collections.switch(connection, filled.name, FINGERPRINT)
    own = completeness.dead_letter_item(filled.leaf, document, 0)
    dead_letters.record(connection, filled.namespace, "embeddings", own, ItemError("x", "X."))
    assert collections.switch(connection, filled.name, FINGERPRINT) is not None


def dead_letters_of(model: str, document: UUID) -> str:
    return completeness.dead_letter_item(Leaf("any", model, 1), document, 0)


def test_what_serves_cannot_be_dropped(
    connection: psycopg.Connection, first: Collection, filled: Collection
) -> None:
    with pytest.raises(UsageError, match=f"{first.name} serves"):
        collections.drop(connection, first.name)
    collections.switch(connection, filled.name, FINGERPRINT)
    with pytest.raises(UsageError, match=f"{filled.name} serves"):
        collections.drop(connection, filled.name)
    assert len(collections.list_all(connection, first.namespace)) == 2


def test_dropping_removes_all_of_a_collection_and_nothing_of_another(
    connection: psycopg.Connection, first: Collection, filled: Collection
) -> None:
    for each in (first, filled):
        with embedding_job(connection, each.namespace, each.model, "document", source_count=1):
            pass
        quality = SearchQuality(each.model, 40, 1, 1.0, 1.0, 1.0)
        records.save_search_quality(connection, each.namespace, quality)
        item = completeness.dead_letter_item(each.leaf, UUID(int=0), 0)
        dead_letters.record(connection, each.namespace, "embeddings", item, ItemError("x", "X."))
    collections.drop(connection, filled.name)
    assert collections.list_all(connection, first.namespace) == [first]
    left = connection.execute(
        """
        SELECT (SELECT count(*) FROM vector_embeddings WHERE namespace = %(namespace)s),
               (SELECT count(*) FROM embedding_jobs WHERE namespace = %(namespace)s),
               (SELECT count(*) FROM search_quality WHERE namespace = %(namespace)s),
               (SELECT count(*) FROM dead_letters WHERE namespace = %(namespace)s),
               to_regclass(%(leaf)s)
        """,
        {"namespace": first.namespace, "leaf": filled.leaf.table.as_string(connection)},
    ).fetchone()
    assert left == (5, 1, 1, 1, None)


def test_while_a_writer_writes_none_is_created_or_dropped(
    connection: psycopg.Connection,
    filled: Collection,
    create: Create,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collection_locks, "LOCK_SECONDS", 1)
    with database.connect() as writer, collections.settled(writer, filled.namespace) as known:
        for change in (lambda: collections.drop(connection, filled.name), lambda: create("third")):
            with pytest.raises(GreenLangError, match="nothing was changed"):
                change()
        assert collections.list_all(connection, filled.namespace) == known
    collections.drop(connection, filled.name)
    create("third")


def test_of_two_switches_at_once_the_later_wins(
    connection: psycopg.Connection,
    first: Collection,
    filled: Collection,
    create: Create,
    embed_all: EmbedAll,
    database: Database,
    settings: Settings,
) -> None:
    third = create("third")
    embed_all(connection, third.leaf)
    build_index(database, third.leaf, settings=settings)
    with database.connect() as other, ThreadPoolExecutor() as pool:
        with connection.transaction():
            collections.switch(connection, filled.name, FINGERPRINT)
            later = pool.submit(collections.switch, other, third.name, FINGERPRINT)
            with pytest.raises(TimeoutError):
                later.result(timeout=1)
        before = later.result()
    assert before is not None
    assert (before.name, serving(connection, first.namespace)) == (filled.name, third.name)
