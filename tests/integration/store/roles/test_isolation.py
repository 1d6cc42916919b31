"""Tenants are kept apart by PostgreSQL: what raw SQL from a tenant's own connection can do."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors, sql

from greenlang_vectors.store import embedded, leaves, namespaces, schema
from greenlang_vectors.store.database import Database
from greenlang_vectors.store.leaves import Leaf

from .tenants import (
    DIMENSIONS,
    MODEL,
    UNBOUND,
    Connect,
    Tenants,
    count,
    namespaced_tables,
    partitions_of,
    shown,
)

pytestmark = pytest.mark.integration


@pytest.mark.usefixtures("tenants")
def test_every_table_with_rows_of_namespaces_is_secured(database: Database) -> None:
    with database.connect() as connection:
        unsecured = connection.execute(
            """
            SELECT relname FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
              AND relname <> ALL(%s) AND NOT (
                  relrowsecurity AND relowner = 'vector_admin'::regrole
                  AND EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid))
            """,
            [list(UNBOUND)],
        ).fetchall()
        views = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind IN ('v', 'm') AND relacl IS NOT NULL"
        ).fetchall()
    assert unsecured == [], "end the migration that makes it with SELECT secure_schema()"
    assert views == [], "a view shows the rows its owner sees, whoever asks"


def test_the_application_is_no_superuser(database: Database) -> None:
    with database.connect() as connection:
        assert connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcreatedb, rolreplication FROM pg_roles"
            " WHERE rolname = session_user"
        ).fetchone() == (False, False, False, False)


def test_databases_of_one_server_may_be_set_up_at_once(
    server: str,
) -> None:
    names = [f"shared-{uuid4().hex[:6]}" for _ in range(20)]
    urls = [embedded.owned_database(server, f"test_{uuid4().hex[:12]}") for _ in range(3)]
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        assert list(pool.map(set_up, urls, [names] * 3)) == [sorted(names)] * 3


def set_up(url: str, names: list[str]) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        schema.migrate(connection)
        for name in names:
            namespaces.register(connection, name)
        return [namespace.name for namespace in namespaces.list_all(connection)]


def test_a_reader_sees_its_own_rows_alone_through_any_table(
    reader: psycopg.Connection, superuser: psycopg.Connection, tenants: Tenants
) -> None:
    for table in namespaced_tables(superuser):
        assert tenants.theirs in shown(superuser, table), f"{table} was not filled"
        assert tenants.ours in shown(reader, table), table
        assert tenants.theirs not in shown(reader, table), table


def test_a_reader_may_open_its_own_partitions_alone(
    reader: psycopg.Connection, superuser: psycopg.Connection, tenants: Tenants
) -> None:
    ours, theirs = (partitions_of(superuser, n) for n in (tenants.ours, tenants.theirs))
    assert len(ours) == len(theirs) > len(namespaces.PARTITIONED_TABLES)
    for table in ours:
        assert count(reader, table) == 1, table
    for table in [*theirs, "embedding_cache", "pg_authid"]:
        with pytest.raises(errors.InsufficientPrivilege):
            count(reader, table)
        with pytest.raises(errors.InsufficientPrivilege):
            reader.execute(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table)))


def test_a_grant_given_by_mistake_shows_nothing(
    database: Database, reader: psycopg.Connection, tenants: Tenants
) -> None:
    with database.connect() as connection:
        before = {t: shown(reader, t) for t in namespaced_tables(connection)}
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")
        try:
            for table in partitions_of(connection, tenants.theirs):
                assert count(reader, table) == 0, table
            assert {t: shown(reader, t) for t in before} == before
        finally:
            connection.execute("REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM PUBLIC")


def test_functions_of_the_tenant_are_shown_nothing(
    reader: psycopg.Connection, tenants: Tenants
) -> None:
    """A cheap function is tried first, a cast that fails tells its value: but of own rows only."""
    told: list[str] = []
    reader.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    reader.execute(
        """
        CREATE FUNCTION pg_temp.tell(value text) RETURNS boolean LANGUAGE plpgsql
        COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', value; RETURN true; END $$
        """
    )
    for table in ("documents", "document_chunks", "namespaces", "vector_embeddings"):
        reader.execute(
            sql.SQL("SELECT FROM {0} t WHERE pg_temp.tell(t::text)").format(sql.Identifier(table))
        )
    assert any(tenants.ours in line for line in told)
    assert not [line for line in told if tenants.theirs in line]
    with pytest.raises(errors.InvalidTextRepresentation) as caught:
        reader.execute("SELECT FROM dead_letters WHERE message::integer = 1")
    assert tenants.theirs not in str(caught.value)
    reader.execute(
        "SELECT FROM dead_letters WHERE namespace = %s AND message::int = 1", [tenants.theirs]
    )


@pytest.mark.usefixtures("tenants")
def test_statistics_of_rows_tell_nothing(
    reader: psycopg.Connection, superuser: psycopg.Connection
) -> None:
    superuser.execute("ANALYZE")
    query = "SELECT tablename FROM pg_stats WHERE schemaname = 'public' AND tablename <> ALL(%s)"
    assert superuser.execute(query, [list(UNBOUND)]).fetchall()
    assert reader.execute(query, [list(UNBOUND)]).fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE vector_reader",
        "SET ROLE vector_writer",
        "SET ROLE vector_admin",
        "SET ROLE greenlang_owner",
        "SET SESSION AUTHORIZATION postgres",
        "GRANT vector_reader TO CURRENT_USER",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "ALTER ROLE CURRENT_USER CREATEROLE",
        "CREATE ROLE sneaked",
        "SELECT rolpassword FROM pg_authid",
        "SELECT passwd FROM pg_shadow",
        "SET session_replication_role = replica",
        "ALTER TABLE documents DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON documents USING (true)",
        "DROP POLICY read ON documents",
        "CREATE TABLE public.planted (x integer)",
        "CREATE FUNCTION public.planted() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "SELECT secure_schema()",
        "SELECT forget_namespace('csrd')",
        "TRUNCATE document_chunks",
        "CREATE INDEX ON documents (title)",
        "CREATE TRIGGER t BEFORE INSERT ON documents FOR EACH ROW EXECUTE FUNCTION"
        " suppress_redundant_updates_trigger()",
        "COPY documents TO PROGRAM 'cat'",
        "SELECT pg_read_file('PG_VERSION')",
    ],
)
def test_a_tenant_cannot_raise_itself(writer: psycopg.Connection, statement: LiteralString) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        writer.execute(statement)


def test_switching_row_security_off_is_an_error(reader: psycopg.Connection) -> None:
    with reader.transaction(force_rollback=True):
        reader.execute("SET LOCAL row_security = off")
        with pytest.raises(errors.InsufficientPrivilege), reader.transaction():
            count(reader, "documents")


def test_a_reader_writes_nothing(reader: psycopg.Connection, superuser: psycopg.Connection) -> None:
    for table in [*namespaced_tables(superuser), *UNBOUND]:
        for statement in ("DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES", "TRUNCATE {}"):
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute(sql.SQL(statement).format(sql.Identifier(table)))
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute("UPDATE documents SET title = 'x'")
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute("SELECT FROM documents FOR UPDATE")


def test_a_writer_changes_its_own_rows_alone(
    writer: psycopg.Connection, superuser: psycopg.Connection, tenants: Tenants
) -> None:
    before = {t: shown(superuser, t) for t in partitions_of(superuser, tenants.theirs)}
    with writer.transaction(force_rollback=True):
        assert writer.execute("UPDATE documents SET title = 'mine'").rowcount == 1
        assert writer.execute("UPDATE embedding_jobs SET status = 'failed'").rowcount == 1
        for table in ("document_chunks", "vector_embeddings", "dead_letters"):
            deleted = writer.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            assert deleted.rowcount == 1, table
        assert {t: shown(superuser, t) for t in before} == before
    for theirs in before:
        for statement in ("DELETE FROM {}", "TRUNCATE {}", "INSERT INTO {} DEFAULT VALUES"):
            with pytest.raises(errors.InsufficientPrivilege):
                writer.execute(sql.SQL(statement).format(sql.Identifier(theirs)))


def test_a_writer_plants_nothing_with_another(writer: psycopg.Connection, tenants: Tenants) -> None:
    copied = (
        "INSERT INTO dead_letters (namespace, id, stage, item, reason, message, remedy)"
        " SELECT %s, gen_random_uuid(), stage, item, reason, message, remedy FROM dead_letters"
    )
    with pytest.raises(errors.InsufficientPrivilege):
        writer.execute(copied, [tenants.theirs])
    with pytest.raises(errors.InsufficientPrivilege):
        writer.execute("UPDATE dead_letters SET namespace = %s", [tenants.theirs])
    writer.execute(copied, [tenants.ours])


def test_a_writer_writes_no_measurement_check_or_registry_row(
    writer: psycopg.Connection, superuser: psycopg.Connection
) -> None:
    written = {
        "documents",
        "document_chunks",
        "vector_embeddings",
        "embedding_jobs",
        "dead_letters",
        "vector_search_logs",
    }
    for table in {*namespaced_tables(superuser), *UNBOUND} - written:
        for statement in ("DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES"):
            with pytest.raises(errors.InsufficientPrivilege):
                writer.execute(sql.SQL(statement).format(sql.Identifier(table)))
    for kept in ("DELETE FROM documents", "DELETE FROM vector_search_logs"):
        with pytest.raises(errors.InsufficientPrivilege):
            writer.execute(kept)


def test_a_key_of_another_tenant_is_not_told_from_a_free_one(
    writer: psycopg.Connection, superuser: psycopg.Connection, tenants: Tenants
) -> None:
    """Every unique key holds the namespace: taking one of theirs neither fails nor shows."""
    row = superuser.execute(
        "SELECT id FROM dead_letters WHERE namespace = %s", [tenants.theirs]
    ).fetchone()
    assert row is not None
    with writer.transaction(force_rollback=True):
        assert (
            writer.execute(
                "INSERT INTO dead_letters (namespace, id, stage, item, reason, message, remedy)"
                " VALUES (%s, %s, '', '', '', '', '') ON CONFLICT DO NOTHING",
                [tenants.ours, row[0]],
            ).rowcount
            == 1
        )


def test_a_reader_here_who_writes_there_does_not_write_here(
    connect: Connect, tenants: Tenants
) -> None:
    both = connect(("reader", tenants.ours), ("writer", tenants.theirs))
    with both.transaction(force_rollback=True):
        assert both.execute("SELECT count(*) FROM documents").fetchone() == (2,)
        changed = both.execute("UPDATE documents SET title = 'x' RETURNING namespace")
        assert changed.fetchall() == [(tenants.theirs,)]
    everywhere = connect(("reader", None), ("writer", tenants.ours))
    with everywhere.transaction(force_rollback=True):
        changed = everywhere.execute("UPDATE documents SET title = 'x' RETURNING namespace")
        assert changed.fetchall() == [(tenants.ours,)]


def test_the_roles_of_all_namespaces_do_what_the_prd_says(
    connect: Connect, superuser: psycopg.Connection, tenants: Tenants
) -> None:
    for right in ("reader", "writer", "admin"):
        login = connect((right, None))
        for table in namespaced_tables(superuser):
            assert tenants.ours in shown(login, table), (right, table)
            assert tenants.theirs in shown(login, table), (right, table)
        with login.transaction(force_rollback=True):
            if right == "reader":
                with pytest.raises(errors.InsufficientPrivilege):
                    login.execute("UPDATE documents SET title = 'x'")
            else:
                assert login.execute("UPDATE documents SET title = 'x'").rowcount == 2
        if right != "admin":
            with pytest.raises(errors.InsufficientPrivilege):
                login.execute("TRUNCATE vector_embeddings")


def test_an_admin_makes_and_removes_namespaces_and_their_roles(
    connect: Connect, database: Database, superuser: psycopg.Connection
) -> None:
    name = f"short-{uuid4().hex[:6]}"
    admin = connect(("admin", None))
    namespaces.register(admin, name)
    leaves.ensure_leaf(admin, Leaf(name, MODEL, DIMENSIONS))
    owners = superuser.execute(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname = ANY(%s)",
        [partitions_of(superuser, name)],
    ).fetchall()
    assert owners == [("vector_admin",)]
    tenant = connect(("writer", name))
    assert tenant.execute("SELECT name FROM namespaces").fetchall() == [(name,)]
    with database.connect() as other:
        namespaces.drop(other, name)
    assert (
        superuser.execute(
            "SELECT FROM pg_roles WHERE rolname LIKE %s", [f"vector_%{name}"]
        ).rowcount
        == 0
    )
    with pytest.raises(errors.InsufficientPrivilege):
        tenant.execute("SELECT name FROM namespaces")
    namespaces.register(admin, name)
    with pytest.raises(errors.InsufficientPrivilege):
        tenant.execute("SELECT name FROM namespaces")


def test_what_is_made_after_the_login_is_reached_and_secured_too(
    database: Database, connect: Connect, tenants: Tenants
) -> None:
    tenant, other = connect(("reader", tenants.ours)), connect(("reader", tenants.theirs))
    leaf = Leaf(tenants.ours, "second-model", DIMENSIONS)
    with database.connect() as connection:
        leaves.ensure_leaf(connection, leaf)
    assert count(tenant, leaf.name) == 0
    with pytest.raises(errors.InsufficientPrivilege):
        count(other, leaf.name)


def test_a_tenant_search_is_pruned_and_uses_the_index(database: Database, connect: Connect) -> None:
    name = f"search-{uuid4().hex[:6]}"
    leaf = Leaf(name, MODEL, DIMENSIONS)
    with database.connect() as connection:
        namespaces.register(connection, name)
        leaves.ensure_leaf(connection, leaf)
        connection.execute(
            "INSERT INTO vector_embeddings (namespace, id, source_type, source_id, content_hash,"
            " embedding, embedding_model, embedding_fingerprint)"
            " SELECT %s, gen_random_uuid(), 'd', gen_random_uuid(), '',"
            "        ARRAY(SELECT random() FROM generate_series(1, 8) WHERE i > 0)::vector, %s, 'f'"
            " FROM generate_series(1, 2000) i",
            [name, MODEL],
        )
        connection.execute(
            sql.SQL(
                "CREATE INDEX ON {} USING hnsw ((embedding::vector(8)) vector_cosine_ops)"
            ).format(leaf.table)
        )
        leaves.analyze(connection, leaf)
    tenant = connect(("reader", name))
    for where in ("namespace = %(namespace)s AND embedding_model = %(model)s", "true"):
        plan = "\n".join(
            line
            for (line,) in tenant.execute(
                sql.SQL(
                    "EXPLAIN SELECT id FROM vector_embeddings WHERE {}"
                    " ORDER BY embedding::vector(8) <=> '[1,2,3,4,5,6,7,8]' LIMIT 10"
                ).format(sql.SQL(where)),
                {"namespace": name, "model": MODEL},
            )
        )
        assert [line for line in plan.splitlines() if "Scan" in line] == [
            line
            for line in plan.splitlines()
            if f'Index Scan using "{leaf.name}_embedding_idx"' in line
        ], plan
