"""`greenlang-vectors roles`, as a person and as a program use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest

from greenlang_vectors.settings import get_settings
from greenlang_vectors.store import namespaces, roles
from greenlang_vectors.store.database import Database

from ..conftest import Cli

pytestmark = pytest.mark.integration

PASSWORD = "pass phrase of a test"  # noqa: S105


@pytest.fixture
def cli(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line with a password in its environment."""
    monkeypatch.setenv("GREENLANG_ROLE_PASSWORD", PASSWORD)
    return cli


@pytest.fixture(scope="module")
def namespace(database: Database) -> str:
    name = f"cli-{uuid4().hex[:6]}"
    with database.connect() as connection:
        namespaces.register(connection, name)
    return name


@pytest.fixture
def login(database: Database) -> Iterator[str]:
    """A name for a login that is gone after the test."""
    name = f"t_{uuid4().hex[:10]}"
    yield name
    with database.connect() as connection:
        if any(access.login == name for access in roles.list_access(connection)):
            roles.drop_login(connection, name)


def logged_in(database: Database, login: str, password: str) -> psycopg.Connection:
    netloc = f"{login}:{quote(password)}@"
    return psycopg.connect(urlunsplit(urlsplit(database.url)._replace(netloc=netloc)))


def test_a_login_is_created_listed_and_dropped(
    cli: Cli, database: Database, namespace: str, login: str
) -> None:
    created = cli("roles", "create", login, "--role", "reader", "--namespace", namespace, "--json")
    expected = {"login": login, "role": "reader", "namespace": namespace}
    assert (created.code, created.err) == (0, "")
    assert json.loads(created.out) == {"roles": [expected]}
    logged_in(database, login, PASSWORD).close()
    assert expected in json.loads(cli("roles", "list", "--json").out)["roles"]
    assert login in cli("roles", "list").out
    dropped = cli("roles", "drop", login)
    assert (dropped.code, dropped.err) == (0, f"{login} is removed.\n")
    assert login not in cli("roles", "list").out
    with pytest.raises(psycopg.OperationalError):
        logged_in(database, login, PASSWORD)


def test_the_password_may_come_from_a_file_and_changes_on_repetition(
    cli: Cli, database: Database, login: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("roles", "create", login, "--role", "writer").code == 0
    (tmp_path / "password").write_text("another pass phrase\n")
    monkeypatch.delenv("GREENLANG_ROLE_PASSWORD")
    monkeypatch.setenv("GREENLANG_ROLE_PASSWORD_FILE", str(tmp_path / "password"))
    get_settings.cache_clear()
    assert cli("roles", "create", login, "--role", "writer").code == 0
    logged_in(database, login, "another pass phrase").close()
    with pytest.raises(psycopg.OperationalError):
        logged_in(database, login, PASSWORD)


@pytest.mark.parametrize(
    ("password", "file", "word"),
    [(None, None, "GREENLANG_ROLE_PASSWORD"), (None, "missing", "FILE"), ("short", None, "12")],
)
def test_no_usable_password_is_one_line(
    cli: Cli,
    login: str,
    monkeypatch: pytest.MonkeyPatch,
    password: str | None,
    file: str | None,
    word: str,
) -> None:
    monkeypatch.delenv("GREENLANG_ROLE_PASSWORD")
    for name, value in (("PASSWORD", password), ("PASSWORD_FILE", file)):
        if value is not None:
            monkeypatch.setenv(f"GREENLANG_ROLE_{name}", value)
    get_settings.cache_clear()
    result = cli("roles", "create", login, "--role", "reader")
    assert (result.code, result.out) == (2, "")
    assert word in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "someone", "--role", "emperor"),
        ("create", "someone", "--role", "reader", "--namespace", "nowhere"),
        ("create", "someone", "--role", "admin", "--namespace", "nowhere"),
        ("create", "postgres", "--role", "reader"),
        ("create", "someone", "--role", "reader", "--password", PASSWORD),
        ("drop", "nobody_of_this_name"),
        ("drop", "postgres"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(cli: Cli, arguments: tuple[str, ...]) -> None:
    result = cli("roles", *arguments)
    assert (result.code, result.out) == (2, "")
    assert PASSWORD not in result.err


def test_a_tenant_makes_no_logins(
    cli: Cli, database: Database, namespace: str, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("roles", "create", login, "--role", "writer", "--namespace", namespace).code == 0
    netloc = f"{login}:{quote(PASSWORD)}@"
    url = urlunsplit(urlsplit(database.url)._replace(netloc=netloc))
    monkeypatch.setenv("GREENLANG_DATABASE_URL", url)
    get_settings.cache_clear()
    for right in ("reader", "admin"):
        result = cli("roles", "create", f"{login}x", "--role", right)
        assert result.code == 1
        assert "permission denied" in result.err
        assert PASSWORD not in result.err
