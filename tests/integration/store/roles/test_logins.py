"""Logins: how they are made, listed and dropped, and where their passwords go."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from greenlang_vectors.errors import UnknownNamespace, UsageError
from greenlang_vectors.store import roles
from greenlang_vectors.store.database import Database

from .tenants import PASSWORD, Connect, Tenants, count, url_of

pytestmark = pytest.mark.integration


def test_passwords_are_asked_for_and_reach_the_server_as_verifiers(
    database: Database, connect: Connect, tenants: Tenants, superuser: psycopg.Connection
) -> None:
    login = connect(("reader", tenants.ours)).info.user
    stored = superuser.execute(
        "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [login]
    ).fetchone()
    assert stored is not None
    assert stored[0].startswith("SCRAM-SHA-256$")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url_of(database, login, "wrong password"))


def test_the_password_never_leaves_the_process(
    database: Database,
    superuser: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Even a server that logs every statement, and an error that repeats one, tells nothing."""
    log = superuser.execute("SELECT current_setting('data_directory') || '/log'").fetchone()
    assert log is not None
    login = f"t_{uuid4().hex[:10]}"
    superuser.execute("ALTER SYSTEM SET log_statement = 'all'")
    superuser.execute("SELECT pg_reload_conf()")
    try:
        with caplog.at_level("DEBUG"), database.connect() as connection:
            roles.create_login(connection, login, "reader", [], PASSWORD)
            roles.drop_login(connection, login)
    finally:
        superuser.execute("ALTER SYSTEM RESET log_statement")
        superuser.execute("SELECT pg_reload_conf()")
    text = Path(log[0]).read_text("utf-8")
    assert f'ALTER ROLE "{login}" PASSWORD' in text
    assert PASSWORD not in text + caplog.text


def test_access_is_listed_and_a_second_right_is_added(
    database: Database, connect: Connect, tenants: Tenants
) -> None:
    login = connect(("reader", tenants.ours), ("writer", tenants.theirs)).info.user
    with database.connect() as connection:
        found = [a for a in roles.list_access(connection) if a.login == login]
    assert found == [
        roles.Access(login, "reader", tenants.ours),
        roles.Access(login, "writer", tenants.theirs),
    ]


def test_a_dropped_login_loses_its_rights_at_once(database: Database, tenants: Tenants) -> None:
    login = f"t_{uuid4().hex[:10]}"
    with database.connect() as connection:
        roles.create_login(connection, login, "reader", [tenants.ours], PASSWORD)
        with psycopg.connect(url_of(database, login), autocommit=True) as tenant:
            assert count(tenant, "documents") == 1
            roles.drop_login(connection, login)
            with pytest.raises(psycopg.Error):
                count(tenant, "documents")
        with pytest.raises(UsageError):
            roles.drop_login(connection, login)


@pytest.mark.parametrize(
    ("login", "right", "where", "password"),
    [
        ("Upper", "reader", [], PASSWORD),
        ("a b", "reader", [], PASSWORD),
        ("x" * 64, "reader", [], PASSWORD),
        ("vector_admin", "reader", [], PASSWORD),
        ("pg_monitor", "reader", [], PASSWORD),
        ("greenlang_owner", "reader", [], PASSWORD),
        ("postgres", "reader", [], PASSWORD),
        ("boss", "admin", ["any"], PASSWORD),
        ("short", "reader", [], "eleven char"),
    ],
)
def test_a_login_that_cannot_be_is_refused_and_nothing_is_made(
    database: Database,
    login: str,
    right: roles.Right,
    where: list[str],
    password: str,
) -> None:
    with database.connect() as connection:
        before = connection.execute("SELECT * FROM pg_roles ORDER BY 1").fetchall()
        with pytest.raises(UsageError) as caught:
            roles.create_login(connection, login, right, where, password)
        assert password not in str(caught.value)
        assert connection.execute("SELECT * FROM pg_roles ORDER BY 1").fetchall() == before


def test_an_unknown_namespace_is_refused(database: Database) -> None:
    with database.connect() as connection:
        with pytest.raises(UnknownNamespace):
            roles.create_login(connection, "nobody", "reader", ["nowhere"], PASSWORD)
        assert not [a for a in roles.list_access(connection) if a.login == "nobody"]
