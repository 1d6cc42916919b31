"""Each finding is seen: a real database is well, one thing is broken, and the doctor says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from greenlang_vectors.doctor import contents, examination, rights, server
from greenlang_vectors.doctor.examination import examine, worst
from greenlang_vectors.doctor.findings import Check, Finding, Subject
from greenlang_vectors.settings import Settings
from greenlang_vectors.store import namespaces
from greenlang_vectors.store.connections import Access
from greenlang_vectors.store.database import Database

pytestmark = pytest.mark.integration

NAMESPACE = "examined"


@pytest.fixture(scope="module")
def examined(database: Database) -> Database:
    """A database with one namespace, which was exported and drilled an hour ago."""
    with database.connect() as connection:
        namespaces.register(connection, NAMESPACE)
        connection.execute(
            "INSERT INTO backup_exports VALUES"
            " (%s, 'e', now() - interval '1 hour', repeat('0', 64), 1, 1, 1)",
            [NAMESPACE],
        )
        connection.execute(
            "INSERT INTO backup_drills VALUES (%s, 'e', now(), true, NULL, 1, '{}')", [NAMESPACE]
        )
    return database


@pytest.fixture
def look(examined: Database) -> Iterator[Callable[..., list[Finding]]]:
    """One check of the module's database, as the examination makes it."""
    with examined.connect() as connection:

        def run(check: Check, **given: Any) -> list[Finding]:  # noqa: ANN401 - of a Subject
            subject = Subject(
                settings=given.pop("settings", Settings()),
                profile=given.pop("profile", "dev"),
                access=Access(examined.url),
                connection=given.pop("connection", connection),
                embedded=given.pop("embedded", True),
                pooled=False,
            )
            return examination._reading(subject, check)

        yield run


def named(found: list[Finding], check: str) -> Finding:
    [one] = [each for each in found if each.check == check]
    return one


@contextmanager
def as_superuser(server_url: str, url: str) -> Iterator[psycopg.Connection]:
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(make_conninfo(server_url, dbname=name), autocommit=True) as connection:
        yield connection


@contextmanager
def broken(
    connection: psycopg.Connection, breaking: LiteralString, mending: LiteralString
) -> Iterator[None]:
    connection.execute(sql.SQL(breaking))
    try:
        yield
    finally:
        connection.execute(sql.SQL(mending))


