"""Through a real PgBouncer in transaction mode (PRD 8.3), where clients share few sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from pydantic import SecretStr

from greenlang_vectors.embedding.embedders import Embedders
from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.search.nearest import nearest
from greenlang_vectors.service import EmbeddingConfig, EmbeddingRequest, EmbeddingService
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import (
    embedded,
    embeddings,
    leaves,
    maintenance,
    namespaces,
    roles,
    schema,
)
from greenlang_vectors.store.database import Database, open_database
from greenlang_vectors.store.index_settings import IndexSettings
from greenlang_vectors.store.leaves import Leaf

from ...pooler import PROGRAM, QUERY_SECONDS, PgBouncer
from ...replication import folder, until

pytestmark = pytest.mark.integration

PASSWORD = uuid4().hex
USERS = ("postgres", embedded.OWNER, "bounced_writer")

AddDocument = Callable[[psycopg.Connection, str, str, list[str]], UUID]


@pytest.fixture(scope="module")
def pgbouncer(server: str) -> Iterator[PgBouncer]:
    if PROGRAM is None:
        pytest.skip("PgBouncer is not on this machine (apt install pgbouncer)")
    sockets = Path(parse_qs(urlsplit(server).query)["host"][0])
    with folder() as place:
        made = PgBouncer(place, sockets, USERS, PASSWORD)
        made.start()
        yield made
        made.stop()


@pytest.fixture(scope="module")
def pooled(database: Database, pgbouncer: PgBouncer) -> Iterator[Database]:
    """The module's database, by way of PgBouncer."""
    made = Database(pgbouncer.url(database.url, embedded.OWNER))
    yield made
    made.close()


@contextmanager
def many(database: Database, count: int) -> Iterator[list[psycopg.Connection]]:
    """As many clients at once."""
    clients = [database.connect() for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def ef_search(connection: psycopg.Connection) -> str:
    row = connection.execute("SHOW hnsw.ef_search").fetchone()
    assert row is not None
    return str(row[0])


def answering(connection: psycopg.Connection) -> str:
    connection.execute("SELECT 1")
    return connection.info.host


def content(number: int) -> list[str]:
    return [f"Passage {number}.{i} on the due diligence of operators." for i in range(20)]


def embed(connection: psycopg.Connection, leaf: Leaf, fingerprint: str) -> int:
    """Write an embedding of every chunk, as an application does; return how many are new."""
    found = connection.execute(
        "SELECT document_id, chunk_index, content, content_hash FROM document_chunks"
        " WHERE namespace = %s ORDER BY document_id, chunk_index",
        [leaf.namespace],
    )
    chunks = [embeddings.PendingChunk("document", *row) for row in found]
    vectors = np.random.default_rng(7).normal(size=(len(chunks), leaf.dimensions)).astype("f4")
    return embeddings.write(connection, leaf, chunks, vectors, fingerprint=fingerprint).written


def test_the_sessions_are_shared(pooled: Database) -> None:
    """What the others rest on: a plain SET reaches strangers here."""
    with many(pooled, 8) as clients:
        assert len({c.execute("SELECT pg_backend_pid()").fetchone() for c in clients}) <= 2
        clients[0].execute("SET hnsw.ef_search = 77")
        seen = {ef_search(client) for client in clients[1:]}
        clients[0].execute("RESET hnsw.ef_search")
        assert "77" in seen
        assert "77" not in {ef_search(client) for client in clients}


def test_the_width_of_one_search_never_reaches_another(
    pooled: Database,
    database: Database,
    settings: Settings,
    leaf: Leaf,
    add_document: AddDocument,
) -> None:
    with pooled.connection() as connection:
        add_document(connection, leaf.namespace, "a", content(1))
        embed(connection, leaf, "one")
        usual = ef_search(connection)
    maintenance.maintain(database, leaf, settings)
    query = np.ones(leaf.dimensions, dtype=np.float32)

    def search(width: int) -> list[tuple[str, str]]:
        seen = []
        for _ in range(10):
            with pooled.reading() as connection:
                with connection.transaction():
                    nearest(
                        connection,
                        leaf,
                        query,
                        5,
                        index=IndexSettings(),
                        ef_search=width,
                        plan="index",
                    )
                    inside = ef_search(connection)
                seen.append((inside, ef_search(connection)))
        return seen

    widths = [101, 202, 303, 404, 505, 606]
    with ThreadPoolExecutor(len(widths)) as pool:
        for width, seen in zip(widths, pool.map(search, widths), strict=True):
            assert seen == [(str(width), usual)] * 10


def test_nothing_is_prepared_in_a_session(pooled: Database) -> None:
    with pooled.reading() as search, pooled.connection() as write, pooled.connect() as session:
        for connection in (search, write, session):
            for number in range(12):
                found = connection.execute("SELECT %s::integer", [number]).fetchone()
                assert found == (number,)
            row = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
            assert row == (0,)


def test_writers_share_sessions(pooled: Database, add_document: AddDocument) -> None:
    """Each of a namespace: new rows, and changed ones, which go through a temporary table."""
    names = [f"b{uuid4().hex[:8]}" for _ in range(4)]
    with pooled.connection() as connection:
        for name in names:
            namespaces.register(connection, name)

    def work(name: str) -> tuple[int, int]:
        leaf = Leaf(name, "test-model", 8)
        with pooled.connection() as connection:
            for number in range(3):
                add_document(connection, leaf.namespace, f"{number}", content(number))
            leaves.ensure_leaf(connection, leaf)
            return embed(connection, leaf, "one"), embed(connection, leaf, "two")

    with ThreadPoolExecutor(len(names)) as pool:
        assert set(pool.map(work, names)) == {(60, 60)}
    with pooled.connection() as connection:
        for name in names:
            namespaces.drop(connection, name)


def test_a_tenant_writes_and_searches(
    database: Database, pgbouncer: PgBouncer, leaf: Leaf, add_document: AddDocument
) -> None:
    """Whom row-level security binds copies into a temporary table of the shared session."""
    with database.connect() as connection:
        roles.create_login(connection, "bounced_writer", "writer", [leaf.namespace], PASSWORD)
        add_document(connection, leaf.namespace, "a", content(1))
    tenant = Database(pgbouncer.url(database.url, "bounced_writer"))
    query = np.ones(leaf.dimensions, dtype=np.float32)
    try:
        with tenant.connection() as connection:
            assert [embed(connection, leaf, made) for made in ("one", "two")] == [20, 20]
        with tenant.reading() as connection:
            nearest(connection, leaf, query, 5, index=IndexSettings())
            row = connection.execute("SELECT count(*) FROM vector_embeddings").fetchone()
        assert row == (20,)
    finally:
        tenant.close()
        with database.connect() as connection:
            roles.drop_login(connection, "bounced_writer")


def test_the_sdk_stores_and_finds(
    pooled: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, toys: Embedders
) -> None:
    monkeypatch.setattr("greenlang_vectors.service.embedders_of", lambda *_, **__: toys)
    service = EmbeddingService(pooled, settings, EmbeddingConfig("toy-16", dimensions=16))
    name = f"s{uuid4().hex[:8]}"
    with pooled.connection() as connection:
        namespaces.register(connection, name)

    def store(number: int) -> int:
        request = EmbeddingRequest(content(number), name, source_id=str(number))
        return service.sync.embed_and_store(request)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(store, range(6))) == [20] * 6
        found = list(
            pool.map(
                lambda n: service.sync.search(content(n)[0], name, top_k=3, threshold=0.0),
                range(6),
            )
        )
    assert [hits[0]["content"] for hits in found] == [content(n)[0] for n in range(6)]


