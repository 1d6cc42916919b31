"""The audit log: what each statement leaves in it, what it never holds, who may touch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray
from psycopg import sql

from greenlang_vectors.chunking.model import content_hash
from greenlang_vectors.store import audit, documents, leaves, namespaces, roles, writing
from greenlang_vectors.store.audit import AuditRecord, EmbeddingChange
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.identity import embedding_ids
from greenlang_vectors.store.leaves import Leaf
from greenlang_vectors.store.writing import EmbeddingRow

from ..conftest import wait_until_gone

pytestmark = pytest.mark.integration

AddDocument = Callable[[psycopg.Connection, str, str, Sequence[str]], UUID]
EmbedAll = Callable[[psycopg.Connection, Leaf], int]
Login = Callable[[roles.Right], psycopg.Connection]

PASSWORD = "correct horse battery"  # noqa: S105 - of logins that live as long as a test

INSERT = """
    INSERT INTO {} (namespace, embedding_model, id, source_type, source_id, chunk_index,
                    content_hash, content_preview, embedding, embedding_fingerprint, metadata)
    SELECT %(namespace)s, %(model)s, gen_random_uuid(), 'sdk', gen_random_uuid(), 0,
           encode(sha256(i::text::bytea), 'hex'), 'preview',
           array_fill(1, ARRAY[%(dimensions)s])::vector, 'f', jsonb_build_object('number', i)
    FROM generate_series(1, %(rows)s) AS i
