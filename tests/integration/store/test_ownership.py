"""Who the application is to the database: the owner, never a superuser."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy import create_engine

from greenlang_vectors.errors import DatabaseUnavailable
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import embedded, maintenance, namespaces, roles, schema
from greenlang_vectors.store.database import DATABASE_NAME, ensure_database, open_database
from greenlang_vectors.store.leaves import Leaf

pytestmark = pytest.mark.integration


def facts(connection: psycopg.Connection) -> tuple[object, ...]:
    """(effective user, whether it has a superuser's rights)."""
    row = connection.execute("SELECT current_user, current_setting('is_superuser')").fetchone()
    assert row is not None
    return row


def test_the_embedded_server_is_used_by_the_owner_of_the_database(settings: Settings) -> None:
    database = open_database(settings)
    with database.connect() as connection:
        assert facts(connection) == (embedded.OWNER, "off")
        name = f"owned-{uuid4().hex[:6]}"
        namespaces.register(connection, name)
        namespaces.drop(connection, name)


def test_only_the_system_user_gets_in_without_a_password(settings: Settings) -> None:
    database = open_database(settings)
    with database.connect() as connection:
        login = f"t_{uuid4().hex[:8]}"
        roles.create_login(connection, login, "reader", [], "correct horse battery")
        without = urlunsplit(urlsplit(database.url)._replace(netloc=f"{login}@"))
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(without)
        roles.drop_login(connection, login)


def test_a_superuser_from_outside_gives_its_rights_up(
    server: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = ensure_database(server, f"outside_{uuid4().hex[:8]}")
    with caplog.at_level(logging.WARNING):
        database = open_database(Settings(database_url=SecretStr(url)))
    assert [record.message for record in caplog.records if "superuser" in record.message]
    with database.connect() as connection, database.connection() as pooled:
        assert facts(connection) == facts(pooled) == (roles.ADMIN, "off")
        namespaces.register(connection, f"outside-{uuid4().hex[:6]}")
    database.close()


def test_a_role_that_may_not_is_told_in_one_sentence(server: str, settings: Settings) -> None:
    database = open_database(settings)
    login, password = f"t_{uuid4().hex[:8]}", "correct horse battery"
    with database.connect() as connection:
        roles.create_login(connection, login, "reader", [], password)
        empty = urlsplit(embedded.owned_database(server, f"empty_{uuid4().hex[:8]}"))
        url = urlunsplit(empty._replace(netloc=f"{login}:{quote(password)}@"))
        with pytest.raises(DatabaseUnavailable, match="may not") as caught:
            open_database(Settings(database_url=SecretStr(url)))
        assert password not in str(caught.value)
        roles.drop_login(connection, login)


def test_a_data_directory_of_the_first_version_goes_on(own_data_dir: Path) -> None:
    """There a superuser owned everything, and whoever reached the socket was let in."""
    server = embedded.start(own_data_dir)
    pgdata = own_data_dir / "postgres"
    (pgdata / "pg_hba.conf").write_text("local all all trust\nlocal replication all trust\n")
    (pgdata / "pg_ident.conf").write_text("")
    os.kill(int((pgdata / "postmaster.pid").read_text().split()[0]), signal.SIGHUP)
    url = ensure_database(server, DATABASE_NAME)
    _first_version(url)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute(
            """
            INSERT INTO namespaces (name, chunking) VALUES ('csrd', 'semantic');
            CREATE TABLE vector_embeddings_csrd PARTITION OF vector_embeddings
                FOR VALUES IN ('csrd') PARTITION BY LIST (embedding_model);
            CREATE TABLE vector_embeddings_csrd__m PARTITION OF vector_embeddings_csrd
                FOR VALUES IN ('m');
            INSERT INTO vector_embeddings (namespace, id, source_type, source_id, content_hash,
                embedding, embedding_model, embedding_fingerprint)
            VALUES ('csrd', gen_random_uuid(), 'd', gen_random_uuid(), '', '[1]', 'm', 'f');
            """
        )
        leaf = Leaf("csrd", "m", 1)
        superuser.execute(
            "INSERT INTO embedding_collections (id, name, namespace, embedding_model, dimensions)"
            " VALUES (%s, 'csrd/m', 'csrd', 'm', 1)",
            [leaf.collection_id],
        )
        superuser.execute(
            "CREATE INDEX vector_embeddings_csrd__m__hnsw_m8_ef100 ON vector_embeddings_csrd__m"
            " USING hnsw ((embedding::vector(1)) vector_cosine_ops)"
        )
    settings = Settings(data_dir=own_data_dir)
    database = open_database(settings)
    report = maintenance.maintain(database, leaf, settings)
    assert report.dropped == ("vector_embeddings_csrd__m__hnsw_m8_ef100",)
    assert len(report.built) == 1
    with database.connect() as connection:
        assert facts(connection) == (embedded.OWNER, "off")
        assert schema.current(connection) == schema.head()
        namespaces.register(connection, "csrd")
        assert connection.execute("SELECT count(*) FROM vector_embeddings").fetchone() == (1,)
        assert connection.execute(
            "SELECT DISTINCT relowner::regrole::text, relrowsecurity FROM pg_class"
            " WHERE relname LIKE 'vector_embeddings%' AND relkind IN ('r', 'p')"
        ).fetchall() == [(roles.ADMIN, True)]
        roles.create_login(connection, "tenant", "reader", ["csrd"], "correct horse battery")
    tenant = urlsplit(database.url)._replace(netloc="tenant:correct%20horse%20battery@")
    with psycopg.connect(urlunsplit(tenant)) as connection:
        assert connection.execute("SELECT count(*) FROM vector_embeddings").fetchone() == (1,)


def _first_version(url: str) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    with engine.begin() as bound:
        config.attributes["connection"] = bound
        command.upgrade(config, "0001")
    engine.dispose()