BREAKS: dict[str, tuple[Check, str, str, LiteralString, LiteralString, str]] = {
    "an old schema": (
        *(contents.revision, "version", "error"),
        "UPDATE alembic_version SET version_num = '0001'",
        "UPDATE alembic_version SET version_num = (SELECT version FROM kept_version)",
        "schema upgrade",
    ),
    "a newer schema": (
        *(contents.revision, "version", "error"),
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE alembic_version SET version_num = (SELECT version FROM kept_version)",
        "Install the version",
    ),
    "what a restore left": (
        *(contents.leftovers, "tables in restoring", "warning"),
        "CREATE TABLE restoring.left_over ()",
        "DROP TABLE restoring.left_over",
        "Run the restore again",
    ),
    "a namespace without roles": (
        *(rights.groups, "groups", "error"),
        "INSERT INTO namespaces (name, chunking) VALUES ('ghost', 'semantic')",
        "DELETE FROM namespaces WHERE name = 'ghost'",
        "secure_schema()",
    ),
    "a namespace without policies": (
        *(rights.tables, "row-level security", "error"),
        "DROP POLICY read_examined ON documents",
        "SELECT secure_namespace('examined')",
        "secure_schema()",
    ),
    "a table open to all rows": (
        *(rights.tables, "row-level security", "error"),
        "ALTER TABLE documents_examined DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE documents_examined ENABLE ROW LEVEL SECURITY",
        "ENABLE ROW LEVEL SECURITY",
    ),
    "a table without partitions, open to all rows": (
        *(rights.tables, "row-level security", "error"),
        "ALTER TABLE backup_exports DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE backup_exports ENABLE ROW LEVEL SECURITY",
        "ENABLE ROW LEVEL SECURITY",
    ),
    "another owner": (
        *(rights.tables, "owner of the tables", "error"),
        "ALTER TABLE documents_examined OWNER TO greenlang_owner",
        "ALTER TABLE documents_examined OWNER TO vector_admin",
        "OWNER TO vector_admin",
    ),
    "a grant to everybody": (
        *(rights.tables, "grants to PUBLIC", "error"),
        "GRANT SELECT ON documents_examined TO PUBLIC",
        "REVOKE SELECT ON documents_examined FROM PUBLIC",
        "FROM PUBLIC",
    ),
    "a schema that everybody may fill": (
        *(rights.tables, "grants to PUBLIC", "error"),
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        "FROM PUBLIC",
    ),
    "a reader who may not read": (
        *(rights.tables, "grants", "error"),
        "REVOKE SELECT ON vector_embeddings FROM vector_reader",
        "GRANT SELECT ON vector_embeddings TO vector_reader",
        "secure_schema()",
    ),
    "an export that was missed": (
        *(contents.backups, "newest exports", "warning"),
        "UPDATE backup_exports SET made_at = now() - interval '40 hours'",
        "UPDATE backup_exports SET made_at = now() - interval '1 hour'",
        "backup create",
    ),
    "an export that nobody restored": (
        *(contents.backups, "restore drills", "warning"),
        "UPDATE backup_drills SET passed = false",
        "UPDATE backup_drills SET passed = true",
        "greenlang-vectors drill",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_found_and_what_is_mended_is_not(
    what: str, look: Callable[..., list[Finding]], server: str, examined: Database
) -> None:
    check, name, level, breaking, mending, remedy = BREAKS[what]
    with as_superuser(server, examined.url) as connection:
        connection.execute(
            "CREATE TEMP TABLE kept_version AS SELECT version_num AS version FROM alembic_version"
        )
        assert named(look(check), name).level == "ok"
        with broken(connection, breaking, mending):
            found = named(look(check), name)
            assert found.level == level
            assert remedy in found.remedy
        assert named(look(check), name).level == "ok"


def test_a_namespace_that_was_never_exported_is_worse_where_others_rely_on_it(
    look: Callable[..., list[Finding]], server: str, examined: Database
) -> None:
    with (
        as_superuser(server, examined.url) as connection,
        broken(
            connection,
            "UPDATE backup_exports SET namespace = 'other'",
            "UPDATE backup_exports SET namespace = 'examined'",
        ),
    ):
        assert named(look(contents.backups), "newest exports").level == "warning"
        found = named(look(contents.backups, profile="production"), "newest exports")
        assert found.level == "error"
        assert "late: examined" in found.found


def test_an_invalid_index_is_found(
    look: Callable[..., list[Finding]], server: str, examined: Database
) -> None:
    with as_superuser(server, examined.url) as connection:
        connection.execute("CREATE TABLE twice AS SELECT 1 AS number FROM generate_series(1, 2)")
        with suppress(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY broken ON twice (number)")
        found = named(look(contents.indexes), "invalid")
        connection.execute("DROP TABLE twice")
    assert (found.level, found.found) == ("error", "broken")
    assert named(look(contents.indexes), "invalid").level == "ok"


def test_a_leaf_that_is_searched_without_an_index_is_found(
    look: Callable[..., list[Finding]], server: str, examined: Database
) -> None:
    with as_superuser(server, examined.url) as connection:
        connection.execute(
            "CREATE TABLE bare PARTITION OF vector_embeddings_examined FOR VALUES IN ('bare')"
        )
        assert named(look(contents.indexes), "leaves without an ANN index").level == "ok"
        connection.execute("UPDATE pg_class SET reltuples = 5000 WHERE relname = 'bare'")
        found = named(look(contents.indexes), "leaves without an ANN index")
        connection.execute("DROP TABLE bare")
    assert (found.level, found.found) == ("warning", "bare")


def test_a_login_above_the_rules_is_found(
    look: Callable[..., list[Finding]], server: str, examined: Database
) -> None:
    name = f"above_{uuid4().hex[:8]}"
    role = sql.Identifier(name)
    with as_superuser(server, examined.url) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN BYPASSRLS").format(role))
        connection.execute(sql.SQL("GRANT vector_reader TO {}").format(role))
        found = named(look(rights.groups), "logins above row-level security")
        whom = named(look(rights.login, connection=connection), "login")
        connection.execute(sql.SQL("DROP ROLE {}").format(role))
    assert (found.level, found.found) == ("warning", name)
    assert whom.level == "warning"
    assert "superuser" in whom.found
    assert named(look(rights.login), "login").level == "ok"
    assert named(look(rights.groups), "logins above row-level security").level == "ok"


def test_settings_are_compared_with_the_profile(
    look: Callable[..., list[Finding]], examined: Database
) -> None:
    own = {each.check: each for each in look(server.settings)}
    assert {each.level for each in own.values()} == {"ok"}, own
    wanted = {each.check: each for each in look(server.settings, embedded=False)}
    assert wanted["shared_buffers"].level == "warning"
    production = {
        each.check: each for each in look(server.settings, embedded=False, profile="production")
    }
    assert production.keys() == own.keys() | {"random_page_cost"}
    for name in ("shared_buffers", "work_mem", "random_page_cost", "hnsw.ef_search"):
        assert production[name].level == "warning", name
        assert name in production[name].remedy
    assert "then restart" in production["shared_buffers"].remedy
    assert "pg_reload_conf" in production["work_mem"].remedy
    assert production["work_mem"].expected == "at least 256 MB"
    options = "-c work_mem=256MB -c random_page_cost=1.1"
    with psycopg.connect(make_conninfo(examined.url, options=options), autocommit=True) as tuned:
        found = look(server.settings, connection=tuned, embedded=False, profile="production")
    assert named(found, "work_mem").level == "ok"
    assert named(found, "random_page_cost").level == "ok"


def test_on_aurora_settings_live_in_a_parameter_group(
    look: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Subject, "aurora", property(lambda _: True))
    found = look(server.settings, embedded=False, profile="production")
    assert "DB parameter group, then restart" in named(found, "shared_buffers").remedy
    assert "ALTER SYSTEM" not in named(found, "work_mem").remedy


def test_old_versions_are_found(
    look: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {each.level for each in look(server.versions)} == {"ok"}
    monkeypatch.setattr(server, "OLDEST_SERVER", 99)
    monkeypatch.setattr(server, "OLDEST_PGVECTOR", (9, 0))
    assert {each.level for each in look(server.versions)} == {"error"}


def test_a_server_that_a_power_cut_would_empty_is_found(
    look: Callable[..., list[Finding]],
) -> None:
    """The tests' own server runs so."""
    found = look(server.safety)
    assert (named(found, "fsync").level, named(found, "full_page_writes").level) == ("error", "ok")
    assert named(found, "writer").level == "ok"


def test_pgaudit_is_asked_for_where_others_rely_on_the_database(
    look: Callable[..., list[Finding]], examined: Database
) -> None:
    assert not look(server.audit)
    assert named(look(server.audit, profile="production"), "pgaudit").level == "warning"
    options = "-c pgaudit.log=ddl,write -c pgaudit.log_catalog=on"
    with psycopg.connect(make_conninfo(examined.url, options=options), autocommit=True) as audited:
        found = look(server.audit, connection=audited, profile="production")
    assert named(found, "pgaudit.log").level == "ok"
    assert named(found, "pgaudit.log_catalog").level == "warning"


def test_clocks_are_compared(
    look: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert named(look(server.clock), "clock").level == "ok"
    real = time.time
    for ahead, level in ((30, "warning"), (-30, "warning"), (3600, "error")):
        monkeypatch.setattr(server.time, "time", lambda ahead=ahead: real() + ahead)
        assert named(look(server.clock), "clock").level == level


def test_the_last_sessions_are_warned_of(
    look: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert named(look(server.connections), "connections in use").level == "ok"
    monkeypatch.setattr(server, "BUSY", 0.0)
    assert named(look(server.connections), "connections in use").level == "warning"


def test_readers_must_answer_and_be_readers(
    look: Callable[..., list[Finding]], examined: Database
) -> None:
    def readers(url: str) -> Finding:
        settings = Settings(database_reader_urls=SecretStr(url))
        [one] = look(server.readers, settings=settings)
        return one

    assert not look(server.readers)
    assert readers("postgresql://127.0.0.1:1/nowhere").level == "error"
    assert readers(examined.url).found == "takes writes: no reader"


def test_a_check_cannot_write_and_cannot_stop_the_others(
    look: Callable[..., list[Finding]],
) -> None:
    def meddling(subject: Subject) -> Iterator[Finding]:
        subject.connection.execute("CREATE TABLE meddled ()")
        yield Finding("x", "y", "ok", "z")

    def endless(subject: Subject) -> Iterator[Finding]:
        subject.connection.execute("SELECT pg_sleep(60)")
        yield Finding("x", "y", "ok", "z")

    [refused] = look(meddling)
    assert refused.level == "error"
    assert "read-only transaction" in refused.found
    [stopped] = look(endless)
    assert "timeout" in stopped.found
    assert named(look(server.clock), "clock").level == "ok"


def test_the_whole_examination_is_well_but_for_what_the_tests_turned_off(
    examined: Database, settings: Settings
) -> None:
    given = settings.model_copy(update={"database_url": SecretStr(examined.url)})
    began = time.monotonic()
    found = examine(given, "dev")
    assert time.monotonic() - began < 10
    assert len(found) > 30
    wrong = {(each.area, each.check) for each in found if each.level == "error"}
    assert wrong == {("server", "fsync")}
    assert {each.area for each in found} >= {
        *("server", "settings", "schema", "roles", "indexes", "backups", "tls"),
        *("folders", "model", "api", "leftovers"),
    }
    assert all(each.remedy for each in found if each.level != "ok")


def test_no_program_that_could_dump_the_server_is_found(
    examined: Database, settings: Settings, tmp_path: Path
) -> None:
    given = {"database_url": SecretStr(examined.url), "pg_bin_dir": tmp_path}
    found = examine(settings.model_copy(update=given), "dev")
    assert named(found, "pg_dump").level == "error"
    assert named(found, "pg_restore").level == "error"


def test_a_database_that_does_not_answer_is_a_finding(settings: Settings, tmp_path: Path) -> None:
    away = settings.model_copy(
        update={"database_url": SecretStr("postgresql://me:hunter2@127.0.0.1:1/nowhere")}
    )
    found = examine(away, "dev")
    assert named(found, "connection").level == "error"
    assert worst(found) == 2
    assert "hunter2" not in str(found)
    unmade = settings.model_copy(update={"data_dir": tmp_path, "database_url": None})
    assert "does not run" in named(examine(unmade, "dev"), "connection").found
    assert not (tmp_path / "postgres").exists()


def test_the_embedded_server_is_examined_where_it_runs(settings: Settings, server: str) -> None:
    """Its own settings are as it was sized."""
    assert server
    found = examine(settings, "dev")
    assert {each.level for each in found if each.area == "settings"} == {"ok"}