"""


def insert(
    connection: psycopg.Connection, leaf: Leaf, rows: int, into: sql.Identifier | None = None
) -> None:
    connection.execute(
        sql.SQL(INSERT).format(into or leaf.table),
        {
            "namespace": leaf.namespace,
            "model": leaf.model,
            "dimensions": leaf.dimensions,
            "rows": rows,
        },
    )


def stored(connection: psycopg.Connection, leaf: Leaf) -> dict[UUID, tuple[str, dict[str, int]]]:
    rows = connection.execute(
        sql.SQL("SELECT id, content_hash, metadata FROM {}").format(leaf.table)
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def logged(connection: psycopg.Connection, leaf: Leaf) -> list[tuple[str, str, int]]:
    """Operation, table and number of embeddings of each record, in the order they came."""
    found = audit.records(connection, leaf.namespace, limit=1000)
    return [(one.operation, one.table, one.embeddings) for one in reversed(found)]


def history(connection: psycopg.Connection, leaf: Leaf, embedding: UUID) -> list[EmbeddingChange]:
    return audit.history(connection, leaf.namespace, embedding, limit=1000)[::-1]


def removed(connection: psycopg.Connection, namespace: str, operation: str) -> dict[UUID, str]:
    """Hash by id of everything the log proves removed."""
    rows = connection.execute(
        """
        SELECT gone.id, gone.hash
        FROM vector_audit_log, unnest(record_ids, old_hashes) AS gone (id, hash)
        WHERE namespace = %s AND operation = %s AND new_hashes IS NULL
        """,
        [namespace, operation],
    )
    return dict(rows.fetchall())


def identity_of(leaf: Leaf, source: UUID, chunk_index: int) -> UUID:
    [made] = embedding_ids(leaf.namespace, [(source, chunk_index)], leaf.model)
    return UUID(bytes=made.tobytes())


def ones(rows: int, leaf: Leaf) -> NDArray[np.float32]:
    return np.ones((rows, leaf.dimensions), np.float32)


def test_what_is_written_changed_and_removed_can_be_told_again(
    database: Database, leaf: Leaf
) -> None:
    source = uuid4()

    def put(text: str, metadata: dict[str, object]) -> None:
        row = EmbeddingRow("sdk", source, 0, content_hash(text), text, metadata)
        writing.write(connection, leaf, [row], ones(1, leaf), fingerprint="f")

    with database.connect() as connection:
        put("first", {"page": 1})
        put("first", {"page": 1})
        put("second", {"page": 1})
        put("second", {"page": 2})
        connection.execute("DELETE FROM vector_embeddings WHERE namespace = %s", [leaf.namespace])
        told = history(connection, leaf, identity_of(leaf, source, 0))
        first, second = content_hash("first"), content_hash("second")
        assert [
            (one.operation, one.old_hash, one.new_hash, one.old_metadata, one.new_metadata)
            for one in told
        ] == [
            ("INSERT", None, first, None, None),
            ("UPDATE", first, second, None, None),
            ("UPDATE", second, second, {"page": 1}, {"page": 2}),
            ("DELETE", second, None, {"page": 2}, None),
        ]
        assert [one.table for one in told] == [*[leaf.name] * 3, "vector_embeddings"]


@pytest.mark.parametrize("level", ["root", "namespace", "leaf"])
def test_a_statement_is_recorded_once_whichever_table_it_names(
    database: Database, leaf: Leaf, level: str
) -> None:
    table = {
        "root": sql.Identifier("vector_embeddings"),
        "namespace": namespaces.partition("vector_embeddings", leaf.namespace),
        "leaf": leaf.table,
    }[level]
    with database.connect() as connection:
        insert(connection, leaf, 3, table)
        here = sql.SQL(" WHERE namespace = {}").format(leaf.namespace)
        connection.execute(sql.SQL("UPDATE {} SET content_preview = ''").format(table) + here)
        connection.execute(sql.SQL("DELETE FROM {}").format(table) + here)
        connection.execute(sql.SQL("DELETE FROM {}").format(table) + here)
        assert [(one[0], one[2]) for one in logged(connection, leaf)] == [
            ("INSERT", 3),
            ("UPDATE", 3),
            ("DELETE", 3),
        ]


def test_a_row_that_gets_another_id_is_removed_and_added(database: Database, leaf: Leaf) -> None:
    with database.connect() as connection:
        insert(connection, leaf, 1)
        [(old, (its_hash, _))] = stored(connection, leaf).items()
        new = uuid4()
        connection.execute(sql.SQL("UPDATE {} SET id = %s").format(leaf.table), [new])
        assert history(connection, leaf, old)[-1].old_hash == its_hash
        assert history(connection, leaf, old)[-1].new_hash is None
        assert [one.new_hash for one in history(connection, leaf, new)] == [its_hash]


def test_every_row_of_a_large_statement_is_recorded_once(database: Database, leaf: Leaf) -> None:
    with database.connect() as connection:
        insert(connection, leaf, 20_001)
        before = stored(connection, leaf)
        connection.execute(sql.SQL("DELETE FROM {}").format(leaf.table))
        assert [one[2] for one in logged(connection, leaf)] == [10_000, 10_000, 1] * 2
        assert removed(connection, leaf.namespace, "DELETE") == {
            embedding: its_hash for embedding, (its_hash, _) in before.items()
        }


def test_removing_a_document_proves_which_embeddings_went(
    database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    with database.connect() as connection:
        document = add_document(connection, leaf.namespace, "a.txt", ["one", "two"])
        embed_all(connection, leaf)
        documents.remove(connection, leaf.namespace, document, cache_seconds=60)
        assert removed(connection, leaf.namespace, "DELETE") == {
            identity_of(leaf, document, i): content_hash(text)
            for i, text in enumerate(["one", "two"])
        }


def test_a_cascade_is_recorded(
    database: Database, leaf: Leaf, add_document: AddDocument, embed_all: EmbedAll
) -> None:
    with database.connect() as connection:
        document = add_document(connection, leaf.namespace, "a.txt", ["one", "two"])
        embed_all(connection, leaf)
        connection.execute(
            sql.SQL(
                "ALTER TABLE {} ADD FOREIGN KEY (namespace, source_id) REFERENCES {} "
                "ON DELETE CASCADE"
            ).format(leaf.table, namespaces.partition("documents", leaf.namespace))
        )
        connection.execute("DELETE FROM documents WHERE id = %s", [document])
        assert len(removed(connection, leaf.namespace, "DELETE")) == 2


@pytest.mark.parametrize("named", ["root", "leaf"])
def test_truncate_is_recorded_row_by_row(database: Database, leaf: Leaf, named: str) -> None:
    with database.connect() as connection:
        insert(connection, leaf, 3)
        before = stored(connection, leaf)
        table = leaf.table if named == "leaf" else sql.Identifier("vector_embeddings")
        connection.execute(sql.SQL("TRUNCATE {}").format(table))
        assert logged(connection, leaf)[1:] == [("TRUNCATE", leaf.name, 3)]
        for embedding, (its_hash, metadata) in before.items():
            last = history(connection, leaf, embedding)[-1]
            assert (last.old_hash, last.old_metadata) == (its_hash, metadata)


def test_dropping_a_leaf_or_a_namespace_leaves_its_record(database: Database, leaf: Leaf) -> None:
    other = Leaf(leaf.namespace, "other-model", leaf.dimensions)
    with database.connect() as connection:
        leaves.ensure_leaf(connection, other)
        insert(connection, other, 2)
        insert(connection, leaf, 3)
        expected = {
            embedding: its_hash
            for one in (leaf, other)
            for embedding, (its_hash, _) in stored(connection, one).items()
        }
        leaves.drop_leaf(connection, other)
        assert logged(connection, leaf)[2:] == [("DROP", other.name, 2)]
        namespaces.drop(connection, leaf.namespace)
        assert logged(connection, leaf)[3:] == [("DROP", leaf.name, 3)]
        assert removed(connection, leaf.namespace, "DROP") == expected

        namespaces.register(connection, leaf.namespace)
        leaves.ensure_leaf(connection, leaf)
        insert(connection, leaf, 1)
        assert logged(connection, leaf)[4:] == [("INSERT", leaf.name, 1)]


def test_a_leaf_can_be_searched_while_its_drop_is_recorded(database: Database, leaf: Leaf) -> None:
    with database.connect() as dropping, database.connect() as searching, dropping.transaction():
        insert(searching, leaf, 3)
        audit.record_drop(dropping, leaf.table)
        searching.execute("SET lock_timeout = '1s'")
        assert len(stored(searching, leaf)) == 3
        with pytest.raises(psycopg.errors.LockNotAvailable):
            insert(searching, leaf, 1)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            searching.execute(
                "DELETE FROM vector_embeddings WHERE namespace = %s", [leaf.namespace]
            )


def test_what_was_rolled_back_is_not_in_the_log(database: Database, leaf: Leaf) -> None:
    with database.connect() as connection:
        with connection.transaction(force_rollback=True):
            insert(connection, leaf, 2)
        assert logged(connection, leaf) == []


def test_one_statement_over_two_namespaces_leaves_a_record_in_each(
    database: Database, leaf: Leaf
) -> None:
    neighbour = Leaf(f"{leaf.namespace}n", leaf.model, leaf.dimensions)
    with database.connect() as connection:
        namespaces.register(connection, neighbour.namespace)
        leaves.ensure_leaf(connection, neighbour)
        insert(connection, leaf, 2)
        insert(connection, neighbour, 3)
        connection.execute(
            "DELETE FROM vector_embeddings WHERE namespace = ANY(%s)",
            [[leaf.namespace, neighbour.namespace]],
        )
        assert logged(connection, leaf)[1:] == [("DELETE", "vector_embeddings", 2)]
        assert logged(connection, neighbour)[1:] == [("DELETE", "vector_embeddings", 3)]


@pytest.mark.parametrize("named", ["root", "namespace", "leaf"])
def test_one_insert_of_several_models_leaves_a_record_of_each(
    database: Database, leaf: Leaf, named: str
) -> None:
    """Into the leaf too, where it was made for several models."""
    parent = namespaces.partition("vector_embeddings", leaf.namespace)
    mixed = sql.Identifier(f"mixed_{leaf.namespace}")
    table = {"root": sql.Identifier("vector_embeddings"), "namespace": parent, "leaf": mixed}[named]
    with database.connect() as connection:
        connection.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES IN ('one', 'two')").format(
                mixed, parent
            )
        )
        audit.watch(connection, mixed)
        connection.execute(
            sql.SQL(
                """
                INSERT INTO {} (namespace, embedding_model, id, source_type, source_id,
                                content_hash, embedding, embedding_fingerprint)
                SELECT %s, model, gen_random_uuid(), 'sdk', gen_random_uuid(),
                       repeat('0', 64), '[1]', 'f'
                FROM unnest(ARRAY['one', 'two', 'two']) AS model
                """
            ).format(table),
            [leaf.namespace],
        )
        found = audit.records(connection, leaf.namespace, limit=10)
    assert sorted((one.model, one.embeddings) for one in found) == [("one", 1), ("two", 2)]


def test_an_insert_of_nothing_leaves_no_record(database: Database, leaf: Leaf) -> None:
    with database.connect() as connection:
        insert(connection, leaf, 0)
        assert logged(connection, leaf) == []


def test_neither_the_vector_nor_the_text_is_in_the_log(database: Database, leaf: Leaf) -> None:
    vector = np.full((1, leaf.dimensions), 0.8125, np.float32)
    row = EmbeddingRow("sdk", uuid4(), 0, content_hash("unspeakable"), "unspeakable", {"page": 1})
    with database.connect() as connection:
        writing.write(connection, leaf, [row], vector, fingerprint="f")
        connection.execute(
            sql.SQL("UPDATE {} SET content_preview = 'unspeakable too'").format(leaf.table)
        )
        connection.execute(sql.SQL("TRUNCATE {}").format(leaf.table))
        whole = str(
            connection.execute(
                "SELECT l::text FROM vector_audit_log l WHERE namespace = %s", [leaf.namespace]
            ).fetchall()
        )
        assert row.content_hash in whole
        assert "unspeakable" not in whole
        assert "0.8125" not in whole


@pytest.fixture
def login(database: Database, leaf: Leaf) -> Iterator[Login]:
    """Connects as a fresh login that is reader, writer or admin, of the leaf's namespace only
    unless it is admin."""
    made: list[tuple[str, psycopg.Connection]] = []

    def connect(right: roles.Right) -> psycopg.Connection:
        name = f"t_{uuid4().hex[:10]}"
        with database.connect() as connection:
            where = [] if right == "admin" else [leaf.namespace]
            roles.create_login(connection, name, right, where, PASSWORD)
        url = urlunsplit(urlsplit(database.url)._replace(netloc=f"{name}:{quote(PASSWORD)}@"))
        made.append((name, psycopg.connect(url, autocommit=True)))
        return made[-1][1]

    yield connect
    with database.connect() as connection:
        for _, opened in made:
            opened.close()
        wait_until_gone(connection, [name for name, _ in made])
        for name, _ in made:
            roles.drop_login(connection, name)


def test_the_log_says_who_it_was_and_in_which_role(
    database: Database, leaf: Leaf, login: Login
) -> None:
    began = datetime.now(UTC)
    admin = login("admin")
    insert(admin, leaf, 1)
    admin.execute("SET ROLE vector_admin")
    insert(admin, leaf, 1)
    with database.connect() as connection:
        found: list[AuditRecord] = audit.records(connection, leaf.namespace, limit=10)[::-1]
        who = admin.info.user
        assert [(one.changed_by, one.acting_as) for one in found] == [
            (who, who),
            (who, "vector_admin"),
        ]
        assert began - timedelta(seconds=5) < found[0].changed_at < found[1].changed_at
        assert found[0].transaction_id < found[1].transaction_id


def test_a_writer_leaves_records_that_he_cannot_touch(
    database: Database, leaf: Leaf, login: Login
) -> None:
    writer = login("writer")
    insert(writer, leaf, 2)
    for attempt in (
        "UPDATE vector_audit_log SET changed_by = 'nobody'",
        "DELETE FROM vector_audit_log",
        "TRUNCATE vector_audit_log",
        "INSERT INTO vector_audit_log (namespace, operation, table_name, embedding_model,"
        " record_ids) VALUES ('x', 'DELETE', 'x', 'x', '{}')",
        "SELECT audit_vector_removal('vector_embeddings', 'DROP')",
        "SELECT audit_vector_drop('vector_embeddings')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writer.execute(attempt)
    with database.connect() as connection:
        [record] = audit.records(connection, leaf.namespace, limit=10)
        assert (record.changed_by, record.embeddings) == (writer.info.user, 2)


def test_a_writer_cannot_divert_records_to_a_table_of_his_own(
    database: Database, leaf: Leaf, login: Login
) -> None:
    writer = login("writer")
    writer.execute("CREATE TEMP TABLE vector_audit_log (LIKE vector_audit_log INCLUDING ALL)")
    writer.execute("SET search_path = pg_temp, public")
    insert(writer, leaf, 1)
    with database.connect() as connection:
        assert logged(connection, leaf) == [("INSERT", leaf.name, 1)]


def test_nobody_can_forge_records_with_a_table_of_his_own(login: Login) -> None:
    writer = login("writer")
    writer.execute("CREATE TEMP TABLE forged (LIKE vector_embeddings)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="audit_vector_changes"):
        writer.execute(
            "CREATE TRIGGER t AFTER INSERT ON forged REFERENCING NEW TABLE AS new_rows"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_vector_changes()"
        )


def test_a_tenant_reads_the_records_of_his_namespace_only(
    database: Database, leaf: Leaf, login: Login
) -> None:
    neighbour = Leaf(f"{leaf.namespace}n", leaf.model, leaf.dimensions)
    with database.connect() as connection:
        namespaces.register(connection, neighbour.namespace)
        leaves.ensure_leaf(connection, neighbour)
        insert(connection, neighbour, 1)
        insert(connection, leaf, 1)
    seen = login("reader").execute("SELECT namespace FROM vector_audit_log").fetchall()
    assert seen == [(leaf.namespace,)]


def test_records_can_be_narrowed_down(database: Database, leaf: Leaf) -> None:
    with database.connect() as connection:
        insert(connection, leaf, 1)
        insert(connection, leaf, 2)
        connection.execute(sql.SQL("DELETE FROM {}").format(leaf.table))
        newest, second, first = audit.records(connection, leaf.namespace, limit=10)
        found = partial(audit.records, connection, leaf.namespace)
        assert found(operation="DELETE", limit=10) == [newest]
        assert found(since=second.changed_at, limit=10) == [newest, second]
        assert found(operation="INSERT", limit=1) == [second]
        assert found(operation="INSERT", limit=10) == [second, first]


def test_pgaudit_is_said_to_be_missing_where_it_is(database: Database) -> None:
    with database.connect() as connection:
        said = audit.configure_pgaudit(connection)
        assert "not installed" in said
        assert "shared_preload_libraries" in said