def test_work_that_needs_a_session_is_refused(
    pooled: Database, database: Database, settings: Settings, leaf: Leaf
) -> None:
    with pytest.raises(DatabaseUnavailable, match="pooler"):
        maintenance.maintain(pooled, leaf, settings)
    with database.connect() as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone() == (0,)


def test_a_schema_is_not_brought_up_to_date_through_it(server: str, pgbouncer: PgBouncer) -> None:
    direct = embedded.owned_database(server, f"bounced_{uuid4().hex[:8]}")
    settings = Settings(database_url=SecretStr(pgbouncer.url(direct, embedded.OWNER)))
    with pytest.raises(DatabaseUnavailable, match="GREENLANG_DATABASE_URL lead to the server"):
        open_database(settings)
    with psycopg.connect(direct, autocommit=True) as connection:
        schema.migrate(connection)
    database = open_database(settings)
    with database.reading() as connection:
        connection.execute("SELECT 1")
    database.close()


def test_a_superuser_is_refused(database: Database, pgbouncer: PgBouncer) -> None:
    url = pgbouncer.url(database.url, "postgres")
    with pytest.raises(DatabaseUnavailable, match="names a superuser"):
        open_database(Settings(database_url=SecretStr(url)))
    with_reader = Database(database.url, [url])
    try:
        until(lambda: with_reader.endpoints()[1].healthy)
        with with_reader.reading() as connection:
            assert connection.info.host != "127.0.0.1"
    finally:
        with_reader.close()


def test_readers_behind_it_are_watched(database: Database, pgbouncer: PgBouncer) -> None:
    through = Database(database.url, [pgbouncer.url(database.url, embedded.OWNER)])

    def where() -> str:
        return through.read(answering)

    try:
        until(lambda: through.endpoints()[1].healthy)
        assert where() == "127.0.0.1"
        pgbouncer.stop()
        assert where() != "127.0.0.1"
        pgbouncer.start()
        until(lambda: through.endpoints()[1].healthy)
        assert where() == "127.0.0.1"
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable), through.reading() as connection:
            connection.execute("SELECT pg_sleep(20)")
        assert time.monotonic() - started < QUERY_SECONDS + 3
    finally:
        through.close()


def test_leaves_are_made_by_one_of_many(pooled: Database) -> None:
    leaf = Leaf(f"m{uuid4().hex[:8]}", "test-model", 8)
    with pooled.connection() as connection:
        namespaces.register(connection, leaf.namespace)

    def make(_: int) -> None:
        with pooled.connection() as connection:
            leaves.ensure_leaf(connection, leaf)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(make, range(6)))
    with pooled.connection() as connection:
        assert connection.execute(
            "SELECT count(*) FROM embedding_collections WHERE namespace = %s", [leaf.namespace]
        ).fetchone() == (1,)
